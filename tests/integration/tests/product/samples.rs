//! Golden samples: what a pushed model has to answer, from the command to the function that checks it once more.

use millrace_harness::{Kafka, Millrace, root, unique};
use millrace_wire::samples::Samples;
use serde_json::{Value, json};

use crate::models;
use crate::npz::{Cells, answered, npz, rows};

const COUNT: u16 = 100;

const LATEST: &str = r#"query Latest { project { model(name: "points") { latestVersion {
  number samples { digest size uri count relativeTolerance absoluteTolerance }
} } } }"#;

const SERVE: &str = r#"mutation Serve($input: String!, $output: String!) {
  createDatasource(input: {
    name: "points", topic: $input, createTopic: {partitions: 1}, format: {raw: {dtype: UINT8, shape: [4]}}
  }) { datasource { name } }
  createInference(input: {name: "points", datasource: "points", model: "points", version: 2, outputTopic: $output}) {
    inference { name }
  } }"#;

fn push(millrace: &Millrace, model: &str, samples: &[u8], more: &[&str]) -> Result<Value, String> {
    let file = millrace.file("samples.npz", samples);
    let mut arguments = vec!["model", "push", "points", model, "--json", "--expect"];
    arguments.push(file.to_str().unwrap());
    arguments.extend(more);
    let output = millrace.call(&arguments).output().unwrap();
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).unwrap())
    } else {
        Err(String::from_utf8(output.stderr).unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_held_to_its_samples() {
    let kafka = Kafka::shared();
    let millrace = Millrace::start(kafka, &[]).await;
    let model = models::dense(1);
    let rows = rows(COUNT);
    let right = answered(&model, &rows);
    let file = millrace.file("dense.onnx", &model);
    let file = file.to_str().unwrap();
    let count = usize::from(COUNT);
    let inputs = || ("input", &[100, 4][..], Cells::Numbers(&rows));
    let good = npz(&[inputs(), ("output", &[count, 2], Cells::Numbers(&right))]);

    let version = push(&millrace, file, &good, &[]).unwrap();
    assert_eq!(version["number"], 1);
    assert_eq!(version["samples"]["count"], COUNT);

    let mut wrong = right.clone();
    wrong[70 * 2 + 1] += 0.5;
    let wrong = npz(&[inputs(), ("output", &[count, 2], Cells::Numbers(&wrong))]);
    let refused = push(&millrace, file, &wrong, &[]).unwrap_err();
    let actual = right[141].to_string();
    let expected = (right[141] + 0.5).to_string();
    let difference = format!(
        "sample 70: the output output[1] is {actual}, and {expected} is expected, give or take"
    );
    for words in [
        difference.as_str(),
        "(0.00001 + 0.001 × |expected|); 1 of 200 elements differ by more, in 1 of 100 samples",
        "(INCOMPATIBLE)",
    ] {
        assert!(refused.contains(words), "{refused}");
    }
    refuse_misfits(&millrace, file, &rows, &right);

    // Whoever says how much is near enough is believed.
    let version = push(&millrace, file, &wrong, &["--atol", "1", "--rtol", "0"]).unwrap();
    assert_eq!(version["number"], 2, "what was refused made no version");
    let latest = millrace.execute(LATEST, json!({})).await;
    let samples = &latest["project"]["model"]["latestVersion"]["samples"];
    assert_eq!(samples["absoluteTolerance"], 1.0);
    assert_eq!(samples["relativeTolerance"], 0.0);
    let url = format!("{}{}", millrace.url(), samples["uri"].as_str().unwrap());
    let served = reqwest::get(&url).await.unwrap().bytes().await.unwrap();
    assert_eq!(served, wrong);

    // Its function comes to the same result, and answers with it.
    let topics = json!({"input": unique("input"), "output": unique("output")});
    millrace.execute(SERVE, topics).await;
    crate::runs(&millrace).await;
    let delete = r#"mutation Delete { deleteInference(input: {name: "points"}) { name } }"#;
    millrace.execute(delete, json!({})).await;
    let is_gone = |data: &Value| data["project"]["inference"].is_null();
    millrace
        .wait_for(
            "the inference is gone",
            crate::LIMIT,
            crate::INFERENCE,
            json!({}),
            is_gone,
        )
        .await;

    // The samples go with the last version that is held to them.
    let delete = r#"mutation Delete { deleteModel(input: {name: "points"}) { name } }"#;
    millrace.execute(delete, json!({})).await;
    assert_eq!(reqwest::get(&url).await.unwrap().status(), 404);
}

/// Samples that do not fit the model, or are none.
fn refuse_misfits(millrace: &Millrace, file: &str, rows: &[f32], right: &[f32]) {
    let count = usize::from(COUNT);
    let inputs = || ("input", &[100, 4][..], Cells::Numbers(rows));
    let outputs = || ("output", &[100, 2][..], Cells::Numbers(right));
    let texts = vec!["a"; count * 4];
    let onnx = std::fs::read(file).unwrap();
    let cases: [(Vec<u8>, &str, &str); 9] = [
        (
            npz(&[("arr_0", &[count, 4], Cells::Numbers(rows))]),
            "\"arr_0\", which the model neither takes nor gives",
            "INCOMPATIBLE",
        ),
        (npz(&[inputs()]), "no array for an output", "INCOMPATIBLE"),
        (
            npz(&[outputs()]),
            "no array for the model's input input",
            "INCOMPATIBLE",
        ),
        (
            npz(&[
                ("input", &[50, 8], Cells::Numbers(rows)),
                ("output", &[50, 4], Cells::Numbers(right)),
            ]),
            "input has the shape [50, 8], and the model has [?, 4]",
            "INCOMPATIBLE",
        ),
        (
            npz(&[inputs(), ("output", &[50, 4], Cells::Numbers(right))]),
            "first dimension has to be the 100 samples",
            "INCOMPATIBLE",
        ),
        (
            npz(&[
                ("input", &[0, 4], Cells::Numbers(&[])),
                ("output", &[0, 2], Cells::Numbers(&[])),
            ]),
            "holds no sample",
            "INCOMPATIBLE",
        ),
        (
            npz(&[("input", &[count, 4], Cells::Texts(&texts)), outputs()]),
            "holds texts",
            "INCOMPATIBLE",
        ),
        (
            b"PK\x03\x04 and no more".to_vec(),
            "not an npz file",
            "INVALID_INPUT",
        ),
        (onnx, "not an npz file", "INCOMPATIBLE"),
    ];
    for (samples, words, code) in cases {
        let refused = push(millrace, file, &samples, &[]).unwrap_err();
        assert!(
            refused.contains(words) && refused.contains(code),
            "{words}: {refused}"
        );
    }
    let good = npz(&[inputs(), outputs()]);
    let refused = push(millrace, file, &good, &["--rtol=-1"]).unwrap_err();
    assert!(refused.contains("relative tolerance is -1"), "{refused}");
}

/// Labels are texts, scores are `ZipMap`'s maps, and each column is an input of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_classifier_is_held_to_its_labels_and_scores() {
    let millrace = Millrace::start(Kafka::shared(), &[]).await;
    let folder = root().join("tests/integration/tests/inference_function/ensembles");
    let expected = std::fs::read(folder.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    let rows: Vec<Vec<f32>> = serde_json::from_value(expected["rows"].clone()).unwrap();
    let columns: Vec<Vec<f32>> = (0..4)
        .map(|column| rows.iter().map(|row| row[column]).collect())
        .collect();
    let wanted = &expected["models"]["columns"];
    let labels: Vec<&str> = wanted["label"]
        .as_array()
        .unwrap()
        .iter()
        .map(|label| label.as_str().unwrap())
        .collect();
    let scores: Vec<Vec<f32>> = serde_json::from_value(wanted["scores"].clone()).unwrap();
    let scores = scores.concat();
    let file = folder.join("columns.onnx");
    let file = file.to_str().unwrap();
    let count = rows.len();
    let samples = |labels: &[&str]| {
        let names = ["sepal_length", "sepal_width", "petal_length", "petal_width"];
        let shape = [count, 1];
        let table = [count, 3];
        let column = [count];
        let mut arrays: Vec<(&str, &[usize], Cells<'_>)> = names
            .iter()
            .zip(&columns)
            .map(|(name, column)| (*name, &shape[..], Cells::Numbers(column)))
            .collect();
        arrays.push(("output_label", &column, Cells::Texts(labels)));
        arrays.push(("output_probability", &table, Cells::Numbers(&scores)));
        npz(&arrays)
    };
    let version = push(&millrace, file, &samples(&labels), &[]).unwrap();
    assert_eq!(version["samples"]["count"], count);
    let mut others = labels.clone();
    others[2] = "tulip";
    let refused = push(&millrace, file, &samples(&others), &[]).unwrap_err();
    let words = format!(
        "sample 2: the output output_label is {:?}, and \"tulip\" is expected; 1 of {} elements",
        labels[2],
        count * 4
    );
    assert!(refused.contains(&words), "{refused}");
}

const TRAIN: &str = r#"mutation Train($segment: ID!, $samples: Int!, $promote: String) { startTraining(input: {
  model: "points", version: 1, segment: $segment, promoteTo: $promote,
  hyperparameters: {epochs: 2, batchSize: 16, learningRate: 0.05, goldenSamples: $samples}
}) { training { id } } }"#;

