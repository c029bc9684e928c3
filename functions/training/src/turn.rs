//! Turns: how a training begins one, and the command by which it goes on later when it makes way for others.

use millrace_kafka::{Connection, OutRecord, Producer};
use millrace_wire::command::{Action, Command};
use millrace_wire::training::TrainingSpec;

use crate::failure::{Failure, Stop};
use crate::patience::Patience;

/// How long the client tries one delivery before it says so.
const DELIVERY_TIMEOUT_MS: &str = "10000";

/// How a command wants a training to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// From its start, or from its checkpoint if there is one.
    Anywhere,
    /// From its checkpoint, which it has.
    AtCheckpoint,
}

/// Where commands go.
#[derive(Clone)]
pub struct Commands {
    /// The cluster that holds the topic.
    pub connection: Connection,
    /// The topic.
    pub topic: String,
}

impl Commands {
    /// Asks for another turn of a training, behind what waits in its partition already, and waits until Kafka has it. Returns
    /// the command's offset.
    pub fn send_continue(
        &self,
        partition: i32,
        spec: &TrainingSpec,
        patience: &Patience<'_>,
    ) -> Result<i64, Stop> {
        let command = Command::new(Action::Continue {
            training: Box::new(spec.clone()),
        });
        let (key, value) = (spec.id.to_string(), command.to_json());
        let record = OutRecord::to(&self.topic)
            .partition(partition)
            .key(key.as_bytes())
            .value(&value);
        let connection = self
            .connection
            .clone()
            .with("message.timeout.ms", DELIVERY_TIMEOUT_MS);
        let producer = Producer::new(&connection).map_err(|error| Failure::kafka(&error))?;
        patience.until("ask for its next turn", || {
            let delivered = producer.send_and_wait(&record)?.wait()?;
            Ok(delivered.offset)
        })
    }
}
