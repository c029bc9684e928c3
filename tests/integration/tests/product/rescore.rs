//! Everything since a place is answered again by a new version, which then takes the live inference's place: under load,
//! with both functions and the API killed in the middle, nobody's answer is missing or comes twice.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use millrace_harness::{Kafka, Millrace, unique};
use millrace_kafka::{Admin, Record};
use serde_json::{Value, json};

use crate::load::Load;
use crate::models;
use crate::{LIMIT, by_source, connection, read_committed};

const PREPARE: &str = r#"mutation Prepare($topic: String!, $input: String!, $output: String!, $partitions: Int!) {
  createDatasource(input: {
    name: "points", topic: $topic, createTopic: {partitions: 1}, format: {raw: {dtype: UINT8, shape: [4]}}
  }) { datasource { name } }
  createInference(input: {
    name: "points", datasource: "points", model: "points", version: 1, replicas: $partitions,
    inputTopic: $input, outputTopic: $output, start: {at: EARLIEST}
  }) { inference { name } }
}"#;

const RESCORE: &str = r#"mutation Rescore($name: String!, $output: String!, $start: StartInput, $rate: Int) {
  rescoreInference(input: {
    inference: "points", name: $name, version: 2, outputTopic: $output, start: $start, recordsPerSecond: $rate, replicas: 2
  }) { inference { state takesOver { name } span { recordsPerSecond } outputTopic } }
}"#;

const BOTH: &str = r#"query Both { project {
  live: inference(name: "points") { state message successor { name } functions { processId } }
  new: inference(name: "better") {
    state message takesOver { name } span { ends { partition offset } } lag { partition lag } functions { processId }
    handover { inference offsets { partition offset } }
  }
} }"#;

/// Where the new version begins: the other partitions at their first record.
const START: i64 = 700;
const PARTITIONS: i32 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_answers_all_again_and_takes_over_under_load_and_kills() {
    let kafka = Kafka::shared();
    let mut millrace = Millrace::start(kafka, &[]).await;
    push(&millrace);
    let (input, output, again) = (unique("input"), unique("output"), unique("again"));
    kafka.create_topic(&input, PARTITIONS, &[]).await;
    let load = Load::start(kafka, &input, PARTITIONS);
    load.wait_for(5_000);
    let topics =
        json!({"topic": unique("points"), "input": input, "output": output, "partitions": 2});
    millrace.execute(PREPARE, topics).await;
    wait(&millrace, "the live one runs", |both| {
        both["live"]["state"] == "RUNNING"
    })
    .await;

    // A place that lies ahead of it would mean where it is.
    crate::predictions(kafka, &output, 5_000).await;
    let start = json!({"offsets": [{"partition": 0, "offset": START}]});
    let wanted = json!({"name": "better", "output": again, "start": start, "rate": 1_500});
    let made = millrace.execute(RESCORE, wanted.clone()).await;
    let made = &made["rescoreInference"]["inference"];
    assert_eq!(made["takesOver"]["name"], "points", "{made}");
    assert_eq!(made["span"]["recordsPerSecond"], 1_500);
    refuse_while_it_is_about_to(&millrace, wanted).await;

    // Both functions are killed while the new one is on its way, and then the API, with all that it runs.
    state(&millrace, "better", "RUNNING").await;
    crate::predictions(kafka, &again, 1_000).await;
    kill_functions(&millrace).await;
    crate::predictions(kafka, &again, 2_500).await;
    let on_its_way = millrace.execute(BOTH, json!({})).await;
    assert_eq!(on_its_way["project"]["new"]["takesOver"]["name"], "points");
    millrace.process().kill();
    millrace.start_again().await;
    // And once more while one hands over to the other.
    wait(&millrace, "the live one is stopped", |both| {
        matches!(both["live"]["state"].as_str(), Some("STOPPING" | "STOPPED"))
    })
    .await;
    millrace.process().kill();
    millrace.start_again().await;
    let both = wait(&millrace, "the new one has taken over", |both| {
        both["new"]["handover"].is_object() && both["new"]["state"] == "RUNNING"
    })
    .await;
    assert_eq!(both["new"]["handover"]["inference"], "points");
    assert_eq!(both["live"]["state"], "STOPPED", "{both}");
    assert!(both["new"]["takesOver"].is_null() && both["new"]["span"].is_null());
    let shown = millrace.command(&["inference", "show", "better"]);
    assert!(
        shown.contains("has taken the place of points at"),
        "{shown}"
    );

    let sent = load.sent();
    load.wait_for(sent + 1_000);
    load.stop();
    wait(&millrace, "nothing is left", |both| {
        let lag = both["new"]["lag"].as_array().unwrap();
        lag.iter().all(|one| one["lag"] == 0)
    })
    .await;
    let handover = offsets(&both["new"]["handover"]["offsets"]);
    let marks = Admin::new(&connection(kafka))
        .unwrap()
        .watermarks(&input)
        .unwrap();
    let ends: BTreeMap<i32, i64> = marks.iter().map(|one| (one.partition, one.high)).collect();
    let since = |partition| if partition == 0 { START } else { 0 };
    let before = |partition: &i32| (0, handover[partition]);
    let after = |partition: &i32| (since(*partition), ends[partition]);
    let old = read_committed(&connection(kafka), &output);
    let new = read_committed(&connection(kafka), &again);
    check(&old, &input, "1", before);
    check(&new, &input, "2", after);
    assert!(
        ends.iter()
            .all(|(partition, end)| handover[partition] < *end)
    );
    assert_eq!(handover.len(), ends.len());
}

