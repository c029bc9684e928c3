//! What a function reports: events on their way to Millrace.
//!
//! Invariant: events arrive in the order in which they were reported, and none is lost while the
//! process lives, however long Kafka is away. Heartbeats alone give way: a newer one takes the
//! place of one that still waits. An event may arrive twice; its id stays the same.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use millrace_kafka::{Connection, Error, OutRecord, Producer};
use millrace_wire::event::{Body, Event};
use millrace_wire::function::Control;

use crate::failure::Failure;
use crate::shutdown::Shutdown;

/// How many events may wait: beyond it, whoever reports waits too. Facts are rare (an epoch, a
/// change of state), so this is hours without Kafka.
const CAPACITY: usize = 1024;
/// How long the client tries one delivery before it says so.
const DELIVERY_TIMEOUT_MS: &str = "10000";
/// The pause before a failed delivery is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How long a function that shall end still waits for an acknowledgement.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Sends events from a thread of its own; clones share it.
#[derive(Clone)]
pub struct Reporter {
    queue: Arc<Queue>,
}

struct Queue {
    /// Whether anybody takes events out.
    is_heard: bool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Entry>,
    /// How many entries were ever taken in, and how many of them are done. Entries leave in the
    /// order in which they came, so the two say of each whether it has left.
    accepted: u64,
    done: u64,
}

struct Entry {
    event: Event,
    is_heartbeat: bool,
}

