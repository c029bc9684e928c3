//! Which outputs of a model are written, and how they are read.
//!
//! Invariant: an output that is written has one row for each record.

use std::collections::BTreeMap;

use millrace_engine::{Element, Outputs, Slice, Slot, View};
use millrace_wire::function::HandOn;
use millrace_wire::prediction::{Choice, Form, Kind, Outlet, OutputFormat, Values, schema};

use crate::model::Unfit;

/// The outputs that are written, in their order.
pub(crate) struct Written {
    /// How they are written.
    pub(crate) choices: Vec<Choice>,
    /// Of each, whether it holds texts.
    are_texts: Vec<bool>,
    /// Of each, how many dimensions it has for one record, where what is written depends on it.
    ranks: Option<Vec<usize>>,
    /// The output that says how sure the model is, and how sure it has to be.
    sureness: Option<(String, f64)>,
}

/// An output of a run.
pub(crate) enum Column<'a> {
    Numbers(View<'a>),
    Texts(Vec<usize>, Vec<String>),
}

impl Written {
    /// Finds the outputs that are asked for, or all of them. `classes` are the names of classes that
    /// the model itself has.
    pub(crate) fn plan(
        slots: &[Slot],
        asked: &[Choice],
        hand_on: Option<&HandOn>,
        classes: &BTreeMap<String, Vec<String>>,
    ) -> Result<Self, Unfit> {
        let mut choices: Vec<Choice> = if asked.is_empty() {
            slots.iter().map(|slot| Choice::whole(&slot.name)).collect()
        } else {
            asked.to_vec()
        };
        let mut are_texts = Vec::with_capacity(choices.len());
        for choice in &mut choices {
            let slot = find(slots, &choice.name)?;
            are_texts.push(is_text(slot)?);
            if let (true, Some(names)) = (choice.classes.is_empty(), classes.get(&slot.name)) {
                choice.classes.clone_from(names);
            }
        }
        if choices.is_empty() {
            return Err(Unfit::Mismatch("the model has no output".to_owned()));
        }
        if let Some(HandOn { output, .. }) = hand_on
            && is_text(find(slots, output)?)?
        {
            return Err(Unfit::Mismatch(format!(
                "the output {output} holds texts, which do not say how sure the model is"
            )));
        }
        Ok(Self {
            choices,
            are_texts,
            ranks: None,
            sureness: hand_on.map(|one| (one.output.clone(), one.below)),
        })
    }

    /// Sees that the outputs can be written in a format, and gives the Avro schema of one that has such.
    pub(crate) fn fit(
        &mut self,
        format: OutputFormat,
        slots: &[Slot],
    ) -> Result<Option<String>, Unfit> {
        match format {
            OutputFormat::Json | OutputFormat::KafkaMl => Ok(None),
            OutputFormat::Raw => {
                let mut choices = self.choices.iter().zip(&self.are_texts);
                match choices.find(|(choice, is_text)| **is_text || choice.form != Form::Raw) {
                    None => Ok(None),
                    Some((choice, _)) => Err(Unfit::Mismatch(format!(
                        "RAW has the bytes of arrays of numbers, and the output {} is written otherwise: leave it out, or take JSON or AVRO",
                        choice.name
                    ))),
                }
            }
            OutputFormat::Avro => {
                let mut outlets = Vec::with_capacity(self.choices.len());
                for choice in &self.choices {
                    outlets.push(outlet(find(slots, &choice.name)?)?);
                }
                self.ranks = Some(outlets.iter().map(|outlet| outlet.rank).collect());
                schema(&self.choices, &outlets)
                    .map(Some)
                    .map_err(Unfit::Mismatch)
            }
        }
    }

    /// Of each record of a run, whether the model is not sure of it; nothing where all are answered.
    pub(crate) fn unsure(
        &self,
        outputs: &Outputs<'_>,
        records: usize,
    ) -> Result<Option<Vec<bool>>, String> {
        let Some((name, below)) = &self.sureness else {
            return Ok(None);
        };
        let column = column(outputs, records, name, false)?;
        let is_unsure = |row| !reaches(column.row(row), *below);
        Ok(Some((0..records).map(is_unsure).collect()))
    }

