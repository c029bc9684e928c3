//! Topics that several use, and topics that somebody takes away.

use millrace_harness::{Kafka, Millrace, unique};
use millrace_kafka::{Admin, Error};
use serde_json::{Value, json};

use crate::{CREATE_DATASOURCE, CREATE_MODEL, LIMIT, connection};

const INFER: &str = r#"mutation Infer($name: String!, $input: String!, $output: String!) {
  createInference(input: {
    name: $name, datasource: "points", model: "points", version: 1, inputTopic: $input, outputTopic: $output
  }) { inference { state deadLetterTopic } } }"#;

const INFERENCE: &str =
    r"query Inference($name: String!) { project { inference(name: $name) { state } } }";

const DELETE: &str =
    r"mutation Delete($name: String!) { deleteInference(input: {name: $name}) { name } }";

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_others_use_outlives_the_inference_that_it_was_made_for() {
    let kafka = Kafka::shared();
    let millrace = Millrace::start(kafka, &[]).await;
    let (input, output) = (unique("input"), unique("output"));
    millrace
        .execute(CREATE_MODEL, json!({"name": "points"}))
        .await;
    let datasource = json!({"name": "points", "topic": input, "partitions": 1});
    millrace.execute(CREATE_DATASOURCE, datasource).await;
    let mut dead_letters = String::new();
    for name in ["first", "second"] {
        let topics = json!({"name": name, "input": input, "output": output});
        let made = millrace.execute(INFER, topics).await;
        let topic = &made["createInference"]["inference"]["deadLetterTopic"];
        if name == "first" {
            dead_letters = topic.as_str().unwrap().to_owned();
        }
        let runs = |data: &Value| data["project"]["inference"]["state"] == "RUNNING";
        millrace
            .wait_for(name, LIMIT, INFERENCE, json!({"name": name}), runs)
            .await;
    }
    millrace.execute(DELETE, json!({"name": "first"})).await;
    let is_gone = |data: &Value| data["project"]["inference"].is_null();
    let first = json!({"name": "first"});
    millrace
        .wait_for("the deletion", LIMIT, INFERENCE, first, is_gone)
        .await;

    let admin = Admin::new(&connection(kafka)).unwrap();
    admin.describe_topic(&output).unwrap();
    assert!(matches!(
        admin.describe_topic(&dead_letters),
        Err(Error::TopicNotFound { .. })
    ));
    let second = millrace.execute(INFERENCE, json!({"name": "second"})).await;
    assert_eq!(second["project"]["inference"]["state"], "RUNNING");
}

/// The topic of events is made anew, by whomever, with more in it than had been read of the last one.
#[tokio::test(flavor = "multi_thread")]
async fn events_are_followed_in_a_topic_that_was_made_anew() {
    let kafka = Kafka::shared();
    let mut millrace = Millrace::start(kafka, &[]).await;
    let topic = unique("points");
    let segment = crate::prepare(&millrace, &topic, 1, 200).await;
    crate::train(&millrace, &segment, 2, None).await;
    millrace.process().kill();
    let events = format!("{}.events", millrace.prefix());
    let admin = Admin::new(&connection(kafka)).unwrap();
    admin.delete_topics(&[&events]).unwrap();
    // Whoever starts next makes it again.
    millrace.start_again().await;
    let trained = crate::train(&millrace, &segment, 2, None).await;
    assert_eq!(trained["state"], "SUCCEEDED", "{trained}");
    assert_eq!(trained["epochs"].as_array().unwrap().len(), 2);

    // And while the API runs.
    admin.delete_topics(&[&events]).unwrap();
    let trained = crate::train(&millrace, &segment, 2, None).await;
    assert_eq!(trained["state"], "SUCCEEDED", "{trained}");
}
