//! The transactional producer: records and a group's offsets, all or nothing.
//!
//! Invariant: at most one transaction is open, and a dropped producer aborts
//! it, so that readers of committed records are not held up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::producer::Producer as _;

use crate::error::Step;
use crate::ffi::{Failure, Native};
use crate::group::native_offsets;
use crate::observer::Observer;
use crate::producer::{
    Deliveries, PRODUCER_DEFAULTS, PRODUCER_FIXED, UNTRACKED, Writer, wait_for_reports,
};
use crate::{Connection, Error, GroupMetadata, GroupOffset, OutRecord};

/// How long a dropped producer may take to abort its transaction.
const DROP_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that was silent for so long is made anew. librdkafka (2.12.1) looks for a group's coordinator on behalf
/// of a transaction three times within a moment, and then only when the connection to a broker comes or goes. Where the
/// broker has just started and does not know its coordinators yet, nothing would come or go any more.
const IDLE_MS: &str = "10000";

/// A producer whose records become visible together.
///
/// After an error, ask it what to do: [`Error::is_fenced`] means end the
/// process, [`Error::is_abortable`] means [`TransactionalProducer::abort`] and
/// do the work again (as does [`Error::NotAuthorized`], once it is allowed),
/// [`Error::is_retriable`] means call the same method again; anything else
/// needs a new producer.
pub struct TransactionalProducer {
    writer: Writer,
    open: AtomicBool,
    /// Whether a broker has answered since it was last tried to take the id over.
    has_met: AtomicBool,
}

impl TransactionalProducer {
    /// Makes the producer. `transactional_id` must be stable for one role, so
    /// that a successor ends what its predecessor left open; a transaction that
    /// nobody ends is aborted by the broker after `transaction_timeout`.
    pub fn new(
        connection: &Connection,
        transactional_id: &str,
        transaction_timeout: Duration,
    ) -> Result<Self, Error> {
        let timeout = transaction_timeout.as_millis().to_string();
        let mut fixed = PRODUCER_FIXED.to_vec();
        fixed.extend([
            ("transactional.id", transactional_id),
            ("transaction.timeout.ms", timeout.as_str()),
            // After each commit the broker answers CONCURRENT_TRANSACTIONS for a
            // moment: this is the pause before the next try, 100 ms by default.
            ("retry.backoff.ms", "5"),
            ("connections.max.idle.ms", IDLE_MS),
            // Nobody waits for a single record: what counts is whether any failed.
            ("delivery.report.only.error", "true"),
        ]);
        let deliveries = Deliveries::new(Observer::new(connection.health().clone()));
        let client = connection.client(PRODUCER_DEFAULTS, &fixed, deliveries)?;
        Ok(Self {
            writer: Writer::new(client)?,
            open: AtomicBool::new(false),
            has_met: AtomicBool::new(false),
        })
    }

    /// Waits a short time until a broker has answered. Nothing is taken over by it.
    pub fn connect(&self) {
        let has_met = self.writer.connect();
        self.has_met.store(has_met, Ordering::Relaxed);
    }

    /// Takes over the transactional id: aborts what a predecessor left open and
    /// fences it. Call it once, before the group's offsets are read: they may be in what the predecessor left open.
    pub fn init(&self, timeout: Duration) -> Result<(), Error> {
        // Where no broker is connected yet, librdkafka looks for its coordinator only every half a second.
        if !self.has_met.swap(false, Ordering::Relaxed) {
            self.writer.connect();
        }
        self.writer
            .client
            .init_transactions(timeout)
            .map_err(|error| Step::new("take over the transactional id").kafka(&error))?;
        self.writer.client.context().health().up();
        Ok(())
    }

    /// Looks for the leaders of a topic's partitions in the background, which the first record would wait for.
    pub fn meet(&self, topic: &str) -> Result<(), Error> {
        self.writer.meet(topic)
    }

    /// Begins a transaction.
    pub fn begin(&self) -> Result<(), Error> {
        // What failed in an aborted transaction is no longer of interest.
        self.writer.client.context().take_failed();
        self.writer
            .client
            .begin_transaction()
            .map_err(|error| Step::new("begin a transaction").kafka(&error))?;
        self.open.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Takes a record into the open transaction; blocks while the queue is full.
    pub fn send(&self, record: &OutRecord<'_>) -> Result<(), Error> {
        self.writer.enqueue(record, UNTRACKED)
    }

    /// Waits until the open transaction's records have been written. A commit
    /// does so by itself.
    pub fn flush(&self, timeout: Duration) -> Result<(), Error> {
        wait_for_reports(&self.writer.client, timeout)
    }

    /// Puts a consumer's offsets, notes included, into the open transaction.
    pub fn send_offsets(
        &self,
        group: &GroupMetadata,
        offsets: &[GroupOffset],
        timeout: Duration,
    ) -> Result<(), Error> {
        if offsets.is_empty() {
            return Ok(());
        }
        let step = Step::new("put offsets into the transaction");
        let list = native_offsets(step, offsets)?;
        self.writer
            .client
            .send_offsets_to_transaction(&list, &group.native, timeout)
            .map_err(|error| step.kafka(&error))
    }

    /// Flushes and commits. A record that could not be written makes the
    /// transaction abortable, and the error names that record's topic.
    pub fn commit(&self, timeout: Duration) -> Result<(), Error> {
        match self.native().commit_transaction(timeout) {
            Ok(()) => {
                self.open.store(false, Ordering::Relaxed);
                self.writer.client.context().health().up();
                Ok(())
            }
            Err(failure) => Err(self.commit_error(failure)),
        }
    }

    /// Aborts the open transaction; its records are never seen by readers of
    /// committed records. After [`Error::NoTransaction`] there is nothing to see
    /// either, and the producer is of no use any more.
    pub fn abort(&self, timeout: Duration) -> Result<(), Error> {
        let result = self
            .writer
            .client
            .abort_transaction(timeout)
            .map_err(|error| Step::new("abort the transaction").kafka(&error));
        if matches!(result, Ok(()) | Err(Error::NoTransaction { .. })) {
            self.open.store(false, Ordering::Relaxed);
            self.writer.client.context().take_failed();
        }
        result
    }

    /// Whether a transaction is open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// librdkafka only says that some record failed; the report says which.
    fn commit_error(&self, mut failure: Failure) -> Error {
        if failure.is_abortable
            && let Some(record) = self.writer.client.context().take_failed()
        {
            failure.reason = format!("{}: {record}", failure.reason);
        }
        Step::new("commit the transaction").failure(&failure)
    }

    fn native(&self) -> Native<'_> {
        Native::of(self.writer.client.client())
    }
}

impl Drop for TransactionalProducer {
    fn drop(&mut self) {
        if self.is_open()
            && let Err(error) = self.abort(DROP_TIMEOUT)
        {
            tracing::warn!(error = %error, "a closed producer left its transaction open");
        }
    }
}
