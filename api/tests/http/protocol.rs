//! GraphQL over HTTP, and what it refuses.

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
    assert!(refused.contains("too deep"), "{refused}");
    let fields: Vec<String> = (0..1200)
        .map(|index| format!("f{index}: version"))
        .collect();
    let refused = app.refused(&format!("{{ {} }}", fields.join(" "))).await;
    assert!(refused.contains("too complex"), "{refused}");
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
