//! `millrace up` killed with SIGKILL in the middle of a training and of an inference under load:
//! functions are put back, nothing is lost, nothing comes twice.

use millrace_harness::{Kafka, Millrace, unique};
use serde_json::json;

use crate::{by_source, infer, predictions, prepare, train};

/// So many that the training lasts longer than the load takes to be sent.
const EPOCHS: u32 = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_api_puts_its_functions_back() {
    let kafka = Kafka::shared();
    let mut millrace = Millrace::start(kafka, &[]).await;
    let (training, input, output) = (unique("training"), unique("input"), unique("output"));
    let segment = prepare(&millrace, &training, 2, 400).await;
    let first = train(&millrace, &segment, 2, Some("champion")).await;
    assert_eq!(first["state"], "SUCCEEDED", "{first}");
    kafka.create_topic(&input, 2, &[]).await;
    infer(&millrace, &input, &output, 1).await;

    let long = crate::start_training(&millrace, &segment, EPOCHS, None).await;
    millrace
        .wait_for(
            "the training has run an epoch",
            crate::LIMIT,
            crate::TRAINING,
            json!({"id": long}),
            |data| !data["node"]["epochs"].as_array().unwrap().is_empty(),
        )
        .await;
    let file = millrace.file("load.csv", crate::points(5_000));
    let file = file.to_str().unwrap().to_owned();
    let load = ["send", "points", &file, "--topic", &input, "--no-segment"];
    millrace.command(&load);
    let training = millrace.execute(crate::TRAINING, json!({"id": long})).await;
    assert_eq!(training["node"]["state"], "RUNNING", "{training}");
    millrace.process().kill();

    millrace.start_again().await;
    crate::runs(&millrace).await;
    millrace.command(&load);
    let made = predictions(kafka, &output, 10_000).await;
    assert_eq!((made.len(), by_source(&made).len()), (10_000, 10_000));
    let ended = crate::end_of_training(&millrace, &long).await;
    assert_eq!(ended["state"], "SUCCEEDED", "{ended}");
    assert_eq!(ended["epochs"].as_array().unwrap().len(), EPOCHS as usize);

    millrace.process().terminate();
    let status = millrace.process().wait(crate::LIMIT);
    assert!(status.success(), "{status}");
}
