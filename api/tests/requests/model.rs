//! Models, versions and aliases.

use chrono::{DateTime, Utc};
use insta::assert_json_snapshot;
use serde_json::Value;

use crate::server::{BOTH, TestApp};

const CREATE: &str = r#"mutation { createModel(input: {
    name: "digits", inputShape: [64], seed: 7,
    layers: [{scale: {factor: 0.0625}}, {dense: {units: 10, activation: SOFTMAX}}]
}) { version {
    number layers model { name }
    signature { inputs { text } outputs { text } }
    trainable { possible reasons parameters }
} } }"#;

async fn latest_digest(app: &TestApp) -> String {
    let query = r#"{ project { model(name: "digits") { latestVersion { digest } } } }"#;
    let found = app.run(query).await;
    let digest = found["project"]["model"]["latestVersion"]["digest"].as_str();
    digest.unwrap().to_owned()
}

#[tokio::test]
async fn a_model_comes_from_layers_and_its_aliases_keep_their_history() {
    for on in BOTH {
        let app = TestApp::start(on).await;
        let made = app.run(CREATE).await;
        insta::allow_duplicates! { assert_json_snapshot!("from_layers", made); }
        assert!(app.refused(CREATE).await.starts_with("ALREADY_EXISTS: "));

        let digest = latest_digest(&app).await;
        app.run(&format!(r#"mutation {{ createVersion(input: {{model: "digits", artifact: "{digest}"}}) {{ version {{ number }} }} }}"#)).await;
        for version in [1, 2, 2] {
            app.run(&format!(r#"mutation {{ setAlias(input: {{model: "digits", alias: "champion", version: {version}}}) {{ alias {{ name }} }} }}"#)).await;
        }
        let found = app
            .run(r#"{ project { model(name: "digits") {
                versions(first: 1) { totalCount pageInfo { hasNextPage } nodes { number aliases } }
                alias(name: "champion") { version { number } history { nodes { movedBy from { number } to { number } } } }
            } } }"#)
            .await;
        insta::allow_duplicates! { assert_json_snapshot!("alias_history", found); }

        let missing = r#"mutation { setAlias(input: {model: "digits", alias: "champion", version: 9}) { alias { name } } }"#;
        assert!(app.refused(missing).await.starts_with("NOT_FOUND: "));
        app.run(
            r#"mutation { removeAlias(input: {model: "digits", alias: "champion"}) { name } }"#,
        )
        .await;
        app.run(r#"mutation { deleteModel(input: {name: "digits"}) { name } }"#)
            .await;
        let file = app.request("GET", &format!("/artifacts/{digest}"));
        assert_eq!(file.send().await.unwrap().status(), 404);
    }
}

#[tokio::test]
async fn an_alias_that_many_move_at_once_has_a_history_without_breaks() {
    for on in BOTH {
        let app = TestApp::start(on).await;
        app.run(CREATE).await;
        let digest = latest_digest(&app).await;
        for _ in 0..3 {
            app.run(&format!(r#"mutation {{ createVersion(input: {{model: "digits", artifact: "{digest}"}}) {{ version {{ number }} }} }}"#)).await;
        }
        let moves = (0..24).map(|index| {
            let version = index % 4 + 1;
            format!(r#"mutation {{ setAlias(input: {{model: "digits", alias: "champion", version: {version}}}) {{ alias {{ name }} }} }}"#)
        });
        let moves: Vec<String> = moves.collect();
        futures::future::join_all(moves.iter().map(|one| app.run(one))).await;
        let found = app
            .run(
                r#"{ project { model(name: "digits") { alias(name: "champion") {
                version { number } history { nodes { movedAt from { number } to { number } } }
            } } } }"#,
            )
            .await;
        let alias = &found["project"]["model"]["alias"];
        let history = alias["history"]["nodes"].as_array().unwrap();
        assert!(history.len() > 1, "{history:?}");
        assert_eq!(history[0]["from"], Value::Null);
        for pair in history.windows(2) {
            assert_eq!(pair[0]["to"], pair[1]["from"], "{history:?}");
            let at = |one: &Value| one["movedAt"].as_str().unwrap().parse::<DateTime<Utc>>();
            assert!(at(&pair[0]).unwrap() < at(&pair[1]).unwrap(), "{pair:?}");
        }
        assert_eq!(history.last().unwrap()["to"], alias["version"]);
    }
}
