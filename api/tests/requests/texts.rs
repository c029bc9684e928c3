//! Texts that neither a database nor Kafka's client would take as they are, in whatever field they stand.

use serde_json::{Value, json};

use crate::server::{BOTH, On, TestApp};

const OPERATIONS: [(&str, &str); 4] = [
    (
        "description",
        "mutation C($text: String) { createModel(input: {name: \"m\", description: $text, inputShape: [1], layers: [{dense: {units: 1}}]}) { model { id } } }",
    ),
    (
        "bootstrapServers",
        "mutation C($text: String!) { createConnection(input: {name: \"c\", bootstrapServers: $text}) { connection { id } } }",
    ),
    (
        "username",
        "mutation C($text: String!) { createConnection(input: {name: \"c\", bootstrapServers: \"b:1\", username: $text}) { connection { id } } }",
    ),
    (
        "alias",
        "query Q($text: String!) { project { model(name: $text) { id } } }",
    ),
];

async fn answer(app: &TestApp, query: &str, variables: Value) -> (String, String) {
    let request = json!({"query": query, "variables": variables});
    let answer = app.request("POST", "/graphql").json(&request).send().await;
    let answer: Value = answer.unwrap().json().await.unwrap();
    let error = &answer["errors"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&error["extensions"]["code"]), text(&error["message"]))
}

#[tokio::test]
async fn nul_characters_and_endless_texts_are_refused_in_every_field() {
    for on in BOTH {
        let app = TestApp::start(on).await;
        for (field, operation) in OPERATIONS {
            let nul = answer(&app, operation, json!({"text": "a\0b"})).await;
            assert_eq!(nul.0, "INVALID_INPUT", "{field}: {}", nul.1);
            assert!(nul.1.contains("$text has a NUL character"), "{}", nul.1);
            // As much as a request takes.
            let endless = "x".repeat(900_000);
            let long = answer(&app, operation, json!({"text": endless})).await;
            assert_eq!(long.0, "INVALID_INPUT", "{field}: {}", long.1);
            assert!(long.1.contains("at most 65536"), "{}", long.1);
        }
        let left = app
            .run("{ project { models { totalCount } connections { totalCount } } }")
            .await;
        assert_eq!(left["project"]["models"]["totalCount"], 0);
        assert_eq!(left["project"]["connections"]["totalCount"], 1);
    }
}

#[tokio::test]
async fn the_field_is_named_wherever_the_text_stands() {
    let app = TestApp::start(On::Sqlite).await;
    let literal = r#"mutation { createModel(input: {name: "m", description: "a\u0000b", inputShape: [1], layers: []}) { model { id } } }"#;
    let refused = app.refused(literal).await;
    assert!(
        refused.starts_with("INVALID_INPUT: input.description has a NUL character"),
        "{refused}"
    );
    let inner = r#"query Q { project { ...Models } } fragment Models on Project { model(name: "a\u0000") { id } }"#;
    let refused = app.refused(inner).await;
    assert!(
        refused.starts_with("INVALID_INPUT: name has a NUL character"),
        "{refused}"
    );
    let create = "mutation C($input: CreateConnectionInput!) { createConnection(input: $input) { connection { id } } }";
    let of = |properties: Value| json!({"input": {"name": "c", "bootstrapServers": "b:1", "properties": properties}});
    let (_, value) = answer(&app, create, of(json!({"client.id": "a\0"}))).await;
    assert!(
        value.starts_with("$input.properties.client.id has"),
        "{value}"
    );
    let (_, name) = answer(&app, create, of(json!({"client.id\0": "a"}))).await;
    assert!(
        name.starts_with("the name of a member of $input.properties has"),
        "{name}"
    );
    // What is long and within the bound is taken.
    let described = answer(&app, OPERATIONS[0].1, json!({"text": "x".repeat(65_536)}));
    assert_eq!(described.await, (String::new(), String::new()));
}

#[tokio::test]
async fn a_label_needs_the_name_of_its_header() {
    let app = TestApp::start(On::Sqlite).await;
    let create = r#"mutation { createDatasource(input: {
        name: "d", topic: "t", format: {raw: {dtype: UINT8, shape: [1]}}, label: {source: {header: ""}}
    }) { datasource { id } } }"#;
    let refused = app.refused(create).await;
    assert!(
        refused.starts_with("INVALID_INPUT: label.source.header is empty"),
        "{refused}"
    );
}
