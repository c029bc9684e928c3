//! The value of an output record: what a version predicted for one input record.
//!
//! JSON has no NaN and no infinity: they are written as `null` and counted.

mod avro;
mod classes;
mod document;
mod raw;

use serde::{Deserialize, Serialize};

pub use self::avro::{Kind, Outlet, schema};
use self::document::Document;

/// How predictions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OutputFormat {
    /// `{"model": …, "version": …, "source": …, "outputs": {name: nested array}}`
    Json,
    /// `{"values": […]}` of the first output, as Kafka-ML's consumers expect.
    KafkaMl,
    /// An Avro record of the same fields as JSON, behind the id of its [`schema`] in a registry.
    Avro,
    /// The bytes of the outputs, one behind another.
    Raw,
}

/// One output of the model for one record.
#[derive(Debug, Clone, Copy)]
pub struct Output<'a> {
    /// Its shape without the batch dimension.
    pub shape: &'a [usize],
    /// Its elements in C order.
    pub values: Values<'a>,
}

/// Elements of an output.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "the types say it")]
pub enum Values<'a> {
    F32(&'a [f32]),
    F64(&'a [f64]),
    I64(&'a [i64]),
    I32(&'a [i32]),
    U8(&'a [u8]),
    Bool(&'a [bool]),
    Text(&'a [String]),
}

/// A record's address, written `topic/partition/offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

impl std::fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}

impl<'a> Source<'a> {
    /// Reads `topic/partition/offset`; `None` for anything else.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (rest, offset) = text.rsplit_once('/')?;
        let (topic, partition) = rest.rsplit_once('/')?;
        Some(Self {
            topic,
            partition: partition.parse().ok()?,
            offset: offset.parse().ok()?,
        })
    }
}

/// How one output of a model is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Form {
    /// All its elements, nested by its shape; by the names of its classes, where it has such.
    #[default]
    Raw,
    /// The class with the highest score.
    Argmax,
    /// The classes with the highest scores, the best one first.
    TopK(u32),
}

/// An output of a model that is written, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// The output's name.
    pub name: String,
    /// How it is written.
    #[serde(default)]
    pub form: Form,
    /// The names of its classes, in the order of its elements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// Classes with a lower score are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
}

impl Choice {
    /// An output as the model gives it.
    #[must_use]
    pub fn whole(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            form: Form::Raw,
            classes: Vec::new(),
            threshold: None,
        }
    }
}

/// The record that is answered, where it is written beside its prediction.
#[derive(Debug, Clone, Copy)]
pub enum Echo<'a> {
    /// A JSON document, as it came.
    Document(&'a [u8]),
    /// Its features.
    Features(Output<'a>),
    /// Its features, some of which are texts.
    Mixed(&'a [Feature<'a>]),
}

/// A feature of a record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Feature<'a> {
    /// A number; NaN for one that is missing, and for a text that is.
    Number(f32),
    /// A text.
    Text(&'a str),
}

/// Writes the predictions of one version. What is the same for all of them is made once.
#[derive(Debug)]
pub struct Encoder(Written);

#[derive(Debug)]
enum Written {
    Document(Document),
    Avro(avro::Records),
    Raw,
}

impl Encoder {
    /// The encoder for a version of `model` of which these outputs are written; in Avro with the id that a registry has
    /// given to their schema.
    #[must_use]
    pub fn new(
        format: OutputFormat,
        model: &str,
        version: u32,
        outputs: &[Choice],
        schema: Option<u32>,
    ) -> Self {
        Self(match format {
            OutputFormat::Json => Written::Document(Document::json(model, version, outputs)),
            OutputFormat::KafkaMl => Written::Document(Document::kafka_ml(outputs)),
            OutputFormat::Avro => {
                Written::Avro(avro::Records::new(model, version, outputs, schema))
            }
            OutputFormat::Raw => Written::Raw,
        })
    }

    /// Appends the output record's value for the input record at `source`, which is the text of a
    /// [`Source`], and returns how many numbers were not finite and so became `null`. Only JSON has a place for `input`.
    pub fn encode<'a>(
        &self,
        source: &str,
        input: Option<Echo<'_>>,
        outputs: impl IntoIterator<Item = Output<'a>>,
        buffer: &mut Vec<u8>,
    ) -> u64 {
        match &self.0 {
            Written::Document(document) => document.encode(source, input, outputs, buffer),
            Written::Avro(records) => {
                records.encode(source, outputs, buffer);
                0
            }
            Written::Raw => {
                for output in outputs {
                    raw::encode(&output, buffer);
                }
                0
            }
        }
    }
}

