//! The inference function as a process, against a real Kafka: what it promises about each record,
//! whatever happens to it, to its group, to its model and to the broker.
//!
//! Each test makes topics of its own, commits the start offsets as the API would, and reads the
//! answers with a `read_committed` consumer that knows nothing of Millrace.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod answers;
mod chain;
mod conformance;
mod deadline;
mod edge;
mod ensembles;
mod exactly_once;
mod faults;
mod fixture;
mod forbidden;
mod glue;
mod kafka_source;
mod knative;
mod lambda;
mod large;
mod metrics;
mod models;
#[allow(dead_code, reason = "the tests of the product use the rest")]
mod npz;
mod orphans;
mod outage;
mod process;
mod protocol;
mod proxy;
mod records;
mod redrive;
mod registered;
mod replicas;
mod samples;
mod schemas;
mod secrets;
mod span;
mod swap;
mod texts;
