//! Texts among the features of records.
//!
//! A row is numbers: where a feature is a text, it holds what stands for it here. Such a number means nothing by itself, and
//! the rows of one batch share their texts.
//!
//! Invariant: a number that was given out stands for its text until it is cut off or all are cleared. A text that is missing
//! is NaN, as a number is, and counts as the empty one.

/// The texts of some rows.
#[derive(Debug, Clone, Default)]
pub struct Texts {
    /// One behind another.
    buffer: String,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Texts {
    /// Takes a text in, and returns what stands for it.
    pub fn add(&mut self, text: &str) -> f32 {
        self.buffer.push_str(text);
        let number = u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
        self.ends.push(self.buffer.len());
        // The bits are a count, which calculating with it would change: rows are only copied.
        f32::from_bits(number)
    }

    /// The text that a number stands for.
    #[must_use]
    pub fn get(&self, number: f32) -> &str {
        let place = number.to_bits() as usize;
        let Some(end) = self.ends.get(place) else {
            return "";
        };
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.buffer[start..*end]
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Forgets all but the first so many.
    pub fn truncate(&mut self, count: usize) {
        self.ends.truncate(count);
        self.buffer.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.truncate(0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use serde_json::{Value, json};

    use super::*;
    use crate::record::{
        DecodeError, Decoder, MessageWriter, Parts, RecordFormat, Written, avro_record, texts,
    };

    #[test]
    fn numbers_stand_for_their_texts() {
        let mut texts = Texts::default();
        let numbers = ["a", "", "\u{e9}t\u{e9}"].map(|text| texts.add(text));
        assert_eq!(
            numbers.map(|number| texts.get(number)),
            ["a", "", "\u{e9}t\u{e9}"]
        );
        assert_eq!(texts.get(f32::NAN), "");
        texts.truncate(1);
        assert_eq!((texts.len(), texts.get(numbers[2])), (1, ""));
        let again = texts.add("b");
        assert_eq!((texts.get(numbers[0]), texts.get(again)), ("a", "b"));
        texts.clear();
        assert!(texts.is_empty());
    }

    fn format(format: Value) -> RecordFormat {
        let format: RecordFormat = serde_json::from_value(format).unwrap();
        format.check(None).unwrap();
        format
    }

    /// The features of a record behind another one, each as it is told.
    fn read(format: &RecordFormat, value: &[u8]) -> Result<Vec<String>, DecodeError> {
        let mut decoder = Decoder::new(format, None);
        decoder.texts.add("of another record");
        let parts = Parts {
            key: None,
            value: Some(value),
            timestamp_ms: None,
            headers: &(),
        };
        let mut row = Vec::new();
        let result = decoder.decode(&parts, &mut row, &mut Vec::new());
        if result.is_err() {
            assert_eq!(decoder.texts().len(), 1, "a refused record leaves nothing");
        }
        result?;
        let features = row.iter().zip(texts(format));
        Ok(features
            .map(|(number, is_text)| {
                if is_text {
                    decoder.texts().get(*number).to_owned()
                } else {
                    number.to_string()
                }
            })
            .collect())
    }

    fn refusal(format: &RecordFormat, value: &[u8]) -> (&'static str, String) {
        let error = read(format, value).unwrap_err();
        (error.code(), error.to_string())
    }

    fn fields() -> Value {
        json!([{"pointer": "/town", "text": true}, {"pointer": "/age"}, {"pointer": "/trade", "text": true}])
    }

    #[test]
    fn json_has_texts() {
        let strict = format(json!({"type": "JSON", "fields": fields()}));
        let value = r#"{"age": 3, "trade": "a \"smith\"", "town": "K\u00f6ln"}"#;
        assert_eq!(
            read(&strict, value.as_bytes()).unwrap(),
            ["K\u{f6}ln", "3", "a \"smith\""]
        );
        for (wrong, code, words) in [
            (
                r#"{"age": 3, "trade": "x", "town": 5}"#,
                "field-type",
                "holds a number where a text",
            ),
            (
                r#"{"age": 3, "trade": ["x"], "town": ""}"#,
                "field-type",
                "holds an array",
            ),
            (
                r#"{"age": "x", "trade": "x", "town": ""}"#,
                "field-type",
                "numbers are expected",
            ),
            (
                r#"{"age": 3, "trade": null, "town": ""}"#,
                "field-missing",
                "\"/trade\" is null",
            ),
            (
                r#"{"age": 3, "town": ""}"#,
                "field-missing",
                "\"/trade\" is missing",
            ),
            (
                r#"{"age": 3, "trade": "x", "trade": "y", "town": ""}"#,
                "field-twice",
                "twice",
            ),
            (
                r#"{"age": 3, "trade": "\ud800", "town": ""}"#,
                "json",
                "Unicode",
            ),
        ] {
            let (found, message) = refusal(&strict, wrong.as_bytes());
            assert_eq!(found, code, "{message}");
            assert!(message.contains(words), "{message}");
        }
        let lax = format(json!({"type": "JSON", "fields": fields(), "missing": "NAN"}));
        assert_eq!(
            read(&lax, br#"{"age": 3, "trade": null}"#).unwrap(),
            ["", "3", ""]
        );
    }

    #[test]
    fn avro_has_texts_and_symbols() {
        let writer = json!({"type": "record", "name": "Person", "fields": [
            {"name": "age", "type": "int"},
            {"name": "town", "type": ["null", "string"]},
            {"name": "trade", "type": {"type": "enum", "name": "Trade", "symbols": ["baker", "smith"]}},
        ]});
        let write = |town: Value, trade: &str| {
            let values = [
                ("/age", [json!(3)]),
                ("/town", [town]),
                ("/trade", [json!(trade)]),
            ];
            let fields = values.iter().map(|(pointer, values)| Written {
                pointer,
                shape: &[],
                numbers: values,
                in_text: false,
            });
            avro_record(&writer.to_string(), &fields.collect::<Vec<_>>()).unwrap()
        };
        let avro = |more: Value| {
            let mut avro = json!({
                "type": "AVRO", "fields": fields(), "writer": {"type": "SCHEMA", "schema": writer.to_string()},
            });
            let more = more.as_object().unwrap().clone();
            avro.as_object_mut().unwrap().extend(more);
            format(avro)
        };
        let plain = avro(json!({}));
        let record = write(json!("Ulm"), "smith");
        assert_eq!(read(&plain, &record).unwrap(), ["Ulm", "3", "smith"]);
        let (code, message) = refusal(&plain, &write(Value::Null, "smith"));
        assert_eq!(code, "field-missing", "{message}");
        let mut rubbish = write(json!("Ulm"), "smith");
        let at = rubbish
            .windows(3)
            .position(|bytes| bytes == b"Ulm")
            .unwrap();
        rubbish[at] = 0xff;
        assert_eq!(refusal(&plain, &rubbish).0, "avro");
        let lax = avro(json!({"missing": "NAN"}));
        let record = write(Value::Null, "baker");
        assert_eq!(read(&lax, &record).unwrap(), ["", "3", "baker"]);

        let reader = json!({"type": "record", "name": "Person", "fields": [
            {"name": "age", "type": "int"},
            {"name": "city", "type": "string", "aliases": ["town"]},
            {"name": "trade", "type": {"type": "enum", "name": "Trade", "symbols": ["other", "smith"], "default": "other"}},
            {"name": "land", "type": "string", "default": "Swabia"},
        ]});
        let names = json!([
            {"pointer": "/city", "text": true}, {"pointer": "/trade", "text": true}, {"pointer": "/land", "text": true},
        ]);
        let evolved = avro(json!({"reader_schema": reader.to_string(), "fields": names}));
        let record = write(json!("Ulm"), "smith");
        assert_eq!(read(&evolved, &record).unwrap(), ["Ulm", "smith", "Swabia"]);
        let record = write(json!("Ulm"), "baker");
        assert_eq!(read(&evolved, &record).unwrap(), ["Ulm", "other", "Swabia"]);
    }

    #[test]
    fn protobuf_has_texts() {
        const FILE: &str = r#"syntax = "proto3";
            message Person { string town = 1; optional string trade = 2; int32 age = 3; }"#;
        let writer = MessageWriter::new(FILE, None).unwrap();
        let write = |values: &[(&str, [Value; 1])]| {
            let fields = values.iter().map(|(pointer, values)| Written {
                pointer,
                shape: &[],
                numbers: values,
                in_text: false,
            });
            writer.write(&fields.collect::<Vec<_>>()).unwrap()
        };
        let protobuf = |missing: &str| {
            format(json!({
                "type": "PROTOBUF", "fields": fields(), "missing": missing,
                "writer": {"type": "SCHEMA", "schema": FILE},
            }))
        };
        let (strict, lax) = (protobuf("REFUSE"), protobuf("NAN"));
        let whole = write(&[
            ("/town", [json!("Ulm")]),
            ("/trade", [json!("smith")]),
            ("/age", [json!(3)]),
        ]);
        assert_eq!(read(&strict, &whole).unwrap(), ["Ulm", "3", "smith"]);
        // An empty text without presence is not written.
        let partly = write(&[("/age", [json!(3)])]);
        assert_eq!(refusal(&strict, &partly).0, "field-missing");
        assert_eq!(read(&lax, &partly).unwrap(), ["", "3", ""]);
        let (code, message) = refusal(&strict, b"\x0a\x01\xff");
        assert_eq!(code, "protobuf", "{message}");
        assert!(message.contains("not UTF-8"), "{message}");
        let (code, message) = refusal(&strict, b"\x08\x01");
        assert_eq!(code, "protobuf", "{message}");
    }

    #[test]
    fn what_is_no_text_is_refused_with_the_format() {
        let proto = "syntax = \"proto3\"; message A { int32 x = 1; }";
        let avro = json!({"type": "record", "name": "A", "fields": [{"name": "x", "type": "int"}]});
        let x = json!([{"pointer": "/x", "text": true}]);
        for (format, words) in [
            (
                json!({"type": "JSON", "fields": [{"pointer": "/x", "text": true, "shape": [2]}]}),
                "is one text",
            ),
            (
                json!({"type": "JSON", "fields": [{"pointer": "/x", "text": true, "in_text": true}]}),
                "is one text",
            ),
            (
                json!({"type": "AVRO", "fields": x, "writer": {"type": "SCHEMA", "schema": avro.to_string()}}),
                "holds a number where a text is expected",
            ),
            (
                json!({"type": "PROTOBUF", "fields": x, "writer": {"type": "SCHEMA", "schema": proto}}),
                "holds no text",
            ),
        ] {
            let format: RecordFormat = serde_json::from_value(format).unwrap();
            let error = format.check(None).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        let label =
            json!({"source": {"type": "FIELDS", "fields": [{"pointer": "/y", "text": true}]}});
        let label = serde_json::from_value(label).unwrap();
        let format = json!({"type": "JSON", "fields": [{"pointer": "/x"}]});
        let format: RecordFormat = serde_json::from_value(format).unwrap();
        let error = format.check(Some(&label)).unwrap_err().to_string();
        assert!(error.contains("a label is numbers"), "{error}");
    }
}
