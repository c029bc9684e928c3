//! What a replica does in Kafka while its model is loaded: it looks at the topics, and each of its clients at its brokers.
//!
//! Invariant: nothing is taken from others meanwhile. No partition is held, and a predecessor that still works is left
//! alone.

use std::panic;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use millrace_kafka::{Connection, GroupConsumer, GroupOptions};
use millrace_wire::function::InferenceSpec;

use super::output::Output;
use super::topics::Watched;
use super::watch::Watch;
use crate::failure::Failure;
use crate::shutdown::Shutdown;
use crate::start::Function;
use crate::status::Status;

/// For how long a member is silent before its partitions go to others: longer than a broker takes
/// to start again, and not longer than partitions of a replica that is gone may wait.
const SESSION: Duration = Duration::from_secs(20);

/// A replica that waits for its model.
pub struct Prepared<'s> {
    pub(super) spec: &'s InferenceSpec,
    pub(super) connection: Connection,
    pub(super) status: Status,
    pub(super) shutdown: Shutdown,
    pub(super) membership: Membership,
    /// It stands apart from the group.
    pub(super) consumer: GroupConsumer,
    /// Nothing where the function shall end first.
    pub(super) topics: Step<Result<Option<Arc<Watched>>, Failure>>,
    pub(super) output: Step<Output>,
}

/// What waits for Kafka, in a thread of its own.
pub(super) struct Step<T>(JoinHandle<T>);

/// How a replica reads as a member of its group.
pub(super) struct Membership {
    connection: Connection,
    pub(super) options: GroupOptions,
}

/// Begins all that needs no model; Kafka need not be there yet.
///
/// # Errors
/// [`Failure`] where the connection's properties make no client.
pub fn prepare<'s>(
    function: &Function,
    spec: &'s InferenceSpec,
    status: &Status,
) -> Result<Prepared<'s>, Failure> {
    let connection = Connection::new(&spec.connection);
    function.readiness.kafka("kafka", &connection);
    let shutdown = function.shutdown.clone();
    let topics = {
        let (connection, spec) = (connection.clone(), spec.clone());
        let (status, shutdown) = (status.clone(), shutdown.clone());
        Step::begin("first-look", move || {
            Watched::start(&connection, &spec, &status, &shutdown)
        })?
    };
    let membership = Membership::of(spec, &connection);
    let consumer = membership.apart()?;
    let watch = Watch::start(&connection, status)?;
    let output = Output::new(&connection, spec, watch, usize::MAX)?;
    let output = Step::begin("first-output", move || {
        output.connect();
        output
    })?;
    Ok(Prepared {
        spec,
        connection,
        status: status.clone(),
        shutdown,
        membership,
        consumer,
        topics,
        output,
    })
}

impl<T: Send + 'static> Step<T> {
    fn begin(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<Self, Failure> {
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(work)
            .map(Self)
            .map_err(|error| Failure::failed(format!("cannot prepare to read: {error}")))
    }

    /// Waits for it.
    pub(super) fn end(self) -> T {
        self.0
            .join()
            .unwrap_or_else(|fault| panic::resume_unwind(fault))
    }
}

impl Membership {
    fn of(spec: &InferenceSpec, connection: &Connection) -> Self {
        // What librdkafka fetches ahead is bounded by the same number of bytes as what is worked on.
        let fetch_kib = (spec.batching.max_bytes / 1024).max(1024).to_string();
        let connection = connection.clone();
        let mut read = vec![spec.input_topic.as_str()];
        read.extend(spec.redrive_topic.as_deref());
        let mut options = GroupOptions::new(&spec.group, &read).instance(&spec.transactional_id);
        options.session_timeout = SESSION;
        Self {
            connection: connection.with("queued.max.messages.kbytes", &fetch_kib),
            options,
        }
    }

    /// A client that has not joined the group yet.
    pub(super) fn apart(&self) -> Result<GroupConsumer, Failure> {
        Ok(GroupConsumer::apart(
            &self.connection,
            self.options.clone(),
        )?)
    }
}
