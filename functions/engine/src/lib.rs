//! ONNX Runtime, and the one place that touches it.
//!
//! [`load`] brings the library into the process, once. After that, a
//! [`Session`] runs a model, and a [`StepSession`] runs the step graph of a
//! training again and again, keeping what it carries from step to step. Data
//! goes in as borrowed slices and is not copied; callers meet no type of `ort`.

mod cast;
mod error;
mod flush;
mod kernels;
mod library;
mod lowering;
mod session;
mod step;
mod tensor;
mod trial;

pub use error::Error;
pub use kernels::widen;
pub use library::load;
pub use lowering::{arithmetic, lowering};
pub use session::{Outputs, Session, SessionOptions, Slot};
pub use step::{Carried, StepSession};
pub use tensor::{Data, Element, Slice, Tensor, Texts, View};
