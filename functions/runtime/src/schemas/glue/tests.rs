//! The client against a few lines that answer as AWS documents it.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::*;

/// What AWS was asked with, and what it answers next.
#[derive(Clone, Default)]
struct Account {
    asked: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
    answers: Arc<Mutex<Vec<(u16, Value)>>>,
}

async fn answer(
    State(account): State<Account>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, String) {
    let body = serde_json::from_str(&body).unwrap();
    account.asked.lock().unwrap().push((headers, body));
    let mut answers = account.answers.lock().unwrap();
    // The last one stays.
    let (status, answer) = if answers.len() > 1 {
        answers.remove(0)
    } else {
        answers[0].clone()
    };
    (StatusCode::from_u16(status).unwrap(), answer.to_string())
}

impl Account {
    async fn start(&self) -> Glue {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let service = Service::new("glue", "AWSGlue", "eu-west-3", TIMEOUT).unwrap();
        Glue::of(service.at(&url, "AKIAEXAMPLE", "hunter2"))
    }

    fn answers(&self, answers: &[(u16, Value)]) {
        *self.answers.lock().unwrap() = answers.to_vec();
    }
}

const KEY: SchemaKey = SchemaKey::Glue(12);

fn version(status: &str) -> Value {
    json!({"SchemaVersionId": KEY.to_string(), "SchemaDefinition": "\"int\"", "DataFormat": "AVRO", "Status": status})
}

#[tokio::test]
async fn a_version_is_asked_for_by_its_id_and_signed() {
    let account = Account::default();
    let glue = account.start().await;
    // A short failure goes by unseen.
    account.answers(&[
        (500, json!({"__type": "InternalServiceException"})),
        (
            400,
            json!({"__type": "ThrottlingException", "Message": "Rate exceeded"}),
        ),
        (200, version("AVAILABLE")),
    ]);
    let document = glue.document(KEY).await.unwrap();
    assert_eq!(
        (document.kind, document.text.as_str()),
        (SchemaKind::Avro, "\"int\"")
    );

    let asked = account.asked.lock().unwrap();
    assert_eq!(asked.len(), 3);
    let (headers, body) = &asked[0];
    assert_eq!(
        body,
        &json!({"SchemaVersionId": "00000000-0000-0000-0000-00000000000c"})
    );
    assert_eq!(headers["x-amz-target"], "AWSGlue.GetSchemaVersion");
    let signed = headers["authorization"].to_str().unwrap();
    assert!(
        signed.starts_with("AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/"),
        "{signed}"
    );
    assert!(signed.contains("/eu-west-3/glue/aws4_request"), "{signed}");
    for header in ["content-type", "host", "x-amz-date", "x-amz-target"] {
        assert!(signed.contains(header), "{signed}");
    }
    assert!(!format!("{headers:?}{body}").contains("hunter2"));
}

#[tokio::test]
async fn what_aws_does_not_know_is_the_records_fault_and_nothing_else_is() {
    let account = Account::default();
    let glue = account.start().await;
    let coded = |code: &str| json!({"__type": code, "Message": "so it is"});
    for (status, answer, is_unknown, said) in [
        (
            400,
            coded("EntityNotFoundException"),
            true,
            "unknown to AWS Glue in eu-west-3",
        ),
        (200, version("FAILURE"), true, "was refused by AWS Glue"),
        (200, version("PENDING"), false, "not yet"),
        (
            400,
            coded("com.amazonaws.glue#AccessDeniedException"),
            false,
            "glue:GetSchemaVersion",
        ),
        (
            400,
            coded("UnrecognizedClientException"),
            false,
            "UnrecognizedClientException: so it is",
        ),
        (503, Value::Null, false, "503"),
        (200, json!(7), false, "something else"),
    ] {
        account.answers(&[(status, answer)]);
        let missing = glue.document(KEY).await.unwrap_err();
        assert_eq!(
            matches!(missing, Missing::Unknown(_)),
            is_unknown,
            "{missing}"
        );
        assert!(missing.to_string().contains(said), "{missing}");
    }
}
