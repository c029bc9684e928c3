//! The poll trigger: a member of a consumer group that hands batches to a handler, and commits the
//! answers together with the offsets.
//!
//! Invariant: whatever happens between two commits (a kill, a rebalance, a broker that goes away),
//! the records since the last commit are read again, and what was sent for them is taken back, as
//! far as the guarantee goes. No position is ever reset: one that Kafka does not have any more is
//! reported, and stands still until a person decides.

mod deadline;
mod lag;
mod note;
mod output;
mod partitions;
mod prepare;
mod rate;
mod topics;
mod watch;
mod work;

use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_kafka::{Connection, Error, GroupConsumer};

use self::output::Output;
use self::prepare::Membership;
use self::work::{Interruption, Work};
use crate::failure::Failure;
use crate::handler::Handler;
use crate::reachable::note_health;
use crate::shutdown::Shutdown;
use crate::status::Status;

pub use self::prepare::{Prepared, prepare};

/// The longest pause after commits that failed one after another.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// For how long the absence of the brokers explains that a member is a stranger to its group.
const AFTERMATH: Duration = Duration::from_mins(1);
/// The pause while there is no room for a record at the rate that was asked for.
const RATE_PAUSE: Duration = Duration::from_millis(50);
/// How long the last events may take at the end.
const LAST_WORDS: Duration = Duration::from_secs(3);

const REFUSED: &str = "not-authorized";

/// Reads, answers and commits until the function shall end.
///
/// # Errors
/// [`Failure::Fenced`] where another process has this replica's identity, [`Failure::Failed`] where
/// only a new start can help.
pub fn run(prepared: Prepared<'_>, handler: &mut dyn Handler) -> Result<(), Failure> {
    let Prepared {
        spec,
        connection,
        status,
        shutdown,
        membership,
        consumer,
        topics,
        output,
    } = prepared;
    let Some(topics) = topics.end()? else {
        return Ok(());
    };
    let mut output = output.end();
    let limit = topics.smallest_limit();
    if !output.respects(limit) {
        output = Output::new(&connection, spec, output.watch().clone(), limit)?;
    }
    let mut work = Work::new(
        spec,
        connection,
        topics,
        status.clone(),
        shutdown,
        output,
        handler.refresh(),
    )?;
    if !work.take_over()? {
        return Ok(());
    }
    // Only now: who may not write takes no partitions from those who may.
    consumer.join()?;
    let result = poll_for_ever(consumer, &membership, &mut work, handler);
    status.finish(LAST_WORDS);
    result
}

/// Reads as a member of the group, and joins it anew where the membership ran out.
fn poll_for_ever(
    first: GroupConsumer,
    membership: &Membership,
    work: &mut Work<'_>,
    handler: &mut dyn Handler,
) -> Result<(), Failure> {
    let mut consumer = Arc::new(first);
    loop {
        work.deadline.reads(Some(Arc::clone(&consumer)));
        tracing::info!(kafka.group = membership.options.group, "reading records");
        let end = poll(&consumer, work, handler)?;
        work.deadline.reads(None);
        match end {
            End::Shutdown => {
                // Others go on with its partitions at once, as where replicas become fewer. One that
                // dies is expected back instead, for a session.
                if let Some(consumer) = Arc::into_inner(consumer) {
                    consumer.leave();
                }
                return Ok(());
            }
            End::Membership => {
                work.leave()?;
                drop(consumer);
            }
            End::Rebalance => {
                work.leave()?;
                if let Some(consumer) = Arc::into_inner(consumer) {
                    consumer.leave();
                }
            }
        }
        consumer = Arc::new(membership.apart()?);
        consumer.join()?;
    }
}

/// Why reading ended.
enum End {
    /// It shall.
    Shutdown,
    /// The membership ran out.
    Membership,
    /// The group has to give out its partitions once more.
    Rebalance,
}

