//! The function on its own: a model's file or an alias, a Kafka cluster and nothing else.

use std::collections::BTreeSet;

use millrace_harness::{Kafka, Process, onnxruntime};
use serde_json::{Value, json};

use crate::answers::Answer;
use crate::fixture::{Fixture, LIMIT, Replica, end};
use crate::models;

/// Starts the function with what this file says.
fn start(fixture: &Fixture<'_>, name: &str, file: &Value) -> Replica {
    let path = fixture.folder.path().join(name);
    std::fs::write(&path, file.to_string()).unwrap();
    let library = onnxruntime().display().to_string();
    Replica(Process::start(
        "millrace-inference",
        ["edge", path.to_str().unwrap()],
        [("MILLRACE_ONNXRUNTIME__LIBRARY", library)],
    ))
}

fn file(fixture: &Fixture<'_>, model: &[u8]) -> Value {
    std::fs::write(fixture.folder.path().join("numbers.onnx"), model).unwrap();
    json!({
        "kafka": fixture.kafka.client_properties(),
        "model": "numbers.onnx",
        "input": fixture.input,
        "input_format": {"type": "RAW", "dtype": "uint8", "shape": [4]},
        "output": fixture.output,
        "dead_letters": fixture.dead,
        "group": fixture.group,
        "listen": "127.0.0.1:0",
    })
}

#[tokio::test]
async fn it_answers_each_record_once_and_hands_on_what_it_is_not_sure_of() {
    let kafka = Kafka::shared();
    let edge = Fixture::without_start(kafka, 2, 2).await;
    let cloud = Fixture {
        input: kafka.topic("cloud", 2).await,
        ..Fixture::without_start(kafka, 2, 2).await
    };
    // As sure of a record as the highest of its four bytes.
    let mut first = file(&edge, &models::table(256));
    first["hand_on"] = json!({"topic": cloud.input, "output": "output", "below": 100.0});
    edge.send(0..300);
    let mut process = start(&edge, "edge.json", &first);
    let follower = start(&cloud, "cloud.json", &file(&cloud, &models::dense(1)));
    let (mut here, mut there) = (edge.outputs(), cloud.outputs());
    // Numbers whose bytes are all below 100 go on: 144 of the first 300, 288 of all.
    here.count(156, LIMIT);
    there.count(144, LIMIT);
    // What a killed one has answered is not answered again.
    process.kill();
    edge.send(300..600);
    let process = start(&edge, "edge.json", &first);
    here.count(312, LIMIT);
    there.count(288, LIMIT);
    end(process);
    end(follower);
    let (here, there) = (here.drain(), there.drain());
    assert_eq!((here.len(), there.len()), (312, 288));
    let sources: BTreeSet<_> = here.iter().chain(&there).map(origin).collect();
    assert_eq!(sources.len(), 600);
}

#[tokio::test]
async fn it_follows_an_alias_of_a_millrace_elsewhere() {
    let fixture = Fixture::without_start(Kafka::shared(), 2, 2).await;
    let mut following = file(&fixture, &models::dense(1));
    following.as_object_mut().unwrap().remove("model");
    following["follow"] = json!({
        "project": "default",
        "model": "numbers",
        "alias": "champion",
        "registry": fixture.registry,
        "artifacts": fixture.artifacts(),
    });
    fixture.send(0..10);
    let mut process = start(&fixture, "edge.json", &following);
    process.wait_for("the alias points at nothing; nothing is answered", LIMIT);
    let old = fixture.version(1, models::dense(1)).await;
    fixture.point(&old);
    let mut outputs = fixture.outputs();
    outputs.count(10, LIMIT);
    assert!(outputs.all.iter().all(|answer| answer.version() == 1));
    let new = fixture.version(2, models::dense(2)).await;
    fixture.point(&new);
    let mut sent = 10;
    while outputs.all.last().unwrap().version() != 2 {
        fixture.send(sent..sent + 1);
        sent += 1;
        outputs.count(sent as usize, LIMIT);
    }
    end(process);
    // Another process begins with what the alias points at by now.
    let process = start(&fixture, "edge.json", &following);
    fixture.send(sent..sent + 10);
    outputs.count(sent as usize + 10, LIMIT);
    let later = &outputs.all[sent as usize..];
    assert!(later.iter().all(|answer| answer.version() == 2));
    end(process);
    let answers = outputs.drain();
    let sources: BTreeSet<_> = answers.iter().map(origin).collect();
    assert_eq!(answers.len(), sent as usize + 10);
    assert_eq!(sources.len(), answers.len());
}

/// The record that an answer goes back to.
fn origin(answer: &Answer) -> &str {
    let handed_on = answer.header("millrace-origin");
    handed_on.or(answer.header("millrace-source")).unwrap()
}

#[tokio::test]
async fn what_its_file_cannot_say_is_refused_in_words() {
    let fixture = Fixture::without_start(Kafka::shared(), 1, 1).await;
    let right = file(&fixture, &models::dense(1));
    let with = |member: &str, value: Value| {
        let mut wrong = right.clone();
        wrong[member] = value;
        wrong
    };
    for (wrong, words) in [
        (json!([]), "is malformed"),
        (with("colour", json!("red")), "unknown field `colour`"),
        (
            with("model", json!("none.onnx")),
            "none.onnx cannot be read",
        ),
        (with("model", Value::Null), "give one of them"),
        (
            with("follow", json!({"alias": "champion"})),
            "missing field",
        ),
        (with("group", json!("")), "have names"),
        (with("guarantee", json!("NEVER")), "NEVER"),
    ] {
        let mut process = start(&fixture, "wrong.json", &wrong);
        assert_eq!(process.wait(LIMIT).code(), Some(2), "{wrong}");
        let said = process.lines().join("\n");
        assert!(said.contains(words), "{wrong}: {said}");
    }
}
