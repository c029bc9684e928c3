//! Records whose schemas stand in a registry, a real one: found by id, waited for while it is away, refused where it does
//! not know them.

use apache_avro::Schema;
use apache_avro::types::Value as AvroValue;
use apache_avro::writer::datum::GenericDatumWriter;
use millrace_harness::{Kafka, SchemaRegistry};
use millrace_kafka::OutRecord;
use millrace_wire::record::{RecordFormat, framed};
use serde_json::{Value, json};

use crate::answers::Answer;
use crate::fixture::{Fixture, LIMIT, end};
use crate::models;

/// Four numbers of this type, and the fields that follow them.
fn numbers(kind: &str, more: &[Value]) -> String {
    let array = json!({"name": "numbers", "type": {"type": "array", "items": kind}});
    let fields: Vec<Value> = std::iter::once(array).chain(more.iter().cloned()).collect();
    json!({"type": "record", "name": "Numbers", "fields": fields}).to_string()
}

fn encode(schema: &str, fields: Vec<(&str, AvroValue)>) -> Vec<u8> {
    let schema = Schema::parse_str(schema).unwrap();
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();
    let fields = fields.into_iter();
    let fields = fields.map(|(name, value)| (name.to_owned(), value));
    writer
        .write_value_to_vec(AvroValue::Record(fields.collect()))
        .unwrap()
}

#[tokio::test]
async fn records_name_their_schemas_in_a_registry() {
    let Some(registry) = SchemaRegistry::start().await else {
        return;
    };
    let (first, second) = (
        numbers("int", &[]),
        numbers(
            "double",
            &[json!({"name": "note", "type": "string", "default": ""})],
        ),
    );
    let of_first = registry.register("numbers-value", "AVRO", &first).await;
    let of_second = registry.register("numbers-value", "AVRO", &second).await;
    let of_other = registry
        .register(
            "other-value",
            "AVRO",
            r#"{"type":"record","name":"Other","fields":[]}"#,
        )
        .await;

    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, models::dense(1)).await;
    let gate = registry.behind_gate();
    let mut spec = fixture.spec(0, &version);
    let property = "schema.registry.url".to_owned();
    spec.connection.insert(property, gate.url().to_owned());
    spec.input_format = serde_json::from_value::<RecordFormat>(json!({
        "type": "AVRO", "writer": {"type": "REGISTRY"}, "reader_schema": first.replace("\"int\"", "\"double\""),
        "fields": [{"pointer": "/numbers", "shape": [4]}],
    }))
    .unwrap();

    let ints = |range: std::ops::Range<i32>| AvroValue::Array(range.map(AvroValue::Int).collect());
    let doubles = |range: std::ops::Range<i32>| {
        AvroValue::Array(range.map(|n| AvroValue::Double(n.into())).collect())
    };
    let text = AvroValue::String("a note".to_owned());
    let old = encode(&first, vec![("numbers", ints(1..5))]);
    let same = vec![("numbers", doubles(1..5)), ("note", text.clone())];
    let other = vec![("numbers", doubles(2..6)), ("note", text)];
    let same = encode(&second, same);
    let id_in_header = framed(of_second, &[]);
    let send = |value: &[u8], header: Option<&[u8]>| {
        let mut record = OutRecord::to(&fixture.input).partition(0).value(value);
        if let Some(header) = header {
            record = record.header("__value_schema_id", header);
        }
        let sent = fixture.producer.send_and_wait(&record).unwrap();
        sent.wait().unwrap();
    };
    send(&framed(of_first, &old), None);
    send(&framed(of_second, &same), None);
    send(&framed(999_999_u32, &same), None);
    send(&same, Some(&id_in_header));
    send(&framed(of_other, &[]), None);
    send(&old, None);
    send(&framed(of_second, &encode(&second, other)), None);

    // The registry is away: records wait, they are not dropped.
    let process = fixture.start(0, &spec);
    let message = fixture.wait_for_problem("schema-registry");
    assert!(
        message.contains("the records wait, none is dropped"),
        "{message}"
    );
    gate.open();
    let mut outputs = fixture.outputs();
    outputs.count(4, LIMIT);
    fixture.wait_until_done();
    end(process);

    let outputs = outputs.drain();
    let values: Vec<Value> = outputs
        .iter()
        .map(|answer| answer.json()["outputs"].clone())
        .collect();
    assert_eq!(values.len(), 4, "{values:?}");
    assert_eq!(values[0], values[1], "the same numbers by another schema");
    assert_eq!(values[0], values[2], "the schema's id in a header");
    assert_ne!(values[0], values[3], "other numbers");
    assert!(
        outputs
            .iter()
            .all(|answer| answer.header("__value_schema_id").is_none())
    );
    check_letters(&fixture.dead_letters().drain());
}

/// Each refused record says what is wrong with its schema.
fn check_letters(dead: &[Answer]) {
    let said: Vec<(i64, &str, &str)> = dead
        .iter()
        .map(|letter| {
            let header = |name: &str| letter.header(name).unwrap();
            (
                letter.source().1,
                header("millrace-error"),
                header("millrace-error-message"),
            )
        })
        .collect();
    let [unknown, mismatch, unframed] = said[..] else {
        panic!("{said:?}");
    };
    assert_eq!((unknown.0, unknown.1), (2, "schema-unknown"));
    assert!(unknown.2.contains("999999"), "{}", unknown.2);
    assert_eq!((mismatch.0, mismatch.1), (4, "schema-mismatch"));
    assert!(
        mismatch.2.contains("record Other") && mismatch.2.contains("record Numbers"),
        "{}",
        mismatch.2
    );
    assert_eq!((unframed.0, unframed.1), (5, "schema-framing"));
}
