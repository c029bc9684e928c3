//! A segment's records, decoded and split.
//!
//! Records have their places by (partition, offset), however partitions
//! interleave while they are read, so that the split is the same every time.

use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_wire::record::{
    DecodeError, Decoder, Dtype, Parts, RecordFormat, SchemaDocument, SchemaKey,
};
use millrace_wire::segment::SegmentDigest;
use millrace_wire::training::TrainingSpec;

use crate::failure::{Failure, Stop};
use crate::inputs::Inputs;
use crate::rows::{Kept, Room, Rows};
use crate::targets::Kind;

/// The labels of all records for one prediction.
pub enum Labels {
    /// One class a record.
    Classes(Vec<i64>),
    /// `width` numbers a record.
    Values {
        /// Numbers a record.
        width: usize,
        /// All numbers.
        values: Vec<f32>,
    },
}

/// All that a training learns from and is judged by.
pub struct Dataset {
    rows: Rows,
    labels: Vec<Labels>,
    /// What the optimizer sees: indices of records.
    pub train: Vec<u32>,
    /// What each epoch is judged by.
    pub validation: Vec<u32>,
    /// What the result is judged by.
    pub test: Vec<u32>,
    /// How many records could not be used.
    pub bad: u64,
}

impl Dataset {
    /// What the model takes of each record.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// All labels, by prediction.
    pub fn labels(&self) -> &[Labels] {
        &self.labels
    }
}

/// The schemas that records name.
pub trait Registry {
    /// The schema of an id; the inner error says why there is none.
    fn get(&self, key: SchemaKey) -> Result<Result<Arc<SchemaDocument>, String>, Stop>;
}

/// One record as it is read.
pub struct Record<'a> {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its time in milliseconds since 1970.
    pub timestamp_ms: Option<i64>,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// Its headers in order.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
}

/// Takes in the records of a segment.
pub struct Builder<'a> {
    spec: &'a TrainingSpec,
    kinds: Vec<Kind>,
    /// What the model takes, where it takes records as they are.
    inputs: Option<&'a Inputs>,
    partitions: BTreeMap<i32, Places>,
    rows: Rows,
    labels: Vec<Labels>,
    is_bad: Vec<bool>,
    digest: SegmentDigest,
    decoder: Decoder,
    schemas: Option<&'a dyn Registry>,
    row: Vec<f32>,
    label: Vec<f32>,
    /// The class that each part of the label is, where it is one.
    classes: Vec<Option<i64>>,
}

/// The places of one partition's records.
struct Places {
    first: usize,
    count: usize,
    taken: usize,
}

impl<'a> Builder<'a> {
    /// Makes room for the segment of `spec`, whose labels have parts of these kinds.
    pub fn new(spec: &'a TrainingSpec, kinds: Vec<Kind>, room: &Room) -> Result<Self, Failure> {
        let mut total = 0;
        let mut partitions = BTreeMap::new();
        for range in &spec.segment.partitions {
            let count = usize::try_from(range.count).unwrap_or(usize::MAX);
            let places = Places {
                first: total,
                count,
                taken: 0,
            };
            partitions.insert(range.partition, places);
            total = usize::saturating_add(total, count);
        }
        if total == 0 {
            return Err(Failure::new(
                "segment-empty",
                "the segment holds no record: make one of a range that does",
            ));
        }
        let width = spec.format.elements();
        let rows = Rows::new(kept(&spec.format), total, width, room)?;
        let labels = kinds.iter().map(|kind| {
            Ok(match *kind {
                Kind::Class(_) | Kind::OneHot(_) => Labels::Classes(places(total, 1)?),
                Kind::Probabilities(width) | Kind::Values(width) => Labels::Values {
                    width,
                    values: places(total, width)?,
                },
            })
        });
        let labels = labels.collect::<Result<_, Failure>>()?;
        Ok(Self {
            spec,
            kinds,
            inputs: None,
            partitions,
            rows,
            labels,
            is_bad: places(total, 1)?,
            digest: SegmentDigest::new(),
            decoder: Decoder::new(&spec.format, Some(&spec.label)),
            schemas: None,
            row: Vec::with_capacity(width),
            label: Vec::new(),
            classes: Vec::new(),
        })
    }

    /// For a model that takes records as they are: one whose numbers it cannot take cannot be used.
    pub fn with_inputs(mut self, inputs: Option<&'a Inputs>) -> Self {
        self.inputs = inputs;
        self
    }

    /// With schemas for records that carry ids of theirs.
    pub fn with_schemas(mut self, schemas: &'a dyn Registry) -> Self {
        self.schemas = Some(schemas);
        self
    }

