//! A member of the training pool: reads commands, runs trainings on threads of
//! their own, and never stops polling, so that its group never gives it up.
//!
//! A command's offset is committed only when its training has ended and said
//! so. Whoever reads it again goes on at the checkpoint.

use std::collections::BTreeMap;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use millrace_kafka::{
    Assigned, BatchLimits, Connection, Error, GroupConsumer, GroupOffset, GroupOptions,
    RebalanceHandler, RecordView, TopicPartition,
};
use millrace_runtime::{Failure, Function};
use millrace_wire::command::Command;
use millrace_wire::function::TrainingPool;
use uuid::Uuid;

use crate::control::Control;
use crate::handler::{Handler, Outcome};
use crate::lane::{Lane, Work};

/// How long one look for commands takes: how late an end is noticed at most.
const WAIT: Duration = Duration::from_millis(50);
/// How long interrupted trainings have to write their checkpoints.
const FAREWELL: Duration = Duration::from_secs(8);
/// The pause after a failed look.
const PAUSE: Duration = Duration::from_millis(500);
/// The condition of readiness that the membership is.
const CONDITION: &str = "group";

/// Works for the pool until the function shall end.
pub fn run(function: &Function, pool: &TrainingPool, handler: Handler) -> Result<(), Failure> {
    let connection = Connection::new(&function.spec.control.connection);
    function.readiness.kafka("kafka", &connection);
    function.readiness.unmet(CONDITION, "not joined yet");
    let instance = format!("{}-{}", pool.group, function.spec.ordinal);
    let options = GroupOptions::new(&pool.group, &[&pool.topic]).instance(&instance);
    let consumer = GroupConsumer::new(&connection, options)?;
    let mut lanes = Lanes {
        topic: pool.topic.clone(),
        handler,
        slots: BTreeMap::new(),
    };
    let limits = BatchLimits {
        max_records: 100,
        max_bytes: 16 << 20,
        max_wait: WAIT,
    };
    while !function.shutdown.is_requested() {
        match consumer.poll_batch(limits, &mut lanes) {
            Ok(records) => {
                for record in &records {
                    lanes.accept(record);
                }
            }
            Err(error) => {
                lanes.recover(&consumer, error, function)?;
                if function.shutdown.wait(PAUSE) {
                    break;
                }
            }
        }
        lanes.advance()?;
        lanes.commit(&consumer);
    }
    lanes.let_go(None);
    lanes.commit(&consumer);
    Ok(())
}

/// A training on its thread.
struct Running {
    thread: JoinHandle<Outcome>,
    control: Control,
}

#[derive(Default)]
struct Slot {
    lane: Lane,
    running: Option<Running>,
}

/// The lanes of the partitions that this member holds.
struct Lanes {
    topic: String,
    handler: Handler,
    slots: BTreeMap<i32, Slot>,
}

impl Lanes {
    fn accept(&mut self, record: &RecordView<'_>) {
        let (partition, offset) = (record.partition(), record.offset());
        let command = Command::from_json(record.value().unwrap_or_default());
        let training = match &command {
            Ok(command) => Some(command.training_id()),
            Err(_) => record
                .key()
                .and_then(|key| std::str::from_utf8(key).ok())
                .and_then(|key| key.parse::<Uuid>().ok()),
        };
        let slot = self.slots.entry(partition).or_default();
        match (training, command) {
            (Some(training), Ok(command)) => {
                tracing::info!(training.id = %training, kafka.partition = partition, kafka.offset = offset, "a command came");
                slot.lane.accept(offset, training, Ok(command.action));
            }
            (Some(training), Err(error)) => {
                slot.lane.accept(offset, training, Err(error.to_string()));
            }
            (None, _) => {
                tracing::error!(
                    kafka.partition = partition,
                    kafka.offset = offset,
                    "a record that is no command is skipped"
                );
                // Done at once, in its turn.
                let nobody = millrace_wire::command::Action::Cancel { id: Uuid::nil() };
                slot.lane.accept(offset, Uuid::nil(), Ok(nobody));
            }
        }
    }

