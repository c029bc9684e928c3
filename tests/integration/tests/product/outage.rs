//! Kafka away: at the start, and in the middle of a training and of an inference. Everything says
//! so, waits, and goes on.

use millrace_harness::{Kafka, KafkaOptions, Millrace, unique, wait_until};
use serde_json::json;

use crate::{LIMIT, by_source, infer, predictions, prepare, train};

#[tokio::test(flavor = "multi_thread")]
async fn kafka_may_be_away_at_the_start() {
    let kafka = Kafka::start(&KafkaOptions::default());
    kafka.stop();
    let mut millrace = Millrace::launch(&kafka, &[]);
    let unready = wait_until("the API answers that it is not ready", LIMIT, async || {
        let answer = reqwest::get(format!("{}/readyz", millrace.url())).await;
        let answer = answer.map_err(|error| error.to_string())?;
        match answer.status().as_u16() {
            503 => Ok(answer.text().await.unwrap()),
            status => Err(status.to_string()),
        }
    })
    .await;
    assert!(unready.to_lowercase().contains("kafka"), "{unready}");
    let live = reqwest::get(format!("{}/livez", millrace.url()))
        .await
        .unwrap();
    assert!(live.status().is_success());
    let source = json!({"name": "points", "topic": "points", "partitions": 1});
    let (code, message) = millrace.refuse(crate::CREATE_DATASOURCE, source).await;
    assert_eq!(code, "KAFKA_UNREACHABLE");
    assert!(message.contains(kafka.bootstrap_servers()), "{message}");

    kafka.start_again();
    millrace.ready().await;
    let segment = prepare(&millrace, &unique("training"), 1, 40).await;
    let ended = train(&millrace, &segment, 1, None).await;
    assert_eq!(ended["state"], "SUCCEEDED", "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inference_whose_kafka_is_away_does_not_say_that_it_runs() {
    const STATE: &str =
        r#"query State { project { inference(name: "points") { state message } } }"#;
    let kafka = Kafka::start(&KafkaOptions::default());
    let millrace = Millrace::start(&kafka, &[]).await;
    let (training, input, output) = (unique("training"), unique("input"), unique("output"));
    let segment = prepare(&millrace, &training, 1, 40).await;
    let first = train(&millrace, &segment, 1, Some("champion")).await;
    assert_eq!(first["state"], "SUCCEEDED", "{first}");
    kafka.create_topic(&input, 1, &[]).await;
    infer(&millrace, &input, &output, 1).await;

    kafka.stop();
    let seen = millrace
        .wait_for("it is degraded", LIMIT, STATE, json!({}), |data| {
            data["project"]["inference"]["state"] == "DEGRADED"
        })
        .await;
    let message = seen["project"]["inference"]["message"].as_str().unwrap();
    assert!(message.contains("has not reported"), "{message}");

    kafka.start_again();
    millrace
        .wait_for("it runs again", LIMIT, STATE, json!({}), |data| {
            let inference = &data["project"]["inference"];
            inference["state"] == "RUNNING" && inference["message"].is_null()
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kafka_may_go_away_and_come_back() {
    let kafka = Kafka::start(&KafkaOptions::default());
    let millrace = Millrace::start(&kafka, &[]).await;
    let (training, input, output) = (unique("training"), unique("input"), unique("output"));
    let segment = prepare(&millrace, &training, 2, 400).await;
    let first = train(&millrace, &segment, 2, Some("champion")).await;
    assert_eq!(first["state"], "SUCCEEDED", "{first}");
    kafka.create_topic(&input, 2, &[]).await;
    infer(&millrace, &input, &output, 1).await;
    let file = millrace.file("load.csv", crate::points(2_000));
    let load = [
        "send",
        "points",
        file.to_str().unwrap(),
        "--topic",
        &input,
        "--no-segment",
    ];

    let long = crate::start_training(&millrace, &segment, 300, None).await;
    millrace
        .wait_for(
            "the training has run an epoch",
            LIMIT,
            crate::TRAINING,
            json!({"id": long}),
            |data| !data["node"]["epochs"].as_array().unwrap().is_empty(),
        )
        .await;
    millrace.command(&load);
    kafka.stop();
    kafka.start_again();

    millrace.command(&load);
    let made = predictions(&kafka, &output, 4_000).await;
    assert_eq!((made.len(), by_source(&made).len()), (4_000, 4_000));
    crate::runs(&millrace).await;
    let ended = crate::end_of_training(&millrace, &long).await;
    assert_eq!(ended["state"], "SUCCEEDED", "{ended}");
    assert_eq!(ended["epochs"].as_array().unwrap().len(), 300);
}
