//! One inference: its topics, its artifacts, its specification, and the processes that run it.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use millrace_artifacts::Store;
use millrace_harness::{Kafka, Lambda, Process, block_until, onnxruntime, unique};
use millrace_kafka::{Admin, Connection, GroupOffset, OutRecord, Producer};
use millrace_wire::event::{Body, Event};
use millrace_wire::function::{
    Batching, Control, FunctionSpec, Guarantee, InferenceSpec, Invocations, NotFinite, Requests,
    Role, Trigger,
};
use millrace_wire::prediction::OutputFormat;
use millrace_wire::record::{ByteOrder, Dtype, RawArray, RecordFormat};
use millrace_wire::registry::{Pointer, Version, key, object};
use millrace_wire::samples::{Expected, Tolerance};
use millrace_wire::signature::{Dimension, Signature, Tensor};
use tempfile::TempDir;
use uuid::Uuid;

use crate::answers::Answers;

/// Long enough for anything on a machine that compiles at the same time.
pub const LIMIT: Duration = Duration::from_mins(2);

/// An inference of a test's own. Its records are four bytes: the number of the record.
pub struct Fixture<'k> {
    pub kafka: &'k Kafka,
    pub id: Uuid,
    pub input: String,
    pub output: String,
    pub dead: String,
    pub events: String,
    pub registry: String,
    pub moves: AtomicI64,
    pub group: String,
    pub admin: Admin,
    pub producer: Producer,
    pub partitions: i32,
    pub folder: TempDir,
}

impl<'k> Fixture<'k> {
    /// Makes the topics, and commits offset 0 of every input partition for the group.
    pub async fn new(kafka: &'k Kafka, partitions: i32, output_partitions: i32) -> Self {
        let fixture = Self::without_start(kafka, partitions, output_partitions).await;
        let start: Vec<GroupOffset> = (0..partitions)
            .map(|partition| GroupOffset::new(&fixture.input, partition, 0))
            .collect();
        fixture.commit(&start);
        fixture
    }

    /// Commits offsets for the group. A broker that has just started needs a moment for that.
    pub fn commit(&self, offsets: &[GroupOffset]) {
        block_until("the offsets are committed", LIMIT, || {
            self.admin.commit(&self.group, offsets)
        });
    }

