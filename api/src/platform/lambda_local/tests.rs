//! Environments and mappings with a stand-in for the function: a program that answers as a test says, and notes
//! each event that it gets.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use millrace_harness::{Kafka, block_until, unique};
use millrace_kafka::{Admin, Connection, GroupOffset, OutRecord, Producer, Range, RangeReader};
use millrace_wire::function::{
    Batching, Connection as Properties, Control, Guarantee as Promise, InferenceSpec, NotFinite,
};
use millrace_wire::prediction::OutputFormat;
use millrace_wire::record::{ByteOrder, Dtype, RawArray, RecordFormat};
use millrace_wire::registry::Version;
use millrace_wire::signature::Signature;
use tempfile::TempDir;
use uuid::Uuid;

use super::super::Pollers;
use super::environment::{Environment, Failure};
use super::*;

const LIMIT: Duration = Duration::from_mins(1);

/// What stands around a test's rule: `answer(event, values)`, where values are those of the event's records in their
/// order, by partition. `events` is the file of all events, `tries` counts this one among those with the same values.
const AROUND: &str = r#"#!/usr/bin/env python3
import base64, json, os, sys, time, urllib.request
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/"
folder = os.path.dirname(os.path.abspath(__file__))

def post(path, body):
    urllib.request.urlopen(urllib.request.Request(api + path, json.dumps(body).encode(), method="POST"))

def failures(*places):
    return {"batchItemFailures": [{"itemIdentifier": {"partition": p, "offset": o}} for p, o in places]}

START

while True:
    with urllib.request.urlopen(api + "invocation/next") as got:
        event, id = json.load(got), got.headers["Lambda-Runtime-Aws-Request-Id"]
    records = [record for list in event.get("records", {}).values() for record in list]
    values = [base64.b64decode(record["value"]).decode() for record in records]
    noted = folder + "/events"
    earlier = open(noted).read().splitlines() if os.path.exists(noted) else []
    tries = earlier.count(" ".join(values))
    with open(noted, "a") as events:
        events.write(" ".join(values) + "\n")
    try:
        post("invocation/" + id + "/response", answer(event, values))
    except AssertionError as error:
        post("invocation/" + id + "/error", {"errorType": "Rule", "errorMessage": str(error)})
"#;

/// Settings whose function follows this rule.
fn settings(folder: &Path, rule: &str) -> Settings {
    let binary = folder.join("function");
    fs::write(&binary, AROUND.replace("START", rule)).unwrap();
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    Settings {
        training: binary.clone(),
        inference: binary,
        onnxruntime: None,
        training_slots: 1,
        log: "info".to_owned(),
        logs: folder.to_path_buf(),
        grace: LIMIT,
        trial: LIMIT,
        pauses: super::super::Pauses::default(),
        client: reqwest::Client::new(),
    }
}

async fn environment(folder: &TempDir, rule: &str) -> Result<Environment, Failure> {
    let settings = settings(folder.path(), rule);
    let spec = spec("none", &Properties::new());
    let log = Arc::new(Log::open(folder.path().join("log")));
    Environment::start(&settings, &spec, &log).await
}

fn spec(name: &str, connection: &Properties) -> FunctionSpec {
    let control = Control {
        connection: connection.clone(),
        events_topic: Some("events".to_owned()),
        registry_topic: "registry".to_owned(),
    };
    let inference = InferenceSpec {
        id: Uuid::from_u128(1),
        project: "default".to_owned(),
        name: name.to_owned(),
        connection: connection.clone(),
        model: "numbers".to_owned(),
        version: Some(Version {
            version: 1,
            digest: "none".to_owned(),
            size: 1,
            signature: Signature {
                inputs: Vec::new(),
                outputs: Vec::new(),
                others: None,
            },
            samples: None,
        }),
        alias: None,
        input_topic: name.to_owned(),
        input_topic_id: None,
        input_format: RecordFormat::Raw(RawArray {
            dtype: Dtype::Uint8,
            shape: vec![1],
            byte_order: ByteOrder::Little,
        }),
        output_topic: "output".to_owned(),
        output_format: OutputFormat::Json,
        outputs: Vec::new(),
        echo_input: false,
        hand_on: None,
        dead_letter_topic: "dead".to_owned(),
        redrive_topic: None,
        not_finite: NotFinite::Pass,
        group: name.to_owned(),
        guarantee: Promise::AtLeastOnce,
        transactional_id: String::new(),
        batching: Batching::default(),
        span: None,
    };
    FunctionSpec::new(
        control,
        "file:///none".to_owned(),
        String::new(),
        0,
        Role::Inference(Box::new(inference)),
    )
}

