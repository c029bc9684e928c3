//! The product with its artifacts in S3: what is trained, pinned, uploaded and pointed at lies in a bucket, and functions
//! read it there.

use std::path::Path;

use millrace_artifacts::digest_of;
use millrace_harness::{Kafka, Millrace, S3, unique};
use serde_json::json;

use crate::{infer, models, points, predictions, prepare, train};

const URL: &str = "MILLRACE_ARTIFACTS__URL";

const PIN: &str = "mutation Pin($id: ID!) { pinSegment(input: {id: $id}) { segment { pinned } } }";

#[tokio::test(flavor = "multi_thread")]
async fn models_are_trained_and_answer_out_of_a_bucket() {
    let kafka = Kafka::shared();
    let s3 = S3::start();
    let bucket = s3.bucket();
    let mut environment = s3.environment();
    environment.push((URL, format!("s3://{bucket}/artifacts")));
    let millrace = Millrace::start(kafka, &environment).await;
    let behind = s3.folder(&bucket).join("artifacts");

    let (topic, output) = (unique("points"), unique("output"));
    let segment = prepare(&millrace, &topic, 1, 200).await;
    millrace.execute(PIN, json!({"id": segment})).await;
    let training = train(&millrace, &segment, 20, Some("champion")).await;
    assert_eq!(training["state"], "SUCCEEDED", "{training}");
    let digest = training["result"]["digest"].as_str().unwrap();
    assert!(has(&behind, digest), "the trained version lies there");

    infer(&millrace, &topic, &output, 1).await;
    let file = millrace.file("more.csv", points(50));
    millrace.command(&["send", "points", file.to_str().unwrap()]);
    predictions(kafka, &output, 50).await;
    assert!(behind.join("aliases/default/points/champion").is_file());

    let model = models::dense(7);
    let file = millrace.file("model.onnx", &model);
    millrace.command(&["model", "push", "uploaded", file.to_str().unwrap()]);
    let digest = digest_of(&model);
    assert!(has(&behind, &digest), "the upload lies there");
    let url = format!("{}/artifacts/{digest}", millrace.url());
    let got = reqwest::get(url).await.unwrap().bytes().await.unwrap();
    assert_eq!(got, model);
    assert!(!millrace.folder().join("artifacts").exists());
}

fn has(bucket: &Path, digest: &str) -> bool {
    bucket
        .join("sha256")
        .join(&digest[..2])
        .join(digest)
        .is_file()
}

/// Before it serves anybody.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_cannot_be_used_is_named_at_the_start() {
    let s3 = S3::start();
    let mut environment = s3.environment();
    environment.push((URL, "s3://no-such-bucket".to_owned()));
    let mut millrace = Millrace::launch(Kafka::shared(), &environment);
    let process = millrace.process();
    process.wait_for("there is no bucket `no-such-bucket`", crate::LIMIT);
    assert!(!process.wait(crate::LIMIT).success());
}
