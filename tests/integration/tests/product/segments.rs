//! Segments of topics that others write: by offsets over transactions, and by time.

use std::time::Duration;

use millrace_harness::{Kafka, Millrace, unique};
use millrace_kafka::{Admin, OutRecord, TransactionalProducer};
use serde_json::json;

const CREATE_SEGMENT: &str = "mutation Segment($input: CreateSegmentInput!) {
  createSegment(input: $input) { segment {
    id count digest topicId clusterId retainedUntil partitions { partition start end count }
  } } }";

/// Three committed records, two aborted ones, one more committed: with a marker behind each
/// transaction, offsets 0 to 9.
fn write_transactions(kafka: &Kafka, topic: &str) {
    let connection = crate::connection(kafka);
    let limit = Duration::from_secs(30);
    let producer = TransactionalProducer::new(&connection, &unique("writer"), limit).unwrap();
    producer.init(limit).unwrap();
    for (records, is_committed) in [(3, true), (2, false), (1, true)] {
        producer.begin().unwrap();
        for _ in 0..records {
            let value = [0.5_f32.to_le_bytes(), 1_f32.to_le_bytes()].concat();
            let record = OutRecord::to(topic).partition(0).value(&value);
            producer.send(&record.header("label", b"1")).unwrap();
        }
        if is_committed {
            producer.commit(limit).unwrap();
        } else {
            producer.flush(limit).unwrap();
            producer.abort(limit).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_become_a_segment_is_not_sent() {
    let kafka = Kafka::shared();
    let millrace = Millrace::start(kafka, &[]).await;
    let topic = unique("training");
    let source = json!({"name": "points", "topic": topic, "partitions": 1});
    millrace.execute(crate::CREATE_DATASOURCE, source).await;
    let file = millrace.file("points.csv", crate::points(5));
    let file = file.to_str().unwrap();
    let send_with = |validation: &str| {
        millrace.failing_command(&[
            "send",
            "points",
            file,
            &format!("--validation={validation}"),
        ])
    };
    for no_share in ["2", "-0.1"] {
        let said = send_with(no_share);
        assert!(said.contains("a number from 0 to less than 1"), "{said}");
    }
    let said = send_with("0.01");
    assert!(
        said.contains("nothing was sent") && said.contains("validation"),
        "{said}"
    );
    // Nor are the good rows in front of a bad one.
    let file = millrace.file("points.csv", crate::points(5) + "1,high,0\n");
    let said = millrace.failing_command(&["send", "points", file.to_str().unwrap()]);
    assert!(
        said.contains("nothing was sent") && said.contains("row 6, column 2"),
        "{said}"
    );
    let admin = Admin::new(&crate::connection(kafka)).unwrap();
    assert_eq!(admin.watermarks(&topic).unwrap()[0].high, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_what_a_read_committed_reader_sees() {
    let kafka = Kafka::shared();
    let millrace = Millrace::start(kafka, &[]).await;
    let topic = unique("training");
    let source = json!({"name": "points", "topic": topic, "partitions": 1});
    millrace.execute(crate::CREATE_DATASOURCE, source).await;
    let before = chrono::Utc::now();
    tokio::task::spawn_blocking({
        let topic = topic.clone();
        move || write_transactions(Kafka::shared(), &topic)
    })
    .await
    .unwrap();

    let offsets = json!([{"partition": 0, "start": 0, "end": 9}]);
    let input = json!({"input": {"datasource": "points", "offsets": offsets}});
    let made = millrace.execute(CREATE_SEGMENT, input).await;
    let by_offsets = &made["createSegment"]["segment"];
    assert_eq!(by_offsets["count"], 4, "{by_offsets}");
    let admin = Admin::new(&crate::connection(kafka)).unwrap();
    assert_eq!(
        by_offsets["topicId"],
        admin.describe_topic(&topic).unwrap().id
    );
    assert_eq!(by_offsets["clusterId"], admin.cluster_id().unwrap());
    assert!(
        by_offsets["retainedUntil"].is_string(),
        "the topic keeps records for a week"
    );

    let span = json!({"input": {"datasource": "points", "from": before.to_rfc3339()}});
    let made = millrace.execute(CREATE_SEGMENT, span).await;
    let by_time = &made["createSegment"]["segment"];
    assert_eq!(by_time["digest"], by_offsets["digest"]);

    // Compacted topics lose records one by one.
    let compacted = unique("compacted");
    kafka
        .create_topic(&compacted, 1, &[("cleanup.policy", "compact")])
        .await;
    let source = json!({"name": "compacted", "topic": compacted, "partitions": 1});
    millrace.execute(crate::CREATE_DATASOURCE, source).await;
    let whole = json!({"input": {"datasource": "compacted", "from": before.to_rfc3339()}});
    let (code, message) = millrace.refuse(CREATE_SEGMENT, whole).await;
    assert_eq!(code, "TOPIC_COMPACTED", "{message}");
}
