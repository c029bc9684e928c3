//! Whether a model and a datasource fit: what the model takes, and what it
//! wants to learn.

use millrace_onnx::{Dim, ElementType, StepGraph, TensorInfo};
use millrace_wire::record::{Label, RecordFormat};
use millrace_wire::training::Loss;

use crate::dataset::Target;
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
    pub target: Target,
}

impl Shapes {
    /// Fits the model to the records, or says what does not fit.
    pub fn new(
        graph: &StepGraph,
        loss: Loss,
        format: &RecordFormat,
        label: &Label,
    ) -> Result<Self, Failure> {
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
        let Some(row) = row.filter(|row| row.iter().product::<usize>() == format.elements()) else {
            return Err(Failure::new(
                "model-input",
                format!(
                    "the model takes {input} as `{}`, and the datasource gives float32{:?} a record",
                    input.name,
                    format.shape()
                ),
            ));
        };
        let prediction = &graph.targets[0].prediction;
        let outputs = row_of(prediction)?;
        let elements = label.elements();
        let (target, shape, wanted) = match loss {
            Loss::CrossEntropy => {
                let classes = outputs.last().copied().unwrap_or(1);
                let classes = u32::try_from(classes).unwrap_or(u32::MAX);
                (Target::Class(classes), Vec::new(), 1)
            }
            Loss::MeanSquaredError => {
                let wanted = outputs.iter().product();
                (Target::Values(wanted), outputs, wanted)
            }
        };
        if elements != wanted {
            return Err(Failure::new(
                "label-shape",
                format!(
                    "the model predicts {prediction} as `{}`, for which a label has {wanted} numbers, \
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
