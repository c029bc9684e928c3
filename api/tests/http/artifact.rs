//! Uploads of ONNX files.

use std::path::Path;

use millrace_artifacts::digest_of;
use millrace_onnx::layers::{self, Activation, Layer};
use serde_json::Value;

use crate::server::{BOTH, On, TestApp};

fn model(units: usize) -> Vec<u8> {
    let dense = Layer::Dense {
        units,
        activation: Activation::Relu,
        bias: true,
    };
    layers::build(&[4], &[dense], 1).unwrap().encode()
}

async fn put(app: &TestApp, digest: &str, bytes: Vec<u8>) -> (u16, String) {
    let request = app
        .request("PUT", &format!("/artifacts/{digest}"))
        .body(bytes);
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    let message = body["errors"][0]["message"].as_str().unwrap_or_default();
    (status, message.to_owned())
}

/// The files below a folder.
fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| if path.is_dir() { files(&path) } else { 1 })
        .sum()
}

#[tokio::test]
async fn a_file_is_taken_in_once_and_given_out_as_it_was() {
    for on in BOTH {
        let app = TestApp::start(on).await;
        let bytes = model(3);
        let digest = digest_of(&bytes);
        assert_eq!(put(&app, &digest, bytes.clone()).await.0, 201);
        assert_eq!(put(&app, &digest, bytes.clone()).await.0, 200);
        let path = format!("/artifacts/{digest}");
        let given = app.request("GET", &path).send().await.unwrap();
        assert_eq!(given.bytes().await.unwrap(), bytes);
        let create = format!(
            r#"mutation {{ createModel(input: {{name: "m", artifact: "{digest}"}}) {{ version {{ number size }} }} }}"#
        );
        assert_eq!(
            app.run(&create).await["createModel"]["version"]["size"],
            bytes.len()
        );
    }
}

#[tokio::test]
async fn what_is_refused_leaves_nothing_behind() {
    let app = TestApp::with(On::Sqlite, |config| {
        config.limits.max_artifact_bytes = 10_000;
    })
    .await;
    let whole = model(3);
    let (status, message) = put(&app, &digest_of(b"other"), whole.clone()).await;
    assert_eq!(status, 400, "{message}");
    assert!(message.contains("not what its digest says"), "{message}");

    let text = b"this is not a model".to_vec();
    let (status, message) = put(&app, &digest_of(&text), text).await;
    assert_eq!(status, 400, "{message}");

    let half = whole[..whole.len() / 2].to_vec();
    let (status, message) = put(&app, &digest_of(&half), half).await;
    assert_eq!(status, 400, "{message}");
    assert!(message.contains("cut short"), "{message}");

    let large = model(5_000);
    let (status, message) = put(&app, &digest_of(&large), large).await;
    assert_eq!(status, 413, "{message}");

    let (status, message) = put(&app, "..%2F..%2Fetc%2Fpasswd", whole).await;
    assert_eq!(status, 400, "{message}");

    assert_eq!(files(&app.folder.path().join("artifacts")), 0);
}
