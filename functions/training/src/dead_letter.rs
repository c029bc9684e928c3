//! Records that a training can't use, on their way to its dead letters.

use std::time::Duration;

use millrace_kafka::{Connection, Error, OutRecord, Producer, Record};
use millrace_wire::header;
use millrace_wire::record::DecodeError;
use millrace_wire::training::TrainingSpec;

use crate::failure::{Failure, Stop};
use crate::patience::Patience;

/// How long the client tries one delivery before it says so.
const DELIVERY_TIMEOUT_MS: &str = "10000";

/// Writes dead letters of one training.
pub struct DeadLetters {
    producer: Producer,
    topic: String,
    training: String,
}

/// A record with the reason why it can't be used.
pub struct DeadLetter {
    /// The record.
    pub record: Record,
    /// Why it can't be used.
    pub error: DecodeError,
}

impl DeadLetters {
    /// Makes a producer on the segment's cluster.
    pub fn new(spec: &TrainingSpec, connection: &Connection) -> Result<Self, Failure> {
        let connection = connection
            .clone()
            .with("message.timeout.ms", DELIVERY_TIMEOUT_MS);
        Ok(Self {
            producer: Producer::new(&connection).map_err(|error| Failure::kafka(&error))?,
            topic: spec.dead_letter_topic.clone(),
            training: spec.id.to_string(),
        })
    }

    /// Writes all of `letters` and waits until they are there, however long
    /// Kafka is away: a record is never dropped.
    pub fn write(&self, mut letters: Vec<DeadLetter>, patience: &Patience<'_>) -> Result<(), Stop> {
        metrics::counter!("millrace_training_bad_records_total").increment(letters.len() as u64);
        while !letters.is_empty() {
            let (left, error) = self.try_write(letters);
            letters = left;
            if let Some(error) = error {
                patience.wait_after("write the dead letters", &error, Duration::from_secs(1))?;
            }
        }
        Ok(())
    }

    /// Writes what it can; gives back the rest and the first reason.
    fn try_write(&self, letters: Vec<DeadLetter>) -> (Vec<DeadLetter>, Option<Error>) {
        let sent: Vec<_> = letters
            .iter()
            .map(|letter| self.producer.send_and_wait(&self.out(letter)))
            .collect();
        let mut left = Vec::new();
        let mut first = None;
        for (letter, sent) in letters.into_iter().zip(sent) {
            if let Err(error) = sent.and_then(millrace_kafka::Delivery::wait) {
                left.push(letter);
                first.get_or_insert(error);
            }
        }
        (left, first)
    }

    /// The record unchanged, with headers that say why it is here.
    fn out<'a>(&'a self, letter: &'a DeadLetter) -> OutRecord<'a> {
        let record = &letter.record;
        let mut out = OutRecord::to(&self.topic);
        out.timestamp_ms = record.timestamp_ms;
        out.key = record.key.as_deref();
        out.value = record.value.as_deref();
        for (name, value) in &record.headers {
            out.headers
                .push((name.into(), value.as_deref().map(Into::into)));
        }
        let source = format!("{}/{}/{}", record.topic, record.partition, record.offset);
        out.header(header::ERROR, letter.error.code().as_bytes())
            .header(header::ERROR_MESSAGE, letter.error.to_string().into_bytes())
            .header(header::SOURCE, source.into_bytes())
            .header(header::TRAINING, self.training.as_bytes())
    }
}
