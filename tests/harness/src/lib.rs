//! What the tests stand on: a real Kafka, a real PostgreSQL, the workspace's own binaries as processes,
//! and waiting for conditions in place of sleeping.
//!
//! Invariant: nothing that a test started outlives its process, even one that is killed. Every helper
//! panics with a sentence that says what was missing, since a test has nobody to return an error to.
#![allow(
    clippy::must_use_candidate,
    reason = "noise on the getters of a library for tests"
)]
#![allow(
    clippy::missing_panics_doc,
    reason = "every helper panics where the test's ground is missing; that is its error report"
)]

mod certificates;
mod gate;
mod kafka;
mod kubernetes;
mod lambda;
mod millrace;
mod moto;
mod node;
mod paths;
mod port;
mod postgres;
mod process;
mod s3;
mod schema_registry;
mod small_disk;
mod tied;
mod unique;
mod wait;

pub use gate::Gate;
pub use kafka::{IAM, Kafka, KafkaOptions, USER};
pub use kubernetes::KubernetesApi;
pub use lambda::{Lambda, Outcome};
pub use millrace::Millrace;
pub use moto::Moto;
pub use node::node;
pub use paths::{binary, cache, onnxruntime, root};
pub use port::free_port;
pub use postgres::Postgres;
pub use process::Process;
pub use s3::S3;
pub use schema_registry::SchemaRegistry;
pub use small_disk::on_small_disk;
pub use unique::unique;
pub use wait::{block_until, wait_until};
