//! A member of the training pool: reads commands, runs trainings on threads of
//! their own, and never stops polling, so that its group never gives it up.
//!
//! A command's offset is committed only when its training has ended and said
//! so, or goes on by another command. Whoever reads it again goes on at the checkpoint.

use std::collections::{BTreeMap, VecDeque};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use millrace_kafka::{
    Admin, Assigned, BatchLimits, Connection, Error, GroupConsumer, GroupOffset, GroupOptions,
    RebalanceHandler, RecordView, TopicPartition,
};
use millrace_runtime::{Failure, Function};
use millrace_wire::command::Command;
use millrace_wire::function::{self as wire, TrainingPool};
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
/// For how long a member is silent before its partitions go to others. A process that starts again
/// takes its place at once, and a broker that starts again finds everybody where they were; longer,
/// and a member that joins would wait for the others' next heartbeats.
const SESSION: Duration = Duration::from_secs(20);
/// How many trainings that ended are remembered, to know repeated commands by.
const REMEMBERED: usize = 256;
/// The condition of readiness that the membership is.
const CONDITION: &str = "group";

/// Works for the pool until the function shall end.
pub fn run(
    function: &Function,
    control: &wire::Control,
    pool: &TrainingPool,
    handler: Handler,
) -> Result<(), Failure> {
    let connection = Connection::new(&control.connection);
    function.readiness.kafka("kafka", &connection);
    function.readiness.unmet(CONDITION, "not joined yet");
    let mut options = GroupOptions::new(&pool.group, &[&pool.topic])
        .instance(&format!("{}-{}", pool.group, function.spec.ordinal));
    options.session_timeout = SESSION;
    let mut consumer = GroupConsumer::new(&connection, options.clone())?;
    let mut lanes = Lanes {
        connection: connection.clone(),
        group: pool.group.clone(),
        topic: pool.topic.clone(),
        handler,
        slots: BTreeMap::new(),
        leaving: Vec::new(),
        slice: pool.slice_ms.map(Duration::from_millis),
        ended: VecDeque::new(),
        was_lost: false,
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
            // A member whose session ran out is a stranger to its group, which may take its next
            // word for another's. It joins anew; who is fenced without that ends.
            Err(error) if error.is_fenced() && lanes.was_lost => {
                tracing::warn!(%error, "joining the group anew");
                lanes.lose(None);
                lanes.was_lost = false;
                drop(consumer);
                consumer = GroupConsumer::new(&connection, options.clone())?;
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
    // This end is in order, also for those that are cut off in the middle of a wait for Kafka.
    for running in &lanes.leaving {
        lanes.handler.take_back(running.training);
    }
    Ok(())
}

/// A training on its thread.
struct Running {
    training: Uuid,
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
    connection: Connection,
    group: String,
    topic: String,
    handler: Handler,
    slots: BTreeMap<i32, Slot>,
    /// Trainings of partitions that were lost, which have not let go yet.
    leaving: Vec<Running>,
    /// For how long a training makes steps while others wait.
    slice: Option<Duration>,
    /// The last trainings that ended here.
    ended: VecDeque<Uuid>,
    /// Whether partitions were lost since the group was joined.
    was_lost: bool,
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
            // A command may come twice, its training runs once.
            (Some(training), Ok(_)) if self.ended.contains(&training) => slot.lane.skip(offset),
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
                slot.lane.skip(offset);
            }
        }
    }

    /// Ends what has ended and begins what can begin.
    fn advance(&mut self) -> Result<(), Failure> {
        for running in self
            .leaving
            .extract_if(.., |running| running.thread.is_finished())
        {
            let training = running.training;
            if outcome(running)? == Outcome::Ended {
                remember(&mut self.ended, training);
                for slot in self.slots.values_mut() {
                    slot.lane.forget(training);
                }
            }
        }
        for (partition, slot) in &mut self.slots {
            if let Some(running) = slot.running.take_if(|running| running.thread.is_finished()) {
                let training = running.training;
                match outcome(running)? {
                    Outcome::Ended => {
                        slot.lane.end();
                        remember(&mut self.ended, training);
                    }
                    Outcome::HandedOver | Outcome::TakenOver => slot.lane.hand_over(),
                    // Only where the process ends, or the partition is given up.
                    Outcome::Interrupted => continue,
                }
            }
            if let (Some(running), Some(slice)) = (&slot.running, self.slice)
                && slot.lane.has_others()
                && running.control.has_trained_for(slice)
            {
                running.control.pause();
            }
            let has_left = |training| self.leaving.iter().all(|other| other.training != training);
            let Some((training, work, control)) = slot.lane.begin(has_left) else {
                continue;
            };
            let handler = self.handler.clone();
            let thread = std::thread::Builder::new()
                .name("training".to_owned())
                .spawn({
                    let (partition, control) = (*partition, control.clone());
                    move || match work {
                        Work::Train(spec, begin) => handler.run(&spec, begin, partition, &control),
                        Work::Refuse(reason) => handler.refuse(training, reason),
                        Work::Cancel => handler.cancel(training),
                    }
                })
                .map_err(|error| Failure::failed(format!("cannot start a thread: {error}")))?;
            slot.running = Some(Running {
                training,
                thread,
                control,
            });
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
            if chosen(*partition)
                && let Some(running) = slot.running.take()
            {
                running.control.interrupt();
                threads.push((*partition, running));
            }
        }
        let deadline = Instant::now() + FAREWELL;
        for (partition, running) in threads {
            while !running.thread.is_finished() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
            if !running.thread.is_finished() {
                tracing::warn!(
                    kafka.partition = partition,
                    "a training does not let go in time"
                );
                self.leaving.push(running);
            } else if let Some(slot) = self.slots.get_mut(&partition) {
                match running.thread.join() {
                    Ok(Outcome::Ended) => {
                        slot.lane.end();
                        remember(&mut self.ended, running.training);
                    }
                    Ok(Outcome::HandedOver | Outcome::TakenOver) => slot.lane.hand_over(),
                    Ok(Outcome::Interrupted) | Err(_) => {}
                }
            }
        }
    }

    /// Forgets partitions that belong to others already, or all, without waiting: the group wants
    /// its answer, and counts the time.
    fn lose(&mut self, partitions: Option<&[TopicPartition]>) {
        self.slots.retain(|partition, slot| {
            let is_lost =
                partitions.is_none_or(|lost| lost.iter().any(|part| part.partition == *partition));
            if is_lost && let Some(running) = slot.running.take() {
                running.control.interrupt();
                self.leaving.push(running);
            }
            !is_lost
        });
    }

    /// Whether the group has an offset for a partition; nothing where the function shall end first.
    fn has_committed(&self, partition: i32, function: &Function) -> Result<Option<bool>, Failure> {
        let admin = Admin::new(&self.connection)?;
        loop {
            match admin.committed(&self.group, &self.topic) {
                Ok(offsets) => {
                    return Ok(Some(offsets.iter().any(|one| one.partition == partition)));
                }
                Err(error) if !error.is_retriable() => return Err(error.into()),
                Err(error) => tracing::warn!(%error, "asking for the committed offsets again"),
            }
            if function.shutdown.wait(PAUSE) {
                return Ok(None);
            }
        }
    }

    /// Goes on where there are commands again. A restart must do so too, so that offset is committed.
    fn move_on(
        &mut self,
        consumer: &GroupConsumer,
        error: &Error,
        partition: i32,
        offset: i64,
    ) -> Result<(), Failure> {
        tracing::error!(%error, "commands are lost, going on at offset {offset}; cancel the trainings that wait for them");
        // What is known of the partition has offsets that mean something else from here on.
        self.lose(Some(&[TopicPartition::new(&self.topic, partition)]));
        self.slots.insert(partition, Slot::default());
        let offsets = [GroupOffset::new(&self.topic, partition, offset)];
        consumer.seek(&offsets)?;
        if let Err(error) = consumer.commit(&offsets) {
            tracing::warn!(%error, "the new offset could not be committed");
        }
        Ok(())
    }

    /// Gets over an error of a poll, or says that the process can't.
    fn recover(
        &mut self,
        consumer: &GroupConsumer,
        error: Error,
        function: &Function,
    ) -> Result<(), Failure> {
        match error {
            // Commands that Kafka no longer keeps can't be read by anybody: whoever waits for
            // their trainings has to cancel them.
            Error::OffsetExpired { partition, low, .. } => {
                self.move_on(consumer, &error, partition, low)?;
            }
            Error::OffsetInFuture {
                partition,
                low,
                high,
                ..
            } => {
                let Some(is_known) = self.has_committed(partition, function)? else {
                    return Ok(());
                };
                // Where the topic was made anew, Kafka has forgotten the group's offsets, and every
                // command in it is new. Else it has lost its last ones, and what is left was done.
                let offset = if is_known { high } else { low };
                self.move_on(consumer, &error, partition, offset)?;
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
        tracing::warn!(partitions = partitions.len(), "the membership ran out");
        self.handler
            .readiness
            .unmet(CONDITION, "the membership ran out");
        self.lose(Some(partitions));
        self.was_lost = true;
    }
}

/// How a finished thread's work ended.
fn outcome(running: Running) -> Result<Outcome, Failure> {
    running
        .thread
        .join()
        .map_err(|_| Failure::failed("a training's thread panicked"))
}

fn remember(ended: &mut VecDeque<Uuid>, training: Uuid) {
    ended.push_back(training);
    if ended.len() > REMEMBERED {
        ended.pop_front();
    }
}
