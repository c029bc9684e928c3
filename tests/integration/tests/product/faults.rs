//! What wrong input gets: a code, a sentence that says what to do, and nothing half done.

use millrace_harness::{Kafka, Millrace, unique};
use millrace_kafka::Admin;
use serde_json::{Value, json};

use crate::{CREATE_DATASOURCE, CREATE_MODEL, prepare};

const CREATE_SEGMENT: &str = r#"mutation Segment($offsets: [OffsetRangeInput!], $split: SplitInput!) {
  createSegment(input: {datasource: "points", offsets: $offsets, split: $split}) { segment { id } }
}"#;

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_cannot_be_met_are_refused_in_words() {
    let kafka = Kafka::shared();
    let millrace = Millrace::start(kafka, &[]).await;
    let topic = unique("training");
    let segment = prepare(&millrace, &topic, 1, 40).await;

    // Two things with one name, and names that are none.
    let (code, message) = millrace
        .refuse(CREATE_MODEL, json!({"name": "points"}))
        .await;
    assert_eq!(code, "ALREADY_EXISTS", "{message}");
    let (code, message) = millrace.refuse(CREATE_MODEL, json!({"name": "a/b"})).await;
    assert_eq!(code, "INVALID_INPUT");
    assert!(message.contains("letters, digits"), "{message}");
    let source = json!({"name": "points", "topic": topic, "partitions": 2});
    let (code, _) = millrace.refuse(CREATE_DATASOURCE, source).await;
    assert_eq!(code, "ALREADY_EXISTS");

    // Segments that do not exist yet, are empty, or cannot be split.
    let whole = json!({"seed": 1});
    let future = json!([{"partition": 0, "start": 0, "end": 1_000_000}]);
    let (code, message) = millrace
        .refuse(CREATE_SEGMENT, json!({"offsets": future, "split": whole}))
        .await;
    assert_eq!(code, "SEGMENT_IN_FUTURE", "{message}");
    let empty = json!([{"partition": 0, "start": 1, "end": 1}]);
    let (code, message) = millrace
        .refuse(CREATE_SEGMENT, json!({"offsets": empty, "split": whole}))
        .await;
    assert_eq!(code, "SEGMENT_EMPTY", "{message}");
    refuse_empty_parts(&millrace).await;

    // A model that does not fit the records, named with both shapes.
    let narrow = r#"mutation Narrow { createModel(input: {
      name: "narrow", inputShape: [3], layers: [{dense: {units: 2, activation: SOFTMAX}}]
    }) { model { id } } }"#;
    millrace.execute(narrow, json!({})).await;
    let misfit = r#"mutation Misfit($segment: ID!) { startTraining(input: {
      model: "narrow", segment: $segment, hyperparameters: {epochs: 1}
    }) { training { id } } }"#;
    let (code, message) = millrace.refuse(misfit, json!({"segment": segment})).await;
    assert_eq!(code, "INCOMPATIBLE");
    assert!(
        message.contains("[batch, 3]") && message.contains("[2]"),
        "{message}"
    );
    let misfit = r#"mutation Misfit($topic: String!, $output: String!) { createInference(input: {
      name: "misfit", datasource: "points", model: "narrow", version: 1,
      inputTopic: $topic, outputTopic: $output
    }) { inference { id } } }"#;
    let topics = json!({"topic": topic, "output": unique("output")});
    let (code, message) = millrace.refuse(misfit, topics).await;
    assert_eq!(code, "INCOMPATIBLE");
    assert!(
        message.contains("[batch, 3]") && message.contains("[2]"),
        "{message}"
    );

    // Topics that are somebody else's, or not there.
    let wanted = json!({"topic": topic, "output": "__consumer_offsets"});
    let (code, message) = millrace.refuse(NO_TOPIC, wanted).await;
    assert_eq!(code, "INVALID_INPUT");
    assert!(message.contains("keep for themselves"), "{message}");
    let missing = unique("missing");
    let wanted = json!({"topic": missing, "output": unique("output")});
    let (code, message) = millrace.refuse(NO_TOPIC, wanted).await;
    assert_eq!(code, "TOPIC_NOT_FOUND");
    assert!(
        message.contains(&missing) && message.contains("make it first"),
        "{message}"
    );
    let source = r#"mutation Source($topic: String!) { createDatasource(input: {
      name: "elsewhere", topic: $topic, format: {raw: {dtype: FLOAT32, shape: [2]}}
    }) { datasource { id } } }"#;
    let (code, message) = millrace.refuse(source, json!({"topic": missing})).await;
    assert_eq!(code, "TOPIC_NOT_FOUND");
    assert!(message.contains("`createTopic`"), "{message}");

    // Deleting what something else uses.
    let delete = r#"mutation Delete { deleteDatasource(input: {name: "points"}) { name } }"#;
    let (code, message) = millrace.refuse(delete, json!({})).await;
    assert_eq!(code, "IN_USE", "{message}");

    // Nothing of all this has left anything behind.
    let counts = r"query Counts { project {
      models { totalCount } datasources { totalCount } segments { totalCount }
      trainings { totalCount } inferences { totalCount }
    } }";
    let left = millrace.execute(counts, json!({})).await;
    let count = |noun: &str| left["project"][noun]["totalCount"].as_i64().unwrap();
    let found = [
        "models",
        "datasources",
        "segments",
        "trainings",
        "inferences",
    ]
    .map(count);
    assert_eq!(found, [2, 1, 1, 0, 0]);
}

