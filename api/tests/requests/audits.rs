//! The conformance suite of GraphQL over HTTP.

use crate::server::{On, TestApp};

#[tokio::test(flavor = "multi_thread")]
async fn all_audits_pass() {
    let app = TestApp::start(On::Sqlite).await;
    let url = format!("{}/graphql", app.url);
    let answer = tokio::task::spawn_blocking(move || {
        millrace_harness::node("tests/audits", &["audits.mjs", &url], &[])
    });
    let said = answer
        .await
        .unwrap()
        .unwrap_or_else(|said| panic!("{said}"));
    assert!(said.contains("61 of 61"), "{said}");
}
