//! Models as people have them: tree ensembles of scikit-learn, `XGBoost` and `LightGBM`, exported by
//! their own tools (see `ensembles/make.py`), with labels, texts and maps as outputs, one input for
//! each column and inputs of several types. They answer as their libraries do.

use millrace_harness::Kafka;
use millrace_kafka::OutRecord;
use millrace_wire::prediction::{Choice, Form};
use millrace_wire::record::{ByteOrder, Dtype, RawArray, RecordFormat};
use serde_json::{Value, json};

use crate::answers::{Answer, assert_each_once};
use crate::fixture::{Fixture, end};

const EXPECTED: &str = include_str!("ensembles/expected.json");

fn expected() -> Value {
    serde_json::from_str(EXPECTED).unwrap()
}

/// The file of a model.
fn file(name: &str) -> Vec<u8> {
    let folder = millrace_harness::root().join("tests/integration/tests/inference_function");
    std::fs::read(folder.join(format!("ensembles/{name}.onnx"))).unwrap()
}

fn numbers(value: &Value) -> Vec<f32> {
    serde_json::from_value(value.clone()).unwrap()
}

fn send_rows(fixture: &Fixture<'_>, rows: &[Value]) {
    for row in rows {
        let value: Vec<u8> = numbers(row)
            .iter()
            .flat_map(|one| one.to_le_bytes())
            .collect();
        let record = OutRecord::to(&fixture.input).partition(0).value(&value);
        fixture
            .producer
            .send_and_wait(&record)
            .unwrap()
            .wait()
            .unwrap();
    }
}

/// Runs an inference over the rows, and returns outputs and dead letters in their order.
async fn answers(
    model: &str,
    rows: &[Value],
    outputs: Vec<Choice>,
    echo_input: bool,
) -> (Vec<Value>, Vec<Answer>) {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, file(model)).await;
    let mut spec = fixture.spec(0, &version);
    spec.input_format = RecordFormat::Raw(RawArray {
        dtype: Dtype::Float32,
        shape: vec![4],
        byte_order: ByteOrder::Little,
    });
    spec.outputs = outputs;
    spec.echo_input = echo_input;
    send_rows(&fixture, rows);
    let process = fixture.start(0, &spec);
    fixture.wait_until_done();
    end(process);
    let answered = fixture.outputs().drain();
    let dead = fixture.dead_letters().drain();
    assert_each_once(&[answered.clone(), dead.clone()].concat(), &fixture.ends());
    (answered.iter().map(Answer::json).collect(), dead)
}

fn assert_near(found: &Value, wanted: &Value) {
    let (found, wanted) = (found.as_f64().unwrap(), wanted.as_f64().unwrap());
    assert!((found - wanted).abs() < 1e-5, "{found} is not {wanted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn classifiers_answer_as_their_libraries_do() {
    let expected = expected();
    let rows = expected["rows"].as_array().unwrap();
    let species = ["setosa", "versicolor", "virginica"];
    for (model, label, scores, classes) in [
        (
            "forest",
            "output_label",
            "output_probability",
            Some(["0", "1", "2"]),
        ),
        (
            "columns",
            "output_label",
            "output_probability",
            Some(species),
        ),
        ("lightgbm", "label", "probabilities", Some(["0", "1", "2"])),
        ("xgboost", "label", "probabilities", None),
    ] {
        let wanted = &expected["models"][model];
        let (answered, dead) = answers(model, rows, Vec::new(), false).await;
        assert!(dead.is_empty(), "{model}: {dead:?}");
        assert_eq!(answered.len(), rows.len());
        for (place, answer) in answered.iter().enumerate() {
            let outputs = &answer["outputs"];
            assert_eq!(outputs[label], wanted["label"][place], "{model}");
            for class in 0..3 {
                let found = match classes {
                    Some(names) => &outputs[scores][names[class]],
                    None => &outputs[scores][class],
                };
                assert_near(found, &wanted["scores"][place][class]);
            }
        }
    }
}

#[tokio::test]
async fn inputs_of_several_types_share_a_record() {
    let expected = expected();
    let mut rows = expected["mixed_rows"].as_array().unwrap().clone();
    // Half a millimetre is no whole number, and costs its own record only.
    rows.insert(3, json!([51.5, 35.0, 1.4, 0.2]));
    let (answered, dead) = answers("mixed", &rows, Vec::new(), false).await;
    let wanted = expected["models"]["mixed"]["value"].as_array().unwrap();
    assert_eq!(answered.len(), wanted.len());
    for (answer, wanted) in answered.iter().zip(wanted) {
        assert_near(&answer["outputs"]["variable"][0], wanted);
    }
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].source().1, 3);
    assert_eq!(dead[0].header("millrace-error"), Some("number"));
    let message = dead[0].header("millrace-error-message").unwrap();
    assert!(message.contains("feature 0 is 51.5"), "{message}");
    assert!(message.contains("millimetres"), "{message}");
}

#[tokio::test]
async fn outputs_are_chosen_ranked_and_echoed() {
    let expected = expected();
    let rows = &expected["rows"].as_array().unwrap()[..4];
    let choices = vec![
        Choice {
            form: Form::TopK(2),
            threshold: Some(0.5),
            ..Choice::whole("output_probability")
        },
        Choice::whole("output_label"),
    ];
    let (answered, _) = answers("columns", rows, choices, true).await;
    for (place, answer) in answered.iter().enumerate() {
        let wanted = &expected["models"]["columns"];
        let outputs = answer["outputs"].as_object().unwrap();
        let names: Vec<&String> = outputs.keys().collect();
        assert_eq!(names.len(), 2);
        let best = &outputs["output_probability"];
        assert_eq!(
            best.as_array().unwrap().len(),
            1,
            "one is above the threshold"
        );
        assert_eq!(best[0]["class"], wanted["label"][place]);
        assert_eq!(outputs["output_label"], wanted["label"][place]);
        assert_near(&best[0]["score"], &wanted["scores"][place][0]);
        assert_eq!(numbers(&answer["input"]), numbers(&rows[place]));
    }
    let only = vec![Choice {
        form: Form::Argmax,
        classes: ["a", "b", "c"].map(str::to_owned).into(),
        ..Choice::whole("output_probability")
    }];
    let (answered, _) = answers("columns", &rows[..1], only, false).await;
    let outputs = &answered[0]["outputs"];
    assert_eq!(outputs["output_probability"]["class"], "a");
    assert!(outputs["output_label"].is_null() && answered[0]["input"].is_null());
}
