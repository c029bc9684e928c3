//! A long training makes way for a short one where the configuration says so, although there is only one slot.

use millrace_harness::{Kafka, Millrace, unique};
use serde_json::{Value, json};

use crate::{LIMIT, TRAINING, end_of_training, prepare, start_training};

const CANCEL: &str =
    "mutation Cancel($id: ID!) { cancelTraining(input: {id: $id}) { training { state } } }";

#[tokio::test(flavor = "multi_thread")]
async fn a_short_training_overtakes_a_long_one() {
    let slice = ("MILLRACE_TRAINING__SLICE_SECONDS", "1".to_owned());
    let millrace = Millrace::start(Kafka::shared(), &[slice]).await;
    let segment = prepare(&millrace, &unique("training"), 1, 200).await;
    let long = start_training(&millrace, &segment, 1_000_000, None).await;
    let short = start_training(&millrace, &segment, 2, None).await;
    let ended = end_of_training(&millrace, &short).await;
    assert_eq!(ended["state"], "SUCCEEDED", "{ended}");

    // It was cut in two, and has gone on since.
    let id = json!({"id": long});
    let epochs = |data: &Value| data["node"]["epochs"].as_array().map_or(0, Vec::len);
    let before = epochs(&millrace.execute(TRAINING, id.clone()).await);
    let goes_on = move |data: &Value| epochs(data) > before && data["node"]["message"].is_null();
    let found = millrace
        .wait_for("the long one goes on", LIMIT, TRAINING, id.clone(), goes_on)
        .await;
    assert_eq!(found["node"]["state"], "RUNNING", "{found}");
    millrace.execute(CANCEL, id).await;
    let ended = end_of_training(&millrace, &long).await;
    assert_eq!(ended["state"], "CANCELLED", "{ended}");
}
