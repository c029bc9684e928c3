//! How the features of a record fill the inputs of a model: one input or several, of any type of
//! numbers.
//!
//! Invariant: a number that an input's type cannot hold is the fault of its record, and never
//! silently another number.

use millrace_engine::{Data, Element, Slice, Slot, View};
use millrace_wire::record::RecordFormat;

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
    element: Element,
    /// Its shape for one record.
    row: Vec<usize>,
    /// Its first feature, and how many it takes.
    start: usize,
    length: usize,
}

impl Inputs {
    /// Finds out which features fill which input: those of the record one after another, in the
    /// order of the graph; by their names where every input is named as the field of a document is.
    pub(crate) fn plan(slots: &[Slot], format: &RecordFormat) -> Result<Self, Unfit> {
        let elements = format.elements();
        let mut inputs = Vec::with_capacity(slots.len());
        let mut start = 0;
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
                start,
                length,
            });
            start += length;
        }
        if start != elements {
            let parts: Vec<String> = slots
                .iter()
                .map(|slot| format!("{} {}", slot.name, shape_text(&slot.shape)))
                .collect();
            return Err(Unfit::Mismatch(format!(
                "the model's inputs {} take {start} numbers of a record, which has {elements}",
                parts.join(", ")
            )));
        }
        if inputs.len() > 1 {
            by_name(&mut inputs, &fields(format));
        }
        Ok(Self { elements, inputs })
    }

    /// Numbers of one record.
    pub(crate) fn elements(&self) -> usize {
        self.elements
    }

    /// What of a record's features an input's type cannot hold.
    pub(crate) fn misfit(&self, row: &[f32]) -> Option<String> {
        let whole = |input: &&Input| !matches!(input.element, Element::F32 | Element::F64);
        self.inputs.iter().filter(whole).find_map(|input| {
            let features = &row[input.start..input.start + input.length];
            let place = features.iter().position(|number| !input.holds(*number))?;
            Some(format!(
                "feature {} is {}, which the model's input {} of type {:?} cannot hold",
                input.start + place,
                features[place],
                input.name,
                input.element
            ))
        })
    }

    /// The inputs for so many rows that lie one after another; `columns` holds what has to be
    /// copied.
    pub(crate) fn feed<'a>(
        &'a self,
        records: usize,
        rows: &'a [f32],
        columns: &'a mut Vec<Data>,
    ) -> Vec<(&'a str, View<'a>)> {
        columns.clear();
        let shape = |input: &Input| {
            let mut shape = Vec::with_capacity(input.row.len() + 1);
            shape.push(records);
            shape.extend_from_slice(&input.row);
            shape
        };
        if let [input] = self.inputs.as_slice()
            && input.element == Element::F32
        {
            return vec![(&input.name, View::new(shape(input), Slice::F32(rows)))];
        }
        for input in &self.inputs {
            columns.push(input.column(rows, self.elements));
        }
        self.inputs
            .iter()
            .zip(columns.iter())
            .map(|(input, column)| {
                (
                    input.name.as_str(),
                    View::new(shape(input), column.as_slice()),
                )
            })
            .collect()
    }
}

impl Input {
    fn holds(&self, number: f32) -> bool {
        let number = f64::from(number);
        let is_between =
            |least: f64, below: f64| number.fract() == 0.0 && number >= least && number < below;
        match self.element {
            Element::F32 | Element::F64 => true,
            Element::I8 => is_between(-128.0, 128.0),
            Element::I16 => is_between(-32_768.0, 32_768.0),
            Element::I32 => is_between(-2_147_483_648.0, 2_147_483_648.0),
            Element::I64 => is_between(-9_223_372_036_854_775_808.0, 9_223_372_036_854_775_808.0),
            Element::U8 => is_between(0.0, 256.0),
            Element::U16 => is_between(0.0, 65_536.0),
            Element::U32 => is_between(0.0, 4_294_967_296.0),
            Element::U64 => is_between(0.0, 18_446_744_073_709_551_616.0),
            Element::Bool => is_between(0.0, 2.0),
        }
    }

    /// This input's features of all rows, in its type. Each was found to be held by it.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "records whose numbers the type cannot hold were refused before"
    )]
    fn column(&self, rows: &[f32], elements: usize) -> Data {
        let numbers = rows
            .chunks_exact(elements)
            .flat_map(|row| &row[self.start..self.start + self.length])
            .copied();
        match self.element {
            Element::F32 => Data::F32(numbers.collect()),
            Element::F64 => Data::F64(numbers.map(f64::from).collect()),
            Element::I8 => Data::I8(numbers.map(|number| number as i8).collect()),
            Element::I16 => Data::I16(numbers.map(|number| number as i16).collect()),
            Element::I32 => Data::I32(numbers.map(|number| number as i32).collect()),
            Element::I64 => Data::I64(numbers.map(|number| number as i64).collect()),
            Element::U8 => Data::U8(numbers.map(|number| number as u8).collect()),
            Element::U16 => Data::U16(numbers.map(|number| number as u16).collect()),
            Element::U32 => Data::U32(numbers.map(|number| number as u32).collect()),
            Element::U64 => Data::U64(numbers.map(|number| number as u64).collect()),
            Element::Bool => Data::Bool(numbers.map(|number| number > 0.5).collect()),
        }
    }
}

fn element(slot: &Slot) -> Result<Element, Unfit> {
    slot.element.ok_or_else(|| {
        Unfit::Mismatch(format!(
            "the model's input {} is no tensor of numbers, to which records are decoded",
            slot.name
        ))
    })
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

/// The names and lengths of a document's fields, in the order in which they make the record.
fn fields(format: &RecordFormat) -> Vec<(&str, usize)> {
    let RecordFormat::Json(record) = format else {
        return Vec::new();
    };
    record
        .fields
        .iter()
        .map(|field| {
            let name = field.pointer.rsplit('/').next().unwrap_or_default();
            let length = field.shape.iter().map(|size| *size as usize).product();
            (name, length)
        })
        .collect()
}

/// Lets each input take the field of its name, where every one has such a field of its size.
fn by_name(inputs: &mut [Input], fields: &[(&str, usize)]) {
    let start_of = |input: &Input| {
        let mut start = 0;
        for (name, length) in fields {
            if *name == input.name && *length == input.length {
                return Some(start);
            }
            start += length;
        }
        None
    };
    let starts: Option<Vec<usize>> = inputs.iter().map(start_of).collect();
    for (input, start) in inputs.iter_mut().zip(starts.into_iter().flatten()) {
        input.start = start;
    }
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
        let fed = inputs.feed(2, &rows, &mut columns);
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
}