#[tokio::test]
async fn an_environment_answers_and_is_frozen_until_the_next_event() {
    let folder = TempDir::new().unwrap();
    let rule = "def answer(event, values): return os.getpid()";
    let environment = environment(&folder, rule).await.unwrap();
    let process = environment.process_id().unwrap();
    is_frozen(process);
    let (kept, answer) = environment.invoke(b"{}".to_vec(), LIMIT).await;
    assert_eq!(answer.unwrap(), process.to_string());
    is_frozen(process);
    let (kept, answer) = kept.unwrap().invoke(b"{}".to_vec(), LIMIT).await;
    assert_eq!(answer.unwrap(), process.to_string());
    drop(kept);
    block_until("the process is gone", LIMIT, || match state_of(process) {
        None | Some('Z') => Ok(()),
        Some(state) => Err(state),
    });
}

/// Waits until the process stands still, where the system tells.
fn is_frozen(process: u32) {
    if cfg!(target_os = "linux") {
        block_until("it is frozen", LIMIT, || match state_of(process) {
            Some('T') => Ok(()),
            state => Err(format!("{state:?}")),
        });
    }
}

fn state_of(process: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    stat.rsplit(") ").next()?.chars().next()
}

#[tokio::test]
async fn what_fails_is_told_in_lambdas_words() {
    let refused = async |rule| {
        let folder = TempDir::new().unwrap();
        environment(&folder, rule).await.err().unwrap().0
    };
    let told = r#"post("init/error", {"errorType": "Millrace.failed", "errorMessage": "no model"}); sys.exit(1)"#;
    assert_eq!(refused(told).await, "Millrace.failed: no model");
    assert_eq!(
        refused("sys.exit(3)").await,
        "Runtime.ExitError: exit status: 3"
    );

    let second = Duration::from_secs(1);
    for (rule, words, is_kept) in [
        ("assert False, 'not today'", "Rule: not today", true),
        ("os._exit(4)", "Runtime.ExitError: exit status: 4", false),
        (
            "os.kill(os.getpid(), 9)",
            "Runtime.ExitError: signal: 9 (SIGKILL)",
            false,
        ),
        (
            "time.sleep(1000)",
            "Task timed out after 1.00 seconds",
            false,
        ),
        (
            "urllib.request.urlopen(api + 'invocation/next')",
            "Runtime.BadCall",
            false,
        ),
        (
            "return 'x' * (6 << 20)",
            "Function.ResponseSizeTooLarge",
            false,
        ),
    ] {
        let folder = TempDir::new().unwrap();
        let rule = format!("def answer(event, values): {rule}");
        let environment = environment(&folder, &rule).await.unwrap();
        let limit = if words.starts_with("Task") {
            second
        } else {
            LIMIT
        };
        let (kept, outcome) = environment.invoke(b"{}".to_vec(), limit).await;
        let failure = outcome.unwrap_err().0;
        assert!(failure.starts_with(words), "{rule}: {failure}");
        assert_eq!(kept.is_some(), is_kept, "{rule}");
    }
}

/// A mapping on a topic of one partition that holds these values, on a real broker.
struct World {
    folder: TempDir,
    name: String,
    admin: Admin,
    platform: LambdaLocal,
}

const OWNER: Owner = Owner::Inference(Uuid::from_u128(1));

