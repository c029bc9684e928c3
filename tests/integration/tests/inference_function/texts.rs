//! Models that take texts, as scikit-learn's pipelines do with their encoders and vectorizers (see `texts/make.py`): they
//! answer as scikit-learn does, whatever the records are written in.

use millrace_harness::Kafka;
use millrace_kafka::OutRecord;
use millrace_wire::record::{MessageWriter, RecordFormat, Written, avro_record, document};
use serde_json::{Value, json};

use crate::answers::{Answer, assert_each_once};
use crate::fixture::{Fixture, end};
use crate::npz::{Cells, npz};

const EXPECTED: &str = include_str!("texts/expected.json");

/// The writer's schema, in which the trade is an enum.
const AVRO: &str = r#"{"type": "record", "name": "Person", "fields": [
    {"name": "age", "type": "int"},
    {"name": "town", "type": ["null", "string"]},
    {"name": "trade", "type": {"type": "enum", "name": "Trade", "symbols": ["baker", "smith", "tailor"]}}
]}"#;
const PROTOBUF: &str =
    r#"syntax = "proto3"; message Person { string town = 1; string trade = 2; int32 age = 3; }"#;

fn expected() -> Value {
    serde_json::from_str(EXPECTED).unwrap()
}

/// The file of a model.
fn file(name: &str) -> Vec<u8> {
    let folder = millrace_harness::root().join("tests/integration/tests/inference_function");
    std::fs::read(folder.join(format!("texts/{name}.onnx"))).unwrap()
}

fn format(format: Value) -> RecordFormat {
    serde_json::from_value(format).unwrap()
}

