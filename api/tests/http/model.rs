//! Models, versions and aliases.

use insta::assert_json_snapshot;

use crate::server::{BOTH, TestApp};

const CREATE: &str = r#"mutation { createModel(input: {
    name: "digits", inputShape: [64], seed: 7,
    layers: [{scale: {factor: 0.0625}}, {dense: {units: 10, activation: SOFTMAX}}]
}) { version {
    number layers model { name }
    signature { inputs { text } outputs { text } }
    trainable { possible reasons parameters }
} } }"#;

#[tokio::test]
async fn a_model_comes_from_layers_and_its_aliases_keep_their_history() {
    for on in BOTH {
        let app = TestApp::start(on).await;
        let made = app.run(CREATE).await;
        insta::allow_duplicates! { assert_json_snapshot!("from_layers", made); }
        assert!(app.refused(CREATE).await.starts_with("ALREADY_EXISTS: "));

        let digest = app
            .run(r#"{ project { model(name: "digits") { latestVersion { digest } } } }"#)
            .await["project"]["model"]["latestVersion"]["digest"]
            .as_str()
            .unwrap()
            .to_owned();
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