/// Fails unless these are the answers of a version to exactly this part of each partition, once and in order.
fn check(answers: &[Record], input: &str, version: &str, part: impl Fn(&i32) -> (i64, i64)) {
    for partition in 0..PARTITIONS {
        let (start, end) = part(&partition);
        let own = |answer: &&Record| answer.partition == partition;
        let found: Vec<String> = answers.iter().filter(own).map(source).collect();
        let expected: Vec<String> = (start..end)
            .map(|offset| format!("{input}/{partition}/{offset}"))
            .collect();
        assert_eq!(found.len(), expected.len(), "partition {partition}");
        assert!(found == expected, "partition {partition} is out of order");
    }
    for answer in answers {
        assert_eq!(header(answer, "millrace-version"), version);
    }
}

/// The place is taken by one, and what is about to be taken over stays.
async fn refuse_while_it_is_about_to(millrace: &Millrace, mut second: Value) {
    second["name"] = json!("other");
    let (code, message) = millrace.refuse(RESCORE, second).await;
    assert_eq!(code, "IN_USE", "{message}");
    assert!(message.contains("\"better\" is about to take"), "{message}");
    let delete = r#"mutation Delete { deleteInference(input: {name: "points"}) { name } }"#;
    let (code, message) = millrace.refuse(delete, json!({})).await;
    assert_eq!(code, "IN_USE", "{message}");
    let chained = r#"mutation Chained { rescoreInference(input: {
      inference: "better", name: "best", version: 1, outputTopic: "best"
    }) { inference { name } } }"#;
    let (code, message) = millrace.refuse(chained, json!({})).await;
    assert_eq!(code, "ILLEGAL_STATE", "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn into_the_same_topic_no_old_answer_follows_a_new_one_and_the_topic_stays() {
    let kafka = Kafka::shared();
    let millrace = Millrace::start(kafka, &[]).await;
    push(&millrace);
    let (input, output) = (unique("input"), unique("output"));
    kafka.create_topic(&input, PARTITIONS, &[]).await;
    let load = Load::start(kafka, &input, PARTITIONS);
    let topics =
        json!({"topic": unique("points"), "input": input, "output": output, "partitions": 1});
    millrace.execute(PREPARE, topics).await;
    crate::runs(&millrace).await;
    crate::predictions(kafka, &output, 500).await;
    let made = millrace.command(&[
        "inference",
        "rescore",
        "points",
        "better",
        "--output-topic",
        &output,
        "--version",
        "2",
    ]);
    assert!(made.contains("takes the place of points"), "{made}");
    wait(&millrace, "the new one has taken over", |both| {
        both["new"]["handover"].is_object() && both["new"]["state"] == "RUNNING"
    })
    .await;
    load.stop();
    wait(&millrace, "nothing is left", |both| {
        let lag = both["new"]["lag"].as_array().unwrap();
        lag.iter().all(|one| one["lag"] == 0)
    })
    .await;

    // The topic was made for the one that is gone: it stays, since the other one writes to it.
    let delete = r#"mutation Delete { deleteInference(input: {name: "points"}) { name } }"#;
    millrace.execute(delete, json!({})).await;
    wait(&millrace, "the old one is gone", |both| {
        both["live"].is_null()
    })
    .await;
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for answer in read_committed(&connection(kafka), &output) {
        let version = header(&answer, "millrace-version").to_owned();
        versions.entry(source(&answer)).or_default().push(version);
    }
    let kinds: BTreeSet<Vec<String>> = versions.values().cloned().collect();
    let both = vec!["1".to_owned(), "2".to_owned()];
    let new = vec!["2".to_owned()];
    assert!(kinds.contains(&both), "{kinds:?}");
    assert!(kinds.is_subset(&BTreeSet::from([both, new])), "{kinds:?}");
    let marks = Admin::new(&connection(kafka))
        .unwrap()
        .watermarks(&input)
        .unwrap();
    let records: i64 = marks.iter().map(|one| one.high).sum();
    assert_eq!(versions.len(), usize::try_from(records).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_ends_when_its_segment_or_its_time_is_answered() {
    let kafka = Kafka::shared();
    let mut millrace = Millrace::start(kafka, &[]).await;
    let (topic, output) = (unique("training"), unique("output"));
    let segment = crate::prepare(&millrace, &topic, 2, 400).await;
    let live = r#"mutation Live($topic: String!, $output: String!) { createInference(input: {
      name: "points", datasource: "points", model: "points", version: 1, inputTopic: $topic, outputTopic: $output
    }) { inference { state } } }"#;
    let topics = json!({"topic": topic, "output": output});
    millrace.execute(live, topics).await;
    crate::runs(&millrace).await;
    // Records that are not the segment's.
    let file = millrace.file("later.csv", crate::points(50));
    let later = ["send", "points", file.to_str().unwrap(), "--no-segment"];
    millrace.command(&later);
    refuse_spans(&millrace, &segment).await;

    // By a command; a rate at which the API's death comes in the middle.
    let again = unique("again");
    let made = millrace.command(&[
        "inference",
        "replay",
        "points",
        "again",
        "--output-topic",
        &again,
        "--segment",
        &segment,
        "--rate",
        "100",
        "--replicas",
        "2",
        "--json",
    ]);
    let made: Value = serde_json::from_str(&made).unwrap();
    assert_eq!(made["span"]["recordsPerSecond"], 100, "{made}");
    state(&millrace, "again", "RUNNING").await;
    crate::predictions(kafka, &again, 50).await;
    millrace.process().kill();
    millrace.start_again().await;
    finished(&millrace, "again").await;
    let made = read_committed(&connection(kafka), &again);
    assert_eq!((made.len(), by_source(&made).len()), (400, 400));
    assert_eq!(crate::predictions(kafka, &output, 50).await.len(), 50);

    // By time, without an inference beside it: everything up to now, and nothing that comes later.
    let whole = unique("whole");
    let create = r#"mutation Whole($output: String!) { createInference(input: {
      name: "whole", datasource: "points", model: "points", version: 1, outputTopic: $output, end: {at: NOW}
    }) { inference { span { ends { partition offset } } } } }"#;
    let made = millrace.execute(create, json!({"output": whole})).await;
    let ends = offsets(&made["createInference"]["inference"]["span"]["ends"]);
    assert_eq!(ends.values().sum::<i64>(), 450);
    millrace.command(&later);
    finished(&millrace, "whole").await;
    let made = read_committed(&connection(kafka), &whole);
    assert_eq!((made.len(), by_source(&made).len()), (450, 450));

    // One that is finished answers nothing more, and is finished again when it is started.
    let start =
        r#"mutation Start { startInference(input: {name: "whole"}) { inference { state } } }"#;
    millrace.execute(start, json!({})).await;
    finished(&millrace, "whole").await;
    assert_eq!(read_committed(&connection(kafka), &whole).len(), 450);
}

