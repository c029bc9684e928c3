//! How answers leave a process, also one that has only begun.
//!
//! Invariant: answers to one partition come to lie in the order in which they are sent. Until the producer that writes each of
//! them once can write, they go out one by one, each acknowledged before the next is sent: a limit of one request in flight would
//! not do, since librdkafka sends one that was made ready meanwhile before one that a broker has refused.

use std::time::{Duration, Instant};

use millrace_kafka::{Connection, Delivery, Error, OutRecord, Producer};
use tokio::runtime::Handle;
use tokio::time::timeout_at;

/// After so long the idempotent producer has its identity, which it asks for half a second after it was made.
const IDENTIFIED: Duration = Duration::from_millis(550);

/// The producers of one process.
pub(super) struct Sending {
    producer: Producer,
    made: Instant,
    /// What writes until the other one can.
    prompt: Option<Producer>,
}

impl Sending {
    /// Makes the producers, and lets them look for the leaders of this topic.
    pub(super) fn new(connection: &Connection, topic: &str) -> Result<Self, Error> {
        let made = |producer: Producer| {
            producer.meet(topic)?;
            Ok::<_, Error>(producer)
        };
        Ok(Self {
            made: Instant::now(),
            prompt: Some(made(Producer::prompt(connection)?)?),
            producer: made(Producer::new(connection)?)?,
        })
    }

    /// Sends an answer. While the process has only begun, this blocks until the answer is acknowledged, or this moment has come.
    pub(super) fn send(
        &mut self,
        record: &OutRecord<'_>,
        runtime: &Handle,
        until: Instant,
    ) -> Result<Delivery, Error> {
        if self.made.elapsed() >= IDENTIFIED {
            self.prompt = None;
        }
        let Some(prompt) = &self.prompt else {
            return self.producer.send_and_wait(record);
        };
        let sent = prompt.send_and_wait(record);
        let ended = sent.and_then(|delivery| {
            let waiting = async { timeout_at(until.into(), delivery).await };
            let in_time = runtime.block_on(waiting);
            in_time.unwrap_or_else(|_| Err(late()))
        });
        if ended.is_err()
            && let Some(prompt) = self.prompt.take()
        {
            // The others need not wait one by one for what may be gone altogether.
            prompt.give_up();
        }
        ended.map(|delivered| Delivery::ended(Ok(delivered)))
    }

    /// Takes back what is not acknowledged yet, as far as it has not been sent, and ends.
    pub(super) fn give_up(self) {
        let all = self.prompt.into_iter().chain([self.producer]);
        all.for_each(Producer::give_up);
    }
}

/// That an answer was not acknowledged in time.
pub(super) fn late() -> Error {
    Error::Unreachable {
        step: "write an answer".to_owned(),
        reason: "no acknowledgement before the deadline".to_owned(),
    }
}