    /// The same without committed offsets.
    pub async fn without_start(kafka: &'k Kafka, partitions: i32, output_partitions: i32) -> Self {
        let connection = Connection::new(kafka.client_properties());
        Self {
            kafka,
            id: Uuid::now_v7(),
            input: kafka.topic("input", partitions).await,
            output: kafka.topic("output", output_partitions).await,
            dead: kafka.topic("dead", 1).await,
            events: kafka.topic("events", 1).await,
            registry: kafka
                .topic_with("registry", 1, &[("cleanup.policy", "compact")])
                .await,
            moves: AtomicI64::new(0),
            group: unique("group"),
            admin: Admin::new(&connection).unwrap(),
            producer: Producer::new(&connection).unwrap(),
            partitions,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn artifacts(&self) -> String {
        format!("file://{}", self.folder.path().display())
    }

    /// Puts a file into the artifact store as this version of the model.
    pub async fn version(&self, number: u32, file: Vec<u8>) -> Version {
        let store = Store::open(&self.artifacts()).await.unwrap();
        let stored = store.put_bytes(file.into()).await.unwrap();
        let tensor = |name: &str, size: i64| Tensor {
            name: name.to_owned(),
            element_type: "float32".to_owned(),
            shape: vec![
                Dimension::Symbolic("batch".to_owned()),
                Dimension::Fixed(size),
            ],
        };
        Version {
            version: number,
            digest: stored.digest,
            size: stored.size,
            signature: Signature {
                inputs: vec![tensor("input", 4)],
                outputs: vec![tensor("output", 2)],
                others: None,
            },
            samples: None,
        }
    }

    /// The same version, held to samples.
    pub async fn expecting(&self, version: Version, samples: Vec<u8>) -> Version {
        let store = Store::open(&self.artifacts()).await.unwrap();
        let stored = store.put_bytes(samples.into()).await.unwrap();
        let samples = Expected {
            digest: stored.digest,
            size: stored.size,
            count: 0,
            tolerance: Tolerance::default(),
        };
        Version {
            samples: Some(samples),
            ..version
        }
    }

    /// The specification of a replica that answers with a fixed version.
    pub fn spec(&self, ordinal: u32, version: &Version) -> InferenceSpec {
        InferenceSpec {
            id: self.id,
            project: "default".to_owned(),
            name: "test".to_owned(),
            connection: self.kafka.client_properties().clone(),
            model: "numbers".to_owned(),
            version: Some(version.clone()),
            alias: None,
            input_topic: self.input.clone(),
            input_topic_id: Some(self.admin.describe_topic(&self.input).unwrap().id),
            input_format: RecordFormat::Raw(RawArray {
                dtype: Dtype::Uint8,
                shape: vec![4],
                byte_order: ByteOrder::Little,
            }),
            output_topic: self.output.clone(),
            output_format: OutputFormat::Json,
            outputs: Vec::new(),
            echo_input: false,
            dead_letter_topic: self.dead.clone(),
            redrive_topic: None,
            span: None,
            hand_on: None,
            not_finite: NotFinite::Pass,
            group: self.group.clone(),
            guarantee: Guarantee::ExactlyOnce,
            transactional_id: format!("{}-{ordinal}", self.group),
            batching: Batching {
                max_batch: 64,
                commit_interval_ms: 50,
                ..Batching::default()
            },
        }
    }

    /// The specification of a replica that follows the alias `champion`.
    pub fn following(&self, ordinal: u32, version: &Version) -> InferenceSpec {
        InferenceSpec {
            alias: Some("champion".to_owned()),
            ..self.spec(ordinal, version)
        }
    }

    /// The specification of a function to which records are brought.
    pub fn pushed(&self, version: &Version) -> InferenceSpec {
        InferenceSpec {
            guarantee: Guarantee::AtLeastOnce,
            ..self.spec(0, version)
        }
    }

    /// Starts a replica as a process.
    pub fn start(&self, ordinal: u32, spec: &InferenceSpec) -> Replica {
        self.start_at(ordinal, spec, "127.0.0.1:0")
    }

    /// Starts a replica whose HTTP server listens at this address.
    pub fn start_at(&self, ordinal: u32, spec: &InferenceSpec, listen: &str) -> Replica {
        launch(&self.function(ordinal, spec, listen), [])
    }

    /// Starts a replica with these variables beside its own.
    pub fn start_with<const N: usize>(
        &self,
        spec: &InferenceSpec,
        environment: [(&'static str, String); N],
    ) -> Replica {
        launch(&self.function(0, spec, "127.0.0.1:0"), environment)
    }

    /// Starts the function in an environment of Lambda.
    pub fn start_on(
        &self,
        lambda: &Lambda,
        spec: &InferenceSpec,
        invocations: Invocations,
    ) -> Replica {
        let function = self
            .function(0, spec, "")
            .triggered_by(Trigger::Lambda(invocations));
        launch(&function, lambda.environment())
    }

    /// Starts the function as Knative does, which tells it this port.
    pub fn start_on_knative(&self, spec: &InferenceSpec, port: u16, requests: Requests) -> Replica {
        let function = self
            .function(0, spec, "")
            .triggered_by(Trigger::Knative(requests));
        launch(&function, [("PORT", port.to_string())])
    }

    fn function(&self, ordinal: u32, spec: &InferenceSpec, listen: &str) -> FunctionSpec {
        let control = Control {
            connection: self.kafka.client_properties().clone(),
            events_topic: Some(self.events.clone()),
            registry_topic: self.registry.clone(),
        };
        FunctionSpec::new(
            control,
            self.artifacts(),
            listen.to_owned(),
            ordinal,
            Role::Inference(Box::new(spec.clone())),
        )
    }

    /// Writes the pointer object of the alias `champion`, of this move.
    pub async fn point_object(&self, moves: i64, version: &Version) {
        let pointer = Pointer::new("default", "numbers", "champion", moves, version.clone());
        let store = Store::open(&self.artifacts()).await.unwrap();
        let name = object(&pointer.key());
        store
            .put_object(&name, pointer.to_json().into())
            .await
            .unwrap();
    }

    /// Makes the pointer object of the alias `champion` one that the store cannot read, whoever asks.
    pub fn bar_object(&self) {
        let path = self
            .folder
            .path()
            .join(object(&key("default", "numbers", "champion")));
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&path, &path).unwrap();
    }

    /// Moves the alias `champion`.
    pub fn point(&self, version: &Version) {
        let moves = self.moves.fetch_add(1, Ordering::Relaxed) + 1;
        let pointer = Pointer::new("default", "numbers", "champion", moves, version.clone());
        let (key, value) = (pointer.key(), pointer.to_json());
        let record = OutRecord::to(&self.registry)
            .key(key.as_bytes())
            .value(&value);
        self.producer
            .send_and_wait(&record)
            .unwrap()
            .wait()
            .unwrap();
    }

    /// Sends the records of these numbers, one partition after the other in turn.
    pub fn send(&self, numbers: std::ops::Range<u32>) {
        for number in numbers {
            let partition = i32::try_from(number).unwrap() % self.partitions;
            self.producer
                .send(
                    &OutRecord::to(&self.input)
                        .partition(partition)
                        .value(&number.to_le_bytes()),
                )
                .unwrap();
        }
        self.producer.flush(LIMIT).unwrap();
    }

    /// How many records each input partition holds.
    pub fn ends(&self) -> BTreeMap<i32, i64> {
        let marks = self.admin.watermarks(&self.input).unwrap();
        marks
            .iter()
            .map(|mark| (mark.partition, mark.high))
            .collect()
    }

    /// Waits until the group has committed all that the input holds.
    pub fn wait_until_done(&self) {
        block_until("no lag", LIMIT, || self.no_lag());
    }

    /// Whether the group has committed all that the input holds.
    pub fn is_done(&self) -> bool {
        self.no_lag().is_ok()
    }

    /// The same, and starts the replica again where it ends by itself, as a platform does. Returns how often.
    pub fn wait_until_done_with(&self, process: &mut Replica, spec: &InferenceSpec) -> usize {
        let mut restarts = 0;
        block_until("no lag", LIMIT, || {
            if !process.running() {
                *process = self.start(0, spec);
                restarts += 1;
            }
            self.no_lag()
        });
        restarts
    }

    fn no_lag(&self) -> Result<(), String> {
        let lag = self
            .admin
            .lag(&self.group, &self.input)
            .map_err(|error| error.to_string())?;
        if lag.iter().all(|partition| partition.lag == 0) {
            Ok(())
        } else {
            Err(format!("{lag:?}"))
        }
    }

    /// A reader of the outputs.
    pub fn outputs(&self) -> Answers {
        Answers::of(self.kafka, &self.output)
    }

    /// A reader of the dead letters.
    pub fn dead_letters(&self) -> Answers {
        Answers::of(self.kafka, &self.dead)
    }

    /// Waits for an event, which may have been reported before.
    pub fn wait_for_event(&self, what: &str, is_it: impl Fn(&Body) -> bool) {
        Answers::of(self.kafka, &self.events).until(what, LIMIT, |all| {
            all.iter().any(|answer| {
                let event = Event::from_json(answer.value.as_deref().unwrap()).unwrap();
                assert_eq!(event.subject, self.id);
                is_it(&event.body)
            })
        });
    }

    /// Waits until a replica reports this problem.
    pub fn wait_for_problem(&self, problem: &str) -> String {
        let found = std::cell::RefCell::new(String::new());
        self.wait_for_event(&format!("degraded: {problem}"), |body| match body {
            Body::InferenceDegraded { code, message, .. } if code == problem => {
                found.borrow_mut().clone_from(message);
                true
            }
            _ => false,
        });
        found.into_inner()
    }
}

fn launch<const N: usize>(function: &FunctionSpec, more: [(&'static str, String); N]) -> Replica {
    let library = onnxruntime().display().to_string();
    let environment = [
        ("MILLRACE_FUNCTION", function.to_json()),
        ("MILLRACE_ONNXRUNTIME__LIBRARY", library),
    ];
    Replica(Process::start(
        "millrace-inference",
        std::iter::empty::<&str>(),
        environment.into_iter().chain(more),
    ))
}

/// A replica's process. In a test that fails, it tells what it had to say.
pub struct Replica(pub Process);

impl Deref for Replica {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.0
    }
}

impl DerefMut for Replica {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.0
    }
}

impl Drop for Replica {
    #[allow(
        clippy::print_stderr,
        reason = "the harness of a failed test shows it beside the failure"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("a replica said:\n{}", self.0.lines().join("\n"));
        }
    }
}

/// Ends a replica in order, and fails unless it says that it did.
pub fn end(mut replica: Replica) {
    replica.terminate();
    let status = replica.wait(LIMIT);
    assert!(status.success(), "{status}");
}