impl World {
    async fn new(values: &[&str], rule: &str, mapping: Mapping) -> Self {
        Self::with(LIMIT, values, rule, mapping).await
    }

    /// One whose events are given up so long after the end was asked for.
    async fn with(grace: Duration, values: &[&str], rule: &str, mapping: Mapping) -> Self {
        let kafka = Kafka::shared();
        let name = unique("mapping");
        kafka.create_topic(&name, 1, &[]).await;
        let connection = Connection::new(kafka.client_properties());
        let admin = Admin::new(&connection).unwrap();
        admin
            .commit(&name, &[GroupOffset::new(&name, 0, 0)])
            .unwrap();
        let folder = TempDir::new().unwrap();
        let settings = Settings {
            grace,
            ..settings(folder.path(), rule)
        };
        let platform = LambdaLocal::new(settings, Changes::default());
        let world = Self {
            folder,
            name,
            admin,
            platform,
        };
        world.send(values);
        let spec = spec(&world.name, kafka.client_properties());
        let running = world.platform.start(OWNER, spec, mapping).unwrap();
        *world.platform.function(OWNER).lock().await = Some(running);
        world
    }

    fn send(&self, values: &[&str]) {
        let producer =
            Producer::new(&Connection::new(Kafka::shared().client_properties())).unwrap();
        for value in values {
            let record = OutRecord {
                key: Some(b"key"),
                ..OutRecord::to(&self.name)
                    .partition(0)
                    .value(value.as_bytes())
            };
            producer.send(&record).unwrap();
        }
        producer.flush(LIMIT).unwrap();
    }

    /// Waits until the group has got so far, and returns the events until then.
    fn until(&self, offset: i64) -> Vec<String> {
        block_until("the group has got there", LIMIT, || {
            let committed = self.committed();
            if committed == offset {
                Ok(())
            } else {
                Err(format!("{committed}, {:?}", self.events()))
            }
        });
        self.events()
    }

    /// Waits until the event of this value was tried.
    fn tried(&self, value: &str) {
        block_until("it was tried", LIMIT, || {
            let events = self.events();
            let is_there = events.iter().any(|event| event == value);
            is_there.then_some(()).ok_or(events.join(", "))
        });
    }

    fn committed(&self) -> i64 {
        self.admin.committed(&self.name, &self.name).unwrap()[0].offset
    }

    fn events(&self) -> Vec<String> {
        let events = fs::read_to_string(self.folder.path().join("events")).unwrap_or_default();
        events.lines().map(str::to_owned).collect()
    }
}

