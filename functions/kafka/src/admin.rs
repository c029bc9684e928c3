//! Questions to a cluster and changes of it: topics, offsets, groups.
//!
//! Invariant: a call that returns Ok has taken effect as far as the cluster's
//! metadata show it; nothing but what is named is made, changed or removed.

mod group;
mod topic;
mod watermarks;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions};

use crate::error::{Step, code_text};
use crate::ffi::{Native, PartitionAnswer};
use crate::observer::Observer;
use crate::{Connection, Error};

pub use topic::{Destination, TopicDescription};
pub use watermarks::Watermarks;
pub(crate) use watermarks::watermarks;

/// How long one request may take before it counts as unreachable.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How often the metadata are asked whether a change has arrived.
const CHANGE_POLL: Duration = Duration::from_millis(20);

/// A client for questions and changes; it may be shared between threads.
pub struct Admin {
    connection: Connection,
    client: Arc<AdminClient<Observer>>,
    stop: Arc<AtomicBool>,
    observing: Option<JoinHandle<()>>,
}

impl Admin {
    /// Makes the client; the cluster is not contacted yet.
    pub fn new(connection: &Connection) -> Result<Self, Error> {
        let observer = Observer::new(connection.health().clone());
        let client: AdminClient<Observer> = connection.client(&[], &[], observer)?;
        let client = Arc::new(client);
        let stop = Arc::new(AtomicBool::new(false));
        let observing = thread::Builder::new()
            .name("kafka-admin".to_owned())
            .spawn({
                let client = Arc::clone(&client);
                let stop = Arc::clone(&stop);
                move || {
                    let native = Native::of(client.inner());
                    while !stop.load(Ordering::Relaxed) {
                        native.serve_main_queue(
                            client.inner().context().as_ref(),
                            Duration::from_millis(100),
                            |_| {},
                        );
                    }
                }
            })
            .map_err(|error| Error::Client {
                reason: format!("no thread can be started: {error}"),
            })?;
        Ok(Self {
            connection: connection.clone(),
            client,
            stop,
            observing: Some(observing),
        })
    }

    /// Asks the cluster for a sign of life within `timeout`, and moves the
    /// connection's health.
    pub fn probe(&self, timeout: Duration) -> Result<(), Error> {
        let step = Step::new("reach the cluster");
        self.client
            .inner()
            .fetch_metadata(Some("__consumer_offsets"), timeout)
            .map_err(|error| step.kafka(&error))?;
        self.answered();
        Ok(())
    }

    /// The cluster's id.
    pub fn cluster_id(&self) -> Result<String, Error> {
        let id = self.client.inner().fetch_cluster_id(REQUEST_TIMEOUT);
        let Some(id) = id.filter(|id| !id.is_empty()) else {
            return Err(Error::Unreachable {
                step: "ask for the cluster's id".to_owned(),
                reason: format!("no answer within {} s", REQUEST_TIMEOUT.as_secs()),
            });
        };
        self.answered();
        Ok(id)
    }

    fn native(&self) -> Native<'_> {
        Native::of(self.client.inner())
    }

    fn answered(&self) {
        self.client.inner().context().health().up();
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.observing.take() {
            // The thread only forwards logs: its panic would be a log line's.
            let _ = thread.join();
        }
    }
}

fn check_answer(step: Step<'_>, topic: &str, answer: &PartitionAnswer) -> Result<(), Error> {
    match answer.error {
        None => Ok(()),
        Some(code) => Err(Step::topic(step, topic)
            .partition(answer.partition)
            .code(code, &code_text(code))),
    }
}

/// Asks again while the cluster is settling: a coordinator or a leader that is
/// being chosen, offsets in a transaction that is about to end.
fn settle<T>(mut ask: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let deadline = Instant::now() + REQUEST_TIMEOUT;
    loop {
        match ask() {
            Err(Error::Failed {
                retriable: true, ..
            }) if Instant::now() < deadline => thread::sleep(CHANGE_POLL),
            result => return result,
        }
    }
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(REQUEST_TIMEOUT))
        .operation_timeout(Some(REQUEST_TIMEOUT))
}

fn to_i32(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
