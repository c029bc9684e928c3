//! A full disk under the artifacts and the database, on a real one of 6 MiB.
//!
//! The test starts itself again in a mount namespace of its own, where it may mount a small tmpfs
//! that goes away with it.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use millrace_artifacts::digest_of;
use millrace_harness::wait_until;
use serde_json::Value;

use crate::server::{On, TestApp};

const INSIDE: &str = "MILLRACE_TEST_FULL_DISK";
const LIMIT: Duration = Duration::from_mins(1);

#[test]
fn a_full_disk_is_told_in_words_and_gone_when_there_is_room() {
    if let Ok(folder) = std::env::var(INSIDE) {
        return inside(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size=6m none "$0" && exec "$1" --exact full_disk::a_full_disk_is_told_in_words_and_gone_when_there_is_room"#;
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .env(INSIDE, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
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
