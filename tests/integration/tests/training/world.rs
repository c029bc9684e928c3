//! A training pool's surroundings: Kafka topics, an artifact store, a model, records, and who
//! sends commands and listens to events.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use millrace_artifacts::Store;
use millrace_harness::{Kafka, Lambda, Process, onnxruntime, unique, wait_until};
use millrace_kafka::{
    Admin, Connection, GroupOffset, OutRecord, Producer, Range, RangeReader, Watermarks,
};
use millrace_onnx::layers::{self, Activation, Layer};
use millrace_wire::command::{Action, Command};
use millrace_wire::event::{Body, Event};
use millrace_wire::function::{
    Control, FunctionSpec, Invocations, Requests, Role, TrainingPool, Trigger,
};
use millrace_wire::record::{
    ByteOrder, Dtype, Encoding, Label, LabelSource, RawArray, RecordFormat,
};
use millrace_wire::registry::Version;
use millrace_wire::segment::{Manifest, SegmentDigest};
use millrace_wire::signature::Signature;
use millrace_wire::split::Split;
use millrace_wire::training::{Hyperparameters, Loss, Optimizer, TrainingSpec};
use millrace_wire::tuning::Tuning;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};
use tempfile::TempDir;
use uuid::Uuid;

/// Long enough for a machine that compiles at the same time.
pub const LIMIT: Duration = Duration::from_mins(2);
/// Numbers of a record.
pub const WIDTH: u8 = 16;
/// Classes of the labels.
pub const CLASSES: u8 = 4;
/// Partitions of the command topic.
const LANES: i32 = 2;

/// Where a pool works.
pub struct World<'a> {
    /// The cluster of commands and events.
    control: &'a Kafka,
    /// The cluster of records and dead letters.
    pub kafka: &'a Kafka,
    pub connection: Connection,
    pub store: Store,
    pub data: String,
    pub dead_letters: String,
    folder: TempDir,
    commands: String,
    events: String,
    listener: Listener,
    group: String,
    commander: Producer,
    producer: Producer,
    pub model: Version,
}

impl<'a> World<'a> {
    /// A world on the shared broker.
    pub async fn new() -> Self {
        Self::apart(Kafka::shared(), Kafka::shared()).await
    }

