//! Outputs as Avro records (specification 1.12), and the schema by which they are written.
//!
//! Invariant: what is written follows the schema of the same choices and outlets; a number is the model's own, NaN and
//! infinities among them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::classes::Scores;
use super::{Choice, Form, Output, Values};
use crate::record::{framed, put_long};

/// What a model says of an output that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlet {
    /// The type of its elements.
    pub kind: Kind,
    /// How many dimensions it has for one record.
    pub rank: usize,
}

/// The type of an output's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the types say it")]
pub enum Kind {
    F32,
    F64,
    I64,
    I32,
    U8,
    Bool,
    Text,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::F32 => "float",
            Self::F64 => "double",
            Self::I64 => "long",
            Self::I32 | Self::U8 => "int",
            Self::Bool => "boolean",
            Self::Text => "string",
        }
    }

    fn has_scores(self) -> bool {
        !matches!(self, Self::Bool | Self::Text)
    }
}

/// The schema of a version's predictions. Versions with the same outputs have the same one.
///
/// # Errors
/// What stands against it, as a sentence.
pub fn schema(choices: &[Choice], outlets: &[Outlet]) -> Result<String, String> {
    let mut names = BTreeSet::new();
    let mut fields = Vec::with_capacity(choices.len());
    for (choice, outlet) in choices.iter().zip(outlets) {
        let name = name_of(&choice.name);
        let field = field_schema(choice, *outlet, &name);
        if !names.insert(name.clone()) {
            return Err(format!(
                "two outputs have the name {name} in Avro, which takes letters, digits and underscores alone: leave one of them out"
            ));
        }
        fields.push(field);
    }
    let outputs = json!({"type": "record", "name": "Outputs", "fields": fields});
    let prediction = json!({
        "type": "record", "name": "Prediction", "namespace": "millrace",
        "fields": [
            {"name": "model", "type": "string"},
            {"name": "version", "type": "long"},
            {"name": "source", "type": "string"},
            {"name": "outputs", "type": outputs},
        ],
    });
    Ok(prediction.to_string())
}

fn field_schema(choice: &Choice, outlet: Outlet, name: &str) -> Value {
    let number = outlet.kind.name();
    if !outlet.kind.has_scores() || choice.form == Form::Raw && choice.classes.is_empty() {
        let items = |items, _| json!({"type": "array", "items": items});
        let kind = (0..outlet.rank).fold(json!(number), items);
        return json!({"name": name, "type": kind});
    }
    let class = if choice.classes.is_empty() {
        "long"
    } else {
        "string"
    };
    let entry = json!({
        "type": "record", "name": format!("Class_{name}"),
        "fields": [{"name": "class", "type": class}, {"name": "score", "type": number}],
    });
    match choice.form {
        Form::Raw => json!({"name": name, "type": {"type": "map", "values": number}}),
        Form::Argmax => json!({"name": name, "type": ["null", entry], "default": null}),
        Form::TopK(_) => json!({"name": name, "type": {"type": "array", "items": entry}}),
    }
}

/// A name as Avro takes it.
fn name_of(name: &str) -> String {
    let mut text: String = name
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '_'
            }
        })
        .collect();
    if !text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
        text.insert(0, '_');
    }
    text
}

/// Writes the predictions of one version.
#[derive(Debug)]
pub(super) struct Records {
    /// What stands before the source: the schema's id, the model, the version.
    head: Vec<u8>,
    choices: Vec<Choice>,
}

impl Records {
    pub(super) fn new(model: &str, version: u32, choices: &[Choice], schema: Option<u32>) -> Self {
        let mut head = schema.map_or_else(Vec::new, |id| framed(id, &[]));
        text(&mut head, model);
        put_long(&mut head, i64::from(version));
        Self {
            head,
            choices: choices.to_vec(),
        }
    }

    pub(super) fn encode<'a>(
        &self,
        source: &str,
        outputs: impl IntoIterator<Item = Output<'a>>,
        buffer: &mut Vec<u8>,
    ) {
        buffer.extend_from_slice(&self.head);
        text(buffer, source);
        for (choice, output) in self.choices.iter().zip(outputs) {
            field(choice, &output, buffer);
        }
    }
}

