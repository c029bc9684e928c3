//! How the features of a record fill the inputs of a model: one input or several, of texts or of any type of
//! numbers.
//!
//! Invariant: a number that an input's type cannot hold is the fault of its record, and never
//! silently another number.

use millrace_engine::{self as engine, Data, Element, Slice, Slot, View};
use millrace_wire::record::{RecordFormat, Texts, misplaced, starts};

use crate::model::{Unfit, shape_text};

/// The inputs of a model, in the order of its graph.
pub(crate) struct Inputs {
    /// Numbers of one record.
    elements: usize,
    inputs: Vec<Input>,
}

/// One input, and which features of a record fill it.
struct Input {
    name: String,
    /// The type of its numbers; nothing where it takes texts.
    element: Option<Element>,
    /// Its shape for one record.
    row: Vec<usize>,
    /// Its first feature, and how many it takes.
    start: usize,
    length: usize,
}

/// What the inputs of a model get.
pub(crate) struct Fed<'a> {
    pub(crate) numbers: Vec<(&'a str, View<'a>)>,
    pub(crate) texts: Vec<(&'a str, engine::Texts<'a>)>,
}

impl Inputs {
    /// Finds out which features fill which input: those of the record one after another, in the
    /// order of the graph; by their names where every input is named as the field of a document is.
    pub(crate) fn plan(slots: &[Slot], format: &RecordFormat) -> Result<Self, Unfit> {
        let elements = format.elements();
        let mut inputs = Vec::with_capacity(slots.len());
        let mut taken = 0;
        for slot in slots {
            let row = match slots {
                [_] => row_shape(slot, format)?,
                _ => fixed_shape(slot)?,
            };
            let length = row.iter().product();
            inputs.push(Input {
                name: slot.name.clone(),
                element: element(slot)?,
                row,
                start: 0,
                length,
            });
            taken += length;
        }
        if taken != elements {
            let parts: Vec<String> = slots
                .iter()
                .map(|slot| format!("{} {}", slot.name, shape_text(&slot.shape)))
                .collect();
            return Err(Unfit::Mismatch(format!(
                "the model's inputs {} take {taken} numbers of a record, which has {elements}",
                parts.join(", ")
            )));
        }
        let wanted: Vec<(&str, usize)> = inputs
            .iter()
            .map(|input| (&*input.name, input.length))
            .collect();
        let kinds: Vec<(&str, usize, bool)> = inputs
            .iter()
            .map(|input| (&*input.name, input.length, input.element.is_none()))
            .collect();
        if let Some((input, feature)) = misplaced(&kinds, format) {
            let (wanted, found) = match inputs[input].element {
                None => ("texts", "a number"),
                Some(_) => ("numbers", "a text"),
            };
            return Err(Unfit::Mismatch(format!(
                "the model's input {} takes {wanted}, {}, and feature {feature} of a record is {found}",
                inputs[input].name,
                shape_text(&slots[input].shape)
            )));
        }
        let starts = starts(&wanted, format);
        for (input, start) in inputs.iter_mut().zip(starts) {
            input.start = start;
        }
        Ok(Self { elements, inputs })
    }

    /// Numbers of one record.
    pub(crate) fn elements(&self) -> usize {
        self.elements
    }

    /// What of a record's features an input's type cannot hold.
    pub(crate) fn misfit(&self, row: &[f32]) -> Option<String> {
        self.inputs.iter().find_map(|input| {
            let element = match input.element {
                None | Some(Element::F32 | Element::F64) => return None,
                Some(element) => element,
            };
            let features = &row[input.start..input.start + input.length];
            let place = features.iter().position(|number| !element.holds(*number))?;
            Some(format!(
                "feature {} is {}, which the model's input {} of type {element:?} cannot hold",
                input.start + place,
                features[place],
                input.name
            ))
        })
    }

    /// Whether any of them takes texts.
    pub(crate) fn take_texts(&self) -> bool {
        self.inputs.iter().any(|input| input.element.is_none())
    }

