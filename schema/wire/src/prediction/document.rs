//! Predictions as JSON documents: Millrace's own, and those of Kafka-ML's consumers.
//!
//! Invariant: what is the same for all records is written once, when a version is taken over.

use super::classes::Field;
use super::{Choice, Echo, Output, json, mixed};

/// What writes JSON.
#[derive(Debug)]
pub(super) struct Document {
    /// What stands before the source, where it is written.
    head: Option<Vec<u8>>,
    fields: Vec<Field>,
    tail: &'static [u8],
}

impl Document {
    pub(super) fn json(model: &str, version: u32, outputs: &[Choice]) -> Self {
        let mut head = b"{\"model\":".to_vec();
        json(&mut head, model);
        head.extend_from_slice(b",\"version\":");
        json(&mut head, &version);
        head.extend_from_slice(b",\"source\":\"");
        let field = |(index, output): (usize, &Choice)| {
            let mut name = if index == 0 {
                b",\"outputs\":{".to_vec()
            } else {
                b",".to_vec()
            };
            json(&mut name, &output.name);
            name.push(b':');
            Field::new(name, output)
        };
        Self {
            head: Some(head),
            fields: outputs.iter().enumerate().map(field).collect(),
            tail: b"}}",
        }
    }

    /// The first output alone.
    pub(super) fn kafka_ml(outputs: &[Choice]) -> Self {
        let field = |output| Field::new(b"{\"values\":".to_vec(), output);
        Self {
            head: None,
            fields: outputs.iter().take(1).map(field).collect(),
            tail: b"}",
        }
    }

    pub(super) fn encode<'a>(
        &self,
        source: &str,
        input: Option<Echo<'_>>,
        outputs: impl IntoIterator<Item = Output<'a>>,
        buffer: &mut Vec<u8>,
    ) -> u64 {
        let mut nulls = 0;
        if let Some(head) = &self.head {
            buffer.extend_from_slice(head);
            // Topic names hold no character that JSON would have to escape.
            buffer.extend_from_slice(source.as_bytes());
            buffer.push(b'"');
            if let Some(input) = input {
                buffer.extend_from_slice(b",\"input\":");
                match input {
                    Echo::Document(text) => buffer.extend_from_slice(text),
                    Echo::Features(features) => nulls += features.encode(buffer),
                    Echo::Mixed(features) => nulls += mixed(buffer, features),
                }
            }
        }
        for (field, output) in self.fields.iter().zip(outputs) {
            nulls += field.encode(&output, buffer);
        }
        buffer.extend_from_slice(self.tail);
        nulls
    }
}
