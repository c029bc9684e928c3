//! A producer's client with the thread that serves its reports, logs and errors.
//!
//! rdkafka has such a thread too. It waits in whole milliseconds, and spins for what is left of the last one: a hundredth of
//! a core in every producer.
//!
//! Invariant: the thread has ended before the client is dropped.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rdkafka::producer::{BaseProducer, Producer as _};

use super::Deliveries;
use crate::Error;
use crate::ffi::Native;

/// How long the thread waits before it looks whether it shall end.
const WAIT: Duration = Duration::from_millis(100);

pub(crate) struct Served {
    client: Arc<BaseProducer<Deliveries>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    /// Starts the thread.
    pub(crate) fn start(client: BaseProducer<Deliveries>) -> Result<Self, Error> {
        let client = Arc::new(client);
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::Builder::new()
            .name("kafka-reports".to_owned())
            .spawn({
                let client = Arc::clone(&client);
                let stop = Arc::clone(&stop);
                move || {
                    let context = client.context();
                    let native = Native::of(client.client());
                    while !stop.load(Ordering::Relaxed) {
                        native.serve_main_queue(context.as_ref(), WAIT, |report| {
                            context.report(&report);
                        });
                    }
                }
            })
            .map_err(|error| Error::Client {
                reason: format!("no thread can be started: {error}"),
            })?;
        Ok(Self {
            client,
            stop,
            thread: Some(thread),
        })
    }
}

impl Deref for Served {
    type Target = BaseProducer<Deliveries>;

    fn deref(&self) -> &Self::Target {
        &self.client
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic there ends the process where it matters: here is nothing more to say of it.
            let _ = thread.join();
        }
    }
}