    /// A world with its commands and events on one broker, and the rest on another.
    pub async fn apart(control: &'a Kafka, kafka: &'a Kafka) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("file://{}", folder.path().display()))
            .await
            .unwrap();
        let connection = Connection::new(kafka.client_properties());
        let dense = |units, activation| Layer::Dense {
            units,
            activation,
            bias: true,
        };
        let layers = [
            Layer::Scale {
                factor: 1.0 / 255.0,
            },
            dense(24, Activation::Relu),
            dense(usize::from(CLASSES), Activation::Softmax),
        ];
        let model = layers::build(&[usize::from(WIDTH)], &layers, 1).unwrap();
        let stored = store.put_bytes(model.encode().into()).await.unwrap();
        let events = control.topic("events", 1).await;
        let listener = Listener {
            consumer: reader(control, &events),
            heard: Mutex::default(),
        };
        Self {
            data: kafka.topic("digits", 3).await,
            dead_letters: kafka.topic("dlq", 1).await,
            commands: control.topic("training", LANES).await,
            events,
            listener,
            group: unique("pool"),
            commander: Producer::new(&Connection::new(control.client_properties())).unwrap(),
            producer: Producer::new(&connection).unwrap(),
            model: Version {
                version: 1,
                digest: stored.digest,
                size: stored.size,
                signature: Signature {
                    inputs: Vec::new(),
                    outputs: Vec::new(),
                    others: None,
                },
                samples: None,
            },
            control,
            kafka,
            connection,
            store,
            folder,
        }
    }

    /// Starts a member of the pool, which holds records in memory.
    pub fn pool(&self, ordinal: u32) -> Process {
        self.function(ordinal, self.pool_of(&self.group))
    }

    /// Starts a member of the pool that takes so many bytes of records into memory.
    pub fn pool_with(&self, ordinal: u32, memory_bytes: u64) -> Process {
        let pool = TrainingPool {
            memory_bytes,
            ..self.pool_of(&self.group)
        };
        self.function(ordinal, pool)
    }

    /// Starts a member of the pool whose trainings make way for others after so long.
    pub fn pool_in_turns(&self, slice_ms: u64) -> Process {
        let pool = TrainingPool {
            slice_ms: Some(slice_ms),
            ..self.pool_of(&self.group)
        };
        self.function(0, pool)
    }

    /// Starts a process that follows the same commands, and knows nothing of the pool.
    pub fn stranger(&self) -> Process {
        self.function(0, self.pool_of(&unique("strangers")))
    }

    fn pool_of(&self, group: &str) -> TrainingPool {
        TrainingPool {
            topic: self.commands.clone(),
            group: group.to_owned(),
            memory_bytes: 1 << 20,
            scratch_folder: None,
            slice_ms: None,
        }
    }

    /// Starts a process to which Lambda brings commands. Its turns last so long, or as long as there is time.
    pub fn on_lambda(&self, lambda: &Lambda, slice_ms: Option<u64>) -> Process {
        let trigger = Trigger::Lambda(Invocations::default());
        let spec = self.spec(0, self.brought(slice_ms)).triggered_by(trigger);
        launch(&spec, lambda.environment())
    }

    /// Starts a process to which Knative brings commands, at this port.
    pub fn on_knative(&self, port: u16, slice_ms: u64) -> Process {
        let spec = self.spec(0, self.brought(Some(slice_ms)));
        let port = [("PORT", port.to_string())];
        launch(
            &spec.triggered_by(Trigger::Knative(Requests::default())),
            port,
        )
    }

    fn brought(&self, slice_ms: Option<u64>) -> TrainingPool {
        TrainingPool {
            slice_ms,
            ..self.pool_of("unused")
        }
    }

    fn function(&self, ordinal: u32, pool: TrainingPool) -> Process {
        launch(&self.spec(ordinal, pool), [])
    }

    fn spec(&self, ordinal: u32, pool: TrainingPool) -> FunctionSpec {
        let control = Control {
            connection: self.control.client_properties().clone(),
            events_topic: Some(self.events.clone()),
            registry_topic: "unused".to_owned(),
        };
        let role = Role::Training(pool);
        let artifacts = format!("file://{}", self.folder.path().display());
        let listen = "127.0.0.1:0".to_owned();
        FunctionSpec::new(control, artifacts, listen, ordinal, role)
    }

    /// The commands of the first partition from this offset on, which their topic holds by now.
    pub fn commands(&self, from: i64) -> Vec<Command> {
        let connection = Connection::new(self.control.client_properties());
        let admin = Admin::new(&connection).unwrap();
        let marks = admin.watermarks(&self.commands).unwrap();
        let end = marks.iter().find(|mark| mark.partition == 0).unwrap().high;
        let range = Range {
            partition: 0,
            start: from,
            end,
        };
        let mut reader = RangeReader::open(&connection, &self.commands, &[range]).unwrap();
        let mut found = Vec::new();
        while !reader.is_done() {
            let batch = reader.next_batch(100, Duration::from_millis(100)).unwrap();
            found.extend(
                batch
                    .iter()
                    .map(|record| Command::from_json(record.value().unwrap()).unwrap()),
            );
        }
        found
    }

    /// The name of the command topic.
    pub fn command_topic(&self) -> &str {
        &self.commands
    }

    /// Writes records that are easy to learn, and returns their segment.
    pub fn easy_segment(&self, count: u32) -> Manifest {
        for index in 0..count {
            let (value, label) = easy(index);
            self.write(&value, Some(&label.to_string()));
        }
        self.segment()
    }

    /// Writes one record with its label.
    pub fn write(&self, value: &[u8], label: Option<&str>) {
        let mut record = OutRecord::to(&self.data).value(value);
        if let Some(label) = label {
            record = record.header("label", label.as_bytes());
        }
        self.producer.send(&record).unwrap();
    }

    /// The segment of all that the data topic holds.
    pub fn segment(&self) -> Manifest {
        self.producer.flush(LIMIT).unwrap();
        let admin = Admin::new(&self.connection).unwrap();
        let ranges: Vec<Range> = admin
            .watermarks(&self.data)
            .unwrap()
            .iter()
            .map(Watermarks::committed)
            .collect();
        let mut digest = SegmentDigest::new();
        let mut counts = BTreeMap::<i32, u64>::new();
        let mut reader = RangeReader::open(&self.connection, &self.data, &ranges).unwrap();
        while !reader.is_done() {
            let batch = reader.next_batch(1_000, Duration::from_millis(100));
            for record in batch.unwrap() {
                *counts.entry(record.partition()).or_default() += 1;
                let headers: Vec<_> = record.headers().collect();
                let headers: Vec<_> = headers
                    .iter()
                    .map(|(name, value)| (&**name, *value))
                    .collect();
                digest.add(
                    record.partition(),
                    record.offset(),
                    record.timestamp_ms(),
                    record.key(),
                    record.value(),
                    headers.into_iter(),
                );
            }
        }
        Manifest {
            id: Uuid::now_v7(),
            cluster_id: admin.cluster_id().unwrap(),
            topic_id: admin.describe_topic(&self.data).unwrap().id,
            topic: self.data.clone(),
            partitions: ranges
                .iter()
                .map(|range| millrace_wire::segment::Range {
                    partition: range.partition,
                    start: range.start,
                    end: range.end,
                    count: counts.get(&range.partition).copied().unwrap_or(0),
                })
                .collect(),
            count: counts.values().sum(),
            digest: digest.finish(),
            split: Split {
                seed: 3,
                validation: 0.1,
                test: 0.1,
            },
            pinned: None,
            retained_until: None,
        }
    }

    /// Stores a model of these layers, whose records are the world's.
    pub async fn version_of(&self, layers: &[Layer]) -> Version {
        let model = layers::build(&[usize::from(WIDTH)], layers, 1).unwrap();
        let stored = self.store.put_bytes(model.encode().into()).await.unwrap();
        Version {
            digest: stored.digest,
            size: stored.size,
            ..self.model.clone()
        }
    }

    /// A training of the world's model.
    pub fn training(&self, segment: &Manifest, epochs: u32) -> TrainingSpec {
        TrainingSpec {
            id: Uuid::now_v7(),
            project: "default".to_owned(),
            model: "digits".to_owned(),
            version: self.model.clone(),
            connection: self.kafka.client_properties().clone(),
            segment: segment.clone(),
            format: RecordFormat::Raw(RawArray {
                dtype: Dtype::Uint8,
                shape: vec![u32::from(WIDTH)],
                byte_order: ByteOrder::Little,
            }),
            label: Label {
                source: LabelSource::Header {
                    name: "label".to_owned(),
                },
                encoding: Encoding::Text,
            },
            hyperparameters: Hyperparameters {
                epochs,
                batch_size: 32,
                optimizer: Optimizer::Adam {
                    beta1: 0.9,
                    beta2: 0.999,
                    epsilon: 1e-8,
                },
                learning_rate: 0.003,
                loss: Loss::CrossEntropy,
                max_bad_records: 0.0,
                tuning: Tuning::default(),
                early_stopping: None,
            },
            seed: 11,
            dead_letter_topic: self.dead_letters.clone(),
        }
    }

    /// Commands to start a training, on the first partition.
    pub async fn start(&self, training: &TrainingSpec) {
        self.start_on(0, training).await;
    }

    /// Commands to start a training.
    pub async fn start_on(&self, partition: i32, training: &TrainingSpec) {
        let training = Box::new(training.clone());
        self.send(partition, Action::Start { training }).await;
    }

    /// Commands to go on with a training, on the first partition.
    pub async fn go_on(&self, training: &TrainingSpec) {
        let training = Box::new(training.clone());
        self.send(0, Action::Continue { training }).await;
    }

    /// Commands to cancel a training, on the first partition.
    pub async fn cancel(&self, id: Uuid) {
        self.send(0, Action::Cancel { id }).await;
    }

    async fn send(&self, partition: i32, action: Action) {
        let command = Command::new(action);
        let key = command.training_id().to_string();
        let value = command.to_json();
        let record = OutRecord::to(&self.commands)
            .partition(partition)
            .key(key.as_bytes())
            .value(&value);
        self.commander
            .send_and_wait(&record)
            .unwrap()
            .await
            .unwrap();
    }

    /// Everything that was reported of a training so far.
    pub fn events(&self, training: Uuid) -> Vec<Event> {
        let heard = self.listener.listen();
        let ours = heard.iter().filter(|event| event.subject == training);
        ours.cloned().collect()
    }

    /// Waits for an event that `wanted` makes something of.
    pub async fn wait_for<T>(
        &self,
        training: Uuid,
        what: &str,
        wanted: impl Fn(&Body) -> Option<T>,
    ) -> T {
        wait_until(what, LIMIT, async || {
            let events = self.events(training);
            let found = events.iter().find_map(|event| wanted(&event.body));
            found.ok_or_else(|| {
                let bodies: Vec<_> = events
                    .iter()
                    .rev()
                    .take(3)
                    .map(|event| &event.body)
                    .collect();
                format!("{bodies:?}")
            })
        })
        .await
    }

    /// Waits until the training has succeeded and returns the version's digest.
    pub async fn succeeded(&self, training: Uuid) -> String {
        self.wait_for(training, "the training succeeds", |body| match body {
            Body::TrainingSucceeded { digest, .. } => Some(digest.clone()),
            Body::TrainingFailed { code, message } => panic!("{code}: {message}"),
            _ => None,
        })
        .await
    }

    /// Waits until the training has failed and returns its code and its sentence.
    pub async fn failed(&self, training: Uuid) -> (String, String) {
        self.wait_for(training, "the training fails", |body| match body {
            Body::TrainingFailed { code, message } => Some((code.clone(), message.clone())),
            Body::TrainingSucceeded { .. } => panic!("it succeeded"),
            _ => None,
        })
        .await
    }

    /// Waits until the training warns, and returns the warning's code and its sentence.
    pub async fn warned(&self, training: Uuid) -> (String, String) {
        self.wait_for(training, "the training warns", |body| match body {
            Body::TrainingWarned { code, message } => Some((code.clone(), message.clone())),
            _ => None,
        })
        .await
    }

    /// Waits until the training has a checkpoint.
    pub async fn has_checkpoint(&self, training: Uuid) {
        let name = format!("checkpoints/{training}");
        wait_until("a checkpoint is written", LIMIT, async || {
            self.store.get_object(&name).await.map(drop)
        })
        .await;
    }

    /// Waits until the training has no checkpoint.
    pub async fn has_no_checkpoint(&self, training: Uuid) {
        let name = format!("checkpoints/{training}");
        wait_until("the checkpoint is removed", LIMIT, async || {
            match self.store.get_object(&name).await {
                Err(millrace_artifacts::Error::NotFound(_)) => Ok(()),
                other => Err(format!("{:?}", other.map(|bytes| bytes.len()))),
            }
        })
        .await;
    }

    /// Sets the pool's offset in the first partition, while it has no members.
    pub fn set_offset(&self, offset: i64) {
        let connection = Connection::new(self.control.client_properties());
        let offset = GroupOffset::new(&self.commands, 0, offset);
        let admin = Admin::new(&connection).unwrap();
        admin.commit(&self.group, &[offset]).unwrap();
    }

    /// Waits until the pool has committed every command of the first partition.
    pub async fn all_commands_are_done(&self) {
        let connection = Connection::new(self.control.client_properties());
        let admin = Admin::new(&connection).unwrap();
        wait_until("all commands are committed", LIMIT, async || {
            let lag = admin.lag(&self.group, &self.commands).unwrap();
            match lag.iter().find(|lag| lag.partition == 0) {
                Some(lag) if lag.lag == 0 && lag.committed.is_some() => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }
}

fn launch<const N: usize>(spec: &FunctionSpec, more: [(&'static str, String); N]) -> Process {
    let environment = [
        ("MILLRACE_FUNCTION", spec.to_json()),
        (
            "MILLRACE_ONNXRUNTIME__LIBRARY",
            onnxruntime().display().to_string(),
        ),
    ];
    Process::start(
        "millrace-training",
        [] as [&str; 0],
        environment.into_iter().chain(more),
    )
}

/// A record whose largest number stands at its class.
pub fn easy(index: u32) -> (Vec<u8>, u8) {
    let label = u8::try_from(index % u32::from(CLASSES)).unwrap();
    let mut noise = index.wrapping_mul(2_654_435_761) | 1;
    let value = (0..WIDTH)
        .map(|place| {
            noise ^= noise << 13;
            noise ^= noise >> 17;
            noise ^= noise << 5;
            let base = if place % CLASSES == label { 120 } else { 0 };
            base + u8::try_from(noise % 100).unwrap()
        })
        .collect();
    (value, label)
}

/// A record's headers and its value.
pub type Read = (BTreeMap<String, String>, Option<Vec<u8>>);

/// Every committed record of a topic of one partition.
pub fn read_all(kafka: &Kafka, topic: &str) -> Vec<Read> {
    use rdkafka::message::Headers as _;

    let consumer = reader(kafka, topic);
    let mut records = Vec::new();
    loop {
        match consumer.poll(LIMIT) {
            Some(Ok(message)) => {
                let headers = message.headers().map(|headers| {
                    let text = |value: Option<&[u8]>| {
                        String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
                    };
                    headers
                        .iter()
                        .map(|header| (header.key.to_owned(), text(header.value)))
                        .collect()
                });
                let value = message.payload().map(<[u8]>::to_vec);
                records.push((headers.unwrap_or_default(), value));
            }
            Some(Err(KafkaError::PartitionEOF(_))) => return records,
            Some(Err(error)) => panic!("{error}"),
            None => panic!("{topic} does not end"),
        }
    }
}

/// Reads a topic of one partition from its beginning.
fn reader(kafka: &Kafka, topic: &str) -> BaseConsumer {
    let consumer: BaseConsumer = kafka
        .config()
        .set("group.id", "unused")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        // With something to commit it could not be closed while its broker is away.
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning)
        .unwrap();
    consumer.assign(&list).unwrap();
    consumer
}

/// Hears events as they come, and keeps them.
struct Listener {
    consumer: BaseConsumer,
    heard: Mutex<Vec<Event>>,
}

impl Listener {
    /// What has been heard, with all that is there by now.
    fn listen(&self) -> MutexGuard<'_, Vec<Event>> {
        let mut heard = self.heard.lock().unwrap();
        // A fast training reports without a pause: what comes later is for later.
        let deadline = Instant::now() + Duration::from_secs(1);
        while Instant::now() < deadline {
            match self.consumer.poll(Duration::from_millis(20)) {
                Some(Ok(message)) => {
                    heard.push(Event::from_json(message.payload().unwrap()).unwrap());
                }
                // The end for now; a broker that is away is no concern of the listener.
                Some(Err(_)) => {}
                None => break,
            }
        }
        heard
    }
}
