//! Watches over the calls of a transaction, which Kafka's client may never return from.
//!
//! librdkafka (2.12.1) keeps no time limit while it puts offsets into a transaction: it waits for an
//! answer, and there are ways on which none comes. The search for the group's coordinator goes on
//! without an end (`creq_ts_timeout` is set and never looked at), and an answer that counts as
//! outdated is passed over without a result (`rd_kafka_txn_handle_TxnOffsetCommit`). A call that
//! blocks in a library cannot be taken back, so the process ends, and its supervisor starts
//! another, which aborts what was open and answers it again: nothing is lost or repeated.
//!
//! Invariant: a call that returns in its time is left alone. What counts is time in which brokers answer:
//! while they are away a replica waits, however long. Time in which the process itself stood still (a
//! suspended machine, SIGSTOP) does not count either.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use millrace_kafka::Connection;

use super::output::{STEP_TIMEOUT, TRANSACTION_TIMEOUT};
use crate::failure::Failure;
use crate::parent;
use crate::status::Status;

/// The pause between two looks. A look and not a clock counts how long a call lasts.
const LOOK: Duration = Duration::from_secs(1);
/// After so many looks the replica says that it stands still, and is not ready.
const OVERDUE: u64 = 2 * STEP_TIMEOUT.as_secs();
/// After so many looks a call is taken for one that never returns. By its own timeout it sends its
/// last request, for whose answer librdkafka waits no longer than the transaction may last; then
/// the broker has ended the transaction, and no answer is of use any more.
const STUCK: u64 = STEP_TIMEOUT.as_secs() + TRANSACTION_TIMEOUT.as_secs() + 10;

const STANDS_STILL: &str = "stands-still";

/// The watch; clones watch over the same thread's calls, of which one is made at a time.
#[derive(Clone)]
pub(super) struct Watch {
    call: Arc<Mutex<Option<Call>>>,
}

/// A call under way.
#[derive(Debug, Clone, Copy)]
struct Call {
    step: &'static str,
    looks: u64,
}

impl Watch {
    /// Starts to watch over calls to this connection's brokers, until the last clone is gone.
    pub(super) fn start(connection: &Connection, status: &Status) -> Result<Self, Failure> {
        let health = connection.health().clone();
        Self::looking_every(LOOK, move || health.is_connected(), status)
    }

    fn looking_every(
        pause: Duration,
        is_reachable: impl Fn() -> bool + Send + 'static,
        status: &Status,
    ) -> Result<Self, Failure> {
        let watch = Self::idle();
        let watcher = Watcher {
            call: Arc::downgrade(&watch.call),
            is_reachable,
            status: status.clone(),
        };
        thread::Builder::new()
            .name("watch".to_owned())
            .spawn(move || {
                loop {
                    thread::sleep(pause);
                    match watcher.look() {
                        Some(Verdict::Well) => {}
                        Some(Verdict::Stuck(step)) => {
                            tracing::error!(
                                step,
                                "Kafka's client has not returned from the step \"{step}\" long after all its timeouts, and never will: the function ends at once, to be started again; nothing is lost or repeated"
                            );
                            parent::end_at_once();
                        }
                        None => return,
                    }
                }
            })
            .map_err(|error| Failure::failed(format!("cannot start the watch: {error}")))?;
        Ok(watch)
    }

    fn idle() -> Self {
        Self {
            call: Arc::default(),
        }
    }

    /// Makes a call, and watches over it. `step` says what the call does.
    pub(super) fn over<T>(&self, step: &'static str, call: impl FnOnce() -> T) -> T {
        *lock(&self.call) = Some(Call { step, looks: 0 });
        let result = call();
        *lock(&self.call) = None;
        result
    }
}