async fn refuse_spans(millrace: &Millrace, segment: &str) {
    let create = r#"mutation Create($segment: ID, $start: StartInput, $end: StartInput, $rate: Int, $input: String) {
      createInference(input: {
        name: "wrong", datasource: "points", model: "points", version: 1, outputTopic: "wrong", inputTopic: $input,
        segment: $segment, start: $start, end: $end, recordsPerSecond: $rate
      }) { inference { name } } }"#;
    let far = json!({"time": "2999-01-01T00:00:00Z"});
    for (wrong, words) in [
        (json!({"rate": 5}), "where this inference ends"),
        (
            json!({"end": {"at": "NOW"}, "rate": 0}),
            "recordsPerSecond is 1",
        ),
        (json!({"end": {"at": "EARLIEST"}}), "nothing between"),
        (json!({"end": far}), "lies in the future"),
        (
            json!({"segment": segment, "end": {"at": "NOW"}}),
            "`segment` alone",
        ),
        (
            json!({"segment": segment, "input": "elsewhere"}),
            "no other `inputTopic`",
        ),
    ] {
        let (code, message) = millrace.refuse(create, wrong.clone()).await;
        assert_eq!(code, "INVALID_INPUT", "{wrong}: {message}");
        assert!(message.contains(words), "{wrong}: {message}");
    }
}

