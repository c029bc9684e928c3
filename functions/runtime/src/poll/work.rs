//! The work between two commits: answering batches, committing, taking back.
//!
//! Invariant: a partition is given up only after what was done for it is committed or taken back;
//! after something was taken back, every partition reads on at its committed offset.

mod rebalance;

use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_kafka::{
    Admin, BatchLimits, Connection, Error, GroupConsumer, RecordView, TopicPartition,
};
use millrace_wire::function::InferenceSpec;
use millrace_wire::progress::Stage;

use super::deadline::Deadline;
use super::output::Output;
use super::partitions::Partitions;
use super::rate::Rate;
use super::topics::Watched;
use super::{LONGEST_PAUSE, patience, pause_after, was_away};
use crate::answer::Answering;
use crate::failure::Failure;
use crate::handler::{Current, Handler, Stall};
use crate::shutdown::Shutdown;
use crate::status::{Done, Status};

/// How often it is asked whether partitions without a committed offset are new ones.
const PLACE_INTERVAL: Duration = Duration::from_secs(1);
/// How often it is asked whether what was forbidden is allowed now.
const FORBIDDEN_LOOK: Duration = Duration::from_millis(100);

/// For how long offsets are waited for that a transaction holds back, before this replica's own last one is taken for
/// the reason: longer than the commit of another replica takes.
const UNREADABLE: Duration = Duration::from_secs(10);

/// The pause before a batch for which something was missing is tried again.
const STALL_PAUSE: Duration = Duration::from_secs(1);

const OFFSETS_UNREADABLE: &str = "offsets-unreadable";
const NOT_COMMITTED: &str = "not-committed";
const OFFSETS_LOST: &str = "offsets-lost";
const REGISTRY_BEHIND: &str = "registry-behind";

/// A replica at work.
pub(super) struct Work<'s> {
    spec: &'s InferenceSpec,
    pub(super) connection: Connection,
    pub(super) topics: Arc<Watched>,
    pub(super) status: Status,
    pub(super) shutdown: Shutdown,
    /// Why the function must end, where a rebalance found that out.
    pub(super) failure: Option<Failure>,
    /// That the group takes this member for a stranger, where taking back found that out.
    pub(super) fenced: Option<Error>,
    /// Watches over the runs of the model.
    pub(super) deadline: Deadline,
    output: Output,
    partitions: Partitions,
    /// The limit on what is read.
    rate: Option<Rate>,
    current: Current,
    answering: Answering,
    since_commit: Done,
    /// How long records have been waited for since the last batch.
    waited: Duration,
    /// When positions are looked at, though nothing was sent.
    next_look: Instant,
    next_placing: Instant,
    /// When the markers of the last transaction are written again, where offsets cannot be read.
    next_release: Instant,
    /// How many commits have failed one after another.
    failures: u32,
    /// What the handler waits for.
    stalled: Option<&'static str>,
}

/// Why a batch was not answered.
pub(super) enum Interruption {
    /// An answer could not be sent.
    Send(Error),
    /// The handler waits for something.
    Stall(Stall),
}

impl From<Error> for Interruption {
    fn from(error: Error) -> Self {
        Self::Send(error)
    }
}

impl From<Stall> for Interruption {
    fn from(stall: Stall) -> Self {
        Self::Stall(stall)
    }
}

impl<'s> Work<'s> {
    pub(super) fn new(
        spec: &'s InferenceSpec,
        connection: Connection,
        topics: Arc<Watched>,
        status: Status,
        shutdown: Shutdown,
        output: Output,
        current: Current,
    ) -> Result<Self, Failure> {
        Ok(Self {
            deadline: Deadline::start(&connection, spec, &status)?,
            output,
            spec,
            connection,
            status,
            shutdown,
            failure: None,
            fenced: None,
            partitions: match topics.ends() {
                Some(ends) => Partitions::within(&spec.input_topic, ends),
                None => Partitions::default(),
            }
            .told_by(&topics.lags),
            rate: spec
                .span
                .as_ref()
                .and_then(|span| span.records_per_second)
                .map(|rate| Rate::new(rate, Instant::now())),
            topics,
            current,
            answering: Answering::default(),
            since_commit: Done::default(),
            waited: Duration::ZERO,
            next_look: Instant::now(),
            next_placing: Instant::now(),
            next_release: Instant::now(),
            failures: 0,
            stalled: None,
        })
    }