fn field(choice: &Choice, output: &Output<'_>, buffer: &mut Vec<u8>) {
    match (choice.form, Scores::of(output.values)) {
        (Form::Raw, Some(scores)) if !choice.classes.is_empty() => {
            let is_kept = |place: &usize| scores.keeps(choice.threshold, *place);
            let kept: Vec<usize> = (0..scores.len()).filter(is_kept).collect();
            block(buffer, &kept, |buffer, place| {
                match choice.classes.get(*place) {
                    Some(name) => text(buffer, name),
                    None => text(buffer, &place.to_string()),
                }
                score(buffer, scores, *place);
            });
        }
        (Form::Raw, _) | (_, None) => elements(buffer, output),
        (Form::Argmax, Some(scores)) => match scores.best(choice.threshold).first() {
            Some(place) => {
                put_long(buffer, 1);
                entry(buffer, choice, scores, *place);
            }
            None => put_long(buffer, 0),
        },
        (Form::TopK(most), Some(scores)) => {
            let mut best = scores.best(choice.threshold);
            best.truncate(most as usize);
            block(buffer, &best, |buffer, place| {
                entry(buffer, choice, scores, *place);
            });
        }
    }
}

fn entry(buffer: &mut Vec<u8>, choice: &Choice, scores: Scores<'_>, place: usize) {
    if choice.classes.is_empty() {
        put_long(buffer, count(place));
    } else {
        let name = choice.classes.get(place);
        text(buffer, &name.cloned().unwrap_or_else(|| place.to_string()));
    }
    score(buffer, scores, place);
}

fn score(buffer: &mut Vec<u8>, scores: Scores<'_>, place: usize) {
    match scores {
        Scores::F32(values) => buffer.extend_from_slice(&values[place].to_le_bytes()),
        Scores::F64(values) => buffer.extend_from_slice(&values[place].to_le_bytes()),
        Scores::I64(values) => put_long(buffer, values[place]),
        Scores::I32(values) => put_long(buffer, i64::from(values[place])),
        Scores::U8(values) => put_long(buffer, i64::from(values[place])),
    }
}

fn elements(buffer: &mut Vec<u8>, output: &Output<'_>) {
    let shape = output.shape;
    match output.values {
        Values::F32(values) => nested(buffer, shape, values, &mut |buffer, value| {
            buffer.extend_from_slice(&value.to_le_bytes());
        }),
        Values::F64(values) => nested(buffer, shape, values, &mut |buffer, value| {
            buffer.extend_from_slice(&value.to_le_bytes());
        }),
        Values::I64(values) => nested(buffer, shape, values, &mut |buffer, value| {
            put_long(buffer, *value);
        }),
        Values::I32(values) => nested(buffer, shape, values, &mut |buffer, value| {
            put_long(buffer, i64::from(*value));
        }),
        Values::U8(values) => nested(buffer, shape, values, &mut |buffer, value| {
            put_long(buffer, i64::from(*value));
        }),
        Values::Bool(values) => nested(buffer, shape, values, &mut |buffer, value| {
            buffer.push(u8::from(*value));
        }),
        Values::Text(values) => nested(buffer, shape, values, &mut |buffer, value| {
            text(buffer, value);
        }),
    }
}

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
    let rows: Vec<usize> = (0..*length).collect();
    block(buffer, &rows, |buffer, row| {
        nested(
            buffer,
            rest,
            &values[row * stride..(row + 1) * stride],
            write,
        );
    });
}

/// The items of an array or a map, in one block.
fn block<T>(buffer: &mut Vec<u8>, items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    if !items.is_empty() {
        put_long(buffer, count(items.len()));
        for item in items {
            write(buffer, item);
        }
    }
    put_long(buffer, 0);
}

fn text(buffer: &mut Vec<u8>, text: &str) {
    put_long(buffer, count(text.len()));
    buffer.extend_from_slice(text.as_bytes());
}

