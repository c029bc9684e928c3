//! Projects and connections.

use insta::assert_snapshot;
use serde_json::json;

use crate::server::{BOTH, On, TestApp};

#[tokio::test]
async fn projects_are_made_once_and_deleted_empty() {
    for on in BOTH {
        let app = TestApp::start(on).await;
        app.run(r#"mutation { createProject(input: {name: "blue"}) { project { name } } }"#)
            .await;
        let twice = r#"mutation { createProject(input: {name: "blue"}) { project { name } } }"#;
        assert_eq!(
            app.refused(twice).await,
            r#"ALREADY_EXISTS: there is a project "blue" already; choose another name"#
        );
        let wrong = r#"mutation { createProject(input: {name: "a/b"}) { project { name } } }"#;
        assert!(app.refused(wrong).await.starts_with("INVALID_INPUT: "));
        app.run(r#"mutation { createModel(input: {project: "blue", name: "m", inputShape: [2], layers: [{dense: {units: 1}}]}) { model { id } } }"#).await;
        let delete = r#"mutation { deleteProject(input: {name: "blue"}) { name } }"#;
        assert_eq!(
            app.refused(delete).await,
            r#"IN_USE: the project "blue" is used by 1 models; delete what uses it first"#
        );
        app.run(r#"mutation { deleteModel(input: {project: "blue", name: "m"}) { name } }"#)
            .await;
        app.run(delete).await;
        assert!(app.refused(delete).await.starts_with("NOT_FOUND: "));
        let default = r#"mutation { deleteProject(input: {name: "default"}) { name } }"#;
        assert!(app.refused(default).await.starts_with("ILLEGAL_STATE: "));
        let found = app
            .run(r#"{ projects { totalCount nodes { name connection { name managed } } } project(name: "blue") { id } }"#)
            .await;
        let default =
            json!({"name": "default", "connection": {"name": "default", "managed": true}});
        let projects = json!({"totalCount": 1, "nodes": [default]});
        assert_eq!(found, json!({"projects": projects, "project": null}));
    }
}

#[tokio::test]
async fn a_connection_keeps_references_and_never_a_secret() {
    let app = TestApp::start(On::Sqlite).await;
    let literal = r#"mutation { createConnection(input: {name: "c", bootstrapServers: "b:1", password: "hunter2"}) { connection { name } } }"#;
    assert_snapshot!(app.refused(literal).await, @"INVALID_INPUT: sasl.password is a secret and has to be given by reference: ${env:NAME} for an environment variable of Millrace and its functions, ${file:/path} for a file, ${aws-secret:ARN#field} for a secret of AWS; a schema registry's user and password stand in schema.registry.basic.auth.user.info and not in its address");
    let unknown = r#"mutation { createConnection(input: {name: "c", bootstrapServers: "b:1", properties: {nonsense: "1"}}) { connection { name } } }"#;
    assert!(app.refused(unknown).await.contains("nonsense"));
    let made = app
        .run(
            r#"mutation { createConnection(input: {
                name: "secure", bootstrapServers: "kafka:9093", securityProtocol: SASL_SSL,
                saslMechanism: SCRAM_SHA_512, username: "me", password: "${env:MILLRACE_SECRET_KAFKA}", topics: REQUIRE
            }) { connection { name bootstrapServers securityProtocol topics properties managed ownedTopics { training events registry trainingDeadLetter } } } }"#,
        )
        .await;
    assert_eq!(
        made["createConnection"]["connection"],
        json!({
            "name": "secure",
            "bootstrapServers": "kafka:9093",
            "securityProtocol": "SASL_SSL",
            "topics": "REQUIRE",
            "properties": {
                "bootstrap.servers": "kafka:9093",
                "security.protocol": "sasl_ssl",
                "sasl.mechanism": "SCRAM-SHA-512",
                "sasl.username": "me",
                "sasl.password": "${env:MILLRACE_SECRET_KAFKA}",
            },
            "managed": false,
            "ownedTopics": {
                "training": "millrace.training",
                "events": "millrace.events",
                "registry": "millrace.registry",
                "trainingDeadLetter": "millrace.training.dlq",
            },
        })
    );
    app.run(r#"mutation { deleteConnection(input: {name: "secure"}) { name } }"#)
        .await;
    let managed = r#"mutation { deleteConnection(input: {name: "default"}) { name } }"#;
    assert!(app.refused(managed).await.starts_with("ILLEGAL_STATE: "));
}

#[tokio::test]
async fn a_connection_looks_up_only_what_was_put_there_for_it() {
    let app = TestApp::with(On::Sqlite, |config| {
        config.secrets.folder = Some("/run/secrets".into());
    })
    .await;
    let refused = async |fields: &str| {
        let create = format!(
            r#"mutation {{ createConnection(input: {{name: "c", bootstrapServers: "b:1", {fields}}}) {{ connection {{ name }} }} }}"#
        );
        app.refused(&create).await
    };
    // What is told to the brokers as it is.
    for fields in [
        r#"username: "${env:HOME}""#,
        r#"caCertificate: "${file:/etc/passwd}""#,
    ] {
        let told = refused(fields).await;
        assert!(told.starts_with("INVALID_INPUT: "), "{told}");
        assert!(told.contains("is no secret"), "{told}");
    }
    // What is a password of something else.
    assert_snapshot!(refused(r#"password: "${env:AWS_SECRET_ACCESS_KEY}""#).await, @"INVALID_INPUT: sasl.password refers to ${env:AWS_SECRET_ACCESS_KEY}: a connection made here may name environment variables that begin with MILLRACE_SECRET_");
    assert_snapshot!(refused(r#"password: "${file:/run/secrets/../x}""#).await, @"INVALID_INPUT: sasl.password refers to ${file:/run/secrets/../x}: a connection made here may name files below /run/secrets");
    app.run(
        r#"mutation { createConnection(input: {
            name: "mutual", bootstrapServers: "b:1", securityProtocol: SSL, privateKeyPassword: "${file:/run/secrets/key}"
        }) { connection { name } } }"#,
    )
    .await;
}

#[tokio::test]
async fn an_unreachable_cluster_is_told_with_its_address() {
    let app = TestApp::start(On::Sqlite).await;
    let found = app
        .run("{ project { connection { health { reachable message } } } }")
        .await;
    let health = &found["project"]["connection"]["health"];
    assert_eq!(health["reachable"], false);
    assert!(health["message"].as_str().unwrap().contains("127.0.0.1:1"));
    let ready = app.request("GET", "/readyz").send().await.unwrap();
    assert_eq!(ready.status(), 503);
    let ready: serde_json::Value = ready.json().await.unwrap();
    assert_eq!(ready["checks"]["database"]["ok"], true);
    assert_eq!(ready["checks"]["kafka"]["ok"], false);
    assert_eq!(
        app.request("GET", "/livez").send().await.unwrap().status(),
        200
    );
}
