//! A full disk under the artifacts and the database, on a real one of 6 MiB.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::time::Duration;

use millrace_artifacts::digest_of;
use millrace_harness::{on_small_disk, wait_until};
use serde_json::{Value, json};

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

    std::fs::remove_file(&rest).unwrap();
    app.run(CREATE).await;
    for round in 0..3 {
        fill(&rest);
        let kept = create_many(&app, &format!("full-{round}")).await;
        std::fs::remove_file(&rest).unwrap();
        let later = create_many(&app, &format!("free-{round}")).await;
        assert_eq!(later.len(), MANY, "there is room again");
        for name in kept.iter().chain(&later) {
            let found = app
                .run(&format!(r#"{{ project(name: "{name}") {{ name }} }}"#))
                .await;
            assert_eq!(
                found["project"]["name"], *name,
                "what was acknowledged is there"
            );
        }
    }
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

/// How many mutations come at once.
const MANY: usize = 8;

/// Creates projects at once, and gives the names of those that the API says it has made.
async fn create_many(app: &TestApp, prefix: &str) -> Vec<String> {
    let names = (0..MANY).map(|index| format!("{prefix}-{index}"));
    let created = names.map(|name| async {
        let mutation = format!(
            r#"mutation {{ createProject(input: {{name: "{name}"}}) {{ project {{ name }} }} }}"#
        );
        let request = json!({"query": mutation});
        let answer = app.request("POST", "/graphql").json(&request).send().await;
        let answer: Value = answer.unwrap().json().await.unwrap();
        answer["errors"].is_null().then_some(name)
    });
    let created = futures::future::join_all(created).await;
    created.into_iter().flatten().collect()
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