fn poll(
    consumer: &GroupConsumer,
    work: &mut Work<'_>,
    handler: &mut dyn Handler,
) -> Result<End, Failure> {
    loop {
        if work.shutdown.is_requested() {
            work.commit(consumer)?;
            return Ok(End::Shutdown);
        }
        if let Some(error) = work.fenced.take() {
            return stranger(work, error);
        }
        if work.topics.is_recreated() {
            work.roll_back(consumer, None)?;
            stand_still(work);
            return Ok(End::Shutdown);
        }
        if work.topics.take_orphans() {
            work.commit(consumer)?;
            return Ok(End::Rebalance);
        }
        work.adopt(consumer, handler.refresh())?;
        let waiting = Instant::now();
        let batch = if let Some(limits) = work.limits() {
            consumer.poll_batch(limits, work)
        } else {
            let _ = work.shutdown.wait(RATE_PAUSE);
            Ok(Vec::new())
        };
        work.waited(waiting.elapsed());
        let batch = batch.map(|batch| work.cut(batch));
        if let Some(failure) = work.failure.take() {
            return Err(failure);
        }
        work.release(consumer)?;
        match batch {
            Ok(batch) if batch.is_empty() => {}
            Ok(batch) => {
                let answered = work.answer(&batch, handler);
                drop(batch);
                match answered {
                    Ok(()) => {}
                    Err(Interruption::Send(error)) => {
                        work.roll_back(consumer, Some(error))?;
                        continue;
                    }
                    Err(Interruption::Stall(stall)) => {
                        work.stall(consumer, &stall)?;
                        continue;
                    }
                }
            }
            Err(error) if error.is_fenced() => return stranger(work, error),
            Err(error) => complain(work, error)?,
        }
        note_health(&work.connection, &work.status);
        if work.is_due() {
            work.commit(consumer)?;
        }
        work.report();
    }
}

/// What to do about an error that reading brought.
fn complain(work: &Work<'_>, error: Error) -> Result<(), Failure> {
    match error {
        Error::OffsetExpired { .. } => work.status.degraded(
            "offset-expired",
            format!(
                "{error}; records were deleted before they were read, and this partition stands still: stop the inference, and start it again with the `start` where it shall go on"
            ),
        ),
        Error::OffsetInFuture { .. } => work.status.degraded(
            "offset-in-future",
            format!(
                "{error}; the topic has lost records that were read already, and this partition stands still: stop the inference, and start it again with the `start` where it shall go on"
            ),
        ),
        Error::NotAuthorized { .. } | Error::Authentication { .. } => {
            work.status.degraded(REFUSED, error.to_string());
            let _ = work.shutdown.wait(Duration::from_secs(1));
        }
        // The watch over the topics says it, and tells a deleted one from a re-created one.
        Error::TopicNotFound { .. } | Error::UnknownPartition { .. } => {
            tracing::warn!(%error, "cannot read");
            let _ = work.shutdown.wait(Duration::from_secs(1));
        }
        error if error.is_retriable() => tracing::warn!(%error, "cannot read"),
        error => return Err(error.into()),
    }
    Ok(())
}

/// Does nothing until the function shall end: what is wrong can only be repaired from outside.
fn stand_still(work: &Work<'_>) {
    while !work.shutdown.wait(Duration::from_mins(1)) {}
}

/// What a member does that its group takes for a stranger.
fn stranger(work: &Work<'_>, error: Error) -> Result<End, Failure> {
    if !was_away(&work.connection) {
        return Err(error.into());
    }
    tracing::warn!(%error, "joining the group anew");
    Ok(End::Membership)
}

/// Whether the brokers were away a short time ago. A member whose session ran out meanwhile is a
/// stranger to its group, which takes its next word for another's and fences it, as it fences one
/// in whose place another process works. Who is fenced without such a reason ends, and so does who
/// is fenced while the first brokers that it met still answer.
fn was_away(connection: &Connection) -> bool {
    let status = connection.health().status();
    let returned = status.returned.and_then(|moment| moment.elapsed().ok());
    !status.connected || returned.is_some_and(|lasts| lasts < AFTERMATH)
}

/// Tries again until the function shall end, and meanwhile says that Kafka is away.
fn patience<'a>(
    connection: &'a Connection,
    status: &'a Status,
    shutdown: &'a Shutdown,
) -> impl FnMut(&Error) -> bool + 'a {
    move |error| {
        tracing::debug!(%error, "trying again");
        note_health(connection, status);
        !shutdown.wait(Duration::from_millis(100))
    }
}

/// The pause after this many failures in a row.
fn pause_after(failures: u32) -> Duration {
    match failures {
        0 | 1 => Duration::ZERO,
        more => Duration::from_secs(1 << (more - 2).min(4)).min(LONGEST_PAUSE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit() {
        let pauses: Vec<u64> = (1..8).map(|n| pause_after(n).as_secs()).collect();
        assert_eq!(pauses, [0, 1, 2, 4, 8, 10, 10]);
    }
}