    /// The outputs of a run on so many records.
    pub(crate) fn columns<'a>(
        &self,
        outputs: &'a Outputs<'_>,
        records: usize,
    ) -> Result<Vec<Column<'a>>, String> {
        let mut columns = Vec::with_capacity(self.choices.len());
        for (Choice { name, .. }, is_text) in self.choices.iter().zip(&self.are_texts) {
            columns.push(column(outputs, records, name, *is_text)?);
        }
        let ranks = self.ranks.iter().flatten();
        for ((choice, column), rank) in self.choices.iter().zip(&columns).zip(ranks) {
            if column.row_shape().len() != *rank {
                return Err(format!(
                    "the output {} has the shape {:?} for one record, and the model says that it has {rank} dimensions",
                    choice.name,
                    column.row_shape()
                ));
            }
        }
        Ok(columns)
    }

    /// Checks that classes have as many names as an output has scores.
    pub(crate) fn check_classes(&self, columns: &[Column<'_>]) -> Result<(), String> {
        for (choice, column) in self.choices.iter().zip(columns) {
            let scores: usize = column.row_shape().iter().product();
            if !choice.classes.is_empty() && choice.classes.len() != scores {
                return Err(format!(
                    "the output {} has {scores} scores, and {} classes are named",
                    choice.name,
                    choice.classes.len()
                ));
            }
            if choice.form != Form::Raw && matches!(column, Column::Texts(..)) {
                return Err(format!(
                    "the output {} holds texts, which cannot be ranked",
                    choice.name
                ));
            }
        }
        Ok(())
    }
}

impl Column<'_> {
    fn shape(&self) -> &[usize] {
        match self {
            Self::Numbers(view) => &view.shape,
            Self::Texts(shape, _) => shape,
        }
    }

    /// The shape for one record.
    pub(crate) fn row_shape(&self) -> &[usize] {
        &self.shape()[1..]
    }

    /// The elements for one record.
    pub(crate) fn row(&self, row: usize) -> Values<'_> {
        let size: usize = self.row_shape().iter().product();
        let range = row * size..(row + 1) * size;
        let view = match self {
            Self::Numbers(view) => view,
            Self::Texts(_, texts) => return Values::Text(&texts[range]),
        };
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
}

/// Whether any of these numbers is as high; NaN is not.
fn reaches(values: Values<'_>, least: f64) -> bool {
    match values {
        Values::F32(values) => values.iter().any(|value| f64::from(*value) >= least),
        Values::F64(values) => values.iter().any(|value| *value >= least),
        #[allow(
            clippy::cast_precision_loss,
            reason = "a score is far below what a double holds exactly"
        )]
        Values::I64(values) => values.iter().any(|value| *value as f64 >= least),
        Values::I32(values) => values.iter().any(|value| f64::from(*value) >= least),
        Values::U8(values) => values.iter().any(|value| f64::from(*value) >= least),
        Values::Bool(values) => values
            .iter()
            .any(|value| f64::from(u8::from(*value)) >= least),
        Values::Text(_) => false,
    }
}

/// The output of this name.
fn find<'s>(slots: &'s [Slot], name: &str) -> Result<&'s Slot, Unfit> {
    slots.iter().find(|slot| slot.name == name).ok_or_else(|| {
        let names: Vec<&str> = slots.iter().map(|slot| slot.name.as_str()).collect();
        Unfit::Mismatch(format!(
            "the model has no output {name}; its outputs are {}",
            names.join(", ")
        ))
    })
}