    /// Takes in a record. The inner error says why it can't be used; its place
    /// stays empty then.
    pub fn add(&mut self, record: &Record<'_>) -> Result<Result<(), DecodeError>, Stop> {
        self.digest.add(
            record.partition,
            record.offset,
            record.timestamp_ms,
            record.key,
            record.value,
            record.headers.iter().copied(),
        );
        let places = self
            .partitions
            .get_mut(&record.partition)
            .filter(|places| places.taken < places.count)
            .ok_or_else(|| {
                changed(&format!(
                    "the record at offset {} of partition {} is one more than there were",
                    record.offset, record.partition
                ))
            })?;
        let index = places.first + places.taken;
        places.taken += 1;
        let decoded = loop {
            let decoded = self.decode(record);
            let (Some(key), Some(schemas)) = (
                decoded.as_ref().err().and_then(DecodeError::awaits),
                self.schemas,
            ) else {
                break decoded;
            };
            match schemas.get(key)? {
                Ok(document) => self.decoder.learn(key, &document),
                Err(reason) => {
                    let schema = key.to_string();
                    break Err(DecodeError::BadSchema { schema, reason });
                }
            }
        };
        match decoded {
            Ok(()) => self.store(index)?,
            Err(_) => self.is_bad[index] = true,
        }
        Ok(decoded)
    }

    /// Decodes into `row`, `label` and `classes`.
    fn decode(&mut self, record: &Record<'_>) -> Result<(), DecodeError> {
        self.row.clear();
        self.label.clear();
        self.classes.clear();
        let parts = Parts {
            key: record.key,
            value: record.value,
            timestamp_ms: record.timestamp_ms,
            headers: &record.headers,
        };
        self.decoder
            .decode(&parts, &mut self.row, &mut self.label)?;
        if let Some(inputs) = self.inputs {
            inputs.check(&self.row)?;
        }
        let mut label = self.label.as_slice();
        for kind in &self.kinds {
            let (numbers, rest) = label.split_at(kind.elements());
            self.classes.push(kind.class(numbers)?);
            label = rest;
        }
        Ok(())
    }

    fn store(&mut self, index: usize) -> Result<(), Failure> {
        self.rows.put(index, &self.row)?;
        let mut label = self.label.as_slice();
        let parts = self.labels.iter_mut().zip(&self.kinds).zip(&self.classes);
        for ((labels, kind), class) in parts {
            let (numbers, rest) = label.split_at(kind.elements());
            match labels {
                Labels::Classes(labels) => labels[index] = class.unwrap_or_default(),
                Labels::Values { width, values } => {
                    values[index * *width..(index + 1) * *width].copy_from_slice(numbers);
                }
            }
            label = rest;
        }
        Ok(())
    }

    /// Checks that these were the segment's records, all of them and unchanged,
    /// and splits them.
    pub fn finish(self) -> Result<Dataset, Failure> {
        for (partition, places) in &self.partitions {
            if places.taken < places.count {
                return Err(changed(&format!(
                    "partition {partition} had {} records in its range and has {}",
                    places.count, places.taken
                )));
            }
        }
        let digest = self.digest.finish();
        if digest != self.spec.segment.digest {
            return Err(changed(&format!(
                "the digest of its records was {} and is {digest}",
                self.spec.segment.digest
            )));
        }
        let total = self.is_bad.len();
        let bad = self.is_bad.iter().filter(|bad| **bad).count();
        check_share(bad, total, self.spec.hyperparameters.max_bad_records)?;
        let mut parts = self
            .spec
            .segment
            .split
            .parts(total as u64)
            .map_err(|error| Failure::new("split", error.to_string()))?;
        for (name, part) in [
            ("training", &mut parts.train),
            ("validation", &mut parts.validation),
            ("test", &mut parts.test),
        ] {
            let was_empty = part.is_empty();
            part.retain(|index| !self.is_bad[*index as usize]);
            if part.is_empty() && !was_empty {
                return Err(Failure::new(
                    "split",
                    format!(
                        "none of the {name} part's records can be used: see the dead letters for why"
                    ),
                ));
            }
        }
        Ok(Dataset {
            rows: self.rows,
            labels: self.labels,
            train: parts.train,
            validation: parts.validation,
            test: parts.test,
            bad: bad as u64,
        })
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "the split takes at most 2^32 records"
)]
fn check_share(bad: usize, total: usize, allowed: f64) -> Result<(), Failure> {
    if bad as f64 <= total as f64 * allowed {
        return Ok(());
    }
    Err(Failure::new(
        "bad-records",
        format!(
            "{bad} of the segment's {total} records can't be used, more than the allowed share of {allowed}: \
             the dead letters say of each why"
        ),
    ))
}

fn changed(how: &str) -> Failure {
    Failure::new(
        "segment-changed",
        format!(
            "the segment's records are not those that it was made of: {how}; \
             was the topic compacted or written anew? Make a new segment"
        ),
    )
}

fn kept(format: &RecordFormat) -> Kept {
    match format {
        RecordFormat::Raw(array) => match array.dtype {
            Dtype::Uint8 | Dtype::Bool => Kept::Byte,
            _ => Kept::Float,
        },
        RecordFormat::Image(_) => Kept::Byte,
        RecordFormat::Struct(_)
        | RecordFormat::Json(_)
        | RecordFormat::Avro(_)
        | RecordFormat::Protobuf(_)
        | RecordFormat::Record(_) => Kept::Float,
    }
}

