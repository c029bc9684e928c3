//! Records of one schema, in each format: readings of eight numbers among other fields, images of 784 integers, spectra of 256
//! floating-point numbers.

use millrace_wire::record::{Decoder, Parts, RecordFormat};
use serde_json::{Value, json};

use crate::{avro, json, protobuf};

/// Different records, which take turns.
const RECORDS: u32 = 1_000;
/// Numbers of an image.
pub(crate) const IMAGE: u32 = 784;
/// Numbers of a spectrum.
pub(crate) const SPECTRUM: u32 = 256;

/// A loop for one schema: appends a record's numbers, or gives nothing.
pub(crate) type ByHand = fn(&[u8], &mut Vec<f32>) -> Option<()>;

/// A reading: the numbers in the middle are wanted.
pub(crate) struct Reading {
    pub(crate) device: String,
    pub(crate) at: i64,
    pub(crate) temperature: f64,
    pub(crate) humidity: f64,
    pub(crate) pressure: f64,
    pub(crate) vibration: f32,
    pub(crate) load: f32,
    pub(crate) errors: i32,
    pub(crate) on: bool,
    pub(crate) level: i32,
    pub(crate) note: &'static str,
}

/// The fields of a reading that are wanted.
const FIELDS: [&str; 8] = [
    "temperature",
    "humidity",
    "pressure",
    "vibration",
    "load",
    "errors",
    "on",
    "level",
];

/// How one format writes and reads the three kinds of records.
pub(crate) struct Language {
    pub(crate) name: &'static str,
    /// What stands in the format besides its fields, for readings, images and spectra.
    pub(crate) formats: [Value; 3],
    pub(crate) reading: fn(&Reading) -> Vec<u8>,
    pub(crate) image: fn(&[u32]) -> Vec<u8>,
    pub(crate) spectrum: fn(&[f32]) -> Vec<u8>,
    pub(crate) by_hand: [ByHand; 3],
}

/// Records to decode.
pub(crate) struct Workload {
    pub(crate) language: &'static str,
    pub(crate) kind: &'static str,
    format: RecordFormat,
    by_hand: ByHand,
    pub(crate) records: Vec<Vec<u8>>,
    /// What becomes of them.
    #[cfg_attr(
        not(test),
        allow(dead_code, reason = "tests hold both ways against them")
    )]
    pub(crate) rows: Vec<Vec<f32>>,
}

/// All of them, format by format.
pub(crate) fn all() -> Vec<Workload> {
    let languages = [avro::language(), json::language(), protobuf::language()];
    languages
        .into_iter()
        .flat_map(Language::workloads)
        .collect()
}

impl Language {
    fn workloads(self) -> [Workload; 3] {
        let [of_readings, of_images, of_spectra] = self.formats;
        let fields = FIELDS.map(|field| json!({"pointer": format!("/{field}")}));
        let readings = workload(self.name, "8 fields of 11", of_readings, json!(fields));
        let fields = json!([{"pointer": "/pixels", "shape": [IMAGE]}]);
        let images = workload(self.name, "784 integers", of_images, fields);
        let fields = json!([{"pointer": "/spectrum", "shape": [SPECTRUM]}]);
        let spectra = workload(self.name, "256 floats", of_spectra, fields);
        let [by_hand_reading, by_hand_image, by_hand_spectrum] = self.by_hand;
        let numbers = 0..RECORDS;
        [
            readings(
                by_hand_reading,
                &mut numbers.clone().map(|number| {
                    let reading = Reading::new(number);
                    ((self.reading)(&reading), reading.row())
                }),
            ),
            images(
                by_hand_image,
                &mut numbers.clone().map(|number| {
                    let pixels: Vec<u32> =
                        (0..IMAGE).map(|place| mixed(number, place) % 256).collect();
                    let row = pixels.iter().map(|pixel| *pixel as f32).collect();
                    ((self.image)(&pixels), row)
                }),
            ),
            spectra(
                by_hand_spectrum,
                &mut numbers.map(|number| {
                    let row: Vec<f32> =
                        (0..SPECTRUM).map(|place| fraction(number, place)).collect();
                    ((self.spectrum)(&row), row)
                }),
            ),
        ]
    }
}

