//! How outputs and offsets are committed: in one Kafka transaction, or outputs first and offsets
//! after them.
//!
//! Invariant: an offset is never committed before the outputs of all records below it are.

use std::time::{Duration, Instant};

use millrace_kafka::{
    Connection, Error, GroupConsumer, GroupOffset, OutRecord, Producer, TransactionalProducer,
};
use millrace_wire::function::{Batching, Guarantee, InferenceSpec};

use super::watch::Watch;
use crate::answer::{BATCH_BYTES, Targets, producing};

/// The broker ends a transaction that its producer left open after this time; until then readers
/// of committed records wait. A replica that starts again ends its own at once.
pub(super) const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(30);
/// How long one try of a step may take, between two looks at whether the function shall end.
pub(super) const STEP_TIMEOUT: Duration = Duration::from_secs(5);
/// Where each answer is on its way by itself it does not wait for others, and nobody is told of each that it was written.
/// Under load batches form while others are on their way.
const SINGLE: [(&str, &str); 2] = [("linger.ms", "0"), ("delivery.report.only.error", "true")];
/// How much longer than a run of the model a transaction may last.
const AFTER_RUN: Duration = Duration::from_secs(10);

/// A transaction may be open while the model runs.
pub(super) fn transaction_timeout(batching: &Batching) -> Duration {
    let run = Duration::from_millis(u64::from(batching.run_deadline_ms));
    TRANSACTION_TIMEOUT.max(run + AFTER_RUN)
}

/// The writing side of a replica.
pub(super) struct Output {
    writer: Writer,
    watch: Watch,
    /// The most bytes that it sends at once.
    batch: usize,
    /// Whether outputs wait for their commit.
    is_open: bool,
    /// When the next commit may come.
    next: Instant,
}

enum Writer {
    ExactlyOnce(TransactionalProducer),
    AtLeastOnce(Producer),
}

/// What to do about a step that may succeed later: try again (true), or give up.
pub(super) type Patience<'a> = dyn FnMut(&Error) -> bool + 'a;

impl Output {
    /// Makes the producer; the cluster is not contacted yet. The topics take no more than `limit`
    /// bytes at once, which counts for batches as for single records.
    pub(super) fn new(
        connection: &Connection,
        spec: &InferenceSpec,
        watch: Watch,
        limit: usize,
    ) -> Result<Self, Error> {
        let more: &[(&str, &str)] = match spec.guarantee {
            Guarantee::ExactlyOnce => &[],
            Guarantee::AtLeastOnce => &SINGLE,
        };
        let connection = producing(connection, spec, limit, more);
        let writer = match spec.guarantee {
            Guarantee::ExactlyOnce => Writer::ExactlyOnce(TransactionalProducer::new(
                &connection,
                &spec.transactional_id,
                transaction_timeout(&spec.batching),
            )?),
            Guarantee::AtLeastOnce => Writer::AtLeastOnce(Producer::new(&connection)?),
        };
        Ok(Self {
            writer,
            watch,
            batch: limit.clamp(1, BATCH_BYTES),
            is_open: false,
            next: Instant::now(),
        })
    }

    /// Waits a short time until a broker has answered.
    pub(super) fn connect(&self) {
        match &self.writer {
            Writer::ExactlyOnce(producer) => producer.connect(),
            Writer::AtLeastOnce(producer) => producer.connect(),
        }
    }

    /// Whether topics that take `limit` bytes at once take all that it sends.
    pub(super) fn respects(&self, limit: usize) -> bool {
        self.batch <= limit.max(1)
    }

    /// The watch over its calls.
    pub(super) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Ends what a predecessor left open, before the group's offsets are read.
    pub(super) fn take_over(&self, patience: &mut Patience<'_>) -> Result<(), Error> {
        match &self.writer {
            Writer::ExactlyOnce(producer) => persist(patience, || {
                self.watch.over("take over the transactional id", || {
                    producer.init(STEP_TIMEOUT)
                })
            }),
            Writer::AtLeastOnce(_) => Ok(()),
        }
    }

    /// Lets the producer look for this topic before the first record is sent to it.
    pub(super) fn meet(&self, topic: &str) -> Result<(), Error> {
        match &self.writer {
            Writer::ExactlyOnce(producer) => producer.meet(topic),
            Writer::AtLeastOnce(producer) => producer.meet(topic),
        }
    }

    /// Whether outputs wait for their commit.
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// When they are to be committed.
    pub(super) fn due(&self) -> Instant {
        self.next
    }