/// Waits until an inference is in this state.
pub(crate) async fn state(millrace: &Millrace, name: &str, state: &str) -> Value {
    let query = r"query State($name: String!) { project { inference(name: $name) {
      state message functions { ordinal } lag { lag }
    } } }";
    let is = |data: &Value| data["project"]["inference"]["state"] == state;
    let mut data = millrace
        .wait_for(state, LIMIT, query, json!({"name": name}), is)
        .await;
    data["project"]["inference"].take()
}

pub(crate) async fn finished(millrace: &Millrace, name: &str) {
    let inference = state(millrace, name, "FINISHED").await;
    let lag = inference["lag"].as_array().unwrap();
    assert!(lag.iter().all(|one| one["lag"] == 0), "{inference}");
    assert!(inference["functions"].as_array().unwrap().is_empty());
}

/// Waits until both inferences are as wanted.
async fn wait(millrace: &Millrace, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let is = |data: &Value| wanted(&data["project"]);
    let mut data = millrace.wait_for(what, LIMIT, BOTH, json!({}), is).await;
    data["project"].take()
}

/// Kills the functions of both inferences.
async fn kill_functions(millrace: &Millrace) {
    let both = millrace.execute(BOTH, json!({})).await;
    let mut killed = 0;
    for name in ["live", "new"] {
        for function in both["project"][name]["functions"].as_array().unwrap() {
            let Some(process) = function["processId"].as_u64() else {
                continue;
            };
            let done = Command::new("kill")
                .args(["-9", &process.to_string()])
                .status();
            killed += usize::from(done.unwrap().success());
        }
    }
    assert!(killed >= 2, "{both}");
}

fn push(millrace: &Millrace) {
    for seed in [1, 2] {
        let file = millrace.file("model.onnx", models::dense(seed));
        millrace.command(&["model", "push", "points", file.to_str().unwrap()]);
    }
}

fn offsets(list: &Value) -> BTreeMap<i32, i64> {
    let offset = |one: &Value| {
        let partition = i32::try_from(one["partition"].as_i64()?).ok()?;
        Some((partition, one["offset"].as_i64()?))
    };
    let list = list.as_array().unwrap();
    list.iter().map(|one| offset(one).unwrap()).collect()
}

fn source(answer: &Record) -> String {
    header(answer, "millrace-source").to_owned()
}

fn header<'r>(record: &'r Record, name: &str) -> &'r str {
    std::str::from_utf8(record.header(name).unwrap()).unwrap()
}
