//! ONNX graphs as data: read, checked, built from layers, differentiated into training steps, evaluated in float64.
//!
//! Nothing here runs a model in earnest, reads Kafka or waits: the input is bytes, readers and paths, the output is bytes.
//! What this library makes runs on any ONNX Runtime, since it uses standard operators only, unless it is asked for the [`fast`]
//! lowering.
//!
//! - [`Model`] is a model in memory, [`inspect()`] looks at a file of any size, [`external`] makes a file self-contained.
//! - [`layers`] builds a model from a description, [`preprocessing`] stands before one.
//! - [`check`](fn@check) says whether a model can be trained, [`StepGraph`] is the training step.
//! - [`evaluate`](fn@evaluate) is the reference that gradients are held against.

#![allow(
    clippy::similar_names,
    reason = "an axis and axes, an index and indices are what they are called"
)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "sizes of tensors are checked where they are read; the evaluator converts between number types by design"
)]

/// The producer that models of our making name.
pub(crate) const PRODUCER: &str = "millrace";

mod check;
mod differentiate;
mod emitter;
mod error;
mod evaluate;
mod extent;
pub mod external;
mod facts;
pub mod fast;
mod forward;
mod fuse;
mod glob;
mod graph;
mod inference;
pub mod inspect;
pub mod layers;
mod model;
mod numbers;
mod open;
mod operators;
mod prepare;
pub mod preprocessing;
pub mod proto;
pub mod schedule;
mod signature;
mod sizes;
pub mod step;
mod tensor;
mod training;

pub use self::check::{Check, check};
pub use self::error::{Error, Obstacle};
pub use self::evaluate::evaluate;
pub use self::fast::Lowering;
pub use self::inspect::{Inspection, OperatorUse, inspect};
pub use self::model::Model;
pub use self::open::OpenDimension;
pub use self::operators::operators;
pub use self::signature::{Dim, ElementType, Signature, TensorInfo};
pub use self::step::{
    BatchNormalization, ClassLabels, Clipping, CrossEntropy, Goal, Loss, Optimizer, Parameter,
    Slot, StepGraph, StepOptions, Target,
};
pub use self::tensor::{Tensor, Values};
