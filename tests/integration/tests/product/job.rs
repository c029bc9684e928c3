//! The main job: from a topic to a model to predictions, on each database.

use millrace_harness::{Kafka, Millrace, Postgres, unique};
use serde_json::json;

use crate::{by_source, infer, predictions, prepare, read_committed, train};

#[tokio::test(flavor = "multi_thread")]
async fn trains_on_one_topic_and_predicts_on_another() {
    the_whole_job(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn does_the_same_on_postgresql() {
    let postgres = Postgres::start();
    the_whole_job(&[("MILLRACE_DATABASE__URL", postgres.url().to_owned())]).await;
}

async fn the_whole_job(environment: &[(&'static str, String)]) {
    let kafka = Kafka::shared();
    let millrace = Millrace::start(kafka, environment).await;
    let (training, input, output) = (unique("training"), unique("input"), unique("output"));

    let segment = prepare(&millrace, &training, 2, 400).await;
    let ended = train(&millrace, &segment, 20, Some("champion")).await;
    assert_eq!(ended["state"], "SUCCEEDED", "{ended}");
    assert_eq!(ended["epochs"].as_array().unwrap().len(), 20);
    assert_eq!(ended["result"]["number"], 2);
    assert_eq!(ended["result"]["aliases"], json!(["champion"]));
    let computed_on = ended["result"]["computedOn"].as_array().unwrap();
    assert_eq!(computed_on.len(), 1, "{ended}");
    assert!(computed_on[0].as_str().unwrap().ends_with("/fast"));
    let accuracy = ended["result"]["metrics"]["validation_accuracy"]
        .as_f64()
        .unwrap();
    assert!(accuracy > 0.9, "{ended}");

    // The same specification gives the same bytes.
    let again = millrace
        .execute(
            r#"mutation Again($segment: ID!) { startTraining(input: {
                 model: "points", version: 1, segment: $segment,
                 hyperparameters: {epochs: 20, batchSize: 16, learningRate: 0.05}
               }) { training { id } } }"#,
            json!({"segment": segment}),
        )
        .await;
    let id = again["startTraining"]["training"]["id"].as_str().unwrap();
    let repeated = crate::end_of_training(&millrace, id).await;
    assert_eq!(repeated["result"]["digest"], ended["result"]["digest"]);
    assert_eq!(repeated["result"]["number"], 3);

    kafka.create_topic(&input, 2, &[]).await;
    let inference = infer(&millrace, &input, &output, 1).await;
    assert_eq!(inference["guarantee"], "EXACTLY_ONCE");
    assert_eq!(
        inference["readersMustUse"],
        "isolation.level=read_committed"
    );
    let file = millrace.folder().join("points.csv");
    let file = file.to_str().unwrap();
    millrace.command(&["send", "points", file, "--topic", &input, "--no-segment"]);
    let made = predictions(kafka, &output, 400).await;
    let sources = by_source(&made);
    assert_eq!((made.len(), sources.len()), (400, 400));
    let right = made.iter().filter(|record| {
        let value: serde_json::Value =
            serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
        assert_eq!(
            (&value["model"], &value["version"]),
            (&json!("points"), &json!(2))
        );
        let of_class_1 = value["outputs"]["probabilities"][1].as_f64().unwrap();
        let label = record.header("label").unwrap();
        (of_class_1 > 0.5) == (label == b"1")
    });
    assert!(right.count() > 360, "the model that was trained answers");

    // What Millrace made for the inference goes with it, and nothing else.
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
    let connection = crate::connection(kafka);
    let topics = millrace_kafka::Admin::new(&connection)
        .unwrap()
        .topics()
        .unwrap();
    let dead_letters = inference["deadLetterTopic"].as_str().unwrap();
    assert!(
        !topics.iter().any(|topic| topic == dead_letters),
        "{topics:?}"
    );
    assert!(
        topics.contains(&input) && topics.contains(&training),
        "{topics:?}"
    );
    assert_eq!(read_committed(&connection, &input).len(), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_training_can_be_cancelled() {
    let kafka = Kafka::shared();
    let millrace = Millrace::start(kafka, &[]).await;
    let segment = prepare(&millrace, &unique("training"), 2, 400).await;
    let id = crate::start_training(&millrace, &segment, 1_000_000, None).await;
    millrace
        .wait_for(
            "the training has run an epoch",
            crate::LIMIT,
            crate::TRAINING,
            json!({"id": id}),
            |data| !data["node"]["epochs"].as_array().unwrap().is_empty(),
        )
        .await;
    let cancel =
        "mutation Cancel($id: ID!) { cancelTraining(input: {id: $id}) { training { state } } }";
    millrace.execute(cancel, json!({"id": id})).await;
    let ended = crate::end_of_training(&millrace, &id).await;
    assert_eq!(ended["state"], "CANCELLED");
    let (code, _) = millrace.refuse(cancel, json!({"id": id})).await;
    assert_eq!(code, "ILLEGAL_STATE");
    // The slot is free again.
    let next = train(&millrace, &segment, 1, None).await;
    assert_eq!(next["state"], "SUCCEEDED", "{next}");
}