/// The samples of the version that a training makes, which asks for so many.
async fn trained(millrace: &Millrace, segment: &str, samples: u32, promote: Option<&str>) -> Value {
    let wanted = json!({"segment": segment, "samples": samples, "promote": promote});
    let started = millrace.execute(TRAIN, wanted).await;
    let id = started["startTraining"]["training"]["id"].as_str().unwrap();
    let ended = crate::end_of_training(millrace, id).await;
    assert_eq!(ended["state"], "SUCCEEDED", "{ended}");
    let mut latest = millrace.execute(LATEST, json!({})).await;
    latest["project"]["model"]["latestVersion"]["samples"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_training_makes_samples_of_its_version_where_it_is_asked_to() {
    let kafka = Kafka::shared();
    let millrace = Millrace::start(kafka, &[]).await;
    let (topic, output) = (unique("training"), unique("output"));
    let segment = crate::prepare(&millrace, &topic, 2, 400).await;
    assert_eq!(trained(&millrace, &segment, 0, None).await, Value::Null);

    let samples = trained(&millrace, &segment, 5, Some("champion")).await;
    assert_eq!(samples["count"], 5, "{samples}");
    let url = format!("{}{}", millrace.url(), samples["uri"].as_str().unwrap());
    let file = reqwest::get(url).await.unwrap().bytes().await.unwrap();
    let file = Samples::read(&file).unwrap();
    let shapes: Vec<&[usize]> = file
        .names()
        .map(|name| file.array(name).unwrap().shape())
        .collect();
    assert_eq!(shapes, [[5, 2], [5, 2]], "two numbers in, two classes out");
    // The same training once more: the same version, and the same samples.
    let again = trained(&millrace, &segment, 5, None).await;
    assert_eq!(again["digest"], samples["digest"]);

    // The function runs them before it answers.
    crate::infer(&millrace, &topic, &output, 1).await;
    let file = millrace.file("points.csv", crate::points(20));
    millrace.command(&["send", "points", file.to_str().unwrap(), "--no-segment"]);
    crate::predictions(kafka, &output, 20).await;

    let wanted = json!({"segment": segment, "samples": 65});
    let (code, message) = millrace.refuse(TRAIN, wanted).await;
    assert_eq!(code, "INVALID_INPUT");
    assert!(message.contains("goldenSamples is 0 to 64"), "{message}");
}
