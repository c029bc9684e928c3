//! Rows of decoded records, and how the outputs of a run become their answers.
//!
//! Invariant: answers are written in the batch's order; records that could not be decoded are
//! refused where they stand.

use millrace_engine::Outputs;
use millrace_runtime::handler::{Answers, Input};
use millrace_wire::function::NotFinite;
use millrace_wire::prediction::{Echo, Encoder, Feature, Output, Values};
use millrace_wire::record::Texts;

use crate::outputs::{Column, Written};

/// Decoded records, one row after another.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// Numbers of one row.
    pub(crate) elements: usize,
    /// All rows.
    pub(crate) values: &'a [f32],
    /// Each row's place in the batch, ascending.
    pub(crate) places: &'a [usize],
    /// The texts for which numbers stand in them.
    pub(crate) texts: &'a Texts,
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
            values,
            places,
            ..*self
        };
        Some((half(first, first_places), half(second, second_places)))
    }
}

/// What is written of a record beside its prediction.
#[derive(Clone, Copy)]
pub(crate) enum EchoAs<'a> {
    /// Nothing.
    Nothing,
    /// Its value, which is a JSON document.
    Document,
    /// Its features in this shape.
    Features(&'a [usize]),
    /// Its features, those of which are texts that this says.
    Mixed(&'a [bool]),
}

/// Writes the answers of one batch.
pub(crate) struct Writer<'a, 'b> {
    pub(crate) encoder: &'a Encoder,
    pub(crate) batch: &'a [Input<'b>],
    /// What is wrong with the records that could not be decoded, by place.
    pub(crate) faults: Vec<Option<(&'static str, String)>>,
    pub(crate) answers: &'a mut Answers,
    pub(crate) echo: EchoAs<'a>,
    /// What becomes of outputs with numbers that are NaN or infinite.
    pub(crate) policy: NotFinite,
    /// Numbers that JSON cannot hold.
    pub(crate) not_finite: u64,
}

impl Writer<'_, '_> {
    /// Answers the rows with the outputs of their run; nothing is written where these cannot be
    /// told apart by rows.
    pub(crate) fn write(
        &mut self,
        rows: &Rows<'_>,
        outputs: &Outputs<'_>,
        written: &Written,
    ) -> Result<(), String> {
        let columns = written.columns(outputs, rows.len())?;
        let unsure = written.unsure(outputs, rows.len())?;
        for (row, place) in rows.places.iter().enumerate() {
            self.refuse_up_to(*place);
            if self.policy == NotFinite::DeadLetter
                && let Some(message) = not_finite(written, &columns, row)
            {
                self.answers.refuse("not-finite", message);
                continue;
            }
            if unsure.as_ref().is_some_and(|unsure| unsure[row]) {
                self.answers.hand_on();
                continue;
            }
            let outputs = columns.iter().map(|column| Output {
                shape: column.row_shape(),
                values: column.row(row),
            });
            let record = &self.batch[*place];
            let values = &rows.values[row * rows.elements..(row + 1) * rows.elements];
            let mixed: Vec<Feature<'_>> = match self.echo {
                EchoAs::Mixed(texts) => (values.iter().zip(texts))
                    .map(|(number, is_text)| {
                        if *is_text && !number.is_nan() {
                            Feature::Text(rows.texts.get(*number))
                        } else {
                            Feature::Number(*number)
                        }
                    })
                    .collect(),
                EchoAs::Nothing | EchoAs::Document | EchoAs::Features(_) => Vec::new(),
            };
            let input = match self.echo {
                EchoAs::Nothing => None,
                EchoAs::Document => record.parts.value.map(Echo::Document),
                EchoAs::Features(shape) => Some(Echo::Features(Output {
                    shape,
                    values: Values::F32(values),
                })),
                EchoAs::Mixed(_) => Some(Echo::Mixed(&mixed)),
            };
            let encoder = self.encoder;
            self.not_finite += self
                .answers
                .output(|buffer| encoder.encode(record.source, input, outputs, buffer));
        }
        Ok(())
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

/// What is not finite among the outputs of a row.
fn not_finite(written: &Written, columns: &[Column<'_>], row: usize) -> Option<String> {
    let mut outputs = written.choices.iter().zip(columns);
    outputs.find_map(|(choice, column)| {
        let number = match column.row(row) {
            Values::F32(values) => {
                let found = values.iter().find(|value| !value.is_finite());
                f64::from(*found?)
            }
            Values::F64(values) => *values.iter().find(|value| !value.is_finite())?,
            Values::I64(_) | Values::I32(_) | Values::U8(_) | Values::Bool(_) | Values::Text(_) => {
                return None;
            }
        };
        Some(format!("the model's output {} holds {number}", choice.name))
    })
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
            texts: &Texts::default(),
        };
        let (first, second) = rows.halves().unwrap();
        assert_eq!((first.values, first.places), (&[0.0, 1.0][..], &[0][..]));
        assert_eq!(
            (second.values, second.places),
            (&[2.0, 3.0, 4.0, 5.0][..], &[3, 4][..])
        );
        assert!(first.halves().is_none());
    }
}
