//! A format whose records are decoded, and what must hold of each result.

use millrace_wire::record::{
    DecodeError, Decoder, Headers, Label, Parts, RecordFormat, SchemaDocument, SchemaKey,
};
use serde_json::Value;

/// What errors say ends in a header of a dead letter, however long a record is.
const LONGEST_MESSAGE: usize = 2_000;

/// A format with a decoder that has seen other records.
pub struct Subject {
    pub format: RecordFormat,
    pub label: Option<Label>,
    decoder: Decoder,
}

/// What became of a record: its numbers and those of its label, to the bit.
pub type Row = (Vec<u32>, Vec<u32>);

impl Subject {
    /// For a format that is as it should be.
    pub fn new(format: Value, label: Option<Value>) -> Self {
        let format: RecordFormat = serde_json::from_value(format).expect("it is a format");
        let label = label.map(|label| serde_json::from_value(label).expect("it is a label"));
        let checked = format.check(label.as_ref());
        checked.expect("records can have it");
        Self::unchecked(format, label)
    }

    /// For a format that the data made.
    pub fn unchecked(format: RecordFormat, label: Option<Label>) -> Self {
        Self {
            decoder: Decoder::new(&format, label.as_ref()),
            format,
            label,
        }
    }

    /// A field of the value as a label.
    pub fn label(pointer: &str, shape: &[u32]) -> Value {
        serde_json::json!({"source": {"type": "FIELD", "pointer": pointer, "shape": shape}})
    }

    pub fn learn(mut self, key: SchemaKey, document: &SchemaDocument) -> Self {
        self.decoder.learn(key, document);
        self
    }

    /// Decodes a value without anything beside it.
    pub fn value(&mut self, value: &[u8]) -> Result<Row, DecodeError> {
        self.decode(Some(value), None, &(), None)
    }

    /// Decodes a record twice.
    pub fn decode(
        &mut self,
        value: Option<&[u8]>,
        key: Option<&[u8]>,
        headers: &dyn Headers,
        timestamp_ms: Option<i64>,
    ) -> Result<Row, DecodeError> {
        let parts = Parts {
            key,
            value,
            timestamp_ms,
            headers,
        };
        let result = self.once(&parts);
        assert_eq!(result, self.once(&parts), "a second time it is another");
        result
    }

    fn once(&mut self, parts: &Parts<'_>) -> Result<Row, DecodeError> {
        // What stands for a text is its place among those that came.
        self.decoder.clear_texts();
        let (mut row, mut labels) = (vec![7.0], vec![8.0]);
        let result = self.decoder.decode(parts, &mut row, &mut labels);
        let (left, numbers) = row.split_at(1);
        let (left_label, label) = labels.split_at(1);
        assert_eq!((left, left_label), (&[7.0][..], &[8.0][..]));
        if let Err(error) = result {
            assert!(numbers.is_empty() && label.is_empty(), "{error}");
            assert!(error.to_string().len() < LONGEST_MESSAGE, "{error}");
            return Err(error);
        }
        assert_eq!(numbers.len(), self.format.elements());
        assert_eq!(label.len(), self.label.as_ref().map_or(0, Label::elements));
        let bits = |numbers: &[f32]| numbers.iter().map(|number| number.to_bits()).collect();
        Ok((bits(numbers), bits(label)))
    }
}

/// Which of them the first byte of the data chooses, and the rest of the data.
pub fn chosen<'s, 'd>(
    subjects: &'s mut [Subject],
    data: &'d [u8],
) -> Option<(&'s mut Subject, &'d [u8])> {
    let (choice, rest) = data.split_first()?;
    let count = subjects.len();
    Some((&mut subjects[usize::from(*choice) % count], rest))
}