/// A split that leaves a part without a record, made of offsets or by the command.
async fn refuse_empty_parts(millrace: &Millrace) {
    let two = json!([{"partition": 0, "start": 0, "end": 2}]);
    for (split, rule) in [
        (
            json!({"validation": 0.1}),
            "validation part of 2 records empty",
        ),
        (json!({"test": 0.1}), "test part of 2 records empty"),
        (
            json!({"validation": 0.4, "test": 0.5}),
            "training part of 2 records empty",
        ),
        (json!({"validation": 0.5, "test": 0.5}), "less than 1"),
    ] {
        let wanted = json!({"offsets": two, "split": split});
        let (code, message) = millrace.refuse(CREATE_SEGMENT, wanted).await;
        assert_eq!(code, "INVALID_INPUT", "{message}");
        assert!(message.contains(rule), "{message}");
    }
    // The command says it before it sends anything.
    let file = millrace.file("two.csv", crate::points(2));
    let file = file.to_str().unwrap();
    let said = millrace.failing_command(&["send", "points", file, "--test", "0.1"]);
    assert!(said.contains("nothing was sent: "), "{said}");
    assert!(said.contains("test part of 2 records empty"), "{said}");
}

const NO_TOPIC: &str = r#"mutation NoTopic($topic: String!, $output: String!) { createInference(input: {
  name: "nowhere", datasource: "points", model: "points", version: 1,
  inputTopic: $topic, outputTopic: $output
}) { inference { id } } }"#;

const MOVE: &str = r#"mutation Move($platform: String!, $promise: Guarantee) { moveInference(input: {
  name: "points", platform: $platform, guarantee: $promise
}) { inference { state } } }"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_inference_whose_input_was_made_anew_says_what_to_do() {
    let kafka = Kafka::shared();
    let millrace = Millrace::start(kafka, &[]).await;
    let (training, input, output) = (unique("training"), unique("input"), unique("output"));
    let segment = prepare(&millrace, &training, 1, 40).await;
    crate::train(&millrace, &segment, 1, Some("champion")).await;
    kafka.create_topic(&input, 1, &[]).await;
    crate::infer(&millrace, &input, &output, 1).await;
    let stop =
        r#"mutation Stop { stopInference(input: {name: "points"}) { inference { state } } }"#;
    millrace.execute(stop, json!({})).await;
    let is =
        |state: &'static str| move |data: &Value| data["project"]["inference"]["state"] == state;
    let (limit, query) = (crate::LIMIT, crate::INFERENCE);
    millrace
        .wait_for("it is stopped", limit, query, json!({}), is("STOPPED"))
        .await;

    let admin = Admin::new(&crate::connection(kafka)).unwrap();
    admin.delete_topics(&[&input]).unwrap();
    kafka.create_topic(&input, 1, &[]).await;
    let start =
        r#"mutation Start { startInference(input: {name: "points"}) { inference { state } } }"#;
    millrace.execute(start, json!({})).await;
    let failed = millrace
        .wait_for("it has failed", limit, query, json!({}), is("FAILED"))
        .await;
    let message = failed["project"]["inference"]["message"].as_str().unwrap();
    assert!(message.contains("created again"), "{message}");
    assert!(message.contains("started with the `start`"), "{message}");

    // It ends before it goes elsewhere, whatever state it is in, and is no better off there.
    for (platform, promise) in [("lambda-local", "AT_LEAST_ONCE"), ("local", "EXACTLY_ONCE")] {
        let to = json!({"platform": platform, "promise": promise});
        let moved = millrace.execute(MOVE, to).await;
        assert_eq!(moved["moveInference"]["inference"]["state"], "STOPPING");
        let there = |data: &Value| {
            let found = &data["project"]["inference"];
            found["state"] == "FAILED" && found["platform"] == platform
        };
        let query = r#"query There { project { inference(name: "points") { state platform } } }"#;
        millrace
            .wait_for("it has failed there", limit, query, json!({}), there)
            .await;
    }

    let elsewhere = r#"mutation Elsewhere { startInference(input: {
        name: "points", start: {at: EARLIEST}
    }) { inference { state } } }"#;
    millrace.execute(elsewhere, json!({})).await;
    crate::runs(&millrace).await;
    let file = millrace.file("new.csv", crate::points(3));
    let file = file.to_str().unwrap();
    millrace.command(&["send", "points", file, "--topic", &input, "--no-segment"]);
    assert_eq!(crate::predictions(kafka, &output, 3).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_kafka_has_removed_are_told_from_those_to_come() {
    let kafka = Kafka::shared();
    let millrace = Millrace::start(kafka, &[]).await;
    let topic = unique("training");
    let segment = prepare(&millrace, &topic, 1, 40).await;
    delete_records_before(kafka, &topic, 0, 5).await;

    let expired = json!([{"partition": 0, "start": 0, "end": 8}]);
    let (code, message) = millrace
        .refuse(
            CREATE_SEGMENT,
            json!({"offsets": expired, "split": {"seed": 1}}),
        )
        .await;
    assert_eq!(code, "SEGMENT_EXPIRED", "{message}");
    let start = json!({"segment": segment, "epochs": 1});
    let (code, message) = millrace.refuse(crate::START_TRAINING, start).await;
    assert_eq!(code, "SEGMENT_EXPIRED");
    assert!(message.contains("make a new segment"), "{message}");
}

/// Does at once what retention does in time.
pub(crate) async fn delete_records_before(kafka: &Kafka, topic: &str, partition: i32, offset: i64) {
    let mut offsets = rdkafka::TopicPartitionList::new();
    let before = rdkafka::Offset::Offset(offset);
    offsets
        .add_partition_offset(topic, partition, before)
        .unwrap();
    let options = rdkafka::admin::AdminOptions::new();
    let done = kafka
        .admin()
        .delete_records(&offsets, &options)
        .await
        .unwrap();
    for element in done.elements() {
        element.error().unwrap();
    }
}
