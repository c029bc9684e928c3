//! The conformance suite of GraphQL over HTTP.

use std::path::Path;
use std::process::Command;

use crate::server::{On, TestApp};

#[tokio::test(flavor = "multi_thread")]
async fn all_audits_pass() {
    let app = TestApp::start(On::Sqlite).await;
    let url = format!("{}/graphql", app.url);
    let answer = tokio::task::spawn_blocking(move || {
        let folder = millrace_harness::root().join("tests/audits");
        if !folder.join("node_modules").exists() {
            let npm = run(
                &folder,
                "npm",
                &["ci", "--no-audit", "--no-fund", "--prefer-offline"],
            );
            assert!(npm.0, "npm ci failed: {}", npm.1);
        }
        run(&folder, "node", &["audits.mjs", &url])
    });
    let (passed, text) = answer.await.unwrap();
    assert!(passed, "{text}");
    assert!(text.contains("61 of 61"), "{text}");
}

fn run(folder: &Path, program: &str, arguments: &[&str]) -> (bool, String) {
    let done = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap_or_else(|error| panic!("{program} is needed for this test: {error}"));
    let mut text = String::from_utf8_lossy(&done.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&done.stderr));
    (done.status.success(), text)
}