/// Makes a workload of a loop by hand and of records with their rows.
fn workload(
    language: &'static str,
    kind: &'static str,
    mut format: Value,
    fields: Value,
) -> impl FnOnce(ByHand, &mut dyn Iterator<Item = (Vec<u8>, Vec<f32>)>) -> Workload {
    format["fields"] = fields;
    let format: RecordFormat =
        serde_json::from_value(format).expect("the formats here are written as they should be");
    move |by_hand, records| {
        let (records, rows) = records.unzip();
        Workload {
            language,
            kind,
            format,
            by_hand,
            records,
            rows,
        }
    }
}

impl Workload {
    pub(crate) fn name(&self) -> String {
        format!("{}, {}", self.language, self.kind)
    }

    /// The product's decoder.
    pub(crate) fn ours(&self) -> impl FnMut(&[u8], &mut Vec<f32>) + use<> {
        let mut decoder = Decoder::new(&self.format, None);
        let mut labels = Vec::new();
        move |record, rows| {
            let parts = Parts {
                key: None,
                value: Some(record),
                timestamp_ms: None,
                headers: &(),
            };
            let result = decoder.decode(&parts, rows, &mut labels);
            result.expect("the records are of the format");
        }
    }

    /// The loop for this schema.
    pub(crate) fn by_hand(&self) -> impl FnMut(&[u8], &mut Vec<f32>) + use<> {
        let decode = self.by_hand;
        move |record, rows| decode(record, rows).expect("the records are of the schema")
    }
}

impl Reading {
    fn new(number: u32) -> Self {
        let in_steps = |place, count: u32, step| f64::from(mixed(number, place) % count) * step;
        Self {
            device: format!("device-{}", number % 40),
            at: 1_790_000_000_000 + i64::from(number) * 250,
            temperature: rounded(in_steps(0, 6_000, 0.01) - 20.0, 2),
            humidity: rounded(in_steps(1, 10_000, 0.0001), 4),
            pressure: rounded(in_steps(2, 9_000, 0.01) + 960.0, 2),
            vibration: fraction(number, 3),
            load: fraction(number, 4),
            errors: i32::try_from(mixed(number, 5) % 300).unwrap_or_default(),
            on: mixed(number, 6).is_multiple_of(2),
            level: i32::try_from(mixed(number, 7) % 2_000).unwrap_or_default() - 1_000,
            note: "nothing to report",
        }
    }

    #[allow(
        clippy::cast_possible_truncation,
        reason = "floating-point numbers are rounded"
    )]
    fn row(&self) -> Vec<f32> {
        vec![
            self.temperature as f32,
            self.humidity as f32,
            self.pressure as f32,
            self.vibration,
            self.load,
            self.errors as f32,
            f32::from(u8::from(self.on)),
            self.level as f32,
        ]
    }
}

/// A number that looks random and is the same in every run.
fn mixed(number: u32, place: u32) -> u32 {
    let seed = number.wrapping_mul(0x9e37_79b9) ^ place.wrapping_mul(0x85eb_ca6b);
    let mixed = (seed ^ (seed >> 16)).wrapping_mul(0x7feb_352d);
    let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x846c_a68b);
    mixed ^ (mixed >> 16)
}

/// One in [0, 1).
fn fraction(number: u32, place: u32) -> f32 {
    // The upper 24 bits: as many as float32 holds exactly.
    (mixed(number, place) >> 8) as f32 / (1 << 24) as f32
}

/// With so many places, as a sensor gives it.
fn rounded(number: f64, places: i32) -> f64 {
    let factor = 10.0_f64.powi(places);
    (number * factor).round() / factor
}
