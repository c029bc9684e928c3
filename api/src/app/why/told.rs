//! What the headers of an answer tell of it.

use millrace_kafka::Record;
use millrace_wire::header;

use super::Refusal;
use crate::app::{Code, Error, Result};

/// What a record's headers tell.
pub(super) struct Told {
    /// The record that it answers.
    pub(super) source: String,
    /// The model's name, and its version's number.
    pub(super) model: String,
    pub(super) number: i32,
    /// Why there is no answer, of a dead letter.
    pub(super) refusal: Option<Refusal>,
}

impl Told {
    /// Reads the headers of the record at a place.
    pub(super) fn by(record: &Record, place: &str) -> Result<Self> {
        let wrong = |message: String| Error::new(Code::InvalidInput, message);
        let headers = (
            told(record, header::SOURCE),
            told(record, header::MODEL),
            told(record, header::VERSION).and_then(|number| number.parse().ok()),
        );
        if let (Some(source), Some(model), Some(number)) = headers {
            let code = told(record, header::ERROR);
            return Ok(Self {
                source,
                model,
                number,
                refusal: code.map(|code| Refusal {
                    code,
                    message: told(record, header::ERROR_MESSAGE).unwrap_or_default(),
                }),
            });
        }
        if told(record, header::DEAD_LETTER).is_some() {
            return Err(wrong(format!(
                "the record {place} is a dead letter on its way back to its inference, and no answer; ask for the record that answers it, which names {} as its source",
                told(record, header::SOURCE).unwrap_or_default()
            )));
        }
        if let Some(training) = told(record, header::TRAINING) {
            return Err(wrong(format!(
                "the record {place} is one that the training {training} could not use; no version answered it"
            )));
        }
        Err(wrong(format!(
            "the record {place} has not the headers {}, {} and {} that every answer of Millrace has, so nobody can say what it comes from",
            header::SOURCE,
            header::MODEL,
            header::VERSION
        )))
    }
}

/// A header as text.
pub(super) fn told(record: &Record, name: &str) -> Option<String> {
    let value = record.header(name)?;
    Some(std::str::from_utf8(value).ok()?.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn record(headers: &[(&str, &str)]) -> Record {
        let header =
            |(name, value): &(&str, &str)| ((*name).to_owned(), Some(value.as_bytes().to_vec()));
        Record {
            topic: "t".to_owned(),
            partition: 0,
            offset: 0,
            timestamp_ms: None,
            key: None,
            value: None,
            headers: headers.iter().map(header).collect(),
        }
    }

    #[test]
    fn what_is_no_answer_is_told_apart() {
        let own = [
            (header::SOURCE, "in/0/1"),
            (header::MODEL, "m"),
            (header::VERSION, "3"),
        ];
        let found = Told::by(&record(&own), "t/0/0").unwrap();
        assert_eq!(
            (found.source.as_str(), found.model.as_str(), found.number),
            ("in/0/1", "m", 3)
        );
        assert_eq!(found.refusal, None);
        let dead = [&own[..], &[(header::ERROR, "size")]].concat();
        let refusal = Told::by(&record(&dead), "t/0/0").unwrap().refusal;
        assert_eq!(refusal.unwrap().code, "size");
        for (headers, words) in [
            (&own[..2], "has not the headers"),
            ([(header::TRAINING, "id")].as_slice(), "the training id"),
            (
                [own[0], (header::DEAD_LETTER, "0/1")].as_slice(),
                "names in/0/1 as its source",
            ),
        ] {
            let refused = Told::by(&record(headers), "t/0/0").map(|_| ()).unwrap_err();
            assert_eq!(refused.code(), Code::InvalidInput);
            assert!(refused.to_string().contains(words), "{refused}");
        }
    }
}
