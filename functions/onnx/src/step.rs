//! Training steps: a forward model with a loss and an optimizer becomes one graph that makes one step.
//!
//! The names of the graph's inputs and outputs are a contract, see [`names`] and this library's README.

mod assembly;
mod clipping;
mod contract;
mod decay;
mod loss;
pub mod names;
mod optimizer;
mod options;
mod targets;
mod threads;
mod update;

pub use self::options::{
    BatchNormalization, ClassLabels, Clipping, CrossEntropy, Goal, Loss, Optimizer, StepOptions,
};
use crate::{Error, Model, TensorInfo};

/// A training step of a model, and the same model's evaluation without one.
#[derive(Clone, Debug)]
pub struct StepGraph {
    /// Takes a batch, the parameters, the optimizer's state and the running statistics; gives the loss, the predictions,
    /// and the next of each.
    pub step: Model,
    /// Takes a batch, the parameters and the running statistics; gives the loss and the predictions. Nothing in it is
    /// random, and every record is predicted alone.
    pub evaluation: Model,
    /// The model's own inputs that the predictions need, in the model's order.
    pub inputs: Vec<TensorInfo>,
    /// What is learned, in the order of the options' goals.
    pub targets: Vec<Target>,
    /// What trains, in the order of the model's initializers.
    pub parameters: Vec<Parameter>,
    /// The optimizer's state, parameter by parameter; every value is zero before the first step.
    pub slots: Vec<Slot>,
    /// The running statistics of batch normalization that the step updates, in the order of the model's nodes. They are
    /// carried from step to step and put into the model as parameters are, but have no gradient and no slots.
    pub statistics: Vec<Parameter>,
}

/// A prediction that learns from labels.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// What the model gives, with a softmax or sigmoid where the model has one: an output of both graphs.
    pub prediction: TensorInfo,
    /// What it should have given: an input of both graphs, whose type and shape the loss decides.
    pub labels: TensorInfo,
    /// The output that has this prediction's loss.
    pub loss: String,
    /// What the numbers of the prediction are, where each answers a question with yes or no.
    pub answers: Option<Answers>,
    /// Whether they are logits of classes, or logarithms of their probabilities, whose softmax cross-entropy takes.
    pub are_class_logits: bool,
}

/// Numbers that answer questions with yes or no, as binary cross-entropy learns them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answers {
    /// Of yes: more than 0.5 is yes.
    Probabilities,
    /// Their logits: more than 0 is yes.
    Logits,
}

/// A tensor of the model that the step changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// The initializer's name: the name of the graph's input.
    pub name: String,
    /// Its dimensions.
    pub dims: Vec<usize>,
    /// The values in the model that the step was built from, row by row.
    pub initial: Vec<f32>,
}

impl Parameter {
    /// The name of the output that has the values after the step.
    #[must_use]
    pub fn output(&self) -> String {
        names::updated(&self.name)
    }
}

/// A tensor that the optimizer keeps from step to step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Slot {
    /// `<parameter>.<slot>`: the name of the graph's input.
    pub name: String,
    /// Its dimensions, those of its parameter.
    pub dims: Vec<usize>,
}

impl Slot {
    /// The name of the output that has the values after the step.
    #[must_use]
    pub fn output(&self) -> String {
        names::updated(&self.name)
    }
}

impl StepGraph {
    /// Differentiates a model.
    ///
    /// # Errors
    /// [`Error::NotTrainable`] names every node that a gradient cannot pass; [`Error::Request`] says what of the options
    /// does not fit the model; [`Error::NameTaken`] tells names that collide.
    pub fn build(model: &Model, options: &StepOptions) -> Result<Self, Error> {
        assembly::build(model, options)
    }

    /// Whether a step gives the same bytes on any number of threads, as far as is known: that is so of most models in the
    /// fast lowering, and of hardly any in the standard one, whose products of matrices ONNX Runtime cuts by threads.
    #[must_use]
    pub fn is_same_on_threads(&self) -> bool {
        self.step.graph().node.iter().all(threads::is_same)
    }
}

/// What [`StepGraph::build`] would give as [`StepGraph::targets`], without the values of the model's parameters.
///
/// # Errors
/// As [`StepGraph::build`].
pub(crate) fn targets(model: &Model, options: &StepOptions) -> Result<Vec<Target>, Error> {
    assembly::targets(model, options)
}