fn places<T: Clone + Default>(records: usize, width: usize) -> Result<Vec<T>, Failure> {
    let mut places = Vec::new();
    let fits = records
        .checked_mul(width)
        .is_some_and(|len| places.try_reserve_exact(len).is_ok());
    if !fits {
        return Err(Failure::new(
            "segment-too-large",
            format!(
                "{records} records of {width} numbers don't fit into this machine's memory: \
                 train on a smaller segment"
            ),
        ));
    }
    places.resize(records * width, T::default());
    Ok(places)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use uuid::Uuid;

    use super::*;
    use crate::testing::spec;

    type Sample<'a> = (i32, i64, &'a [u8], &'a str);

    /// The records of the segment, partitions interleaved.
    const SAMPLES: [Sample<'_>; 5] = [
        (4, 0, &[40, 41], "2"),
        (0, 10, &[0, 1], "0"),
        (0, 12, &[20, 21], "1"),
        (4, 3, &[43, 44], "0"),
        (0, 13, &[30, 31], "2"),
    ];

    fn room() -> Room {
        Room {
            memory_bytes: 1 << 20,
            scratch: std::env::temp_dir(),
        }
    }

    fn add(
        builder: &mut Builder<'_>,
        (partition, offset, value, label): Sample<'_>,
    ) -> Result<Result<(), DecodeError>, Failure> {
        let added = builder.add(&Record {
            partition,
            offset,
            timestamp_ms: Some(1),
            key: None,
            value: Some(value),
            headers: &[("label", Some(label.as_bytes()))],
        });
        added.map_err(|stop| match stop {
            Stop::Failed(failure) => failure,
            other => panic!("{other:?} without a wish to stop"),
        })
    }

    /// The specification of a segment of `samples`, digest included.
    fn spec_of(samples: &[Sample<'_>]) -> TrainingSpec {
        let mut spec = spec(Uuid::nil());
        let mut builder = Builder::new(&spec, vec![Kind::Class(3)], &room()).unwrap();
        for sample in samples {
            drop(add(&mut builder, *sample).unwrap());
        }
        spec.segment.digest = builder.digest.finish();
        spec
    }

    fn build(spec: &TrainingSpec, samples: &[Sample<'_>]) -> Result<Dataset, Failure> {
        let mut builder = Builder::new(spec, vec![Kind::Class(3)], &room())?;
        for sample in samples {
            drop(add(&mut builder, *sample)?);
        }
        builder.finish()
    }

    #[test]
    fn records_stand_by_partition_and_offset() {
        let spec = spec_of(&SAMPLES);
        let dataset = build(&spec, &SAMPLES).unwrap();
        let rows: Vec<[f32; 2]> = (0..5)
            .map(|index| {
                let mut row = [0.0; 2];
                dataset
                    .rows()
                    .copy(index, &mut row, &mut Vec::new())
                    .unwrap();
                row
            })
            .collect();
        let expected = [
            [0.0, 1.0],
            [20.0, 21.0],
            [30.0, 31.0],
            [40.0, 41.0],
            [43.0, 44.0],
        ];
        assert_eq!(rows, expected);
        assert!(
            matches!(dataset.labels(), [Labels::Classes(labels)] if *labels == [0, 1, 2, 2, 0])
        );
        assert_eq!((dataset.train.len(), dataset.bad), (5, 0));
    }

    #[test]
    fn bad_records_are_left_out_and_fail_the_training_beyond_their_share() {
        let mut samples = SAMPLES;
        samples[1].2 = &[0];
        samples[3].3 = "3";
        let mut spec = spec_of(&samples);
        let error = build(&spec, &samples).err().unwrap();
        assert_eq!(error.code, "bad-records");
        assert!(
            error.message.starts_with("2 of the segment's 5 records"),
            "{error}"
        );

        spec.hyperparameters.max_bad_records = 0.4;
        let dataset = build(&spec, &samples).unwrap();
        let mut train = dataset.train.clone();
        train.sort_unstable();
        assert_eq!((train, dataset.bad), (vec![1, 2, 3], 2));

        let mut builder = Builder::new(&spec, vec![Kind::Class(3)], &room()).unwrap();
        let why = add(&mut builder, samples[3]).unwrap().unwrap_err();
        assert_eq!(why.code(), "label-class");
    }

    #[test]
    fn another_set_of_records_is_refused() {
        let spec = spec_of(&SAMPLES);
        let code = |samples: &[Sample<'_>]| build(&spec, samples).err().unwrap().code;
        assert_eq!(code(&SAMPLES[..4]), "segment-changed", "one is missing");
        let mut samples = SAMPLES;
        samples[0].2 = &[40, 42];
        assert_eq!(code(&samples), "segment-changed", "one differs");
        let more = [SAMPLES.as_slice(), &[(4, 4, &[1, 1], "0")]].concat();
        assert_eq!(code(&more), "segment-changed", "one is too many");

        let mut empty = spec.clone();
        empty.segment.partitions.clear();
        assert_eq!(build(&empty, &[]).err().unwrap().code, "segment-empty");
        let mut huge = spec;
        huge.segment.partitions[0].count = u64::MAX;
        assert_eq!(build(&huge, &[]).err().unwrap().code, "segment-too-large");
    }
}
