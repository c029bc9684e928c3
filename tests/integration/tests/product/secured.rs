//! The main job on a cluster that asks for a login and allows only what docs/kafka.md says that
//! Millrace needs. The password stays where it was put.

use std::collections::BTreeMap;
use std::path::Path;

use millrace_harness::{Kafka, KafkaOptions, Millrace, Process, root, unique};
use serde_json::json;

use crate::{by_source, infer, predictions, prepare, train};

/// The variable that holds the password, for Millrace, its functions and `millrace send`.
const PASSWORD: &str = "SECURED_TEST_PASSWORD";

#[tokio::test(flavor = "multi_thread")]
async fn the_job_on_a_secured_cluster_with_the_rights_that_are_documented() {
    let kafka = Kafka::start(&KafkaOptions::default().secured());
    let topics = ["training", "input", "output"].map(|topic| (topic, unique(topic)));
    for (_, topic) in &topics {
        kafka.create_topic(topic, 2, &[]).await;
    }
    let [(_, training), (_, input), (_, output)] = topics.clone();
    let rights = documented_rights();
    let allow = |of: &[&str]| {
        for words in rights.iter().filter(|words| concerns(words, of)) {
            let named = |word: &str| topics.iter().find(|(name, _)| *name == word);
            let words: Vec<&str> = words
                .iter()
                .map(|word| named(word).map_or(word.as_str(), |(_, topic)| topic))
                .collect();
            kafka.allow(&words);
        }
    };
    allow(&["millrace."]);
    let password = kafka.client_properties()["sasl.password"].clone();
    let mut millrace = Millrace::start(&kafka, &environment(&kafka)).await;

    // A topic that it may not see is refused with a sentence, and goes as soon as it is allowed.
    let source = json!({"name": "points", "topic": training, "partitions": 2});
    let (code, message) = millrace.refuse(crate::CREATE_DATASOURCE, source).await;
    assert_eq!(code, "KAFKA_FORBIDDEN");
    assert!(
        message.contains(&training) && message.contains("ask the cluster's owner"),
        "{message}"
    );
    allow(&["training"]);
    let segment = prepare(&millrace, &training, 2, 200).await;
    let ended = train(&millrace, &segment, 5, Some("champion")).await;
    assert_eq!(ended["state"], "SUCCEEDED", "{ended}");

    let wanted = json!({"input": input, "output": output, "replicas": 1});
    let (code, message) = millrace.refuse(crate::CREATE_INFERENCE, wanted).await;
    assert_eq!(code, "KAFKA_FORBIDDEN");
    assert!(message.contains(&input), "{message}");
    allow(&["input", "output"]);
    infer(&millrace, &input, &output, 1).await;
    let file = millrace.folder().join("points.csv");
    let file = file.to_str().unwrap().to_owned();
    // The application that writes the input, which is not Millrace.
    kafka.allow(&["--operation", "Write", "--topic", &input]);
    millrace.command(&["send", "points", &file, "--topic", &input, "--no-segment"]);
    let made = predictions(&kafka, &output, 200).await;
    assert_eq!((made.len(), by_source(&made).len()), (200, 200));

    let (partition, offset) = (made[0].partition, made[0].offset);
    let place = format!("{output}/{partition}/{offset}");
    let explained = millrace.command(&["why", &place]);
    let is_given_again = ["again     same", "again     close"]
        .iter()
        .any(|words| explained.contains(words));
    assert!(is_given_again, "{explained}");

    lose_the_right(&millrace, &kafka, &output, || {
        millrace.command(&["send", "points", &file, "--topic", &input, "--no-segment"]);
    })
    .await;
    let made = predictions(&kafka, &output, 400).await;
    assert_eq!((made.len(), by_source(&made).len()), (400, 400));

    // What everybody can see of the connection and of the functions.
    let seen = millrace
        .execute(
            r#"query Seen { project { connection(name: "default") { properties }
                functions { log(last: 1000) } } }"#,
            json!({}),
        )
        .await;
    let properties = &seen["project"]["connection"]["properties"];
    assert_eq!(
        properties["sasl.password"],
        json!(format!("${{env:{PASSWORD}}}"))
    );
    assert!(!seen.to_string().contains(&password), "{seen}");
    let printed = millrace.command(&["config"]);
    assert!(printed.contains(PASSWORD), "{printed}");
    assert!(!printed.contains(&password), "{printed}");

    // The inference goes with what Millrace made for it, by its own rights.
    let delete = r#"mutation Delete { deleteInference(input: {name: "points"}) { name } }"#;
    millrace.execute(delete, json!({})).await;
    let gone = r#"query Gone { project { inference(name: "points") { state } } }"#;
    millrace
        .wait_for(
            "the inference is gone",
            crate::LIMIT,
            gone,
            json!({}),
            |data| data["project"]["inference"].is_null(),
        )
        .await;

    millrace.process().terminate();
    assert!(millrace.process().wait(crate::LIMIT).success());
    let lines = millrace.process().lines();
    assert!(
        !lines.iter().any(|line| line.contains(&password)),
        "{lines:#?}"
    );
    let files = holding(millrace.folder(), password.as_bytes());
    assert!(files.is_empty(), "{files:?} hold the password");
}