impl Output<'_> {
    fn encode(&self, buffer: &mut Vec<u8>) -> u64 {
        let mut nulls = 0;
        match self.values {
            Values::F32(values) => nested(buffer, self.shape, values, &mut |buffer, value| {
                nulls += u64::from(!value.is_finite());
                json(buffer, value);
            }),
            Values::F64(values) => nested(buffer, self.shape, values, &mut |buffer, value| {
                nulls += u64::from(!value.is_finite());
                json(buffer, value);
            }),
            Values::I64(values) => nested(buffer, self.shape, values, &mut json),
            Values::I32(values) => nested(buffer, self.shape, values, &mut json),
            Values::U8(values) => nested(buffer, self.shape, values, &mut json),
            Values::Bool(values) => nested(buffer, self.shape, values, &mut json),
            Values::Text(values) => nested(buffer, self.shape, values, &mut json),
        }
        nulls
    }
}

/// Writes features as one array, and returns how many numbers became `null`.
fn mixed(buffer: &mut Vec<u8>, features: &[Feature<'_>]) -> u64 {
    let mut nulls = 0;
    nested(
        buffer,
        &[features.len()],
        features,
        &mut |buffer, feature| match feature {
            Feature::Number(number) => {
                nulls += u64::from(!number.is_finite());
                json(buffer, number);
            }
            Feature::Text(text) => json(buffer, *text),
        },
    );
    nulls
}

/// Writes `values` as arrays nested by `shape`; a scalar for an empty shape.
fn nested<T>(
    buffer: &mut Vec<u8>,
    shape: &[usize],
    values: &[T],
    write: &mut impl FnMut(&mut Vec<u8>, &T),
) {
    let Some((length, rest)) = shape.split_first() else {
        write(buffer, &values[0]);
        return;
    };
    let stride: usize = rest.iter().product();
    buffer.push(b'[');
    for index in 0..*length {
        if index > 0 {
            buffer.push(b',');
        }
        nested(
            buffer,
            rest,
            &values[index * stride..(index + 1) * stride],
            write,
        );
    }
    buffer.push(b']');
}

/// Numbers and strings by `serde_json`: the shortest text that reads back as the same number,
/// `null` for NaN and infinities.
fn json<T: Serialize + ?Sized>(buffer: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(buffer, value).expect("numbers and strings always serialise");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use proptest::prelude::*;

    const SOURCE: Source<'_> = Source {
        topic: "in",
        partition: 1,
        offset: 42,
    };

    fn encode(format: OutputFormat, names: &[&str], outputs: &[Output<'_>]) -> (String, u64) {
        let choices: Vec<Choice> = names.iter().map(|name| Choice::whole(name)).collect();
        let encoder = Encoder::new(format, "digi\"ts", 3, &choices, None);
        let mut buffer = Vec::new();
        let outputs = outputs.iter().copied();
        let nulls = encoder.encode(&SOURCE.to_string(), None, outputs, &mut buffer);
        (String::from_utf8(buffer).unwrap(), nulls)
    }

    #[test]
    fn json_names_its_origin_and_nests_by_shape() {
        let outputs = [
            Output {
                shape: &[2, 2],
                values: Values::F32(&[0.5, 1.0, f32::NAN, f32::INFINITY]),
            },
            Output {
                shape: &[],
                values: Values::I64(&[7]),
            },
        ];
        let (text, nulls) = encode(OutputFormat::Json, &["p", "label"], &outputs);
        assert_eq!(
            text,
            r#"{"model":"digi\"ts","version":3,"source":"in/1/42","outputs":{"p":[[0.5,1.0],[null,null]],"label":7}}"#
        );
        assert_eq!(nulls, 2);
        assert_eq!(
            encode(OutputFormat::KafkaMl, &["p", "label"], &outputs).0,
            r#"{"values":[[0.5,1.0],[null,null]]}"#
        );
    }

    #[test]
    fn features_are_numbers_and_texts() {
        let features = [
            Feature::Number(0.5),
            Feature::Text("a \"b\""),
            Feature::Number(f32::NAN),
        ];
        let mut buffer = Vec::new();
        assert_eq!(mixed(&mut buffer, &features), 1);
        assert_eq!(
            String::from_utf8(buffer).unwrap(),
            r#"[0.5,"a \"b\"",null]"#
        );
    }

    #[test]
    fn sources_read_back() {
        let text = SOURCE.to_string();
        assert_eq!(Source::parse(&text), Some(SOURCE));
        assert_eq!(Source::parse("a/b"), None);
    }

    proptest! {
        #[test]
        fn float32_reads_back_as_the_same_number(number in any::<f32>().prop_filter("finite", |n| n.is_finite())) {
            let mut buffer = Vec::new();
            Output { shape: &[], values: Values::F32(&[number]) }.encode(&mut buffer);
            let text = String::from_utf8(buffer).unwrap();
            prop_assert_eq!(text.parse::<f32>().unwrap().to_bits(), number.to_bits());
        }
    }
}