    /// Ends what a predecessor of this replica left open; false where the function shall end first.
    pub(super) fn take_over(&mut self) -> Result<bool, Failure> {
        let mut patience = patience(&self.connection, &self.status, &self.shutdown);
        match self.output.take_over(&mut patience) {
            Ok(()) => {
                // The topics are well: the first record need not wait for the producer to find them.
                self.output.meet(&self.topics.targets.output.topic)?;
                Ok(true)
            }
            Err(_) if self.shutdown.is_requested() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Goes on with what the handler has now: partitions that waited for it may be read.
    pub(super) fn adopt(
        &mut self,
        consumer: &GroupConsumer,
        current: Current,
    ) -> Result<(), Failure> {
        self.current = current;
        self.status.answers_with(current.version);
        if let Some(ends) = self.topics.ends() {
            let moved = self.partitions.move_ends(&ends, current);
            consumer.seek(&moved)?;
        }
        let released = self.partitions.catch_up(current);
        Self::resume(consumer, &released)?;
        match self.partitions.overdue() {
            None => self.status.recovered(REGISTRY_BEHIND),
            Some((TopicPartition { topic, partition }, noted)) => self.status.degraded(
                REGISTRY_BEHIND,
                format!(
                    "partition {partition} of {topic} waits: its records were answered by the version of registry entry {noted}, which this replica has not applied; see whether that version can be loaded. Where the registry topic was deleted and made anew, that entry is gone: move the alias once more, then stop the inference and start it again"
                ),
            ),
        }
        self.place(consumer)
    }

    /// Partitions without a committed offset are new where the group has committed others: they
    /// begin at their beginning. Where it has none at all, all were lost, which a person decides, unless nobody has
    /// committed any for it before its start.
    fn place(&mut self, consumer: &GroupConsumer) -> Result<(), Failure> {
        let unplaced = self.partitions.unplaced();
        if unplaced.is_empty() {
            self.status.recovered(OFFSETS_LOST);
            return Ok(());
        }
        if Instant::now() < self.next_placing {
            return Ok(());
        }
        self.next_placing = Instant::now() + PLACE_INTERVAL;
        let InferenceSpec {
            group,
            input_topic,
            input_topic_id,
            ..
        } = self.spec;
        let is_prepared = input_topic_id.is_some();
        // The topic of redriven records has none until the first one is answered.
        let committed =
            Admin::new(&self.connection).and_then(|admin| admin.committed(group, input_topic));
        match committed {
            Ok(committed) if !is_prepared || committed.iter().any(|offset| offset.offset >= 0) => {
                tracing::info!(partitions = ?unplaced, "new partitions are read from their beginning");
                let placed = self.partitions.place();
                Self::resume(consumer, &placed)
            }
            Ok(_) => {
                self.status.degraded(
                    OFFSETS_LOST,
                    format!(
                        "the group {group} has no committed offset on {input_topic}, neither for partitions {unplaced:?} nor for others, so nobody knows where to read on: stop the inference, and start it again with the `start` where it shall go on"
                    ),
                );
                Ok(())
            }
            Err(error) => {
                tracing::warn!(%error, "cannot see whether partitions are new");
                Ok(())
            }
        }
    }

    fn resume(consumer: &GroupConsumer, partitions: &[TopicPartition]) -> Result<(), Failure> {
        if partitions.is_empty() {
            return Ok(());
        }
        Ok(consumer.resume(partitions)?)
    }

    /// Frees the group's offsets where a broker holds them back for a transaction that has ended.
    ///
    /// A broker that is killed may lose the markers of a transaction's end while it starts again (see
    /// `docs/kafka.md`): the offsets in that transaction count as pending from then on, and no member can read where to
    /// go on. Markers of the same producer's next transaction end it. Taking back is safe: with the offsets in it, the
    /// transaction of before is taken back as a whole, and its records are answered again.
    pub(super) fn release(&mut self, consumer: &GroupConsumer) -> Result<(), Failure> {
        let Some(waits) = consumer.offsets_unreadable() else {
            self.status.recovered(OFFSETS_UNREADABLE);
            return Ok(());
        };
        let health = self.connection.health().status();
        let answering = health.since.elapsed().unwrap_or_default();
        let now = Instant::now();
        if !health.connected || waits.min(answering) < UNREADABLE || now < self.next_release {
            return Ok(());
        }
        self.next_release = now + UNREADABLE;
        if self.output.is_open() {
            self.roll_back(consumer, None)?;
        }
        let group = &self.spec.group;
        self.status.degraded(
            OFFSETS_UNREADABLE,
            format!(
                "Kafka does not tell the offsets of the group {group}: a transaction that holds them has not ended. This replica ends what it may have left open itself, and waits for others; nothing is lost"
            ),
        );
        let touched = self.output.touch(
            consumer,
            &self.topics.targets,
            &mut patience(&self.connection, &self.status, &self.shutdown),
        );
        match touched {
            Err(error) if !self.can_undo(&error) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(%error, "not all of the last transaction could be ended again");
            }
            Ok(()) => {}
        }
        self.abort()
    }

    /// What the next batch may be; nothing while there is no room for a record at the rate that was
    /// asked for.
    pub(super) fn limits(&mut self) -> Option<BatchLimits> {
        let batching = &self.spec.batching;
        let most = if self.partitions.has_suspects() {
            1
        } else {
            batching.max_batch.max(1) as usize
        };
        let allowed = self
            .rate
            .as_mut()
            .map_or(most, |rate| rate.allowance(Instant::now()));
        if allowed == 0 {
            return None;
        }
        Some(BatchLimits {
            max_records: most.min(allowed),
            max_bytes: usize::try_from(batching.max_bytes).unwrap_or(usize::MAX),
            max_wait: self.next_step().saturating_duration_since(Instant::now()),
        })
    }

    /// Notes that records were waited for.
    pub(super) fn waited(&mut self, duration: Duration) {
        self.waited += duration;
    }

    /// Reports from time to time.
    pub(super) fn report(&self) {
        self.status.report(|| self.topics.lags.told());
    }

    /// What of a batch is to be answered.
    pub(super) fn cut<'b>(&mut self, mut batch: Vec<RecordView<'b>>) -> Vec<RecordView<'b>> {
        self.partitions.cut(&mut batch);
        if let Some(rate) = &mut self.rate {
            rate.take(batch.len());
        }
        batch
    }

    fn interval(&self) -> Duration {
        Duration::from_millis(u64::from(self.spec.batching.commit_interval_ms))
    }

    /// Answers a batch; the answers are on their way, not yet committed.
    pub(super) fn answer(
        &mut self,
        batch: &[RecordView<'_>],
        handler: &mut dyn Handler,
    ) -> Result<(), Interruption> {
        let waited = std::mem::take(&mut self.waited);
        self.topics.lags.read(batch);
        let suspects = self.partitions.suspects(batch);
        let is_culprit = matches!(batch, [record] if self.partitions.is_culprit(record));
        let limit = self.spec.batching.run_deadline_ms;
        let deadline = &self.deadline;
        self.answering.ask(batch, self.spec, |inputs, answers| {
            answers.took(Stage::Wait, waited);
            if !is_culprit {
                return deadline.over(suspects, batch.len(), || handler.handle(inputs, answers));
            }
            // Nothing is run, but it is said who would have answered.
            handler.handle(&[], answers)?;
            answers.refuse(
                "deadline",
                format!("the model did not answer it within {limit} ms, and its process had to be replaced"),
            );
            Ok(())
        })?;
        if let Some(code) = self.stalled.take() {
            self.status.recovered(code);
        }
        let output = &mut self.output;
        let counts = &mut self.since_commit;
        self.answering
            .send(batch, self.spec, &self.topics, |_, out, became| {
                output.send(out)?;
                counts.add(became);
                Ok::<_, Error>(())
            })?;
        self.status.answered(batch.len(), self.answering.stages());
        Ok(())
    }

    /// Says what the handler waits for, takes back what was sent since the last commit, and pauses. The pause is
    /// short against the time for which the group waits for this member.
    pub(super) fn stall(&mut self, consumer: &GroupConsumer, stall: &Stall) -> Result<(), Failure> {
        let message = format!("{}; the records wait, none is dropped", stall.message);
        self.status.degraded(stall.code, message);
        self.stalled = Some(stall.code);
        self.roll_back(consumer, None)?;
        let _ = self.shutdown.wait(STALL_PAUSE);
        Ok(())
    }

    /// Whether it is time to commit.
    pub(super) fn is_due(&self) -> bool {
        Instant::now() >= self.next_step()
            || self.output.is_open() && self.partitions.has_suspects()
    }

    /// When something is to be done though no record comes.
    fn next_step(&self) -> Instant {
        if self.output.is_open() {
            self.output.due()
        } else {
            // Positions move past transaction markers without a record.
            self.next_look
        }
    }

    /// Commits what was sent and the positions behind it. What cannot be committed is taken back.
    pub(super) fn commit(&mut self, consumer: &GroupConsumer) -> Result<(), Failure> {
        self.next_look = Instant::now() + self.interval();
        // The end was asked for while something was taken back: a successor reads that again.
        if self.partitions.is_ahead() {
            return Ok(());
        }
        let offsets = self.partitions.due(consumer.positions()?, self.current);
        if offsets.is_empty() && !self.output.is_open() {
            return Ok(());
        }
        let started = Instant::now();
        let result = self.output.commit(
            consumer,
            &offsets,
            self.interval(),
            &mut patience(&self.connection, &self.status, &self.shutdown),
        );
        if let Err(error) = result {
            return self.roll_back(consumer, Some(error));
        }
        let duration = started.elapsed();
        let ended = self.partitions.committed(&offsets);
        if !ended.is_empty() {
            consumer.pause(&ended)?;
        }
        self.failures = 0;
        self.status.recovered(NOT_COMMITTED);
        let done = std::mem::take(&mut self.since_commit);
        self.status.committed(done, duration);
        Ok(())
    }

    /// Takes back what was sent since the last commit, and reads on from there. A failure that
    /// repeats itself is reported, and tried again more and more slowly: the inference stalls,
    /// it never drops.
    pub(super) fn roll_back(
        &mut self,
        consumer: &GroupConsumer,
        cause: Option<Error>,
    ) -> Result<(), Failure> {
        self.partitions.taken_back();
        self.since_commit = Done::default();
        metrics::counter!("millrace_aborts_total").increment(1);
        if let Some(error) = cause {
            if self.shutdown.is_requested() && error.is_retriable() {
                // The function ends; the broker, or a successor, ends the transaction.
                return Ok(());
            }
            if !self.can_undo(&error) {
                return Err(error.into());
            }
            self.failures += 1;
            tracing::info!(%error, failures = self.failures, "the records since the last commit are read again");
            let is_forbidden = self.is_forbidden(&error);
            if self.failures > 1 && !is_forbidden {
                self.status.degraded(
                    NOT_COMMITTED,
                    format!("answers cannot be committed: {error}; nothing is dropped, the inference tries again"),
                );
            }
        }
        self.abort()?;
        while !self.partitions.is_empty() {
            match consumer.seek_to_committed() {
                Ok(()) => break,
                Err(error) if error.is_fenced() => {
                    self.fenced = Some(error);
                    return Ok(());
                }
                Err(error) if error.is_retriable() => {
                    let mut patience = patience(&self.connection, &self.status, &self.shutdown);
                    if !patience(&error) {
                        return Ok(());
                    }
                    drop(patience);
                    self.release(consumer)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.partitions.sought();
        self.rest();
        Ok(())
    }

    /// Whether the cluster tells why this failed: answers may not be written. That is reported with
    /// the right that lacks.
    fn is_forbidden(&self, error: &Error) -> bool {
        if matches!(error, Error::MessageTooLarge { .. }) {
            self.topics.look_at_limits();
        }
        if !matches!(error, Error::Abortable { .. } | Error::NotAuthorized { .. }) {
            return false;
        }
        self.topics.look();
        self.topics.is_forbidden()
    }

    /// The pause after something was taken back. What was forbidden goes on as soon as it is allowed.
    fn rest(&self) {
        if !self.topics.is_forbidden() {
            let _ = self.shutdown.wait(pause_after(self.failures));
            return;
        }
        let until = Instant::now() + LONGEST_PAUSE;
        while self.topics.is_forbidden() && Instant::now() < until {
            if self.shutdown.wait(FORBIDDEN_LOOK) {
                return;
            }
        }
    }

    /// Forgets the membership that ran out, and what was done under it.
    pub(super) fn leave(&mut self) -> Result<(), Failure> {
        self.partitions.clear();
        self.since_commit = Done::default();
        self.abort()
    }

    fn abort(&mut self) -> Result<(), Failure> {
        let aborted = self.output.abort(&mut patience(
            &self.connection,
            &self.status,
            &self.shutdown,
        ));
        match aborted {
            // The broker, or a successor, ends the transaction of a function that ends.
            Err(_) if self.shutdown.is_requested() => Ok(()),
            Err(error) if error.is_fenced() && was_away(&self.connection) => self.renew(&error),
            Err(error @ Error::NoTransaction { .. }) => self.renew(&error),
            Err(error) => Err(error.into()),
            Ok(()) => Ok(()),
        }
    }

    /// Takes another producer. The broker ends by itself what is open for too long, as when it was
    /// away in the middle of a transaction, and takes the producer for a fenced one from then on.
    /// And a producer whose first record was forbidden ends by the abort of what never began.
    fn renew(&mut self, error: &Error) -> Result<(), Failure> {
        tracing::warn!(%error, "taking over the transactional id anew");
        let limit = self.topics.smallest_limit();
        self.output = Output::new(
            &self.connection,
            self.spec,
            self.output.watch().clone(),
            limit,
        )?;
        self.take_over().map(|_| ())
    }

    /// Whether the work since the last commit can be done again by this process.
    fn can_undo(&self, error: &Error) -> bool {
        if error.is_fenced() {
            // The group may have fenced the member, and not the producer: its abort will tell.
            return was_away(&self.connection);
        }
        error.is_abortable()
            || error.is_retriable()
            || matches!(
                error,
                Error::TopicNotFound { .. }
                    | Error::UnknownPartition { .. }
                    | Error::MessageTooLarge { .. }
                    | Error::NotAuthorized { .. }
            )
    }

    /// Keeps a failure for the loop, since librdkafka's side of a rebalance must be answered first.
    fn keep(&mut self, result: Result<(), Failure>) {
        if let Err(failure) = result {
            self.failure = Some(failure);
        }
    }
}