/// Takes the right to write to the output away while more is sent: the inference says what it lacks, and
/// goes on when it has it again.
async fn lose_the_right(millrace: &Millrace, kafka: &Kafka, output: &str, send: impl FnOnce()) {
    let state =
        r#"query State { project { inference(name: "points") { state message lag { lag } } } }"#;
    let write = ["--operation", "Write", "--topic", output];
    kafka.forbid(&write);
    send();
    let degraded = millrace
        .wait_for("it is degraded", crate::LIMIT, state, json!({}), |data| {
            data["project"]["inference"]["state"] == "DEGRADED"
        })
        .await;
    let seen = &degraded["project"]["inference"];
    let message = seen["message"].as_str().unwrap();
    assert!(
        message.contains(&format!("User:millrace --operation Write --topic {output}")),
        "{message}"
    );
    kafka.forbid_no_more(&write);
    let done = |data: &serde_json::Value| {
        let inference = &data["project"]["inference"];
        let mut lags = inference["lag"].as_array().unwrap().iter();
        inference["state"] == "RUNNING" && lags.all(|one| one["lag"] == 0)
    };
    millrace
        .wait_for("it goes on", crate::LIMIT, state, json!({}), done)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_in_the_configuration_itself_is_refused_unseen() {
    let property = ("MILLRACE_KAFKA__PROPERTIES__SASL_PASSWORD", "hunter2");
    for arguments in ["config", "up"] {
        let mut process = Process::start("millrace", [arguments], [property]);
        let said = process.wait_for("sasl.password is a secret", crate::LIMIT);
        assert!(said.contains("${env:NAME}"), "{said}");
        assert!(!process.wait(crate::LIMIT).success());
        let lines = process.lines().join("\n");
        assert!(!lines.contains("hunter2"), "{lines}");
    }
}

/// The login as a user would configure it: the password by one kind of reference, the authority's
/// certificate by the other.
fn environment(kafka: &Kafka) -> Vec<(&'static str, String)> {
    let properties: &BTreeMap<String, String> = kafka.client_properties();
    let property = |name: &str| properties[name].clone();
    vec![
        ("MILLRACE_KAFKA__PREFIX", "millrace".to_owned()),
        (
            "MILLRACE_KAFKA__PROPERTIES__SECURITY_PROTOCOL",
            property("security.protocol"),
        ),
        (
            "MILLRACE_KAFKA__PROPERTIES__SASL_MECHANISM",
            property("sasl.mechanism"),
        ),
        (
            "MILLRACE_KAFKA__PROPERTIES__SASL_USERNAME",
            property("sasl.username"),
        ),
        (
            "MILLRACE_KAFKA__PROPERTIES__SASL_PASSWORD",
            format!("${{env:{PASSWORD}}}"),
        ),
        (
            "MILLRACE_KAFKA__PROPERTIES__SSL_CA_PEM",
            format!("${{file:{}}}", property("ssl.ca.location")),
        ),
        (PASSWORD, property("sasl.password")),
    ]
}

/// The words of each `kafka-acls.sh` line of docs/kafka.md.
fn documented_rights() -> Vec<Vec<String>> {
    let page = std::fs::read_to_string(root().join("docs/kafka.md")).unwrap();
    let rights: Vec<Vec<String>> = page
        .lines()
        .filter_map(|line| line.strip_prefix("$acls "))
        .map(|words| words.split_whitespace().map(str::to_owned).collect())
        .collect();
    assert!(!rights.is_empty(), "docs/kafka.md names no right");
    rights
}

/// Whether a right is about one of these resources.
fn concerns(words: &[String], resources: &[&str]) -> bool {
    words.iter().any(|word| resources.contains(&word.as_str()))
}

/// The files below a folder that hold these bytes.
fn holding(folder: &Path, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, bytes));
        } else if std::fs::read(&path)
            .unwrap()
            .windows(bytes.len())
            .any(|window| window == bytes)
        {
            found.push(path.display().to_string());
        }
    }
    found
}
