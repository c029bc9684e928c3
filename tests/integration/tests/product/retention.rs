//! Whoever trains longer than Kafka keeps the records hears of it.

use millrace_harness::{Kafka, Millrace, unique};
use serde_json::json;

use crate::{end_of_training, prepare, start_training};

const WARNINGS: &str = "query Warnings($id: ID!) { node(id: $id) { ... on Training {
  state warnings { code message reportedAt }
} } }";
const CANCEL: &str =
    "mutation Cancel($id: ID!) { cancelTraining(input: {id: $id}) { training { state } } }";

/// More epochs than fit into the topic's hour on any machine.
const ENDLESS: u32 = 2_000_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_training_that_outlasts_its_records_warns() {
    let kafka = Kafka::shared();
    let millrace = Millrace::start(kafka, &[]).await;
    let topic = unique("training");
    kafka
        .create_topic(&topic, 2, &[("retention.ms", "3600000")])
        .await;
    let segment = prepare(&millrace, &topic, 2, 400).await;
    let id = start_training(&millrace, &segment, ENDLESS, None).await;
    let warned = millrace
        .wait_for(
            "the training warns",
            crate::LIMIT,
            WARNINGS,
            json!({"id": id}),
            |data| data["node"]["warnings"] != json!([]),
        )
        .await;
    let warning = &warned["node"]["warnings"][0];
    assert_eq!(warned["node"]["state"], "RUNNING");
    assert_eq!(warning["code"], "retention-short", "{warned}");
    assert!(warning["reportedAt"].is_string(), "{warned}");
    millrace.execute(CANCEL, json!({"id": id})).await;
    let ended = end_of_training(&millrace, &id).await;
    assert_eq!(ended["state"], "CANCELLED", "{ended}");
}
