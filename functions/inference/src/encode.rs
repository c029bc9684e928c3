//! Rows of decoded records, and how the outputs of a run become their answers.
//!
//! Invariant: answers are written in the batch's order; records that could not be decoded are
//! refused where they stand.

use millrace_engine::{Outputs, Slice, View};
use millrace_runtime::handler::{Answers, Input};
use millrace_wire::function::NotFinite;
use millrace_wire::prediction::{Encoder, Output, Values};

/// Decoded records, one row after another.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// Numbers of one row.
    pub(crate) elements: usize,
    /// All rows.
    pub(crate) values: &'a [f32],
    /// Each row's place in the batch, ascending.
    pub(crate) places: &'a [usize],
}

impl Rows<'_> {
    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The first half and the rest; nothing of a single row.
    pub(crate) fn halves(&self) -> Option<(Self, Self)> {
        if self.len() < 2 {
            return None;
        }
        let middle = self.len() / 2;
        let (first, second) = self.values.split_at(middle * self.elements);
        let (first_places, second_places) = self.places.split_at(middle);
        let half = |values, places| Self {
            elements: self.elements,
            values,
            places,
        };
        Some((half(first, first_places), half(second, second_places)))
    }
}

/// Writes the answers of one batch.
pub(crate) struct Writer<'a, 'b> {
    pub(crate) encoder: &'a Encoder,
    /// The names of the model's outputs, in the graph's order.
    pub(crate) outputs: &'a [String],
    pub(crate) batch: &'a [Input<'b>],
    /// What is wrong with the records that could not be decoded, by place.
    pub(crate) faults: Vec<Option<(&'static str, String)>>,
    pub(crate) answers: &'a mut Answers,
    /// What becomes of outputs with numbers that are NaN or infinite.
    pub(crate) policy: NotFinite,
    /// Numbers that JSON cannot hold.
    pub(crate) not_finite: u64,
}

impl Writer<'_, '_> {
    /// Answers the rows with the outputs of their run; nothing is written where these cannot be
    /// told apart by rows.
    pub(crate) fn write(&mut self, rows: &Rows<'_>, outputs: &Outputs<'_>) -> Result<(), String> {
        let mut views = Vec::with_capacity(self.outputs.len());
        for name in self.outputs {
            let view = outputs.get(name).map_err(|error| error.to_string())?;
            if view.shape.first() != Some(&rows.len()) {
                return Err(format!(
                    "the output {name} has the shape {:?} for {} records",
                    view.shape,
                    rows.len()
                ));
            }
            views.push(view);
        }
        for (row, place) in rows.places.iter().enumerate() {
            self.refuse_up_to(*place);
            if self.policy == NotFinite::DeadLetter
                && let Some(message) = self.not_finite(&views, row)
            {
                self.answers.refuse("not-finite", message);
                continue;
            }
            let outputs = views.iter().map(|view| Output {
                shape: &view.shape[1..],
                values: values_of_row(view, row),
            });
            let (encoder, source) = (self.encoder, self.batch[*place].source);
            self.not_finite += self
                .answers
                .output(|buffer| encoder.encode(source, outputs, buffer));
        }
        Ok(())
    }

    /// What is not finite among the outputs of a row.
    fn not_finite(&self, views: &[View<'_>], row: usize) -> Option<String> {
        let mut outputs = self.outputs.iter().zip(views);
        outputs.find_map(|(name, view)| {
            let number = match values_of_row(view, row) {
                Values::F32(values) => {
                    let found = values.iter().find(|value| !value.is_finite());
                    f64::from(*found?)
                }
                Values::F64(values) => *values.iter().find(|value| !value.is_finite())?,
                Values::I64(_) | Values::I32(_) | Values::U8(_) | Values::Bool(_) => return None,
            };
            Some(format!("the model's output {name} holds {number}"))
        })
    }

    /// Refuses rows that the model cannot be run on.
    pub(crate) fn refuse(&mut self, rows: &Rows<'_>, reason: &str) {
        for place in rows.places {
            self.refuse_up_to(*place);
            self.answers
                .refuse("predict", format!("the model cannot answer it: {reason}"));
        }
    }

    /// Refuses what is left behind the last row.
    pub(crate) fn finish(&mut self) {
        self.refuse_up_to(self.batch.len());
    }

    /// Refuses the records before `place` that have no answer yet: those could not be decoded.
    fn refuse_up_to(&mut self, place: usize) {
        for fault in &mut self.faults[self.answers.len()..place] {
            let (code, message) = fault
                .take()
                .expect("every record without a row has a fault, and rows come in order");
            self.answers.refuse(code, message);
        }
    }
}

/// The elements of one row of a tensor whose first dimension is the batch.
fn values_of_row<'a>(view: &View<'a>, row: usize) -> Values<'a> {
    let size: usize = view.shape[1..].iter().product();
    let range = row * size..(row + 1) * size;
    match view.data {
        Slice::F32(data) => Values::F32(&data[range]),
        Slice::F64(data) => Values::F64(&data[range]),
        Slice::I64(data) => Values::I64(&data[range]),
        Slice::I32(data) => Values::I32(&data[range]),
        Slice::U8(data) => Values::U8(&data[range]),
        Slice::Bool(data) => Values::Bool(&data[range]),
        Slice::I8(_) | Slice::I16(_) | Slice::U16(_) | Slice::U32(_) | Slice::U64(_) => {
            unreachable!("a model is refused whose outputs cannot be written")
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn halves_hold_all_rows() {
        let rows = Rows {
            elements: 2,
            values: &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0],
            places: &[0, 3, 4],
        };
        let (first, second) = rows.halves().unwrap();
        assert_eq!((first.values, first.places), (&[0.0, 1.0][..], &[0][..]));
        assert_eq!(
            (second.values, second.places),
            (&[2.0, 3.0, 4.0, 5.0][..], &[3, 4][..])
        );
        assert!(first.halves().is_none());
    }

    #[test]
    fn a_row_is_cut_out_of_its_tensor() {
        let view = View::new([2, 3], Slice::I64(&[1, 2, 3, 4, 5, 6]));
        assert!(matches!(values_of_row(&view, 1), Values::I64([4, 5, 6])));
    }
}
