//! Uploads of ONNX files.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use chrono::TimeDelta;
use millrace_api::app::janitor::sweep;
use millrace_artifacts::digest_of;
use millrace_entity::training::{self, State};
use millrace_onnx::layers::{self, Activation, Layer};
use sea_orm::{ActiveModelTrait as _, ActiveValue::Set};
use serde_json::Value;

use crate::rows;
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

/// A sender that does not listen while it sends would meet a reset in place of the answer.
#[tokio::test]
async fn a_refused_file_that_many_send_at_once_is_refused_to_each() {
    let app = TestApp::start(On::Sqlite).await;
    let rubbish = vec![0_u8; 1 << 20];
    let digest = digest_of(&rubbish);
    let answers = (0..6).map(|_| put(&app, &digest, rubbish.clone()));
    for (status, message) in futures::future::join_all(answers).await {
        assert_eq!(status, 400, "{message}");
    }
    // What others have put there stays: the copy of a pinned segment is no model either.
    let store = &app.app.artifacts;
    store.put_bytes(rubbish.clone().into()).await.unwrap();
    assert_eq!(put(&app, &digest, rubbish).await.0, 400);
    assert!(store.exists(&digest).await.unwrap());
}

#[tokio::test]
async fn who_sends_all_of_a_refused_file_hears_why() {
    const SIZE: usize = 32 << 20;
    let limits = [
        ("413 Payload Too Large", 10_000),
        ("400 Bad Request", 1 << 30),
    ];
    for (status, limit) in limits {
        let app = TestApp::with(On::Sqlite, |config| {
            config.limits.max_artifact_bytes = limit;
        })
        .await;
        let address = app.url.strip_prefix("http://").unwrap().to_owned();
        let heard = tokio::task::spawn_blocking(move || {
            let mut connection = TcpStream::connect(address).unwrap();
            let head = format!(
                "PUT /artifacts/no-digest HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {SIZE}\r\n\r\n"
            );
            connection.write_all(head.as_bytes()).unwrap();
            connection.write_all(&vec![0; SIZE]).unwrap();
            let mut answer = String::new();
            connection.read_to_string(&mut answer).unwrap();
            answer
        });
        let heard = heard.await.unwrap();
        assert!(
            heard.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{heard}"
        );
    }
}

#[tokio::test]
async fn what_never_became_a_version_goes_after_a_while() {
    for on in BOTH {
        let app = TestApp::start(on).await;
        let [used, unused] = [3, 4].map(model);
        let [kept, gone] = [&used, &unused].map(|bytes| digest_of(bytes));
        put(&app, &kept, used).await;
        put(&app, &gone, unused.clone()).await;
        app.run(&create(&kept)).await;

        let now = app.app.now();
        let (earlier, later) = (now - TimeDelta::hours(1), now + TimeDelta::hours(1));
        assert_eq!(sweep(&app.app, earlier).await.unwrap(), 0, "they are new");
        let relied_on = app.app.artifact_guard.read().await;
        assert_eq!(sweep(&app.app, later).await.unwrap(), 0, "one is in use");
        drop(relied_on);
        assert_eq!(sweep(&app.app, later).await.unwrap(), 1);

        let status = async |digest: &str| {
            let request = app.request("GET", &format!("/artifacts/{digest}"));
            request.send().await.unwrap().status().as_u16()
        };
        assert_eq!((status(&kept).await, status(&gone).await), (200, 404));
        assert_eq!(files(&app.folder.path().join("artifacts")), 1);
        let refused = app.refused(&create_version(&gone)).await;
        assert!(refused.starts_with("NOT_FOUND: "), "{refused}");
        put(&app, &gone, unused).await;
        app.run(&create_version(&gone)).await;
    }
}

#[tokio::test]
async fn what_a_training_is_about_to_report_stays() {
    let app = TestApp::start(On::Sqlite).await;
    let used = model(3);
    let digest = digest_of(&used);
    put(&app, &digest, used).await;
    app.run(&create(&digest)).await;
    let trained = model(4).into();
    app.app.artifacts.put_bytes(trained).await.unwrap();
    let id = rows::training(&app, State::Running).await;
    let later = app.app.now() + TimeDelta::hours(1);
    assert_eq!(sweep(&app.app, later).await.unwrap(), 0);

    let ended = training::ActiveModel {
        id: Set(id),
        state: Set(State::Failed),
        ..Default::default()
    };
    ended.update(&app.app.database).await.unwrap();
    assert_eq!(sweep(&app.app, later).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_version_is_left_without_its_file() {
    let app = TestApp::start(On::Sqlite).await;
    let first = model(1);
    let digest = digest_of(&first);
    put(&app, &digest, first).await;
    app.run(&create(&digest)).await;
    let sweeping = tokio::spawn({
        let app = app.app.clone();
        async move {
            loop {
                let later = app.now() + TimeDelta::hours(1);
                sweep(&app, later).await.unwrap();
                tokio::task::yield_now().await;
            }
        }
    });
    let uploads = (2..40).map(async |units| {
        let bytes = model(units);
        let digest = digest_of(&bytes);
        match put(&app, &digest, bytes).await {
            (201, _) => {}
            // Gone before it was noted, which takes a sweep of what is new.
            (404, _) => return None,
            (status, message) => panic!("{status}: {message}"),
        }
        let (_, answer) = app.ask(&create_version(&digest)).await;
        match answer["errors"][0]["extensions"]["code"].as_str() {
            None => Some(digest),
            Some(code) => {
                assert_eq!(code, "NOT_FOUND", "{answer}");
                None
            }
        }
    });
    let made = futures::future::join_all(uploads).await;
    sweeping.abort();
    for digest in made.into_iter().flatten() {
        assert!(app.app.artifacts.exists(&digest).await.unwrap(), "{digest}");
    }
}

fn create(digest: &str) -> String {
    format!(
        r#"mutation {{ createModel(input: {{name: "m", artifact: "{digest}"}}) {{ version {{ number }} }} }}"#
    )
}

fn create_version(digest: &str) -> String {
    format!(
        r#"mutation {{ createVersion(input: {{model: "m", artifact: "{digest}"}}) {{ version {{ number }} }} }}"#
    )
}
