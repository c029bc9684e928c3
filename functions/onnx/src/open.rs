//! Dimensions behind the batch that a model leaves open, and what gives them sizes.
//!
//! Gradients of convolutions, of pools and of changes of shape are written for sizes that are known. Records of one shape say
//! what they are: a training step is made of the model with these sizes, in which only the batch is open, and what it learns goes
//! back into the model as it was, whose dimensions stay open.

use std::collections::BTreeMap;
use std::fmt;

use crate::proto::ValueInfoProto;
use crate::{Dim, Error, Inspection, Model, TensorInfo};

/// A dimension behind the batch whose size a model does not say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OpenDimension {
    /// The input.
    pub input: String,
    /// Which of its dimensions it is: 0 is the batch.
    pub axis: usize,
    /// What the model calls its size; dimensions of one name are equally long.
    pub size: Option<String>,
}

/// As `dimension 2 of the input 'x' (height)`.
impl fmt::Display for OpenDimension {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "dimension {} of the input '{}'",
            self.axis, self.input
        )?;
        match &self.size {
            Some(size) => write!(formatter, " ({size})"),
            None => Ok(()),
        }
    }
}

/// The open dimensions of inputs whose number of dimensions is known.
pub(crate) fn dimensions(inputs: &[TensorInfo]) -> Vec<OpenDimension> {
    let of_input = |input: &TensorInfo| {
        let name = input.name.clone();
        let dims = input.dims.clone().unwrap_or_default();
        let behind_batch = dims.into_iter().enumerate().skip(1);
        behind_batch.filter_map(move |(axis, dim)| {
            let size = match dim {
                Dim::Fixed(_) => return None,
                Dim::Symbolic(size) => Some(size),
                Dim::Unknown => None,
            };
            Some(OpenDimension {
                input: name.clone(),
                axis,
                size,
            })
        })
    };
    inputs.iter().flat_map(of_input).collect()
}

/// What helps where sizes are missing.
pub(crate) fn help(open: &[OpenDimension]) -> String {
    if open.is_empty() {
        return "export the model with fixed shapes (only the batch needs to be dynamic)"
            .to_owned();
    }
    let open: Vec<String> = open.iter().map(OpenDimension::to_string).collect();
    format!(
        "the model leaves open {}: give the shape of a record (`--shape`; a training takes it from its datasource)",
        open.join(", ")
    )
}

impl Model {
    /// The same model for records of one shape: each of these inputs, by its name, with the sizes behind its batch. What has the
    /// name of one of these sizes has it everywhere.
    ///
    /// # Errors
    /// [`Error::Request`] for an input that is not there or takes no records of that shape.
    pub fn with_shapes(&self, shapes: &[(String, Vec<usize>)]) -> Result<Self, Error> {
        let inputs = self.signature().inputs;
        let mut sizes = Sizes {
            inputs: &inputs,
            named: BTreeMap::new(),
            placed: BTreeMap::new(),
        };
        for (name, row) in shapes {
            sizes.take(name, row)?;
        }
        let mut proto = self.proto().clone();
        if let Some(graph) = &mut proto.graph {
            let results = graph.output.iter_mut().chain(&mut graph.value_info);
            for described in graph.input.iter_mut().chain(results) {
                sizes.write(described);
            }
        }
        Self::from_proto(proto)
    }
}

impl Inspection {
    /// The same for records of one shape, see [`Model::with_shapes`].
    ///
    /// # Errors
    /// As [`Model::with_shapes`].
    pub fn with_shapes(self, shapes: &[(String, Vec<usize>)]) -> Result<Self, Error> {
        let structure = self.structure.with_shapes(shapes)?;
        Ok(Self {
            signature: structure.signature(),
            structure,
            ..self
        })
    }
}

/// Sizes as they are taken from shapes.
struct Sizes<'a> {
    inputs: &'a [TensorInfo],
    /// By the names that the model gives them.
    named: BTreeMap<String, i64>,
    /// The dimensions of the inputs whose shapes were given.
    placed: BTreeMap<String, Vec<Dim>>,
}

impl Sizes<'_> {
    fn take(&mut self, name: &str, row: &[usize]) -> Result<(), Error> {
        let Some(input) = self.inputs.iter().find(|input| input.name == name) else {
            let names = self.inputs.iter().map(|input| input.name.as_str());
            return Err(Error::request(format!(
                "the model has no input '{name}' to give a shape to; it takes {}",
                names.collect::<Vec<_>>().join(", ")
            )));
        };
        let misfit = |why: &str| {
            Error::request(format!(
                "the model takes {input} as '{name}', and a record has the shape {row:?} there{why}"
            ))
        };
        let unknown = vec![Dim::Unknown; row.len() + 1];
        let dims = input.dims.as_ref().unwrap_or(&unknown);
        let Some((batch, behind)) = dims.split_first() else {
            return Err(misfit(": it has no dimension for the batch"));
        };
        if behind.len() != row.len() {
            return Err(misfit(""));
        }
        let mut placed = vec![batch.clone()];
        for (dim, &size) in behind.iter().zip(row) {
            let size = i64::try_from(size).unwrap_or(i64::MAX);
            match dim {
                Dim::Fixed(fixed) if *fixed != size => return Err(misfit("")),
                Dim::Symbolic(symbol) => self.take_named(symbol, size, &misfit)?,
                Dim::Fixed(_) | Dim::Unknown => {}
            }
            placed.push(Dim::Fixed(size));
        }
        self.placed.insert(name.to_owned(), placed);
        Ok(())
    }

    fn take_named(
        &mut self,
        symbol: &str,
        size: i64,
        misfit: &impl Fn(&str) -> Error,
    ) -> Result<(), Error> {
        let is_batch = |input: &TensorInfo| {
            let batch = input.dims.as_ref().and_then(|dims| dims.first());
            batch.is_some_and(|dim| *dim == Dim::Symbolic(symbol.to_owned()))
        };
        if self.inputs.iter().any(is_batch) {
            return Err(misfit(&format!(": {symbol} is the size of a batch too")));
        }
        match self.named.insert(symbol.to_owned(), size) {
            Some(other) if other != size => Err(misfit(&format!(
                ": {symbol} would be {other} and {size} at once"
            ))),
            _ => Ok(()),
        }
    }

    /// Writes sizes into what the model says of a tensor.
    fn write(&self, described: &mut ValueInfoProto) {
        let Some(mut info) = described.to_info() else {
            return;
        };
        if let Some(placed) = self.placed.get(&info.name) {
            info.dims = Some(placed.clone());
        }
        for dim in info.dims.iter_mut().flatten() {
            if let Dim::Symbolic(symbol) = dim
                && let Some(size) = self.named.get(symbol)
            {
                *dim = Dim::Fixed(*size);
            }
        }
        described.r#type = ValueInfoProto::from_info(&info).r#type;
    }
}
