//! Whether a model and a datasource fit: what the model takes, and what it
//! wants to learn.

use millrace_onnx::{Dim, ElementType, StepGraph, Target, TensorInfo};
use millrace_wire::record::{Label, RecordFormat};

use crate::dataset;
use crate::failure::Failure;

/// The names and shapes under which a batch goes into the step graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shapes {
    /// The model's input.
    pub input: String,
    /// The shape of one row.
    pub row: Vec<usize>,
    /// The shape of one label; empty for a class.
    pub label: Vec<usize>,
    /// What a label is.
    pub target: dataset::Target,
}

impl Shapes {
    /// Fits the model to the labels, or says what does not fit.
    pub fn new(graph: &StepGraph, label: &Label) -> Result<Self, Failure> {
        let input = match graph.inputs.as_slice() {
            [input] => input,
            inputs => {
                let inputs: Vec<String> = inputs
                    .iter()
                    .map(|input| format!("`{}`", input.name))
                    .collect();
                return Err(Failure::new(
                    "model-input",
                    format!(
                        "the model has {} inputs ({}), and a datasource feeds one",
                        inputs.len(),
                        inputs.join(", ")
                    ),
                ));
            }
        };
        let row = row(input).filter(|_| input.element == ElementType::Float32);
        let Some(row) = row else {
            return Err(Failure::new(
                "model-input",
                format!(
                    "the model takes {input} as `{}`, and a datasource gives float32 records of a fixed shape",
                    input.name
                ),
            ));
        };
        let [
            Target {
                prediction, labels, ..
            },
        ] = graph.targets.as_slice()
        else {
            return Err(Failure::new(
                "model-output",
                "a datasource has labels for one output of the model",
            ));
        };
        let outputs = row_of(prediction)?;
        let elements = label.elements();
        // What a label may also be instead of so many numbers.
        let mut or_one = "";
        let (target, shape, wanted) = if labels.element == ElementType::Int64 {
            let classes = outputs.first().copied().unwrap_or(1);
            if outputs.len() != 1 {
                return Err(Failure::new(
                    "model-output",
                    format!(
                        "the model predicts {prediction} as `{}`, a class at each place, and a datasource's label is one class",
                        prediction.name
                    ),
                ));
            }
            or_one = "one class, or ";
            if elements == 1 {
                let classes = u32::try_from(classes).unwrap_or(u32::MAX);
                (dataset::Target::Class(classes), Vec::new(), 1)
            } else {
                (dataset::Target::OneHot, Vec::new(), classes)
            }
        } else {
            let wanted = outputs.iter().product();
            (dataset::Target::Values(wanted), outputs, wanted)
        };
        if elements != wanted {
            return Err(Failure::new(
                "label-shape",
                format!(
                    "the model predicts {prediction} as `{}`, for which a label has {or_one}{wanted} numbers, \
                     and the datasource's labels have {elements}",
                    prediction.name
                ),
            ));
        }
        Ok(Self {
            input: input.name.clone(),
            row,
            label: shape,
            target,
        })
    }

    /// Says where the records don't fit the model.
    pub fn check(&self, format: &RecordFormat) -> Result<(), Failure> {
        if self.row.iter().product::<usize>() == format.elements() {
            return Ok(());
        }
        Err(Failure::new(
            "model-input",
            format!(
                "the model takes float32{:?} a record as `{}`, and the datasource gives float32{:?}",
                self.row,
                self.input,
                format.shape()
            ),
        ))
    }
}

fn row_of(prediction: &TensorInfo) -> Result<Vec<usize>, Failure> {
    row(prediction).ok_or_else(|| {
        Failure::new(
            "model-output",
            format!(
                "the model predicts {prediction} as `{}`: all its dimensions but the batch must be fixed",
                prediction.name
            ),
        )
    })
}

/// The dimensions behind the batch, where all of them are fixed.
fn row(info: &TensorInfo) -> Option<Vec<usize>> {
    let (_, row) = info.dims.as_ref()?.split_first()?;
    row.iter()
        .map(|dim| match dim {
            Dim::Fixed(length) => usize::try_from(*length).ok(),
            Dim::Symbolic(_) | Dim::Unknown => None,
        })
        .collect()
}
