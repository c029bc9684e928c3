//! Files as exporters wrote them, each with a batch that fits it.

use std::path::{Path, PathBuf};

use millrace_onnx::{
    Dim, ElementType, Error, Loss, Model, Optimizer, StepGraph, Tensor, TensorInfo, Values, check,
    evaluate,
};

use super::{Tensors, initial_state, noise, options};

/// How long a dimension is that a model leaves open.
const OPEN: usize = 3;
/// How long those of records are, where a step awaits it.
const SIDE: usize = 5;
/// Where a model reads whole numbers, they are less than this.
const MOST: usize = 7;

/// An exported model and its training step.
pub struct Export {
    pub name: String,
    pub model: Model,
    /// The model for records of one shape, where it awaits one.
    pub sized: Model,
    pub step: StepGraph,
    /// The inputs of the model, and noise for labels.
    pub batch: Tensors,
}

/// The exported files of this repository, in the order of their names.
pub fn all() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx/tests/exports");
    let files = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "onnx")
    });
    paths.sort();
    paths
}

impl Export {
    /// Reads a file. The step learns by mean squared error and plain gradient descent.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        Self::of(name, Model::decode(std::fs::read(path)?)?)
    }

    fn of(name: String, model: Model) -> Result<Self, Error> {
        let sized = sized(&model)?;
        let step = StepGraph::build(&sized, &options(Loss::MeanSquaredError, Optimizer::Sgd))?;
        let inputs = step.inputs.iter().zip(11..);
        let mut batch: Tensors = inputs
            .map(|(input, seed)| (input.name.clone(), fill(input, seed)))
            .collect();
        let prediction = predicted(&step, &batch)?;
        let labels = noise(prediction.count(), 12);
        let labels = Tensor::from_f32(prediction.dims(), &labels);
        batch.insert("labels".to_owned(), labels);
        Ok(Self {
            name,
            model,
            sized,
            step,
            batch,
        })
    }

    /// Another state of the same model.
    pub fn read_again(&self, model: Model) -> Self {
        Self::of(self.name.clone(), model).unwrap()
    }

    /// All that the evaluation graph takes.
    pub fn inputs(&self) -> Tensors {
        let mut inputs = initial_state(&self.step);
        inputs.extend(self.batch.clone());
        inputs
    }
}

fn sized(model: &Model) -> Result<Model, Error> {
    let awaits_sizes = check(model, None).is_ok_and(|found| found.awaits_sizes());
    let inputs = model.signature().inputs.into_iter();
    let inputs = inputs.filter(|_| awaits_sizes);
    let shapes = inputs.map(|input| {
        let dims = input.dims.unwrap_or_default();
        let sizes = dims.iter().skip(1).map(|dim| match dim {
            Dim::Fixed(size) => usize::try_from(*size).unwrap(),
            _ => SIDE,
        });
        (input.name, sizes.collect())
    });
    model.with_shapes(&shapes.collect::<Vec<_>>())
}

/// What a model predicts before any step, by the reference.
pub fn predicted(step: &StepGraph, batch: &Tensors) -> Result<Tensor, Error> {
    let mut proto = step.evaluation.proto().clone();
    let graph = proto.graph.as_mut().unwrap();
    graph.output.retain(|output| output.name() == "prediction");
    let last = graph
        .node
        .iter()
        .position(|node| node.output.iter().any(|output| output == "prediction"));
    graph.node.truncate(last.unwrap() + 1);
    graph.input.retain(|input| input.name() != "labels");
    let mut inputs = initial_state(step);
    inputs.extend(batch.clone());
    let mut found = evaluate(&Model::from_proto(proto)?, &inputs)?;
    Ok(found.remove("prediction").unwrap())
}

fn fill(input: &TensorInfo, seed: u64) -> Tensor {
    let dims = input.dims.as_deref().unwrap_or_default();
    let size = |dim: &Dim| match dim {
        Dim::Fixed(size) => usize::try_from(*size).unwrap(),
        _ => OPEN,
    };
    let dims: Vec<usize> = dims.iter().map(size).collect();
    let count: usize = dims.iter().product();
    match input.element {
        ElementType::Bool => {
            let values = (0..count).map(|at| at % 3 != 2).collect();
            Tensor::new(dims, Values::Boolean(values))
        }
        element if element.is_integer() => {
            let values = (0..count).map(|at| i64::try_from(at * 5 % MOST).unwrap());
            Tensor::integers(&dims, values.collect())
        }
        _ => Tensor::from_f32(&dims, &noise(count, seed)),
    }
}
