//! Golden samples: what a version has to answer, run on this machine.
//!
//! Invariant: a version agrees only where every sample was run and every expected element was compared.

mod column;

use std::ops::Range;

use column::{column, texts};
use millrace_engine::{Element, Session, Slice, Slot, Texts, View};
use millrace_wire::samples::{Array, Samples, Tolerance, Value};

use crate::model::shape_text;

/// How many samples are run at once, where the model takes any number: as many as a batch of records has, and bounded.
const AT_ONCE: usize = 64;

/// The samples as a model takes and gives them.
struct Plan<'a> {
    /// How many samples there are.
    count: usize,
    /// How many are run at once.
    at_once: usize,
    /// Each with the type of its numbers, unless it takes texts.
    inputs: Vec<(&'a Slot, Option<Element>, &'a Array)>,
    outputs: Vec<(&'a Slot, &'a Array)>,
}

/// What was found different so far.
#[derive(Default)]
struct Differences {
    /// The first one, as a sentence.
    first: Option<String>,
    elements: usize,
    compared: usize,
    samples: usize,
}

/// Runs the samples and compares what the model gives with what is expected; says how many there are.
///
/// # Errors
/// What does not fit or differs, as a sentence.
pub(crate) fn check(
    session: &mut Session,
    samples: &Samples,
    tolerance: Tolerance,
) -> Result<u64, String> {
    let (inputs, outputs) = (session.inputs().to_vec(), session.outputs().to_vec());
    let plan = Plan::new(&inputs, &outputs, samples)?;
    let mut differences = Differences::default();
    let mut start = 0;
    while start < plan.count {
        let rows = start..plan.count.min(start + plan.at_once);
        plan.run(session, rows.clone(), tolerance, &mut differences)?;
        start = rows.end;
    }
    match differences.first {
        None => Ok(plan.count as u64),
        Some(first) => Err(format!(
            "{first}; {} of {} elements differ by more, in {} of {} samples",
            differences.elements, differences.compared, differences.samples, plan.count
        )),
    }
}

impl<'a> Plan<'a> {
    /// Finds the arrays of the inputs and of the outputs, and sees that they fit.
    fn new(inputs: &'a [Slot], outputs: &'a [Slot], samples: &'a Samples) -> Result<Self, String> {
        for name in samples.names() {
            let is_known = inputs.iter().chain(outputs).any(|slot| slot.name == name);
            if !is_known {
                return Err(format!(
                    "the samples have an array {name:?}, which the model neither takes nor gives: its inputs are {}, its outputs {}",
                    names(inputs),
                    names(outputs)
                ));
            }
        }
        let mut planned = Vec::with_capacity(inputs.len());
        for slot in inputs {
            let array = samples.array(&slot.name).ok_or_else(|| {
                let given: Vec<&str> = samples.names().collect();
                format!(
                    "the samples have no array for the model's input {}; they have {}",
                    slot.name,
                    given.join(", ")
                )
            })?;
            if slot.element.is_none() && !slot.is_text {
                return Err(format!(
                    "the model's input {} is no tensor of numbers or texts, and others are not run",
                    slot.name
                ));
            }
            planned.push((slot, slot.element, array));
        }
        let expected: Vec<(&Slot, &Array)> = outputs
            .iter()
            .filter_map(|slot| Some((slot, samples.array(&slot.name)?)))
            .collect();
        if expected.is_empty() {
            return Err(format!(
                "the samples have no array for an output of the model; its outputs are {}",
                names(outputs)
            ));
        }
        let first = planned.first().ok_or("the model has no input")?;
        let count = first.2.shape().first().copied().unwrap_or(0);
        if count == 0 {
            return Err(format!(
                "the array {} holds no sample: its first dimension counts them",
                first.0.name
            ));
        }
        let arrays = planned.iter().map(|(slot, _, array)| (*slot, *array));
        for (slot, array) in arrays.chain(expected.iter().copied()) {
            check_shape(slot, array, count)?;
        }
        let takes_any =
            |(slot, _, _): &(&Slot, Option<Element>, &Array)| slot.shape.first() == Some(&None);
        Ok(Self {
            count,
            at_once: if planned.iter().all(takes_any) {
                AT_ONCE
            } else {
                count
            },
            inputs: planned,
            outputs: expected,
        })
    }

