//! The whole job: a topic's records become a trained model, by the training function's own process.
//!
//! Invariant: the clock starts before the process does and stops when it has reported the version, which then lies in the
//! artifact store. The command waits in its topic, as it does for a function that the platform starts.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::iter;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use millrace_harness::{Process, free_port, onnxruntime, unique};
use millrace_kafka::{
    Connection, OutRecord, Producer, Range, RangeReader, Tail, TailEvent, Watermarks,
};
use millrace_onnx::layers::{self, Activation, Layer};
use millrace_wire::command::{Action, Command};
use millrace_wire::event::{Body, Event};
use millrace_wire::function::{Control, FunctionSpec, Role, TrainingPool, VARIABLE};
use millrace_wire::record::{
    ByteOrder, Dtype, Encoding, Label, LabelSource, RawArray, RecordFormat,
};
use millrace_wire::registry::Version;
use millrace_wire::segment::{self, Manifest, SegmentDigest};
use millrace_wire::split::Split;
use millrace_wire::training::{Hyperparameters, Loss, Optimizer, TrainingSpec};
use millrace_wire::tuning::Tuning;
use uuid::Uuid;

use crate::cluster::Cluster;
use crate::cpu;
use crate::memory::Memory;
use crate::models::store;
use crate::numbers::Numbers;

/// Bytes of a record, which are numbers from 0 to 255.
const WIDTH: u32 = 784;
const HIDDEN: usize = 128;
const CLASSES: u32 = 10;
/// Different records, which take turns.
const DIFFERENT: u32 = 1_000;
/// Records of an optimizer step.
pub(crate) const BATCH: u32 = 128;
/// The share of the records that a model has to know when it is trained.
pub(crate) const ACCURACY: f64 = 0.9;
/// What both libraries take for Adam.
const LEARNING_RATE: f32 = 1e-3;
/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// After so long nothing is to be expected any more.
const LIMIT: Duration = Duration::from_mins(10);

/// A topic full of records, and the model that learns them.
pub(crate) struct Job<'a> {
    cluster: &'a Cluster,
    artifacts: &'a str,
    version: Version,
    segment: Manifest,
}

/// The program that trains, of the same build as this one.
pub(crate) const TRAINING: &str = "millrace-training";

/// What a training has cost.
pub(crate) struct Spent {
    /// Wall time.
    pub(crate) seconds: f64,
    /// CPU time, user and system, of its process.
    pub(crate) cpu_seconds: f64,
    /// The most memory that its process held, and what of it was anonymous, in MiB.
    pub(crate) peak: f64,
    pub(crate) anonymous: f64,
}

impl<'a> Job<'a> {
    /// Writes so many records, whose keys are their labels.
    pub(crate) fn new(cluster: &'a Cluster, artifacts: &'a str, records: u32) -> Result<Self> {
        let connection = Connection::new(&cluster.properties);
        let topic = cluster.topic("bench-training")?;
        let producer = Producer::new(&connection)?;
        let partitions = cluster.admin.partitions(&topic)?;
        let mut numbers = Numbers::from_seed(1);
        let different: Vec<(Vec<u8>, u8)> = (0..DIFFERENT)
            .map(|index| record(&mut numbers, index))
            .collect();
        let places = (0..partitions).cycle();
        let written = different.iter().cycle().zip(places);
        for ((value, label), partition) in written.take(records as usize) {
            let key = [*label];
            let record = OutRecord::to(&topic).partition(partition);
            producer.send(&record.key(&key).value(value))?;
        }
        producer.flush(LIMIT)?;
        let dense = |units, activation| Layer::Dense {
            units,
            activation,
            bias: true,
        };
        let layers = [
            Layer::Scale {
                factor: 1.0 / 255.0,
            },
            dense(HIDDEN, Activation::Relu),
            dense(CLASSES as usize, Activation::Softmax),
        ];
        let file = layers::build(&[WIDTH as usize], &layers, 1)?.encode();
        Ok(Self {
            version: store(artifacts, &file)?,
            segment: segment(cluster, &connection, topic)?,
            cluster,
            artifacts,
        })
    }

    /// The records' topic.
    pub(crate) fn topic(&self) -> &str {
        &self.segment.topic
    }