    /// Ends what has ended and begins what can begin.
    fn advance(&mut self) -> Result<(), Failure> {
        for slot in self.slots.values_mut() {
            if let Some(running) = slot.running.take_if(|running| running.thread.is_finished()) {
                match running.thread.join() {
                    Ok(Outcome::Ended) => slot.lane.end(),
                    // Only where the process ends, or the partition is given up.
                    Ok(Outcome::Interrupted) => continue,
                    Err(_) => return Err(Failure::failed("a training's thread panicked")),
                }
            }
            let Some((training, work, control)) = slot.lane.begin() else {
                continue;
            };
            let handler = self.handler.clone();
            let thread = std::thread::Builder::new()
                .name("training".to_owned())
                .spawn({
                    let control = control.clone();
                    move || match work {
                        Work::Train(spec) => handler.run(&spec, &control),
                        Work::Refuse(reason) => handler.refuse(training, reason),
                    }
                })
                .map_err(|error| Failure::failed(format!("cannot start a thread: {error}")))?;
            slot.running = Some(Running { thread, control });
        }
        Ok(())
    }

    /// Commits what is done. What can't be committed now is tried again.
    fn commit(&mut self, consumer: &GroupConsumer) {
        let offsets: Vec<GroupOffset> = self
            .slots
            .iter()
            .filter_map(|(partition, slot)| {
                Some(GroupOffset::new(&self.topic, *partition, slot.lane.done()?))
            })
            .collect();
        match consumer.commit(&offsets) {
            Ok(()) => {
                for offset in offsets {
                    if let Some(slot) = self.slots.get_mut(&offset.partition) {
                        slot.lane.committed(offset.offset);
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "a commit has to wait"),
        }
    }

    /// Interrupts the trainings of some partitions, or of all, and waits for
    /// their checkpoints.
    fn let_go(&mut self, partitions: Option<&[TopicPartition]>) {
        let chosen = |partition: i32| {
            partitions.is_none_or(|chosen| chosen.iter().any(|part| part.partition == partition))
        };
        let mut threads = Vec::new();
        for (partition, slot) in &mut self.slots {
            if chosen(*partition) {
                slot.lane.interrupt();
                if let Some(running) = slot.running.take() {
                    running.control.interrupt();
                    threads.push((*partition, running.thread));
                }
            }
        }
        let deadline = Instant::now() + FAREWELL;
        for (partition, thread) in threads {
            while !thread.is_finished() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
            if !thread.is_finished() {
                tracing::warn!(
                    kafka.partition = partition,
                    "a training does not let go in time"
                );
            } else if let Ok(Outcome::Ended) = thread.join()
                && let Some(slot) = self.slots.get_mut(&partition)
            {
                slot.lane.end();
            }
        }
    }

    /// Gets over an error of a poll, or says that the process can't.
    fn recover(
        &mut self,
        consumer: &GroupConsumer,
        error: Error,
        function: &Function,
    ) -> Result<(), Failure> {
        match error {
            // Commands that Kafka no longer keeps can't be read by anybody: the API sees that
            // their trainings never began.
            Error::OffsetExpired { partition, low, .. }
            | Error::OffsetInFuture { partition, low, .. } => {
                tracing::error!(%error, "commands are lost, going on at offset {low}");
                consumer.seek(&[GroupOffset::new(&self.topic, partition, low)])?;
            }
            Error::TopicNotFound { .. } => {
                tracing::error!(%error, "there are no commands to read");
                function.readiness.unmet(CONDITION, error.to_string());
            }
            error if error.is_retriable() => {
                tracing::warn!(%error, "looking for commands again");
            }
            error => return Err(error.into()),
        }
        Ok(())
    }
}

impl RebalanceHandler for Lanes {
    fn on_assigned(
        &mut self,
        _consumer: &GroupConsumer,
        partitions: &[Assigned],
    ) -> Result<Vec<TopicPartition>, Error> {
        for part in partitions {
            tracing::info!(
                kafka.partition = part.partition,
                kafka.offset = part.committed,
                "commands are read"
            );
            self.slots.insert(part.partition, Slot::default());
        }
        self.handler.readiness.met(CONDITION);
        Ok(Vec::new())
    }

    fn on_revoking(
        &mut self,
        consumer: &GroupConsumer,
        partitions: &[TopicPartition],
    ) -> Result<(), Error> {
        self.let_go(Some(partitions));
        self.commit(consumer);
        for part in partitions {
            tracing::info!(kafka.partition = part.partition, "commands are given up");
            self.slots.remove(&part.partition);
        }
        Ok(())
    }

    fn on_lost(&mut self, _consumer: &GroupConsumer, partitions: &[TopicPartition]) {
        self.let_go(Some(partitions));
        for part in partitions {
            tracing::warn!(
                kafka.partition = part.partition,
                "commands were lost to others"
            );
            self.slots.remove(&part.partition);
        }
    }
}