/// Events of so many records; no record waits so long that a test would see it.
fn of(batch_size: usize, provisioned: Option<Provisioned>) -> Mapping {
    Mapping {
        batch_size,
        window: LIMIT,
        provisioned,
        ..Mapping::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_event_comes_again_as_it_was_until_it_succeeds() {
    let rule = "def answer(event, values): assert tries == 2, 'not yet'";
    let world = World::new(&["a", "b", "c", "d"], rule, of(2, None)).await;
    assert_eq!(world.until(4), ["a b", "a b", "a b", "c d", "c d", "c d"]);
    let status = world.platform.functions().await.remove(0);
    assert_eq!((status.state, status.restarts), (State::Running, 4));
    world.platform.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outside_of_the_provisioned_mode_named_failures_are_lost() {
    let rule = "def answer(event, values): return failures((next(iter(event['records'])), 0))";
    let world = World::new(&["a", "b"], rule, of(2, None)).await;
    assert_eq!(world.until(2), ["a b"]);
    world.platform.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn named_failures_come_again_with_all_behind_them() {
    let rule = "def answer(event, values):
    return failures((next(iter(event['records'])), 1)) if len(values) == 4 else None";
    let mode = Some(Provisioned::default());
    let world = World::new(&["a", "b", "c", "d"], rule, of(4, mode)).await;
    assert_eq!(world.until(4), ["a b c d", "b c d"]);
    world.platform.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_record_is_found_by_halves_and_given_up() {
    let rule = "def answer(event, values): assert 'f' not in values, 'no f'";
    let mode = Some(Provisioned {
        retries: Some(1),
        bisects: true,
        ..Provisioned::default()
    });
    let world = World::new(&["a", "b", "e", "f", "g", "h"], rule, of(6, mode)).await;
    let expected = ["a b e f g h", "a b e", "f g h", "f", "f", "g h"];
    assert_eq!(world.until(6), expected);
    world.platform.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_is_told_in_a_topic() {
    let letters = unique("given-up");
    Kafka::shared().create_topic(&letters, 1, &[]).await;
    let rule = "def answer(event, values): assert 'b' not in values, 'no b'";
    let mode = Some(Provisioned {
        retries: Some(1),
        on_failure: Some(letters.clone()),
        ..Provisioned::default()
    });
    let world = World::new(&["a", "b", "c"], rule, of(1, mode)).await;
    assert_eq!(world.until(3), ["a", "b", "b", "c"]);
    let connection = Connection::new(Kafka::shared().client_properties());
    let ends = world.admin.watermarks(&letters).unwrap();
    assert_eq!(ends[0].high, 1);
    let range = Range {
        partition: 0,
        start: 0,
        end: 1,
    };
    let mut reader = RangeReader::open(&connection, &letters, &[range]).unwrap();
    let letter = block_until("the letter is read", LIMIT, || {
        let batch = reader.next_batch(1, Duration::from_millis(100)).unwrap();
        let record = batch.first().ok_or("nothing yet")?;
        assert_eq!(record.key(), Some(&b"key"[..]));
        Ok::<_, &str>(serde_json::from_slice::<serde_json::Value>(record.value().unwrap()).unwrap())
    });
    let context = &letter["requestContext"];
    assert_eq!(context["condition"], "RetriesExhausted");
    assert_eq!(context["approximateInvokeCount"], 2);
    let of_record = &letter["payload"]["records"][format!("{}-0", world.name)][0];
    assert_eq!(of_record["offset"], 1);
    assert_eq!(of_record["value"], "Yg==");
    world.platform.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_too_old_are_passed_over() {
    let rule = "def answer(event, values):
    time.sleep(1.2)
    assert False, 'never'";
    let mode = Some(Provisioned {
        oldest: Some(Duration::from_secs(1)),
        ..Provisioned::default()
    });
    let world = World::new(&["a"], rule, of(1, mode)).await;
    assert!(world.until(1).len() <= 1);
    world.platform.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_environment_is_given_up_and_another_one_answers_later() {
    let rule = "open(folder + '/starts', 'a').write('x')
def answer(event, values): return None";
    let mapping = Mapping {
        idle: Duration::from_millis(200),
        ..of(1, None)
    };
    let world = World::new(&["a"], rule, mapping).await;
    world.until(1);
    let mut changes = world.platform.changes.subscribe();
    while world.platform.functions().await[0].process_id.is_some() {
        changes.changed().await.unwrap();
    }
    world.send(&["b"]);
    world.until(2);
    let starts = fs::read_to_string(world.folder.path().join("starts")).unwrap();
    assert_eq!(starts, "xx");
    world.platform.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_ends_leaves_what_is_not_answered_for_whoever_comes_next() {
    let rule = "def answer(event, values): assert 'a' in values, 'only a'";
    let world = World::new(&["a", "b"], rule, of(1, None)).await;
    world.tried("b");
    world
        .platform
        .deploy(OWNER, Deployment::default())
        .await
        .unwrap();
    assert!(world.platform.functions().await.is_empty());
    assert_eq!(world.committed(), 1);
    assert!(world.admin.group(&world.name).unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_lasts_holds_up_the_end_of_its_own_function_alone() {
    let rule = "def answer(event, values):
    while not os.path.exists(folder + '/go'): time.sleep(0.01)";
    let world = World::new(&["a"], rule, of(1, None)).await;
    let platform = &world.platform;
    let others = [2, 3].map(|id| Owner::Inference(Uuid::from_u128(id)));
    for owner in others {
        let idle = unique("idle");
        Kafka::shared().create_topic(&idle, 1, &[]).await;
        let spec = spec(&idle, Kafka::shared().client_properties());
        let running = platform.start(owner, spec, of(1, None)).unwrap();
        *platform.function(owner).lock().await = Some(running);
    }
    world.tried("a");
    let left = async || -> Vec<Owner> {
        let functions = platform.functions().await;
        functions.iter().map(|status| status.owner).collect()
    };
    let stopping = platform.deploy(OWNER, Deployment::default());
    tokio::pin!(stopping);
    tokio::select! {
        biased;
        _ = &mut stopping => panic!("its event is still under way"),
        other = platform.deploy(others[0], Deployment::default()) => other.unwrap(),
    }
    assert_eq!(left().await, [OWNER, others[1]]);
    let mut changes = platform.changes.subscribe();
    let closing = platform.shutdown();
    tokio::pin!(closing);
    let one_left = async {
        while left().await.len() > 1 {
            changes.changed().await.unwrap();
        }
    };
    tokio::select! {
        biased;
        () = &mut closing => panic!("an event is still under way"),
        () = one_left => {}
    }
    assert_eq!(left().await, [OWNER]);
    fs::write(world.folder.path().join("go"), "").unwrap();
    let (stopped, ()) = tokio::join!(stopping, closing);
    stopped.unwrap();
    assert_eq!(world.committed(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_outlasts_its_grace_is_left_for_whoever_comes_next() {
    let rule = "def answer(event, values): time.sleep(1000)";
    // Nothing but the end may cut it off, and nothing may be given up for it.
    let mapping = Mapping {
        timeout: Duration::from_hours(1),
        ..of(
            1,
            Some(Provisioned {
                retries: Some(0),
                ..Provisioned::default()
            }),
        )
    };
    let world = World::with(Duration::from_millis(50), &["a"], rule, mapping).await;
    world.tried("a");
    let process = world.platform.functions().await[0].process_id.unwrap();
    let end = world.platform.deploy(OWNER, Deployment::default());
    tokio::time::timeout(LIMIT, end)
        .await
        .expect("it ends")
        .unwrap();
    assert_eq!(world.committed(), 0);
    assert!(world.admin.group(&world.name).unwrap().is_empty());
    block_until("the process is gone", LIMIT, || match state_of(process) {
        None | Some('Z') => Ok(()),
        Some(state) => Err(state),
    });
}

#[test]
fn a_mapping_is_as_it_was_asked_for() {
    let asked = LambdaOptions {
        pollers: Some(Pollers {
            minimum: 2,
            maximum: 4,
        }),
        on_failure: Some("kafka://given-up".to_owned()),
        ..LambdaOptions::default()
    };
    check(&asked).unwrap();
    let mapping = Mapping::of(&asked);
    let mode = mapping.provisioned.unwrap();
    assert_eq!((mapping.pollers, mode.retries), (2, Some(10)));
    assert_eq!(mode.on_failure.as_deref(), Some("given-up"));

    let refused = [
        LambdaOptions {
            on_failure: Some("arn:aws:sqs:eu-west-1:1:queue".to_owned()),
            ..asked.clone()
        },
        LambdaOptions {
            pollers: None,
            ..asked.clone()
        },
        LambdaOptions {
            pollers: Some(Pollers {
                minimum: 17,
                maximum: 17,
            }),
            ..asked.clone()
        },
        LambdaOptions {
            filters: vec![serde_json::json!({"value": {"amount": [1]}})],
            ..asked
        },
    ];
    for options in refused {
        assert!(check(&options).is_err(), "{options:?}");
    }
}

#[tokio::test]
async fn an_environment_is_the_bootstrap_of_a_package() {
    let folder = TempDir::new().unwrap();
    let rule = "def answer(event, values): return os.environ['MILLRACE_ONNXRUNTIME__LIBRARY']";
    let elsewhere = settings(folder.path(), rule);
    let package = folder.path().join("package");
    fs::create_dir(&package).unwrap();
    fs::rename(&elsewhere.inference, package.join("bootstrap")).unwrap();
    let settings = elsewhere.packaged(&package);
    let spec = spec("none", &Properties::new());
    let log = Arc::new(Log::open(folder.path().join("log")));
    let environment = Environment::start(&settings, &spec, &log);
    let (_, answer) = environment
        .await
        .unwrap()
        .invoke(b"{}".to_vec(), LIMIT)
        .await;
    let library: String = serde_json::from_slice(&answer.unwrap()).unwrap();
    assert_eq!(Path::new(&library), package.join("lib/libonnxruntime.so"));
}

/// Each of two partitions has an event under way at the same time: with one poller neither would be answered.
#[tokio::test(flavor = "multi_thread")]
async fn several_pollers_share_the_partitions() {
    let kafka = Kafka::shared();
    let name = unique("mapping");
    kafka.create_topic(&name, 2, &[]).await;
    let connection = Connection::new(kafka.client_properties());
    let folder = TempDir::new().unwrap();
    let rule = "def answer(event, values):
    open(folder + '/at-' + values[0], 'w').close()
    while not all(os.path.exists(folder + '/at-' + at) for at in 'ab'): time.sleep(0.01)";
    let platform = LambdaLocal::new(settings(folder.path(), rule), Changes::default());
    let mapping = Mapping {
        pollers: 2,
        ..of(1, Some(Provisioned::default()))
    };
    let spec = spec(&name, kafka.client_properties());
    let running = platform.start(OWNER, spec, mapping).unwrap();
    *platform.function(OWNER).lock().await = Some(running);
    let admin = Admin::new(&connection).unwrap();
    block_until("both have a partition", LIMIT, || {
        let group = admin.group(&name).unwrap();
        let is_shared = group.state == "Stable" && group.members.len() == 2;
        is_shared.then_some(()).ok_or(format!("{group:?}"))
    });
    let producer = Producer::new(&connection).unwrap();
    for (partition, value) in [(0, b"a"), (1, b"b")] {
        let record = OutRecord::to(&name).partition(partition).value(value);
        producer.send(&record).unwrap();
    }
    producer.flush(LIMIT).unwrap();
    block_until("both are answered", LIMIT, || {
        let committed = admin.committed(&name, &name).unwrap();
        let is_answered = committed.len() == 2 && committed.iter().all(|one| one.offset == 1);
        is_answered.then_some(()).ok_or(format!("{committed:?}"))
    });
    platform.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_several_partitions_share_an_event() {
    let kafka = Kafka::shared();
    let name = unique("mapping");
    kafka.create_topic(&name, 2, &[]).await;
    let connection = Connection::new(kafka.client_properties());
    let producer = Producer::new(&connection).unwrap();
    for partition in [0, 1, 0] {
        let record = OutRecord::to(&name).partition(partition).value(b"v");
        producer.send(&record).unwrap();
    }
    producer.flush(LIMIT).unwrap();
    let folder = TempDir::new().unwrap();
    let rule = "def answer(event, values):
    open(folder + '/counts', 'a').write(json.dumps({k[-1]: len(v) for k, v in event['records'].items()}))";
    let platform = LambdaLocal::new(settings(folder.path(), rule), Changes::default());
    let spec = spec(&name, kafka.client_properties());
    let running = platform.start(OWNER, spec, of(3, None)).unwrap();
    *platform.function(OWNER).lock().await = Some(running);
    let counts = block_until("the event came", LIMIT, || {
        fs::read_to_string(folder.path().join("counts")).map_err(|error| error.kind())
    });
    let counts: BTreeMap<String, u32> = serde_json::from_str(&counts).unwrap();
    assert_eq!(
        counts,
        BTreeMap::from([("0".to_owned(), 2), ("1".to_owned(), 1)])
    );
    platform.shutdown().await;
}
