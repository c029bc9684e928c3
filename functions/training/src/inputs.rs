//! Which numbers of a record fill which input of the model, in which type.

use millrace_engine::Element;
use millrace_onnx::{Dim, Model, StepGraph, TensorInfo};
use millrace_wire::record::{DecodeError, RecordFormat, shapes, starts};

use crate::failure::Failure;

/// The inputs that the predictions need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inputs {
    /// Numbers of a record.
    pub elements: usize,
    /// In the order of the model.
    pub all: Vec<Input>,
}

/// One input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// The type of its elements.
    pub element: Element,
    /// The shape of one row.
    pub row: Vec<usize>,
    /// Where its numbers begin among those of a record, and how many they are.
    pub start: usize,
    /// How many they are.
    pub length: usize,
}

impl Inputs {
    /// Fits the records to the model, or says what does not fit.
    pub fn plan(model: &Model, graph: &StepGraph, format: &RecordFormat) -> Result<Self, Failure> {
        let signature = model.signature();
        let inputs: Vec<Input> = signature
            .inputs
            .iter()
            .map(input)
            .collect::<Result<_, _>>()?;
        let elements = format.elements();
        let taken: usize = inputs.iter().map(|input| input.length).sum();
        if taken != elements {
            let parts: Vec<String> = signature
                .inputs
                .iter()
                .zip(&inputs)
                .map(|(info, input)| {
                    format!(
                        "{}{:?} a record as `{}`",
                        info.element, input.row, input.name
                    )
                })
                .collect();
            return Err(Failure::new(
                "model-input",
                format!(
                    "the model takes {}, which is {taken} numbers, and the datasource gives float32{:?}",
                    parts.join(" and "),
                    format.shape()
                ),
            ));
        }
        let wanted: Vec<(&str, usize)> = inputs
            .iter()
            .map(|input| (&*input.name, input.length))
            .collect();
        let starts = starts(&wanted, format);
        let is_needed = |input: &Input| graph.inputs.iter().any(|needed| needed.name == input.name);
        let placed = inputs
            .into_iter()
            .zip(starts)
            .map(|(input, start)| Input { start, ..input });
        Ok(Self {
            elements,
            all: placed.filter(is_needed).collect(),
        })
    }

    /// Checks that each input's type can hold the numbers that a record has for it.
    pub fn check(&self, row: &[f32]) -> Result<(), DecodeError> {
        // Any number is one of these.
        let is_float = |input: &&Input| matches!(input.element, Element::F32 | Element::F64);
        for input in self.all.iter().filter(|input| !is_float(input)) {
            let numbers = &row[input.start..][..input.length];
            let misfit = numbers
                .iter()
                .position(|number| !input.element.holds(*number));
            if let Some(place) = misfit {
                return Err(DecodeError::Input {
                    input: input.name.clone(),
                    element: format!("{:?}", input.element),
                    number: numbers[place],
                });
            }
        }
        Ok(())
    }
}

/// The model for records of this shape, where its only input leaves sizes open.
pub fn sized(model: &Model, format: &RecordFormat) -> Result<Model, Failure> {
    let inputs = model.signature().inputs;
    let is_open = |info: &TensorInfo| row(info).is_none();
    let named: Vec<(&str, bool)> = inputs
        .iter()
        .map(|info| (&*info.name, is_open(info)))
        .collect();
    model
        .with_shapes(&shapes(&named, format))
        .map_err(|error| Failure::new("model-input", error.to_string()))
}

fn input(info: &TensorInfo) -> Result<Input, Failure> {
    let (Some(row), Some(element)) = (row(info), Element::of_file(info.element)) else {
        return Err(Failure::new(
            "model-input",
            format!(
                "the model takes {info} as `{}`, and a datasource gives numbers of a fixed shape",
                info.name
            ),
        ));
    };
    Ok(Input {
        name: info.name.clone(),
        element,
        length: row.iter().product(),
        row,
        start: 0,
    })
}

/// The dimensions behind the batch, where all of them are fixed.
pub fn row(info: &TensorInfo) -> Option<Vec<usize>> {
    let (_, row) = info.dims.as_ref()?.split_first()?;
    row.iter()
        .map(|dim| match dim {
            Dim::Fixed(length) => usize::try_from(*length).ok(),
            Dim::Symbolic(_) | Dim::Unknown => None,
        })
        .collect()
}