/// An output of a run on so many records.
fn column<'a>(
    outputs: &'a Outputs<'_>,
    records: usize,
    name: &str,
    is_text: bool,
) -> Result<Column<'a>, String> {
    let column = if is_text {
        let (shape, texts) = outputs.texts(name).map_err(|error| error.to_string())?;
        Column::Texts(shape, texts)
    } else {
        Column::Numbers(outputs.get(name).map_err(|error| error.to_string())?)
    };
    if column.shape().first() != Some(&records) {
        return Err(format!(
            "the output {name} has the shape {:?} for {records} records, so it does not give one row for each",
            column.shape()
        ));
    }
    Ok(column)
}

/// What the model says of an output's values for one record.
fn outlet(slot: &Slot) -> Result<Outlet, Unfit> {
    let kind = match slot.element {
        _ if slot.is_text => Kind::Text,
        Some(Element::F64) => Kind::F64,
        Some(Element::I64) => Kind::I64,
        Some(Element::I32) => Kind::I32,
        Some(Element::U8) => Kind::U8,
        Some(Element::Bool) => Kind::Bool,
        _ => Kind::F32,
    };
    let Some(rank) = slot.shape.len().checked_sub(1) else {
        return Err(Unfit::Mismatch(format!(
            "the model does not say how many dimensions its output {} has, which a schema of Avro needs: leave it out, or take JSON",
            slot.name
        )));
    };
    Ok(Outlet { kind, rank })
}

/// Whether an output holds texts; an error where it holds neither these nor numbers that can be
/// written.
fn is_text(output: &Slot) -> Result<bool, Unfit> {
    let are_numbers = matches!(
        output.element,
        Some(
            Element::F32 | Element::F64 | Element::I64 | Element::I32 | Element::U8 | Element::Bool
        )
    );
    if output.is_text || are_numbers {
        return Ok(output.is_text);
    }
    Err(Unfit::Mismatch(format!(
        "the output {} is not a tensor of float32, float64, int64, int32, uint8, bool or text; leave it out of the exported graph, or name the outputs that are wanted",
        output.name
    )))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn slot(name: &str) -> Slot {
        Slot {
            name: name.to_owned(),
            element: Some(Element::F32),
            is_text: false,
            shape: vec![None, Some(3)],
        }
    }

    #[test]
    fn a_row_is_cut_out_of_its_tensor() {
        let numbers = Column::Numbers(View::new([2, 3], Slice::I64(&[1, 2, 3, 4, 5, 6])));
        assert!(matches!(numbers.row(1), Values::I64([4, 5, 6])));
        let texts = Column::Texts(vec![2], vec!["a".to_owned(), "b".to_owned()]);
        assert!(matches!(texts.row(1), Values::Text([text]) if text == "b"));
    }

    #[test]
    fn a_model_is_as_sure_as_its_highest_score() {
        assert!(reaches(Values::F32(&[0.1, 0.75]), 0.75));
        assert!(!reaches(Values::F32(&[0.1, 0.75]), 0.76));
        assert!(!reaches(Values::F64(&[f64::NAN]), 0.0), "nor is it of NaN");
        assert!(reaches(Values::I64(&[-3, 2]), 1.5));
        assert!(!reaches(Values::U8(&[]), 0.0));
    }

    #[test]
    fn outputs_are_chosen_by_name_and_know_their_classes() {
        let slots = [slot("label"), slot("scores")];
        let names = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
        let classes = BTreeMap::from([("scores".to_owned(), names.clone())]);
        let all = Written::plan(&slots, &[], None, &classes).unwrap();
        assert_eq!(all.choices.len(), 2);
        assert_eq!(all.choices[1].classes, names);
        let one = Written::plan(&slots, &[Choice::whole("scores")], None, &classes).unwrap();
        assert_eq!(one.choices[0].classes, names);
        let column = [Column::Numbers(View::new([1, 2], Slice::F32(&[0.0, 1.0])))];
        let fault = one.check_classes(&column).unwrap_err();
        assert!(fault.contains("2 scores, and 3 classes"), "{fault}");
        let none = Written::plan(&slots, &[Choice::whole("other")], None, &classes);
        let fault = none.map(|_| ()).unwrap_err().to_string();
        assert!(fault.contains("label, scores"), "{fault}");
    }
}