    /// The inputs for so many rows that lie one after another, in which numbers stand for these texts; `columns` holds what
    /// has to be copied.
    pub(crate) fn feed<'a>(
        &'a self,
        records: usize,
        rows: &'a [f32],
        texts: &'a Texts,
        columns: &'a mut Vec<Data>,
    ) -> Fed<'a> {
        columns.clear();
        let shape = |input: &Input| {
            let mut shape = Vec::with_capacity(input.row.len() + 1);
            shape.push(records);
            shape.extend_from_slice(&input.row);
            shape
        };
        if let [input] = self.inputs.as_slice()
            && input.element == Some(Element::F32)
        {
            return Fed {
                numbers: vec![(&input.name, View::new(shape(input), Slice::F32(rows)))],
                texts: Vec::new(),
            };
        }
        let features = |input: &'a Input| {
            rows.chunks_exact(self.elements)
                .flat_map(|row| &row[input.start..input.start + input.length])
        };
        let mut of_numbers = Vec::with_capacity(self.inputs.len());
        let mut of_texts = Vec::new();
        for input in &self.inputs {
            match input.element {
                // Each was found to be held by it.
                Some(element) => {
                    columns.push(Data::of_numbers(element, features(input).copied()));
                    of_numbers.push(input);
                }
                None => of_texts.push((
                    input.name.as_str(),
                    engine::Texts {
                        shape: shape(input),
                        texts: features(input).map(|number| texts.get(*number)).collect(),
                    },
                )),
            }
        }
        let views = columns.iter().map(Data::as_slice);
        let numbers = of_numbers
            .into_iter()
            .zip(views)
            .map(|(input, column)| (input.name.as_str(), View::new(shape(input), column)));
        Fed {
            numbers: numbers.collect(),
            texts: of_texts,
        }
    }
}

/// The type of an input's numbers; nothing where it takes texts.
fn element(slot: &Slot) -> Result<Option<Element>, Unfit> {
    if slot.element.is_none() && !slot.is_text {
        return Err(Unfit::Mismatch(format!(
            "the model's input {} is no tensor of numbers or texts, to which records are decoded",
            slot.name
        )));
    }
    Ok(slot.element)
}

/// The dimensions behind the batch, which must be free.
fn behind_batch(input: &Slot) -> Result<&[Option<usize>], Unfit> {
    let (name, shape) = (&input.name, shape_text(&input.shape));
    let Some((batch, rest)) = input.shape.split_first() else {
        return Err(Unfit::Mismatch(format!(
            "the model's input {name} has no batch dimension"
        )));
    };
    if let Some(size) = batch {
        return Err(Unfit::Mismatch(format!(
            "the model's input {name} has the shape {shape}: it takes exactly {size} records at once; export it with a dynamic batch dimension"
        )));
    }
    Ok(rest)
}

/// The shape of one record as one of several inputs takes it.
fn fixed_shape(input: &Slot) -> Result<Vec<usize>, Unfit> {
    let rest: Option<Vec<usize>> = behind_batch(input)?.iter().copied().collect();
    rest.ok_or_else(|| {
        Unfit::Mismatch(format!(
            "the model's input {} has the shape {}: of several inputs each must say how many numbers it takes",
            input.name,
            shape_text(&input.shape)
        ))
    })
}

