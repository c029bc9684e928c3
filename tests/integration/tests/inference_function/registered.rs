//! Outputs by a schema that a real registry knows: waited for while it is away, refused where it is not compatible.

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;
use millrace_harness::{Kafka, SchemaRegistry};
use millrace_wire::prediction::OutputFormat;
use serde_json::{Value, json};

use crate::answers::{Answer, assert_each_once};
use crate::fixture::{Fixture, LIMIT, end};
use crate::models;

/// The fields of an output as a client of the registry reads them.
async fn read(registry: &SchemaRegistry, answer: &Answer) -> Vec<(String, Avro)> {
    let value = answer.value.as_deref().unwrap();
    let (head, mut rest) = value.split_at(5);
    assert_eq!(head[0], 0, "{value:?}");
    let id = u32::from_be_bytes(head[1..].try_into().unwrap());
    let url = format!("{}/schemas/ids/{id}", registry.url());
    let found: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    let schema = Schema::parse_str(found["schema"].as_str().unwrap()).unwrap();
    let reader = GenericDatumReader::builder(&schema).build().unwrap();
    let read = reader.read_value(&mut rest).unwrap();
    assert!(rest.is_empty(), "{rest:?}");
    match read {
        Avro::Record(fields) => fields,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn outputs_have_a_registered_schema_and_one_that_breaks_never_goes_live() {
    let Some(registry) = SchemaRegistry::start().await else {
        return;
    };
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let first = fixture.version(1, models::reciprocal()).await;
    let breaks = fixture.version(2, models::reciprocal_named("other")).await;
    let same = fixture.version(3, models::dense(1)).await;
    fixture.point(&first);
    let gate = registry.behind_gate();
    let mut spec = fixture.following(0, &first);
    let property = "schema.registry.url".to_owned();
    spec.connection.insert(property, gate.url().to_owned());
    spec.output_format = OutputFormat::Avro;

    // The registry is away: nothing is answered, nothing is dropped.
    let process = fixture.start(0, &spec);
    let message = fixture.wait_for_problem("version-unavailable");
    assert!(message.contains("the schema registry"), "{message}");
    gate.open();
    fixture.send(0..10);
    let mut outputs = fixture.outputs();
    outputs.count(10, LIMIT);
    let record = read(&registry, &outputs.all[1]).await;
    let source = outputs.all[1].header("millrace-source").unwrap().to_owned();
    assert_eq!(record[0].1, Avro::String("numbers".to_owned()));
    assert_eq!(record[1].1, Avro::Long(1));
    assert_eq!(record[2].1, Avro::String(source));
    let infinite = Avro::Float(f32::INFINITY);
    let numbers = vec![
        Avro::Float(1.0),
        infinite.clone(),
        infinite.clone(),
        infinite,
    ];
    let expected = Avro::Record(vec![("output".to_owned(), Avro::Array(numbers))]);
    assert_eq!(record[3].1, expected);

    // A version with other outputs, which readers of the old ones cannot read.
    let url = format!("{}/config/{}-value", registry.url(), spec.output_topic);
    let request = reqwest::Client::new().put(url);
    let asked = request.json(&json!({"compatibility": "BACKWARD"})).send();
    let asked = asked.await.unwrap();
    assert!(asked.status().is_success(), "{asked:?}");
    fixture.point(&breaks);
    let message = fixture.wait_for_problem("version-schema-refused");
    assert!(
        message.contains(&format!("{}-value", spec.output_topic)) && message.contains("other"),
        "{message}"
    );
    fixture.send(10..20);
    outputs.count(20, LIMIT);
    assert!(outputs.all.iter().all(|answer| answer.version() == 1));

    // One with the same outputs has the same schema.
    fixture.point(&same);
    let mut sent = 20;
    while outputs.all.last().unwrap().version() != 3 {
        fixture.send(sent..sent + 1);
        sent += 1;
        outputs.count(sent as usize, LIMIT);
    }
    let (old, new) = (&outputs.all[0], outputs.all.last().unwrap());
    let id = |answer: &Answer| answer.value.as_deref().unwrap()[..5].to_vec();
    assert_eq!(id(old), id(new));
    assert_eq!(read(&registry, new).await[1].1, Avro::Long(3));
    end(process);
    assert_each_once(&outputs.drain(), &fixture.ends());
}

#[tokio::test]
async fn outputs_are_the_bytes_of_arrays() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, models::reciprocal()).await;
    let mut spec = fixture.spec(0, &version);
    spec.output_format = OutputFormat::Raw;
    fixture.send(4..5);
    let process = fixture.start(0, &spec);
    let mut outputs = fixture.outputs();
    outputs.count(1, LIMIT);
    let infinite = f32::INFINITY;
    let numbers = [0.25, infinite, infinite, infinite];
    let expected: Vec<u8> = numbers.into_iter().flat_map(f32::to_le_bytes).collect();
    assert_eq!(outputs.all[0].value.as_deref(), Some(expected.as_slice()));
    assert_eq!(outputs.all[0].version(), 1);
    end(process);
}