    /// Runs these samples.
    fn run(
        &self,
        session: &mut Session,
        rows: Range<usize>,
        tolerance: Tolerance,
        differences: &mut Differences,
    ) -> Result<(), String> {
        let mut columns = Vec::with_capacity(self.inputs.len());
        let mut of_texts = Vec::new();
        for (slot, element, array) in &self.inputs {
            let range = elements(array, &rows);
            let wrong =
                |reason: String| format!("the array of the model's input {} {reason}", slot.name);
            if let Some(element) = element {
                let data = column(array, range, *element).map_err(wrong)?;
                columns.push((*slot, shape(array, &rows), data));
            } else {
                let texts = texts(array, range).map_err(wrong)?;
                of_texts.push((slot.name.as_str(), shape(array, &rows), texts));
            }
        }
        let of_texts: Vec<(&str, Texts<'_>)> = of_texts
            .iter()
            .map(|(name, shape, texts)| {
                let texts = texts.iter().map(String::as_str).collect();
                let shape = shape.clone();
                (*name, Texts { shape, texts })
            })
            .collect();
        let fed: Vec<(&str, View<'_>)> = columns
            .iter()
            .map(|(slot, shape, data)| {
                (
                    slot.name.as_str(),
                    View::new(shape.clone(), data.as_slice()),
                )
            })
            .collect();
        let given = session.run_with(&fed, &of_texts).map_err(|error| {
            format!(
                "the model fails on the samples {} to {}: {error}",
                rows.start,
                rows.end - 1
            )
        })?;
        let mut differing = vec![false; rows.len()];
        for (slot, array) in &self.outputs {
            let mut compare = |found: &[usize], given_at: &dyn Fn(usize) -> Value| {
                let wanted = shape(array, &rows);
                if found != wanted {
                    return Err(format!(
                        "the output {} has the shape {found:?} for {} samples, and {wanted:?} is expected",
                        slot.name,
                        rows.len()
                    ));
                }
                let range = elements(array, &rows);
                let row = range.len() / rows.len();
                for (place, index) in range.enumerate() {
                    let (expected, actual) = (array.value(index), given_at(place));
                    differences.compared += 1;
                    if tolerance.accepts(&expected, &actual) {
                        continue;
                    }
                    differences.elements += 1;
                    differing[place / row] = true;
                    if differences.first.is_none() {
                        let sample = rows.start + place / row;
                        let within = place_text(place % row, &array.shape()[1..]);
                        let output = format!("{}{within}", slot.name);
                        differences.first =
                            Some(sentence(sample, &output, &expected, &actual, tolerance));
                    }
                }
                Ok(())
            };
            if slot.is_text {
                let (found, texts) = given.texts(&slot.name).map_err(|error| error.to_string())?;
                compare(&found, &|place| Value::Text(texts[place].clone()))?;
            } else {
                let view = given.get(&slot.name).map_err(|error| error.to_string())?;
                compare(&view.shape, &|place| value(view.data, place))?;
            }
        }
        differences.samples += differing.iter().filter(|one| **one).count();
        Ok(())
    }
}

fn names(slots: &[Slot]) -> String {
    let names: Vec<&str> = slots.iter().map(|slot| slot.name.as_str()).collect();
    names.join(", ")
}

/// The shape of some rows of an array.
fn shape(array: &Array, rows: &Range<usize>) -> Vec<usize> {
    let mut shape = array.shape().to_vec();
    if let Some(first) = shape.first_mut() {
        *first = rows.len();
    }
    shape
}

/// The places of some rows' elements among all of the array.
fn elements(array: &Array, rows: &Range<usize>) -> Range<usize> {
    let row: usize = array.shape().iter().skip(1).product();
    rows.start * row..rows.end * row
}

/// Says whether an array is one of so many samples for a slot.
fn check_shape(slot: &Slot, array: &Array, count: usize) -> Result<(), String> {
    let found = array.shape();
    if found.first() != Some(&count) {
        return Err(format!(
            "the array {} has the shape {found:?}, and its first dimension has to be the {count} samples that the others hold",
            slot.name
        ));
    }
    // A shape that a graph leaves out has no dimension here, and an output's is seen when it is there.
    let is_known = !slot.shape.is_empty();
    let fits = slot.shape.len() == found.len()
        && slot
            .shape
            .iter()
            .zip(found)
            .all(|(size, found)| size.is_none_or(|size| size == *found));
    if is_known && !fits {
        return Err(format!(
            "the array {} has the shape {found:?}, and the model has {} there",
            slot.name,
            shape_text(&slot.shape)
        ));
    }
    Ok(())
}

fn value(slice: Slice<'_>, place: usize) -> Value {
    match slice {
        Slice::F32(data) => Value::Float(data[place].into()),
        Slice::F64(data) => Value::Float(data[place]),
        Slice::I8(data) => Value::Integer(data[place].into()),
        Slice::I16(data) => Value::Integer(data[place].into()),
        Slice::I32(data) => Value::Integer(data[place].into()),
        Slice::I64(data) => Value::Integer(data[place].into()),
        Slice::U8(data) => Value::Integer(data[place].into()),
        Slice::U16(data) => Value::Integer(data[place].into()),
        Slice::U32(data) => Value::Integer(data[place].into()),
        Slice::U64(data) => Value::Integer(data[place].into()),
        Slice::Bool(data) => Value::Integer(data[place].into()),
    }
}

/// Where an element stands within its row, as indices in brackets; nothing for a row of one number.
fn place_text(place: usize, row: &[usize]) -> String {
    if row.is_empty() {
        return String::new();
    }
    let mut left = place;
    let mut indices: Vec<String> = row
        .iter()
        .rev()
        .map(|length| {
            let index = left % length;
            left /= length;
            index.to_string()
        })
        .collect();
    indices.reverse();
    format!("[{}]", indices.join(", "))
}

fn sentence(
    sample: usize,
    output: &str,
    expected: &Value,
    actual: &Value,
    tolerance: Tolerance,
) -> String {
    let allowed = match actual {
        Value::Float(_) => {
            #[allow(clippy::cast_possible_truncation, reason = "it is for people")]
            let margin = tolerance.margin(expected.as_f64()) as f32;
            format!(
                ", give or take {margin} ({} + {} × |expected|)",
                tolerance.absolute, tolerance.relative
            )
        }
        Value::Integer(_) | Value::Text(_) => String::new(),
    };
    format!("sample {sample}: the output {output} is {actual}, and {expected} is expected{allowed}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn a_difference_says_where_it_is_and_what_is_allowed() {
        assert_eq!(place_text(0, &[]), "");
        assert_eq!(place_text(7, &[2, 3, 2]), "[1, 0, 1]");
        let tolerance = Tolerance {
            relative: 0.01,
            absolute: 0.5,
        };
        let (expected, actual) = (Value::Float(50.0), Value::Float(52.0));
        assert_eq!(
            sentence(3, "p[1]", &expected, &actual, tolerance),
            "sample 3: the output p[1] is 52, and 50 is expected, give or take 1 (0.5 + 0.01 × |expected|)"
        );
        let label = |text: &str| Value::Text(text.to_owned());
        assert_eq!(
            sentence(0, "label", &label("a"), &label("b"), tolerance),
            "sample 0: the output label is \"b\", and \"a\" is expected"
        );
    }
}
