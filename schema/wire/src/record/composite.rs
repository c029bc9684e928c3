//! RECORD: features from all of a record: its value, its key, its headers, its timestamp.

use serde::{Deserialize, Serialize};

use super::encoding::EncodingReader;
use super::framing::Part;
use super::{
    DecodeError, Encoding, FormatError, Label, LabelSource, Missing, Parts, RecordFormat, Texts,
};

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;
/// Milliseconds of an hour.
const HOUR: f64 = 3_600_000.0;

/// Features from all parts of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Composite {
    /// How the value is encoded, whose numbers come first; without it the value is not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Box<RecordFormat>>,
    /// What follows the value's numbers, in this order.
    pub beside: Vec<Beside>,
    /// What is made of a part that is missing: of a null value, a null key, a header that is not there.
    #[serde(default)]
    pub missing: Missing,
}

/// A feature that stands beside the value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE", deny_unknown_fields)]
pub enum Beside {
    /// The record's key.
    Key {
        /// How it is written.
        #[serde(default)]
        encoding: Encoding,
    },
    /// The last header of a name.
    Header {
        /// Its name.
        name: String,
        /// How it is written.
        #[serde(default)]
        encoding: Encoding,
    },
    /// The record's timestamp, in UTC.
    Timestamp {
        /// What of it.
        unit: TimeUnit,
    },
}

/// What of a timestamp is a feature. Milliseconds since 1970 would not be: float32 cannot hold them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TimeUnit {
    /// Days since 1970-01-01, with their fraction (float32 tells about three minutes apart).
    Days,
    /// Hours since midnight, with their fraction: 0 to 24.
    HourOfDay,
    /// 0 for Monday to 6 for Sunday.
    DayOfWeek,
}

impl Composite {
    /// How many numbers a record has.
    pub(super) fn elements(&self) -> usize {
        let value = self.value.as_ref().map_or(0, |format| format.elements());
        value + self.beside.iter().map(Beside::elements).sum::<usize>()
    }

    pub(super) fn check(&self, label: Option<&Label>) -> Result<(), FormatError> {
        if matches!(self.value.as_deref(), Some(RecordFormat::Record(_))) {
            return Err(FormatError(
                "the format RECORD has another one in it: name the value's own format there"
                    .to_owned(),
            ));
        }
        for beside in &self.beside {
            if label.is_some_and(|label| beside.holds(label)) {
                return Err(FormatError(format!(
                    "the {} holds the label and is a feature as well: a model would learn to copy it",
                    beside.name()
                )));
            }
            match beside {
                Beside::Key { encoding } => encoding.check("key")?,
                Beside::Header { name, .. } if name.trim().is_empty() => {
                    return Err(FormatError(
                        "a header without a name cannot be a feature".to_owned(),
                    ));
                }
                Beside::Header { name, encoding } => encoding.check(&format!("header {name:?}"))?,
                Beside::Timestamp { .. } => {}
            }
        }
        Ok(())
    }
}

impl Beside {
    /// How many numbers it gives.
    #[must_use]
    pub fn elements(&self) -> usize {
        match self {
            Self::Key { encoding } | Self::Header { encoding, .. } => encoding.elements(),
            Self::Timestamp { .. } => 1,
        }
    }

    /// How it is written, where it has bytes.
    pub(super) fn encoding(&self) -> Option<&Encoding> {
        match self {
            Self::Key { encoding } | Self::Header { encoding, .. } => Some(encoding),
            Self::Timestamp { .. } => None,
        }
    }

    fn holds(&self, label: &Label) -> bool {
        match (self, &label.source) {
            (Self::Key { .. }, LabelSource::Key) => true,
            (Self::Header { name, .. }, LabelSource::Header { name: label }) => name == label,
            _ => false,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Key { .. } => "key".to_owned(),
            Self::Header { name, .. } => format!("header {name:?}"),
            Self::Timestamp { .. } => "timestamp".to_owned(),
        }
    }
}

/// Reads a feature that stands beside the value.
pub(super) struct BesideReader {
    beside: Beside,
    /// What errors call it.
    name: String,
    /// What reads it, where it has bytes.
    encoding: Option<EncodingReader>,
}

impl BesideReader {
    pub(super) fn new(beside: &Beside) -> Self {
        Self {
            name: beside.name(),
            encoding: beside.encoding().map(EncodingReader::new),
            beside: beside.clone(),
        }
    }

    pub(super) fn encoding(&mut self) -> Option<&mut EncodingReader> {
        self.encoding.as_mut()
    }

    /// Appends its numbers.
    pub(super) fn decode(
        &mut self,
        parts: &Parts<'_>,
        missing: Missing,
        row: &mut Vec<f32>,
        texts: &mut Texts,
    ) -> Result<(), DecodeError> {
        let (part, bytes) = match &self.beside {
            Beside::Key { .. } => (Part::Key, parts.key),
            Beside::Header { name, .. } => (Part::Header, parts.headers.last(name)),
            Beside::Timestamp { unit } => match parts.timestamp_ms {
                Some(timestamp) => {
                    row.push(unit.of(timestamp));
                    return Ok(());
                }
                None => (Part::Header, None),
            },
        };
        match (bytes, &mut self.encoding) {
            (Some(bytes), Some(encoding)) => {
                encoding.decode(&self.name, part, bytes, parts.headers, row, texts)
            }
            _ if missing == Missing::Nan => {
                row.resize(row.len() + self.beside.elements(), f32::NAN);
                Ok(())
            }
            _ => Err(DecodeError::NoPart {
                part: self.name.clone(),
            }),
        }
    }
}

impl TimeUnit {
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "floating-point features are rounded to the nearest"
    )]
    fn of(self, timestamp_ms: i64) -> f32 {
        let (days, rest) = (timestamp_ms.div_euclid(DAY), timestamp_ms.rem_euclid(DAY));
        match self {
            Self::Days => (timestamp_ms as f64 / DAY as f64) as f32,
            Self::HourOfDay => (rest as f64 / HOUR) as f32,
            // 1970 began on a Thursday.
            Self::DayOfWeek => (days + 3).rem_euclid(7) as f32,
        }
    }
}
