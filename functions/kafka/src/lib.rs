//! Everything Millrace knows about Kafka: the one crate that touches rdkafka.
//!
//! Invariants: no rdkafka type leaves this crate; nothing is created or reset
//! behind the caller's back (no automatic topic creation, no automatic offset
//! reset, no automatic commits); readers see committed records only; a secret
//! is resolved when a client is made and is never printed.
//!
//! The calls block, as librdkafka's do: callers run them on threads of their
//! own or under `spawn_blocking`. [`Producer::send_and_wait`] alone returns a
//! future.
#![deny(unsafe_op_in_unsafe_fn)]
#![allow(
    clippy::missing_errors_doc,
    reason = "every error of this crate is one enum whose variants say what happened"
)]

mod admin;
mod aws_secret;
mod connection;
mod error;
mod ffi;
mod group;
mod group_consumer;
mod health;
mod iam;
mod observer;
mod partitioner;
mod producer;
mod range_reader;
mod reader;
mod record;
mod secret;
mod tail;
mod transaction;

pub use admin::{Admin, Destination, TopicDescription, Watermarks};
pub use connection::Connection;
pub use error::Error;
pub use group::{GroupMetadata, GroupOffset, GroupState, PartitionLag, TopicPartition};
pub use group_consumer::{Assigned, BatchLimits, GroupConsumer, GroupOptions, RebalanceHandler};
pub use health::{Health, HealthStatus};
pub use partitioner::{murmur2, partition_by_key};
pub use producer::{Delivered, Delivery, Producer};
pub use range_reader::{Range, RangeReader};
pub use record::{OutHeader, OutRecord, Record, RecordView};
pub use secret::Reference;
pub use tail::{Tail, TailEvent};
pub use transaction::TransactionalProducer;