/// The shape of one record as the only input takes it: its own where it is fixed, which may arrange
/// the same elements differently, else the record's.
fn row_shape(input: &Slot, format: &RecordFormat) -> Result<Vec<usize>, Unfit> {
    let rest = behind_batch(input)?;
    let record: Vec<usize> = format.shape().iter().map(|size| *size as usize).collect();
    let fixed: Option<Vec<usize>> = rest.iter().copied().collect();
    let fits = match &fixed {
        Some(sizes) => sizes.iter().product::<usize>() == format.elements(),
        None => {
            rest.len() == record.len()
                && rest
                    .iter()
                    .zip(&record)
                    .all(|(size, found)| size.is_none_or(|size| size == *found))
        }
    };
    if fits {
        return Ok(fixed.unwrap_or(record));
    }
    Err(Unfit::Mismatch(format!(
        "the model's input {} has the shape {}, and a record has the shape {record:?}",
        input.name,
        shape_text(&input.shape)
    )))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use millrace_wire::record::{ByteOrder, Dtype, RawArray};
    use serde_json::json;

    use super::*;

    fn slot(name: &str, element: Element, shape: &[Option<usize>]) -> Slot {
        Slot {
            name: name.to_owned(),
            element: Some(element),
            is_text: false,
            shape: shape.to_vec(),
        }
    }

    fn records(shape: &[u32]) -> RecordFormat {
        RecordFormat::Raw(RawArray {
            dtype: Dtype::Uint8,
            shape: shape.to_vec(),
            byte_order: ByteOrder::Little,
        })
    }

    #[test]
    fn a_record_is_arranged_as_the_only_input_takes_it() {
        let image = slot("x", Element::F32, &[None, Some(1), Some(8), Some(8)]);
        assert_eq!(row_shape(&image, &records(&[64])).unwrap(), [1, 8, 8]);
        let free = slot("x", Element::F32, &[None, None, Some(4)]);
        assert_eq!(row_shape(&free, &records(&[3, 4])).unwrap(), [3, 4]);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let wrong = [
            (vec![slot("x", Element::F32, &[None, Some(64)])], "[?, 64]"),
            (
                vec![slot("x", Element::F32, &[Some(1), Some(63)])],
                "exactly 1 records",
            ),
            (vec![slot("x", Element::F32, &[])], "no batch dimension"),
            (
                vec![slot("x", Element::F32, &[None, None, Some(63)])],
                "[?, ?, 63]",
            ),
            (
                vec![
                    slot("a", Element::F32, &[None, Some(62)]),
                    slot("b", Element::I64, &[None, Some(2)]),
                ],
                "take 64 numbers of a record, which has 63",
            ),
        ];
        for (slots, words) in wrong {
            let error = Inputs::plan(&slots, &records(&[63]))
                .map(|_| ())
                .unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }

    #[test]
    fn several_inputs_share_the_features_and_have_their_own_types() {
        let slots = [
            slot("a", Element::I64, &[None, Some(1)]),
            slot("b", Element::F64, &[None, Some(2)]),
            slot("c", Element::Bool, &[None]),
        ];
        let inputs = Inputs::plan(&slots, &records(&[4])).unwrap();
        let mut columns = Vec::new();
        let rows = [1.0, 2.5, 3.0, 1.0, -4.0, 5.0, 6.0, 0.0];
        let texts = Texts::default();
        let fed = inputs.feed(2, &rows, &texts, &mut columns).numbers;
        let expected = [
            ("a", View::new([2, 1], Slice::I64(&[1, -4]))),
            ("b", View::new([2, 2], Slice::F64(&[2.5, 3.0, 5.0, 6.0]))),
            ("c", View::new([2], Slice::Bool(&[true, false]))),
        ];
        assert_eq!(fed, expected);
        assert_eq!(inputs.misfit(&rows[..4]), None);
        for (row, feature) in [([0.5, 0.0, 0.0, 1.0], 0), ([1.0, 0.0, 0.0, 2.0], 3)] {
            let fault = inputs.misfit(&row).unwrap();
            assert!(fault.contains(&format!("feature {feature} is")), "{fault}");
        }
        assert!(inputs.misfit(&[f32::NAN, 0.0, 0.0, 1.0]).is_some());
    }

    #[test]
    fn inputs_with_the_names_of_fields_take_those() {
        let format = json!({"type": "JSON", "fields": [{"pointer": "/b"}, {"pointer": "/row/a", "shape": [2]}]});
        let format: RecordFormat = serde_json::from_value(format).unwrap();
        let slots = [
            slot("a", Element::F32, &[None, Some(2)]),
            slot("b", Element::F32, &[None, Some(1)]),
        ];
        let inputs = Inputs::plan(&slots, &format).unwrap();
        let starts: Vec<usize> = inputs.inputs.iter().map(|input| input.start).collect();
        assert_eq!(starts, [1, 0]);
    }

    #[test]
    fn texts_and_numbers_go_to_their_inputs() {
        let format = json!({"type": "JSON", "fields": [
            {"pointer": "/age"}, {"pointer": "/town", "text": true}, {"pointer": "/trade", "text": true},
        ]});
        let format: RecordFormat = serde_json::from_value(format).unwrap();
        let texts_slot = |name: &str, size| Slot {
            name: name.to_owned(),
            element: None,
            is_text: true,
            shape: vec![None, Some(size)],
        };
        let slots = [
            texts_slot("trade", 1),
            slot("age", Element::F32, &[None, Some(1)]),
            texts_slot("town", 1),
        ];
        let inputs = Inputs::plan(&slots, &format).unwrap();
        let mut texts = Texts::default();
        let mut row = |age: f32, town, trade| [age, texts.add(town), texts.add(trade)];
        let rows = [row(30.0, "Ulm", "smith"), row(40.0, "Bonn", "")].concat();
        let mut columns = Vec::new();
        let fed = inputs.feed(2, &rows, &texts, &mut columns);
        assert_eq!(
            fed.numbers,
            [("age", View::new([2, 1], Slice::F32(&[30.0, 40.0])))]
        );
        let of_texts = |texts: Vec<&'static str>| engine::Texts {
            shape: vec![2, 1],
            texts,
        };
        assert_eq!(
            fed.texts,
            [
                ("trade", of_texts(vec!["smith", ""])),
                ("town", of_texts(vec!["Ulm", "Bonn"])),
            ]
        );
        assert_eq!(inputs.misfit(&rows[..3]), None);
        let crossed = [
            texts_slot("a", 2),
            slot("b", Element::I64, &[None, Some(1)]),
        ];
        let error = Inputs::plan(&crossed, &format).map(|_| ()).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("a takes texts, [?, 2], and feature 0"),
            "{error}"
        );
    }
}