fn count(count: usize) -> i64 {
    i64::try_from(count).expect("what is in memory can be counted")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use apache_avro::Schema;
    use apache_avro::reader::datum::GenericDatumReader;
    use apache_avro::types::Value as Avro;
    use proptest::prelude::*;

    use super::super::{Encoder, OutputFormat};
    use super::*;

    /// The outputs of a record as another implementation of Avro reads them.
    fn read(choices: &[Choice], outlets: &[Outlet], outputs: &[Output<'_>]) -> Vec<Avro> {
        let schema = Schema::parse_str(&schema(choices, outlets).unwrap()).unwrap();
        let encoder = Encoder::new(OutputFormat::Avro, "digits", 300, choices, Some(77));
        let mut buffer = Vec::new();
        let outputs = outputs.iter().copied();
        assert_eq!(encoder.encode("in/1/42", None, outputs, &mut buffer), 0);
        assert_eq!(buffer[..5], [0, 0, 0, 0, 77]);
        let mut left = &buffer[5..];
        let reader = GenericDatumReader::builder(&schema).build().unwrap();
        let value = reader.read_value(&mut left).unwrap();
        assert!(left.is_empty(), "{left:?}");
        let Avro::Record(fields) = value else {
            panic!("{value:?}");
        };
        assert_eq!(fields[0].1, Avro::String("digits".to_owned()));
        assert_eq!(fields[1].1, Avro::Long(300));
        assert_eq!(fields[2].1, Avro::String("in/1/42".to_owned()));
        let Avro::Record(outputs) = &fields[3].1 else {
            panic!("{fields:?}");
        };
        outputs.iter().map(|(_, value)| value.clone()).collect()
    }

    fn outlet(kind: Kind, rank: usize) -> Outlet {
        Outlet { kind, rank }
    }

    #[test]
    fn scores_are_named_ranked_and_left_out_below_the_threshold() {
        let values = [0.25, 0.5, 0.125];
        let scores = Output {
            shape: &[3],
            values: Values::F32(&values),
        };
        let names = ["a", "b", "c"].map(str::to_owned).to_vec();
        let choice = |name: &str, form, classes: &[String], threshold| Choice {
            name: name.to_owned(),
            form,
            classes: classes.to_vec(),
            threshold,
        };
        let choices = [
            choice("best:0", Form::Argmax, &names, None),
            choice("2nd", Form::Argmax, &[], Some(0.75)),
            choice("top", Form::TopK(2), &[], None),
            choice("map", Form::Raw, &names, Some(0.2)),
        ];
        let given = read(&choices, &[outlet(Kind::F32, 1); 4], &[scores; 4]);
        let text = |text: &str| Avro::String(text.to_owned());
        let entry = |class, score| {
            let fields = vec![
                ("class".to_owned(), class),
                ("score".to_owned(), Avro::Float(score)),
            ];
            Avro::Record(fields)
        };
        assert_eq!(given[0], Avro::Union(1, Box::new(entry(text("b"), 0.5))));
        assert_eq!(given[1], Avro::Union(0, Box::new(Avro::Null)));
        let top = vec![entry(Avro::Long(1), 0.5), entry(Avro::Long(0), 0.25)];
        assert_eq!(given[2], Avro::Array(top));
        let map = [("a", 0.25), ("b", 0.5)];
        let map = map.map(|(name, score)| (name.to_owned(), Avro::Float(score)));
        assert_eq!(given[3], Avro::Map(map.into_iter().collect()));
    }

    #[test]
    fn outputs_whose_names_fall_together_are_refused() {
        let choices = [Choice::whole("a:0"), Choice::whole("a/0")];
        let fault = schema(&choices, &[outlet(Kind::F32, 0); 2]).unwrap_err();
        assert!(fault.contains("a_0"), "{fault}");
    }

    proptest! {
        #[test]
        fn every_type_reads_back(
            rows in 0_usize..4,
            floats in proptest::collection::vec(any::<f32>().prop_map(f32::to_bits), 12),
            longs in proptest::collection::vec(any::<i64>(), 1),
            texts in proptest::collection::vec(".*", 3),
        ) {
            let floats: Vec<f32> = floats.into_iter().map(f32::from_bits).collect();
            let flags = [true, false];
            let outputs = [
                Output { shape: &[rows, 3], values: Values::F32(&floats[..rows * 3]) },
                Output { shape: &[], values: Values::I64(&longs) },
                Output { shape: &[3], values: Values::Text(&texts) },
                Output { shape: &[2], values: Values::Bool(&flags) },
            ];
            let choices = ["f", "l", "t", "b"].map(Choice::whole);
            let outlets = [
                outlet(Kind::F32, 2), outlet(Kind::I64, 0), outlet(Kind::Text, 1), outlet(Kind::Bool, 1),
            ];
            let given = read(&choices, &outlets, &outputs);
            let Avro::Array(arrays) = &given[0] else { panic!("{given:?}") };
            prop_assert_eq!(arrays.len(), rows);
            for (array, expected) in arrays.iter().zip(floats.chunks(3)) {
                let Avro::Array(items) = array else { panic!("{array:?}") };
                let bits = items.iter().map(|item| match item {
                    Avro::Float(number) => number.to_bits(),
                    other => panic!("{other:?}"),
                });
                prop_assert!(bits.eq(expected.iter().map(|number| number.to_bits())));
            }
            prop_assert_eq!(&given[1], &Avro::Long(longs[0]));
            let expected: Vec<Avro> = texts.iter().cloned().map(Avro::String).collect();
            prop_assert_eq!(&given[2], &Avro::Array(expected));
            prop_assert_eq!(&given[3], &Avro::Array(flags.map(Avro::Boolean).to_vec()));
        }
    }
}