impl Reporter {
    /// Starts to send to the events topic; Kafka need not be there yet. Without one nothing is reported.
    ///
    /// # Errors
    /// [`Failure`] where the connection's properties make no client.
    pub fn start(control: Option<&Control>) -> Result<Self, Failure> {
        let heard = control.and_then(|control| Some((control, control.events_topic.clone()?)));
        let queue = Arc::new(Queue {
            is_heard: heard.is_some(),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let Some((control, topic)) = heard else {
            return Ok(Self { queue });
        };
        let connection =
            Connection::new(&control.connection).with("message.timeout.ms", DELIVERY_TIMEOUT_MS);
        let producer = Producer::new(&connection)?;
        let sender = Sender {
            queue: Arc::clone(&queue),
            connection,
            topic,
            producer,
        };
        thread::Builder::new()
            .name("report".to_owned())
            .spawn(move || sender.run())
            .map_err(|error| Failure::failed(format!("cannot start to report: {error}")))?;
        Ok(Self { queue })
    }

    /// Takes an event in and returns at once, unless very many wait.
    pub fn report(&self, event: Event) {
        self.accept(event);
    }

    /// Takes an event in and waits until Kafka has acknowledged it. Returns whether it did: not
    /// where the function shall end and Kafka stays away.
    #[must_use]
    pub fn report_and_wait(&self, event: Event, shutdown: &Shutdown) -> bool {
        let number = self.accept(event);
        let mut asked_to_end = None;
        let mut state = self.queue.lock();
        while state.done < number {
            if shutdown.is_requested() {
                let since = *asked_to_end.get_or_insert_with(Instant::now);
                if since.elapsed() > LAST_WORDS {
                    return false;
                }
            }
            state = self.queue.wait(state, Duration::from_millis(100));
        }
        true
    }

    /// Waits until everything has been acknowledged, at most `limit`, and says whether it was.
    #[must_use]
    pub fn flush(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut state = self.queue.lock();
        let number = state.accepted;
        while state.done < number {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.queue.wait(state, left);
        }
        true
    }

    fn accept(&self, event: Event) -> u64 {
        let is_heartbeat = matches!(event.body, Body::InferenceProgress(_));
        let mut state = self.queue.lock();
        if !self.queue.is_heard {
            return state.accepted;
        }
        // The newest entry alone may be replaced: a heartbeat must not overtake a fact.
        if is_heartbeat
            && let Some(last) = state.waiting.back_mut()
            && last.is_heartbeat
        {
            last.event = event;
            return state.accepted;
        }
        while state.waiting.len() >= CAPACITY {
            state = self.queue.wait(state, RETRY_PAUSE);
        }
        state.waiting.push_back(Entry {
            event,
            is_heartbeat,
        });
        state.accepted += 1;
        self.queue.changed.notify_all();
        state.accepted
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, guard: MutexGuard<'a, State>, limit: Duration) -> MutexGuard<'a, State> {
        self.changed
            .wait_timeout(guard, limit)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }
}

/// The sending side.
struct Sender {
    queue: Arc<Queue>,
    connection: Connection,
    topic: String,
    producer: Producer,
}

impl Sender {
    fn run(mut self) {
        loop {
            let event = self.next();
            let mut failures = 0_u32;
            loop {
                match self.send(&event) {
                    Ok(()) => break,
                    Err(error @ Error::MessageTooLarge { .. }) => {
                        tracing::error!(event.id = %event.id, %error, "an event is lost");
                        break;
                    }
                    Err(error) => {
                        if failures == 0 {
                            tracing::warn!(%error, "events cannot be reported, trying again");
                        }
                        failures += 1;
                        self.renew(&error);
                        thread::sleep(RETRY_PAUSE);
                    }
                }
            }
            if failures > 0 {
                tracing::info!(failures, "events can be reported again");
            }
            self.queue.lock().done += 1;
            self.queue.changed.notify_all();
        }
    }

    /// The next event, taken out of the queue so that a newer heartbeat cannot replace it any more.
    fn next(&self) -> Event {
        let mut state = self.queue.lock();
        loop {
            if let Some(entry) = state.waiting.pop_front() {
                self.queue.changed.notify_all();
                return entry.event;
            }
            state = self.queue.wait(state, Duration::from_mins(1));
        }
    }

    fn send(&self, event: &Event) -> Result<(), Error> {
        let key = event.subject.to_string();
        let value = event.to_json();
        let record = OutRecord::to(&self.topic).key(key.as_bytes()).value(&value);
        self.producer.send_and_wait(&record)?.wait().map(|_| ())
    }

    /// A producer that failed for good refuses everything: another takes its place.
    fn renew(&mut self, error: &Error) {
        if error.is_retriable() {
            return;
        }
        match Producer::new(&self.connection) {
            Ok(producer) => self.producer = producer,
            Err(error) => tracing::warn!(%error, "no new producer for events can be made"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use chrono::DateTime;
    use millrace_wire::progress::Progress;
    use uuid::Uuid;

    use super::*;

    fn event(body: Body, name: &str) -> Event {
        Event::new(Uuid::from_u128(7), name, DateTime::UNIX_EPOCH, body)
    }

    fn heartbeat(predicted: u64) -> Event {
        let progress = Progress {
            predicted,
            ..Progress::default()
        };
        let body = Body::InferenceProgress(progress);
        event(body, &format!("progress-{predicted}"))
    }

    #[test]
    fn a_heartbeat_replaces_the_one_before_it_but_never_a_fact() {
        let reporter = Reporter {
            queue: Arc::new(Queue {
                is_heard: true,
                state: Mutex::default(),
                changed: Condvar::new(),
            }),
        };
        reporter.report(heartbeat(1));
        reporter.report(heartbeat(2));
        reporter.report(event(Body::TrainingCancelled, "cancelled"));
        reporter.report(heartbeat(3));
        reporter.report(heartbeat(4));
        let state = reporter.queue.lock();
        let waiting: Vec<Uuid> = state.waiting.iter().map(|entry| entry.event.id).collect();
        let expected = [
            heartbeat(2).id,
            event(Body::TrainingCancelled, "cancelled").id,
            heartbeat(4).id,
        ];
        assert_eq!(waiting, expected);
        assert_eq!(state.accepted, 3);
    }

    #[test]
    fn without_kafka_an_ending_function_does_not_wait_for_ever() {
        let nowhere = Control {
            connection: [("bootstrap.servers".to_owned(), "127.0.0.1:1".to_owned())].into(),
            events_topic: Some("events".to_owned()),
            registry_topic: "registry".to_owned(),
        };
        let reporter = Reporter::start(Some(&nowhere)).unwrap();
        let shutdown = Shutdown::default();
        shutdown.request();
        let done = event(Body::TrainingCancelled, "cancelled");
        assert!(!reporter.report_and_wait(done, &shutdown));
        assert!(!reporter.flush(Duration::ZERO));
    }
}
