//! GraphQL over HTTP, and what it refuses.

use millrace_api::graphql::GlobalId;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use serde_json::{Value, json};

use crate::server::{On, TestApp};

#[tokio::test]
async fn what_pages_of_other_sites_can_send_is_refused() {
    let app = TestApp::start(On::Sqlite).await;
    let mutation = r#"mutation { createProject(input: {name: "x"}) { project { name } } }"#;
    let get = app.request(
        "GET",
        "/graphql?query=mutation%7Bd:deleteProject(input:%7Bname:%22x%22%7D)%7Bname%7D%7D",
    );
    assert_eq!(get.send().await.unwrap().status(), 405);
    let body = json!({ "query": mutation }).to_string();
    for media in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ] {
        let post = app
            .request("POST", "/graphql")
            .header("content-type", media);
        assert_eq!(
            post.body(body.clone()).send().await.unwrap().status(),
            415,
            "{media}"
        );
    }
    let foreign = app
        .request("POST", "/graphql")
        .header("origin", "http://evil.example");
    assert_eq!(
        foreign
            .json(&json!({ "query": mutation }))
            .send()
            .await
            .unwrap()
            .status(),
        403
    );
    let rebound = app
        .request("POST", "/graphql")
        .header("host", "evil.example");
    assert_eq!(
        rebound
            .json(&json!({ "query": mutation }))
            .send()
            .await
            .unwrap()
            .status(),
        403
    );
    let batch = app
        .request("POST", "/graphql")
        .json(&json!([{ "query": "{ version }" }]));
    assert_eq!(batch.send().await.unwrap().status(), 400);
    assert_eq!(
        app.run(r#"{ project(name: "x") { id } }"#).await["project"],
        Value::Null
    );
}

#[tokio::test]
async fn queries_are_bounded_in_depth_and_size() {
    let app = TestApp::start(On::Sqlite).await;
    let deep = (0..6).fold("id".to_owned(), |inner, _| {
        format!("versions {{ nodes {{ model {{ {inner} }} }} }}")
    });
    let refused = app
        .refused(&format!(
            r#"{{ project {{ model(name: "m") {{ {deep} }} }} }}"#
        ))
        .await;
    assert!(refused.starts_with("INVALID_INPUT: "), "{refused}");
    assert!(refused.contains("too deep"), "{refused}");
    let fields: Vec<String> = (0..1200)
        .map(|index| format!("f{index}: version"))
        .collect();
    let refused = app.refused(&format!("{{ {} }}", fields.join(" "))).await;
    assert!(refused.starts_with("INVALID_INPUT: "), "{refused}");
    assert!(refused.contains("too complex"), "{refused}");
}

#[tokio::test]
async fn every_error_has_a_code() {
    let app = TestApp::start(On::Sqlite).await;
    let deep = format!("{{ {} id {} }}", "a {".repeat(40), "}".repeat(40));
    let training = r#"mutation { startTraining(input: {
        model: "m", segment: "x", hyperparameters: {epochs: -1}
    }) { training { id } } }"#;
    for wrong in ["{ nonsense }", "{ version", "", &deep, training] {
        let refused = app.refused(wrong).await;
        assert!(refused.starts_with("INVALID_INPUT: "), "{wrong}: {refused}");
    }
    let variable = json!({
        "query": "query P($first: Int) { projects(first: $first) { totalCount } }",
        "variables": {"first": "many"},
    });
    let answer = app.request("POST", "/graphql").json(&variable);
    let answer: Value = answer.send().await.unwrap().json().await.unwrap();
    let error = &answer["errors"][0];
    assert_eq!(error["extensions"]["code"], "INVALID_INPUT", "{answer}");
}

#[tokio::test]
async fn what_the_database_says_of_its_inside_is_kept_from_callers() {
    let app = TestApp::start(On::Sqlite).await;
    app.run(r#"mutation { createModel(input: {name: "m", inputShape: [2], layers: [{dense: {units: 1}}]}) { model { id } } }"#).await;
    app.app
        .database
        .execute_unprepared("ALTER TABLE model RENAME TO lost")
        .await
        .unwrap();
    let version = app
        .app
        .database
        .query_one_raw(Statement::from_string(
            DbBackend::Sqlite,
            "SELECT id FROM version",
        ))
        .await
        .unwrap()
        .unwrap();
    let version: uuid::Uuid = version.try_get("", "id").unwrap();
    let refused = app
        .refused(&format!(
            r#"{{ node(id: "{}") {{ ... on Version {{ model {{ name }} }} }} }}"#,
            GlobalId::encode("Version", version).as_str()
        ))
        .await;
    assert_eq!(
        refused,
        "INTERNAL: an internal error occurred; the API's log has the details"
    );
}

#[tokio::test]
async fn what_kafka_would_refuse_is_refused_with_its_rule() {
    let app = TestApp::start(On::Sqlite).await;
    let inference = r#"mutation { createInference(input: {
        name: "i", datasource: "d", model: "m", version: 1, outputTopic: "a b/c"
    }) { inference { id } } }"#;
    let datasource = r#"mutation { createDatasource(input: {
        name: "d", topic: "a b/c", format: {raw: {dtype: UINT8, shape: [2]}}
    }) { datasource { id } } }"#;
    for wrong in [inference, datasource] {
        assert_eq!(
            app.refused(wrong).await,
            r#"INVALID_INPUT: "a b/c" cannot be the name of a topic: Kafka takes 1 to 249 letters, digits, '.', '_' and '-', and neither "." nor ".." alone"#
        );
    }
    let backwards = r#"mutation { createSegment(input: {
        datasource: "d", from: "2026-02-01T00:00:00Z", to: "2026-01-01T00:00:00Z"
    }) { segment { id } } }"#;
    let refused = app.refused(backwards).await;
    assert!(refused.starts_with("INVALID_INPUT: "), "{refused}");
    assert!(refused.contains("has to be earlier than `to`"), "{refused}");
}

#[tokio::test]
async fn the_schema_can_be_kept_to_oneself() {
    let open = TestApp::start(On::Sqlite).await;
    assert!(open.run("{ __schema { queryType { name } } }").await["__schema"].is_object());
    let closed = TestApp::with(On::Sqlite, |config| config.http.introspection = false).await;
    let (_, answer) = closed.ask("{ __schema { queryType { name } } }").await;
    assert!(answer["data"]["__schema"].is_null(), "{answer}");
    let hint = closed.refused("{ versio }").await;
    assert!(!hint.contains("Did you mean"), "{hint}");
}

#[tokio::test]
async fn a_field_that_fails_is_null_or_makes_what_holds_it_null() {
    let app = TestApp::start(On::Sqlite).await;
    let (_, answer) = app.ask(r#"{ version node(id: "rubbish") { id } }"#).await;
    assert!(answer["data"]["version"].is_string(), "{answer}");
    assert_eq!(answer["data"].get("node"), Some(&Value::Null), "{answer}");
    assert_eq!(answer["errors"][0]["path"], json!(["node"]), "{answer}");

    // Payloads are never null: there is no half of an answer, though the first mutation was done.
    let both = r#"mutation {
      done: createProject(input: {name: "x"}) { project { name } }
      refused: createProject(input: {name: "x"}) { project { name } }
    }"#;
    let (_, answer) = app.ask(both).await;
    assert_eq!(answer.get("data"), Some(&Value::Null), "{answer}");
    assert_eq!(answer["errors"][0]["path"], json!(["refused"]), "{answer}");
    assert_eq!(answer["errors"].as_array().unwrap().len(), 1, "{answer}");
}
