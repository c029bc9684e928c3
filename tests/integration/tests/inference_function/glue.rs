//! Records whose schemas stand in the AWS Glue Schema Registry, for which moto stands in: packed and not, waited for while it is
//! away, refused where it does not know them.

use std::io::Write as _;

use apache_avro::Schema;
use apache_avro::types::Value as AvroValue;
use apache_avro::writer::datum::GenericDatumWriter;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use millrace_harness::{Kafka, Moto};
use millrace_kafka::OutRecord;
use millrace_wire::record::{RecordFormat, SchemaKey, framed};
use serde_json::{Value, json};

use crate::fixture::{Fixture, LIMIT, end};
use crate::models;

/// Four numbers of this type.
fn numbers(kind: &str) -> String {
    let array = json!({"name": "numbers", "type": {"type": "array", "items": kind}});
    json!({"type": "record", "name": "Numbers", "fields": [array]}).to_string()
}

fn encode(schema: &str, numbers: Vec<AvroValue>) -> Vec<u8> {
    let schema = Schema::parse_str(schema).unwrap();
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();
    let record = vec![("numbers".to_owned(), AvroValue::Array(numbers))];
    writer
        .write_value_to_vec(AvroValue::Record(record))
        .unwrap()
}

/// As AWS's serialiser packs it.
fn packed(version: SchemaKey, bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(framed(version, &[]), Compression::default());
    encoder.write_all(bytes).unwrap();
    let mut packed = encoder.finish().unwrap();
    packed[1] = 5;
    packed
}

#[tokio::test]
async fn records_name_versions_of_schemas_in_glue() {
    let moto = Moto::start();
    let (first, second) = (numbers("int"), numbers("double"));
    let key = |version: String| version.parse::<SchemaKey>().unwrap();
    let of_first = key(moto.register("ints", "AVRO", &first).await);
    let of_second = key(moto.register("doubles", "AVRO", &second).await);
    let of_json = key(moto
        .register(
            "document",
            "JSON",
            "{\"$schema\": \"http://json-schema.org/draft-07/schema#\"}",
        )
        .await);
    let unknown = SchemaKey::Glue(12);

    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, models::dense(1)).await;
    let gate = moto.behind_gate();
    let mut spec = fixture.spec(0, &version);
    let property = "schema.registry.glue.region".to_owned();
    spec.connection.insert(property, moto.region().to_owned());
    spec.input_format = serde_json::from_value::<RecordFormat>(json!({
        "type": "AVRO", "writer": {"type": "REGISTRY"}, "reader_schema": second,
        "fields": [{"pointer": "/numbers", "shape": [4]}],
    }))
    .unwrap();

    let ints = encode(&first, (1..5).map(AvroValue::Int).collect());
    let doubles = |range: std::ops::Range<i32>| {
        encode(
            &second,
            range.map(|n| AvroValue::Double(n.into())).collect(),
        )
    };
    let send = |value: &[u8]| {
        let record = OutRecord::to(&fixture.input).partition(0).value(value);
        let sent = fixture.producer.send_and_wait(&record).unwrap();
        sent.wait().unwrap();
    };
    send(&framed(of_first, &ints));
    send(&packed(of_second, &doubles(1..5)));
    send(&framed(unknown, &ints));
    send(&framed(of_json, &ints));
    send(&framed(7_u32, &ints));
    send(&framed(of_first, &[])[..9]);
    send(&framed(of_second, &doubles(2..6)));

    // AWS is away: records wait, they are not dropped.
    let process = fixture.start_with(&spec, Moto::environment(gate.url()));
    let message = fixture.wait_for_problem("schema-registry");
    assert!(
        message.contains("the records wait, none is dropped"),
        "{message}"
    );
    gate.open();
    let mut outputs = fixture.outputs();
    outputs.count(3, LIMIT);
    fixture.wait_until_done();
    end(process);

    let outputs = outputs.drain();
    let values: Vec<Value> = outputs
        .iter()
        .map(|answer| answer.json()["outputs"].clone())
        .collect();
    assert_eq!(values.len(), 3, "{values:?}");
    assert_eq!(
        values[0], values[1],
        "the same numbers, packed, by another schema"
    );
    assert_ne!(values[0], values[2], "other numbers");

    let letters = fixture.dead_letters().drain();
    let said: Vec<(i64, &str, &str)> = letters
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
    let [missing, other, confluent, cut] = said[..] else {
        panic!("{said:?}");
    };
    assert_eq!((missing.0, missing.1), (2, "schema-unknown"));
    assert!(
        missing
            .2
            .contains("00000000-0000-0000-0000-00000000000c is unknown to AWS Glue"),
        "{}",
        missing.2
    );
    assert_eq!((other.0, other.1), (3, "schema-unknown"));
    assert!(other.2.contains("a schema of JSON"), "{}", other.2);
    assert_eq!((confluent.0, confluent.1), (4, "schema-unknown"));
    assert!(
        confluent.2.contains("Confluent's interface"),
        "{}",
        confluent.2
    );
    assert_eq!((cut.0, cut.1), (5, "schema-framing"));
}
