//! The value of an output record: what a version predicted for one input record.
//!
//! JSON has no NaN and no infinity: they are written as `null` and counted.

use std::io::Write;

use serde::{Deserialize, Serialize};

/// How predictions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OutputFormat {
    /// `{"model": …, "version": …, "source": …, "outputs": {name: nested array}}`
    Json,
    /// `{"values": […]}` of the first output, as Kafka-ML's consumers expect.
    KafkaMl,
}

/// One output of the model for one record.
#[derive(Debug, Clone, Copy)]
pub struct Output<'a> {
    /// The output's name in the graph.
    pub name: &'a str,
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
}

/// Who made a prediction and for which record.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The model's name.
    pub model: &'a str,
    /// The version's number.
    pub version: u32,
    /// The input record.
    pub source: Source<'a>,
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

impl OutputFormat {
    /// Appends the output record's value for one input record and returns how many numbers were
    /// not finite and so became `null`.
    ///
    /// # Panics
    /// If `outputs` is empty under [`OutputFormat::KafkaMl`]: every model has an output.
    pub fn encode(self, origin: &Origin<'_>, outputs: &[Output<'_>], buffer: &mut Vec<u8>) -> u64 {
        match self {
            Self::Json => {
                buffer.extend_from_slice(b"{\"model\":");
                json(buffer, origin.model);
                buffer.extend_from_slice(b",\"version\":");
                json(buffer, &origin.version);
                buffer.extend_from_slice(b",\"source\":\"");
                // Topic names hold no character that JSON would have to escape.
                write!(buffer, "{}", origin.source).expect("a Vec takes every write");
                buffer.extend_from_slice(b"\",\"outputs\":{");
                let mut nulls = 0;
                for (index, output) in outputs.iter().enumerate() {
                    if index > 0 {
                        buffer.push(b',');
                    }
                    json(buffer, output.name);
                    buffer.push(b':');
                    nulls += output.encode(buffer);
                }
                buffer.extend_from_slice(b"}}");
                nulls
            }
            Self::KafkaMl => {
                buffer.extend_from_slice(b"{\"values\":");
                let nulls = outputs[0].encode(buffer);
                buffer.push(b'}');
                nulls
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
        }
        nulls
    }
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
    use serde_json::json;

    const ORIGIN: Origin<'_> = Origin {
        model: "digits",
        version: 3,
        source: Source {
            topic: "in",
            partition: 1,
            offset: 42,
        },
    };

    fn encode(format: OutputFormat, outputs: &[Output<'_>]) -> (serde_json::Value, u64) {
        let mut buffer = Vec::new();
        let nulls = format.encode(&ORIGIN, outputs, &mut buffer);
        (serde_json::from_slice(&buffer).unwrap(), nulls)
    }

    #[test]
    fn json_names_its_origin_and_nests_by_shape() {
        let outputs = [
            Output {
                name: "p",
                shape: &[2, 2],
                values: Values::F32(&[0.5, 1.0, f32::NAN, f32::INFINITY]),
            },
            Output {
                name: "label",
                shape: &[],
                values: Values::I64(&[7]),
            },
        ];
        let (value, nulls) = encode(OutputFormat::Json, &outputs);
        assert_eq!(
            value,
            json!({"model": "digits", "version": 3, "source": "in/1/42",
                   "outputs": {"p": [[0.5, 1.0], [null, null]], "label": 7}})
        );
        assert_eq!(nulls, 2);
        assert_eq!(
            encode(OutputFormat::KafkaMl, &outputs[..1]).0,
            json!({"values": [[0.5, 1.0], [null, null]]})
        );
    }

    #[test]
    fn sources_read_back() {
        let text = ORIGIN.source.to_string();
        assert_eq!(Source::parse(&text), Some(ORIGIN.source));
        assert_eq!(Source::parse("a/b"), None);
    }

    proptest! {
        #[test]
        fn float32_reads_back_as_the_same_number(number in any::<f32>().prop_filter("finite", |n| n.is_finite())) {
            let mut buffer = Vec::new();
            Output { name: "x", shape: &[], values: Values::F32(&[number]) }.encode(&mut buffer);
            let text = String::from_utf8(buffer).unwrap();
            prop_assert_eq!(text.parse::<f32>().unwrap().to_bits(), number.to_bits());
        }
    }
}
