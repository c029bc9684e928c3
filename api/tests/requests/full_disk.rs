//! A full disk under the artifacts and the database, on a real one of 6 MiB.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::time::Duration;

use millrace_artifacts::digest_of;
use millrace_harness::{on_small_disk, wait_until};
use serde_json::Value;

use crate::server::{On, TestApp};

const LIMIT: Duration = Duration::from_mins(1);

#[test]
fn a_full_disk_is_told_in_words_and_gone_when_there_is_room() {
    on_small_disk(
        6,
        "full_disk::a_full_disk_is_told_in_words_and_gone_when_there_is_room",
        inside,
    );
}

#[tokio::main]
async fn inside(disk: &Path) {
    let app = TestApp::with(On::Sqlite, |config| config.data.folder = disk.into()).await;

    // An upload that does not fit.
    let large = vec![7; 8 << 20];
    let path = format!("/artifacts/{}", digest_of(&large));
    let answer = app.request("PUT", &path).body(large).send().await.unwrap();
    assert_eq!(answer.status(), 507);
    let answer: Value = answer.json().await.unwrap();
    let error = &answer["errors"][0];
    assert_eq!(error["extensions"]["code"], "DISK_FULL", "{answer}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("free some space"), "{message}");
    assert!(
        database(&app).await["ok"] == true,
        "what was written is gone"
    );

    // Rows that do not fit.
    let rest = disk.join("rest");
    fill(&rest);
    let refused = app.refused(CREATE).await;
    assert_eq!(
        refused,
        "DISK_FULL: no space is left where the database lies; nothing was changed: free some space and try again"
    );
    let message = wait_until(
        "the API says that it is not ready",
        LIMIT,
        async || match database(&app).await {
            database if database["ok"] == false => Ok(database["message"].to_string()),
            database => Err(database),
        },
    )
    .await;
    assert!(message.contains("no space is left"), "{message}");

    std::fs::remove_file(rest).unwrap();
    app.run(CREATE).await;
    wait_until(
        "the database is ready again",
        LIMIT,
        async || match database(&app).await {
            database if database["ok"] == true => Ok(()),
            database => Err(database),
        },
    )
    .await;
}

const CREATE: &str = r#"mutation { createProject(input: {name: "blue"}) { project { name } } }"#;

/// What `/readyz` says of the database.
async fn database(app: &TestApp) -> Value {
    let answer = app.request("GET", "/readyz").send().await.unwrap();
    let mut answer: Value = answer.json().await.unwrap();
    answer["checks"]["database"].take()
}

/// Takes what is left of the disk.
fn fill(file: &Path) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(file).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
}
