//! What every function process shares: how it starts, reports, follows the registry and ends, and
//! the triggers that hand records to a [`Handler`](handler::Handler).
//!
//! Invariant: a function knows Kafka and the artifact store alone, never the API or its database.

mod alone;
mod answer;
mod failure;
pub mod handler;
mod http;
pub mod knative;
pub mod lambda;
mod logs;
mod parent;
pub mod poll;
mod push;
mod reachable;
mod readiness;
pub mod registry;
mod report;
mod schemas;
mod shutdown;
mod start;
mod status;
mod trial;

pub use alone::{Alone, Undone, Work};
pub use failure::Failure;
pub use readiness::Readiness;
pub use registry::Registry;
pub use report::Reporter;
pub use schemas::{Missing, Registering, Schemas, Unregistered};
pub use shutdown::Shutdown;
pub use start::{Function, onnxruntime, run, run_as};
pub use status::{Done, Status};
pub use trial::try_out;