    /// Takes a record in; the first one after a commit begins the next.
    pub(super) fn send(&mut self, record: &OutRecord<'_>) -> Result<(), Error> {
        self.begin()?;
        match &self.writer {
            Writer::ExactlyOnce(producer) => producer.send(record),
            Writer::AtLeastOnce(producer) => producer.send(record),
        }
    }

    /// Commits all that was sent, together with these offsets of the consumer. The next commit comes after `interval`.
    pub(super) fn commit(
        &mut self,
        consumer: &GroupConsumer,
        offsets: &[GroupOffset],
        interval: Duration,
        patience: &mut Patience<'_>,
    ) -> Result<(), Error> {
        let started = Instant::now();
        self.begin()?;
        match &self.writer {
            Writer::ExactlyOnce(producer) => {
                let member = consumer.group_metadata()?;
                persist(patience, || {
                    self.watch.over("put offsets into the transaction", || {
                        producer.send_offsets(&member, offsets, STEP_TIMEOUT)
                    })
                })?;
                persist(patience, || {
                    self.watch
                        .over("commit the transaction", || producer.commit(STEP_TIMEOUT))
                })?;
            }
            Writer::AtLeastOnce(producer) => {
                loop {
                    match producer.flush(STEP_TIMEOUT) {
                        Ok(()) => break,
                        // With nothing in flight the error is a record's, which is not written.
                        Err(error) if producer.in_flight() == 0 || !patience(&error) => {
                            return Err(error);
                        }
                        Err(_) => {}
                    }
                }
                persist(patience, || consumer.commit(offsets))?;
            }
        }
        self.is_open = false;
        self.next = next_commit(started, Instant::now(), interval);
        Ok(())
    }

    /// Takes everything that this replica writes to into a transaction of nothing, for the caller to take back. The
    /// markers of its end do what those of an earlier one did not, where a broker has lost them.
    pub(super) fn touch(
        &mut self,
        consumer: &GroupConsumer,
        targets: &Targets,
        patience: &mut Patience<'_>,
    ) -> Result<(), Error> {
        let Writer::ExactlyOnce(producer) = &self.writer else {
            return Ok(());
        };
        self.watch
            .over("begin a transaction", || producer.begin())?;
        for (topic, partition) in targets.partitions() {
            producer.send(&OutRecord::to(topic).partition(partition))?;
        }
        persist(patience, || producer.flush(STEP_TIMEOUT))?;
        // The group does not read this topic: an offset of it means nothing, whatever becomes of it.
        let offsets = targets.partitions().take(1);
        let offsets: Vec<_> = offsets
            .map(|(topic, partition)| GroupOffset::new(topic, partition, 0))
            .collect();
        let member = consumer.group_metadata()?;
        persist(patience, || {
            self.watch.over("put offsets into the transaction", || {
                producer.send_offsets(&member, &offsets, STEP_TIMEOUT)
            })
        })
    }

    /// Takes back all that was sent since the last commit, as far as the guarantee goes.
    pub(super) fn abort(&mut self, patience: &mut Patience<'_>) -> Result<(), Error> {
        if let Writer::ExactlyOnce(producer) = &self.writer
            && producer.is_open()
        {
            persist(patience, || {
                self.watch
                    .over("abort the transaction", || producer.abort(STEP_TIMEOUT))
            })?;
        }
        self.is_open = false;
        Ok(())
    }

    fn begin(&mut self) -> Result<(), Error> {
        if !self.is_open {
            if let Writer::ExactlyOnce(producer) = &self.writer {
                self.watch
                    .over("begin a transaction", || producer.begin())?;
            }
            self.is_open = true;
        }
        Ok(())
    }
}

/// Does a step again for as long as it may succeed and `patience` lasts.
pub(super) fn persist(
    patience: &mut Patience<'_>,
    mut step: impl FnMut() -> Result<(), Error>,
) -> Result<(), Error> {
    loop {
        match step() {
            Err(error) if error.is_retriable() && patience(&error) => {}
            result => return result,
        }
    }
}

/// When the next commit may come. What arrives after a pause is committed at once, and commits come no more often than
/// `interval` says; no more than half of the time goes to them, even where each takes long.
fn next_commit(started: Instant, ended: Instant, interval: Duration) -> Instant {
    let lasted = ended - started;
    (started + interval).max(ended + lasted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_keep_their_interval_and_leave_half_of_the_time() {
        let started = Instant::now();
        let next = |lasted| {
            let ended = started + Duration::from_millis(lasted);
            (next_commit(started, ended, Duration::from_millis(100)) - started).as_millis()
        };
        assert_eq!([0, 15, 50, 80, 500].map(next), [100, 100, 100, 160, 1000]);
    }
}