    /// Trains with so many epochs by this program; records that take more memory than this go to a scratch file.
    pub(crate) fn train(&self, program: &str, epochs: u32, memory_bytes: u64) -> Result<Spent> {
        let cluster = self.cluster;
        let connection = Connection::new(&cluster.properties);
        let [commands, events, dead_letters] =
            ["bench-commands", "bench-events", "bench-dead-letters"]
                .map(|prefix| cluster.topic(prefix));
        let (commands, events, dead_letters) = (commands?, events?, dead_letters?);
        let training = self.specification(epochs, &dead_letters);
        let id = training.id;
        let command = Command::new(Action::Start {
            training: Box::new(training),
        })
        .to_json();
        let record = OutRecord::to(&commands).partition(0).value(&command);
        Producer::new(&connection)?.send_and_wait(&record)?.wait()?;
        let role = Role::Training(TrainingPool {
            topic: commands.clone(),
            group: unique("bench-pool"),
            memory_bytes,
            scratch_folder: None,
            slice_ms: None,
        });
        let control = Control {
            connection: cluster.properties.clone(),
            events_topic: Some(events.clone()),
            // Trainings read no aliases.
            registry_topic: "none".to_owned(),
        };
        let listen = format!("127.0.0.1:{}", free_port());
        let spec = FunctionSpec::new(control, self.artifacts.to_owned(), listen, 0, role);
        let environment = [
            (VARIABLE, OsString::from(spec.to_json())),
            ("MILLRACE_ONNXRUNTIME__LIBRARY", onnxruntime().into()),
        ];
        let mut heard = Tail::open(&connection, &events, &BTreeMap::new())?;

        let start = Instant::now();
        let mut process = Process::start(program, iter::empty::<&str>(), environment);
        let mut anonymous = 0.0_f64;
        let accuracy = loop {
            anonymous = anonymous.max(Memory::of(process.id())?.anonymous);
            if let TailEvent::Record(record) = heard.poll(LOOK)?
                && let Some(accuracy) = ended(&record, id)?
            {
                break accuracy;
            }
            ensure!(
                process.running() && start.elapsed() < LIMIT,
                "the training does not end:\n{}",
                process.lines().join("\n")
            );
        };
        let seconds = start.elapsed().as_secs_f64();
        let cpu_seconds = cpu::seconds(process.id())?;
        let peak = Memory::of(process.id())?.peak;
        process.terminate();
        process.wait(LIMIT);
        cluster
            .admin
            .delete_topics(&[&commands, &events, &dead_letters])?;
        ensure!(accuracy >= ACCURACY, "it learned nothing: {accuracy}");
        Ok(Spent {
            seconds,
            cpu_seconds,
            peak,
            anonymous,
        })
    }

    fn specification(&self, epochs: u32, dead_letters: &str) -> TrainingSpec {
        let array = |shape| RawArray {
            dtype: Dtype::Uint8,
            shape,
            byte_order: ByteOrder::Little,
        };
        TrainingSpec {
            id: Uuid::now_v7(),
            project: "default".to_owned(),
            model: "bench".to_owned(),
            version: self.version.clone(),
            connection: self.cluster.properties.clone(),
            segment: self.segment.clone(),
            format: RecordFormat::Raw(array(vec![WIDTH])),
            label: Label {
                source: LabelSource::Key,
                encoding: Encoding::Raw(array(vec![1])),
            },
            hyperparameters: Hyperparameters {
                epochs,
                batch_size: BATCH,
                optimizer: Optimizer::Adam {
                    beta1: 0.9,
                    beta2: 0.999,
                    epsilon: 1e-7,
                },
                learning_rate: LEARNING_RATE,
                loss: Loss::CrossEntropy,
                max_bad_records: 0.0,
                tuning: Tuning::default(),
                early_stopping: None,
            },
            seed: 1,
            dead_letter_topic: dead_letters.to_owned(),
        }
    }
}

impl Drop for Job<'_> {
    fn drop(&mut self) {
        // A broker that lives longer than the bench shall not keep gigabytes; one of ours goes with it anyway.
        self.cluster
            .admin
            .delete_topics(&[&self.segment.topic])
            .ok();
    }
}

/// The accuracy of a training that has ended with this event.
fn ended(record: &millrace_kafka::Record, training: Uuid) -> Result<Option<f64>> {
    let event = Event::from_json(record.value.as_deref().unwrap_or_default())?;
    match event.body {
        _ if event.subject != training => Ok(None),
        Body::TrainingSucceeded { metrics, .. } => {
            let accuracy = metrics.get("accuracy").copied();
            Ok(Some(accuracy.context("a training without accuracy")?))
        }
        Body::TrainingFailed { message, .. } => bail!("the training failed: {message}"),
        _ => Ok(None),
    }
}

/// Noise, with larger numbers at the places of the record's class.
fn record(numbers: &mut Numbers, index: u32) -> (Vec<u8>, u8) {
    let label = index % CLASSES;
    let noise = numbers.below(200, WIDTH as usize);
    let value = (0..WIDTH).zip(noise).map(|(place, noise)| {
        let base = if place % CLASSES == label { 50 } else { 0 };
        u8::try_from(noise + base).unwrap_or(u8::MAX)
    });
    (value.collect(), u8::try_from(label).unwrap_or(u8::MAX))
}

/// The manifest of all of a topic's records, all of them for training.
fn segment(cluster: &Cluster, connection: &Connection, topic: String) -> Result<Manifest> {
    let marks = cluster.admin.watermarks(&topic)?;
    let ranges: Vec<Range> = marks.iter().map(Watermarks::committed).collect();
    let mut digest = SegmentDigest::new();
    let mut reader = RangeReader::open(connection, &topic, &ranges)?;
    while !reader.is_done() {
        for record in reader.next_batch(1_000, Duration::from_millis(100))? {
            digest.add(
                record.partition(),
                record.offset(),
                record.timestamp_ms(),
                record.key(),
                record.value(),
                iter::empty::<(&str, Option<&[u8]>)>(),
            );
        }
    }
    let partitions: Vec<segment::Range> = ranges
        .iter()
        .map(|range| segment::Range {
            partition: range.partition,
            start: range.start,
            end: range.end,
            count: digest.count(range.partition),
        })
        .collect();
    Ok(Manifest {
        id: Uuid::now_v7(),
        cluster_id: cluster.admin.cluster_id()?,
        topic_id: cluster.admin.describe_topic(&topic)?.id,
        topic,
        count: partitions.iter().map(|range| range.count).sum(),
        partitions,
        digest: digest.finish(),
        split: Split {
            seed: 1,
            validation: 0.0,
            test: 0.0,
        },
        pinned: None,
        retained_until: None,
    })
}
