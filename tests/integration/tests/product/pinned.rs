//! A pinned segment outlives its topic.

use millrace_harness::{Kafka, Millrace, unique};
use millrace_kafka::Admin;
use serde_json::json;

use crate::{prepare, train};

const PIN: &str =
    "mutation Pin($id: ID!) { pinSegment(input: {id: $id}) { segment { pinned pinnedBytes } } }";
const UNPIN: &str = "mutation Unpin($id: ID!) { unpinSegment(input: {id: $id}) { segment { pinned pinnedBytes } } }";

#[tokio::test(flavor = "multi_thread")]
async fn trains_when_kafka_has_dropped_the_records() {
    let kafka = Kafka::shared();
    let millrace = Millrace::start(kafka, &[]).await;
    let topic = unique("training");
    let segment = prepare(&millrace, &topic, 2, 400).await;
    let from_kafka = train(&millrace, &segment, 2, None).await;
    assert_eq!(from_kafka["state"], "SUCCEEDED", "{from_kafka}");

    let id = json!({"id": segment});
    let pinned = millrace.execute(PIN, id.clone()).await;
    let pinned = &pinned["pinSegment"]["segment"];
    assert_eq!(pinned["pinned"], true);
    // 400 records of eight bytes with a label and an offset.
    assert!(
        pinned["pinnedBytes"].as_i64().unwrap() > 400 * 10,
        "{pinned}"
    );
    assert_eq!(
        millrace.execute(PIN, id.clone()).await["pinSegment"]["segment"],
        *pinned
    );

    let admin = Admin::new(&crate::connection(kafka)).unwrap();
    admin.delete_topics(&[&topic]).unwrap();
    let start = r#"mutation Again($segment: ID!) { startTraining(input: {
        model: "points", version: 1, segment: $segment,
        hyperparameters: {epochs: 2, batchSize: 16, learningRate: 0.05}
    }) { training { id } } }"#;
    let again = millrace.execute(start, json!({"segment": segment})).await;
    let id_again = again["startTraining"]["training"]["id"].as_str().unwrap();
    let again = crate::end_of_training(&millrace, id_again).await;
    assert_eq!(
        again["result"]["digest"], from_kafka["result"]["digest"],
        "{again}"
    );

    let unpinned = millrace.execute(UNPIN, id).await;
    assert_eq!(
        unpinned["unpinSegment"]["segment"],
        json!({"pinned": false, "pinnedBytes": null})
    );
    let (code, message) = millrace.refuse(start, json!({"segment": segment})).await;
    assert_eq!(code, "TOPIC_NOT_FOUND", "{message}");
}
