//! One version of a model, ready to answer batches of records.
//!
//! Invariant: a model that exists has taken a batch of zeros and given one row of every output for
//! each record of it.

use millrace_engine::{Element, Error, Outputs, Session, SessionOptions, Slice, Slot, View};
use millrace_wire::record::RecordFormat;

/// How many records the batch of the warm-up has: more than one, so that an output without a batch
/// dimension shows.
const WARM_UP_RECORDS: usize = 2;

/// A loaded version.
pub(crate) struct Model {
    version: u32,
    session: Session,
    input: String,
    /// The shape of one record as the model takes it, without the batch.
    row: Vec<usize>,
    outputs: Vec<String>,
}

/// Why a file cannot answer the records of an inference.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    /// ONNX Runtime cannot load or run it.
    #[error("{0}")]
    Invalid(Error),
    /// It takes or gives something else than the inference needs.
    #[error("{0}")]
    Mismatch(String),
}

impl Model {
    /// Makes a version from the bytes of its file, and runs it once.
    pub(crate) fn new(version: u32, file: &[u8], format: &RecordFormat) -> Result<Self, Unfit> {
        let session =
            Session::from_bytes(file, &SessionOptions::default()).map_err(Unfit::Invalid)?;
        let [input] = session.inputs() else {
            return Err(Unfit::Mismatch(format!(
                "the model has {} inputs, and a record fills one",
                session.inputs().len()
            )));
        };
        let (input, row) = (input.name.clone(), row_shape(input, format)?);
        let outputs = readable(session.outputs())?;
        let mut model = Self {
            version,
            session,
            input,
            row,
            outputs,
        };
        model.warm_up(format.elements())?;
        Ok(model)
    }

    /// The version's number.
    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    /// The names of its outputs, in the graph's order.
    pub(crate) fn outputs(&self) -> &[String] {
        &self.outputs
    }

    /// Runs the model on `records` rows that lie one after another.
    pub(crate) fn run(&mut self, records: usize, rows: &[f32]) -> Result<Outputs<'_>, Error> {
        let mut shape = Vec::with_capacity(self.row.len() + 1);
        shape.push(records);
        shape.extend_from_slice(&self.row);
        self.session
            .run(&[(&self.input, View::new(shape, Slice::F32(rows)))])
    }

    fn warm_up(&mut self, elements: usize) -> Result<(), Unfit> {
        let names = self.outputs.clone();
        let zeros = vec![0.0; WARM_UP_RECORDS * elements];
        let outputs = self.run(WARM_UP_RECORDS, &zeros).map_err(Unfit::Invalid)?;
        for name in &names {
            let output = outputs.get(name).map_err(Unfit::Invalid)?;
            if output.shape.first() != Some(&WARM_UP_RECORDS) {
                return Err(Unfit::Mismatch(format!(
                    "the output {name} has the shape {:?} for {WARM_UP_RECORDS} records, so it does not give one row for each",
                    output.shape
                )));
            }
        }
        Ok(())
    }
}

/// The shape of one record as the model takes it: its own where it is fixed, which may arrange the
/// same elements differently, else the record's.
fn row_shape(input: &Slot, format: &RecordFormat) -> Result<Vec<usize>, Unfit> {
    let shape = shape_text(&input.shape);
    let name = &input.name;
    if input.element != Some(Element::F32) {
        return Err(Unfit::Mismatch(format!(
            "the model's input {name} is not of type float32, to which records are decoded"
        )));
    }
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
        "the model's input {name} has the shape {shape}, and a record has the shape {record:?}"
    )))
}

/// The outputs that can be written into records.
fn readable(outputs: &[Slot]) -> Result<Vec<String>, Unfit> {
    for output in outputs {
        let is_written = matches!(
            output.element,
            Some(
                Element::F32
                    | Element::F64
                    | Element::I64
                    | Element::I32
                    | Element::U8
                    | Element::Bool
            )
        );
        if !is_written {
            return Err(Unfit::Mismatch(format!(
                "the output {} is not a tensor of float32, float64, int64, int32, uint8 or bool; leave it out of the exported graph",
                output.name
            )));
        }
    }
    if outputs.is_empty() {
        return Err(Unfit::Mismatch("the model has no output".to_owned()));
    }
    Ok(outputs.iter().map(|output| output.name.clone()).collect())
}

fn shape_text(shape: &[Option<usize>]) -> String {
    let sizes: Vec<String> = shape
        .iter()
        .map(|size| size.map_or("?".to_owned(), |size| size.to_string()))
        .collect();
    format!("[{}]", sizes.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use millrace_wire::record::{ByteOrder, Dtype, RawArray};

    use super::*;

    fn slot(element: Element, shape: &[Option<usize>]) -> Slot {
        Slot {
            name: "x".to_owned(),
            element: Some(element),
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
    fn a_record_is_arranged_as_the_model_takes_it() {
        let image = slot(Element::F32, &[None, Some(1), Some(8), Some(8)]);
        assert_eq!(row_shape(&image, &records(&[64])).unwrap(), [1, 8, 8]);
        let free = slot(Element::F32, &[None, None, Some(4)]);
        assert_eq!(row_shape(&free, &records(&[3, 4])).unwrap(), [3, 4]);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let wrong = [
            (slot(Element::F32, &[None, Some(64)]), "[?, 64]"),
            (
                slot(Element::F32, &[Some(1), Some(63)]),
                "exactly 1 records",
            ),
            (slot(Element::I64, &[None, Some(63)]), "float32"),
            (slot(Element::F32, &[]), "no batch dimension"),
            (slot(Element::F32, &[None, None, Some(63)]), "[?, ?, 63]"),
        ];
        for (slot, words) in wrong {
            let error = row_shape(&slot, &records(&[63])).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