enum Verdict {
    Well,
    Stuck(&'static str),
}

struct Watcher<R> {
    call: Weak<Mutex<Option<Call>>>,
    is_reachable: R,
    status: Status,
}

impl<R: Fn() -> bool> Watcher<R> {
    /// Looks once, and tells the status what it saw; nothing where there is nobody left to watch.
    fn look(&self) -> Option<Verdict> {
        let shared = self.call.upgrade()?;
        let call = lock(&shared).as_mut().map(|call| {
            if (self.is_reachable)() {
                call.looks += 1;
            }
            *call
        });
        match call {
            Some(Call { step, looks }) if looks >= STUCK => return Some(Verdict::Stuck(step)),
            Some(Call { step, looks }) if looks >= OVERDUE => self.status.degraded(
                STANDS_STILL,
                format!(
                    "Kafka's client has not returned from the step \"{step}\", and this replica stands still; where it does not return within {STUCK} s, the replica ends and is started again, and nothing is lost or repeated"
                ),
            ),
            _ => self.status.recovered(STANDS_STILL),
        }
        Some(Verdict::Well)
    }
}

fn lock(call: &Mutex<Option<Call>>) -> MutexGuard<'_, Option<Call>> {
    call.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use std::cell::Cell;
    use std::env;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;

    use millrace_wire::function::Control;
    use uuid::Uuid;

    use super::*;
    use crate::logs;
    use crate::readiness::Readiness;
    use crate::report::Reporter;

    fn status(readiness: &Readiness) -> Status {
        let nowhere = Control {
            connection: [("bootstrap.servers".to_owned(), "127.0.0.1:1".to_owned())].into(),
            events_topic: Some("events".to_owned()),
            registry_topic: "registry".to_owned(),
        };
        let reporter = Reporter::start(Some(&nowhere)).unwrap();
        Status::new(Uuid::nil(), 0, reporter, readiness.clone())
    }

    #[test]
    fn a_replica_that_stands_still_is_not_ready_until_it_goes_on() {
        let readiness = Readiness::default();
        let watch = Watch::idle();
        let is_reachable = Cell::new(true);
        let watcher = Watcher {
            call: Arc::downgrade(&watch.call),
            is_reachable: || is_reachable.get(),
            status: status(&readiness),
        };
        let is_stuck = || matches!(watcher.look(), Some(Verdict::Stuck(_)));
        watch.over("commit", || {
            for _ in 1..OVERDUE {
                assert!(!is_stuck());
            }
            assert!(!readiness.lacking().contains_key(STANDS_STILL));
            assert!(!is_stuck());
            let lacking = readiness.lacking();
            assert!(lacking[STANDS_STILL].contains("\"commit\""), "{lacking:?}");
        });
        assert!(!is_stuck());
        assert!(!readiness.lacking().contains_key(STANDS_STILL));
        watch.over("abort", || {
            for _ in 1..STUCK {
                assert!(!is_stuck());
            }
            is_reachable.set(false);
            for _ in 0..STUCK {
                assert!(!is_stuck(), "brokers that are away are waited for");
            }
            is_reachable.set(true);
            assert!(is_stuck());
        });
        drop(watch);
        assert!(watcher.look().is_none());
    }

    /// Runs itself once more as a child: the end takes the whole process.
    #[test]
    fn a_call_that_never_returns_ends_the_process_and_others_do_not() {
        const CHILD: &str = "MILLRACE_WATCHED";
        const PAUSE: Duration = Duration::from_millis(2);
        if env::var_os(CHILD).is_some() {
            logs::start().unwrap();
            let status = status(&Readiness::default());
            let watch = Watch::looking_every(PAUSE, || true, &status).unwrap();
            for _ in 0..STUCK {
                watch.over("a short one", || thread::sleep(2 * PAUSE));
            }
            tracing::info!("those that return were left alone");
            watch.over("an endless one", || {
                loop {
                    thread::park();
                }
            });
        }
        let this = thread::current();
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", this.name().unwrap(), "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stderr);
        assert_eq!(child.status.signal(), Some(9), "{said}");
        assert!(said.contains("those that return were left alone"), "{said}");
        assert!(said.contains("an endless one"), "{said}");
    }
}