/// What a format writes of fields.
type Write<'w> = &'w dyn Fn(&[Written<'_>]) -> Vec<u8>;

/// A person as a record, whose fields a format names.
fn person(row: &Value, write: Write<'_>) -> Vec<u8> {
    let fields: Vec<(&str, [Value; 1])> = ["/town", "/trade", "/age"]
        .into_iter()
        .enumerate()
        .map(|(column, pointer)| (pointer, [row[column].clone()]))
        .collect();
    let fields: Vec<Written<'_>> = fields
        .iter()
        .map(|(pointer, values)| Written {
            pointer,
            shape: &[],
            numbers: values,
            in_text: false,
        })
        .collect();
    write(&fields)
}

fn json_of(fields: &[Written<'_>]) -> Vec<u8> {
    document(fields).to_string().into_bytes()
}

/// Runs an inference over these values, and returns outputs and dead letters in their order.
async fn answers(
    model: &str,
    format: RecordFormat,
    values: &[Vec<u8>],
    echo_input: bool,
) -> (Vec<Value>, Vec<Answer>) {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, file(model)).await;
    let mut spec = fixture.spec(0, &version);
    spec.input_format = format;
    spec.echo_input = echo_input;
    for value in values {
        let record = OutRecord::to(&fixture.input).partition(0).value(value);
        let sent = fixture.producer.send_and_wait(&record).unwrap();
        sent.wait().unwrap();
    }
    let process = fixture.start(0, &spec);
    fixture.wait_until_done();
    end(process);
    let answered = fixture.outputs().drain();
    let dead = fixture.dead_letters().drain();
    assert_each_once(&[answered.clone(), dead.clone()].concat(), &fixture.ends());
    (answered.iter().map(Answer::json).collect(), dead)
}

fn assert_as_expected(answered: &[Value], model: &str) {
    let wanted = &expected()["models"][model];
    assert_eq!(answered.len(), wanted["label"].as_array().unwrap().len());
    for (place, answer) in answered.iter().enumerate() {
        let outputs = &answer["outputs"];
        assert_eq!(outputs["label"], wanted["label"][place], "{model}");
        for class in 0..2 {
            let found = outputs["probabilities"][class].as_f64().unwrap();
            let wanted = wanted["scores"][place][class].as_f64().unwrap();
            assert!((found - wanted).abs() < 1e-5, "{found} is not {wanted}");
        }
    }
}

#[tokio::test]
async fn columns_of_texts_and_numbers_are_read_from_every_format_with_fields() {
    let writer = MessageWriter::new(PROTOBUF, None).unwrap();
    let fields = json!([
        {"pointer": "/age"}, {"pointer": "/town", "text": true}, {"pointer": "/trade", "text": true},
    ]);
    let formats: [(Value, Write<'_>); 3] = [
        (json!({"type": "JSON", "fields": fields}), &json_of),
        (
            json!({"type": "AVRO", "fields": fields, "writer": {"type": "SCHEMA", "schema": AVRO}}),
            &|fields| avro_record(AVRO, fields).unwrap(),
        ),
        (
            json!({"type": "PROTOBUF", "fields": fields, "writer": {"type": "SCHEMA", "schema": PROTOBUF}}),
            &|fields| writer.write(fields).unwrap(),
        ),
    ];
    let expected = expected();
    let rows = expected["rows"].as_array().unwrap();
    for (format_of, write) in formats {
        let values: Vec<Vec<u8>> = rows.iter().map(|row| person(row, write)).collect();
        let is_json = format_of["type"] == "JSON";
        let (answered, dead) = answers("columns", format(format_of), &values, true).await;
        assert!(dead.is_empty(), "{dead:?}");
        assert_as_expected(&answered, "columns");
        for (answer, row) in answered.iter().zip(rows) {
            let echoed = if is_json {
                json!({"town": row[0], "trade": row[1], "age": row[2]})
            } else {
                json!([row[2].as_f64(), row[0], row[1]])
            };
            assert_eq!(answer["input"], echoed);
        }
    }
}

#[tokio::test]
async fn one_input_takes_several_texts_or_one() {
    let expected = expected();
    let two = json!({"type": "JSON", "fields": [
        {"pointer": "/town", "text": true}, {"pointer": "/trade", "text": true},
    ]});
    let rows = expected["rows"].as_array().unwrap();
    let values: Vec<Vec<u8>> = rows.iter().map(|row| person(row, &json_of)).collect();
    let (answered, dead) = answers("ordinal", format(two), &values, false).await;
    assert!(dead.is_empty(), "{dead:?}");
    assert_as_expected(&answered, "ordinal");

    let sentence = json!({"type": "JSON", "fields": [{"pointer": "", "text": true}]});
    let sentences = expected["sentences"].as_array().unwrap();
    let values: Vec<Vec<u8>> = sentences
        .iter()
        .map(|sentence| sentence.to_string().into_bytes())
        .collect();
    let (answered, dead) = answers("words", format(sentence), &values, false).await;
    assert!(dead.is_empty(), "{dead:?}");
    assert_as_expected(&answered, "words");
}

#[tokio::test]
async fn a_text_that_is_none_or_that_the_model_does_not_know_costs_its_own_record_only() {
    let expected = expected();
    let fields = json!({"type": "JSON", "fields": [
        {"pointer": "/town", "text": true}, {"pointer": "/trade", "text": true},
    ]});
    let rows = expected["rows"].as_array().unwrap();
    let mut values: Vec<Vec<u8>> = rows.iter().map(|row| person(row, &json_of)).collect();
    for (place, wrong) in [
        (1, r#"{"town": 5, "trade": "smith"}"#),
        (4, r#"{"town": "Oz", "trade": "smith"}"#),
        (6, r#"{"town": null, "trade": "smith"}"#),
    ] {
        values.insert(place, wrong.as_bytes().to_vec());
    }
    let (answered, dead) = answers("strict", format(fields), &values, false).await;
    assert_as_expected(&answered, "strict");
    let mut found: Vec<(i64, &str, &str)> = dead
        .iter()
        .map(|letter| {
            let header = |name| letter.header(name).unwrap();
            let (_, offset) = letter.source();
            (
                offset,
                header("millrace-error"),
                header("millrace-error-message"),
            )
        })
        .collect();
    found.sort_unstable();
    let wanted = [
        (1, "field-type", r#""/town" holds a number where a text"#),
        (4, "predict", "Unknown Category"),
        (6, "field-missing", r#""/town" is null"#),
    ];
    assert_eq!(found.len(), wanted.len(), "{found:?}");
    for ((offset, code, message), (place, error, words)) in found.into_iter().zip(wanted) {
        assert_eq!((offset, code), (place, error), "{message}");
        assert!(message.contains(words), "{message}");
    }
}

#[tokio::test]
async fn samples_may_be_texts_and_a_format_of_numbers_does_not_fit() {
    let expected = expected();
    let rows = expected["rows"].as_array().unwrap();
    let texts: Vec<&str> = rows
        .iter()
        .flat_map(|row| [row[0].as_str().unwrap(), row[1].as_str().unwrap()])
        .collect();
    let labels = expected["models"]["ordinal"]["label"].clone();
    let labels: Vec<String> = serde_json::from_value(labels).unwrap();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let count = rows.len();
    let samples = |labels: &[&str]| {
        npz(&[
            ("x", &[count, 2], Cells::Texts(&texts)),
            ("label", &[count], Cells::Texts(labels)),
        ])
    };
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, file("ordinal")).await;
    let good = fixture.expecting(version.clone(), samples(&labels)).await;
    let mut spec = fixture.spec(0, &good);
    spec.input_format = format(json!({"type": "JSON", "fields": [
        {"pointer": "/town", "text": true}, {"pointer": "/trade", "text": true},
    ]}));
    let value = person(&rows[0], &json_of);
    let record = OutRecord::to(&fixture.input).partition(0).value(&value);
    let sent = fixture.producer.send_and_wait(&record).unwrap();
    sent.wait().unwrap();
    let process = fixture.start(0, &spec);
    fixture.wait_until_done();
    end(process);
    assert_eq!(fixture.outputs().drain().len(), 1);

    let wrong = vec!["yes"; count];
    let bad = fixture.expecting(version, samples(&wrong)).await;
    spec.version = Some(bad);
    let process = fixture.start(0, &spec);
    let message = fixture.wait_for_problem("version-differs");
    assert!(
        message.contains(r#"the output label is "no", and "yes" is expected"#),
        "{message}"
    );
    end(process);

    spec.version = Some(good);
    spec.input_format = format(json!({"type": "JSON", "fields": [
        {"pointer": "/town", "text": true}, {"pointer": "/age"},
    ]}));
    let process = fixture.start(0, &spec);
    let message = fixture.wait_for_problem("version-mismatch");
    assert!(
        message.contains("x takes texts, [?, 2], and feature 1 of a record is a number"),
        "{message}"
    );
    end(process);
}
