//! The client against a registry of a few lines.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::Mutex;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::json;

use millrace_wire::record::SchemaKind;

use super::*;

/// What a registry answers with, and what it was asked.
#[derive(Clone, Default)]
struct Registry {
    asked: Arc<Mutex<Vec<String>>>,
    /// So many questions go unanswered at first.
    failures: Arc<Mutex<usize>>,
}

const LOGIN: &str = "Basic bWU6aHVudGVyMg==";

async fn answer(
    State(registry): State<Registry>,
    uri: Uri,
    headers: HeaderMap,
) -> (StatusCode, String) {
    registry.asked.lock().unwrap().push(uri.path().to_owned());
    let mut failures = registry.failures.lock().unwrap();
    if *failures > 0 {
        *failures -= 1;
        return (StatusCode::SERVICE_UNAVAILABLE, String::new());
    }
    if headers
        .get("authorization")
        .is_none_or(|login| login != LOGIN)
    {
        return (StatusCode::UNAUTHORIZED, String::new());
    }
    let used = |name: &str| json!([{"name": name, "subject": format!("a/{name}"), "version": 2}]);
    let answer = match uri.path() {
        "/r/schemas/ids/7" => json!({"schema": "\"int\""}),
        "/r/schemas/ids/9" => {
            json!({"schema": "outer", "schemaType": "PROTOBUF", "references": used("middle")})
        }
        "/r/subjects/a%2Fmiddle/versions/2" => {
            json!({"schema": "of middle", "references": used("inner")})
        }
        "/r/subjects/a%2Finner/versions/2" => json!({"schema": "of inner"}),
        "/r/schemas/guids/00000000-0000-0000-0000-00000000000c" => {
            json!({"schema": "{}", "schemaType": "JSON"})
        }
        _ => {
            return (
                StatusCode::NOT_FOUND,
                json!({"error_code": 40403}).to_string(),
            );
        }
    };
    (StatusCode::OK, answer.to_string())
}

struct Fixture {
    runtime: tokio::runtime::Runtime,
    registry: Registry,
    url: String,
}

impl Fixture {
    fn start() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let registry = Registry::default();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
        let listener = listener.unwrap();
        let url = format!("http://{}/r/", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(registry.clone());
        runtime.spawn(async move { axum::serve(listener, app).await });
        Self {
            runtime,
            registry,
            url,
        }
    }

    fn schemas(&self, urls: &str) -> Schemas {
        let connection = BTreeMap::from([
            ("schema.registry.url".to_owned(), urls.to_owned()),
            (
                "schema.registry.basic.auth.user.info".to_owned(),
                "me:hunter2".to_owned(),
            ),
        ]);
        Schemas::new(self.runtime.handle(), &connection).unwrap()
    }

    fn asked(&self) -> usize {
        self.registry.asked.lock().unwrap().len()
    }
}

#[test]
fn a_schema_is_asked_for_once_with_all_that_it_uses() {
    let fixture = Fixture::start();
    // The first of the addresses does not answer.
    let mut schemas = fixture.schemas(&format!("http://127.0.0.1:1, {}", fixture.url));
    let int = SchemaDocument {
        kind: SchemaKind::Avro,
        text: "\"int\"".to_owned(),
        references: Vec::new(),
    };
    for _ in 0..2 {
        assert_eq!(*schemas.get(SchemaKey::Id(7)).unwrap(), int);
    }
    assert_eq!(fixture.asked(), 1);
    let outer = schemas.get(SchemaKey::Id(9)).unwrap();
    let used: Vec<(&str, &str)> = outer
        .references
        .iter()
        .map(|reference| (reference.name.as_str(), reference.text.as_str()))
        .collect();
    assert_eq!(used, [("inner", "of inner"), ("middle", "of middle")]);
    assert_eq!(outer.kind, SchemaKind::Protobuf);
    let by_guid = schemas.get(SchemaKey::Guid(12)).unwrap();
    assert_eq!(by_guid.kind, SchemaKind::Json);
}

#[test]
fn an_unknown_id_is_the_records_fault_and_believed_for_a_while() {
    let fixture = Fixture::start();
    let mut schemas = fixture.schemas(&fixture.url);
    for _ in 0..3 {
        let missing = schemas.get(SchemaKey::Id(8)).unwrap_err();
        assert!(
            matches!(&missing, Missing::Unknown(reason) if reason.contains("the schema 8 is unknown")),
            "{missing}"
        );
    }
    assert_eq!(fixture.asked(), 1);
}

#[test]
fn a_registry_that_does_not_answer_is_no_answer() {
    let fixture = Fixture::start();
    // A restart goes by unseen.
    *fixture.registry.failures.lock().unwrap() = 2;
    let mut schemas = fixture.schemas(&fixture.url);
    schemas.get(SchemaKey::Id(7)).unwrap();
    *fixture.registry.failures.lock().unwrap() = 3;
    let missing = schemas.get(SchemaKey::Id(9)).unwrap_err();
    assert!(
        matches!(&missing, Missing::Unavailable(reason) if reason.contains("503")),
        "{missing}"
    );
    schemas.get(SchemaKey::Id(9)).unwrap();

    let mut away = fixture.schemas("http://127.0.0.1:1");
    let missing = away.get(SchemaKey::Id(7)).unwrap_err();
    assert!(
        matches!(&missing, Missing::Unavailable(reason) if reason.contains("cannot be reached")),
        "{missing}"
    );
    assert!(!missing.to_string().contains("hunter2"), "{missing}");
}

#[test]
fn without_credentials_records_wait_and_are_told_why() {
    let fixture = Fixture::start();
    let anonymous = BTreeMap::from([("schema.registry.url".to_owned(), fixture.url.clone())]);
    let mut anonymous = Schemas::new(fixture.runtime.handle(), &anonymous).unwrap();
    let missing = anonymous.get(SchemaKey::Id(7)).unwrap_err();
    assert!(
        matches!(&missing, Missing::Unavailable(reason) if reason.contains("does not let us in")),
        "{missing}"
    );

    let mut none = Schemas::new(fixture.runtime.handle(), &BTreeMap::new()).unwrap();
    let missing = none.get(SchemaKey::Id(7)).unwrap_err();
    assert!(
        matches!(&missing, Missing::Unavailable(reason) if reason.contains("names none")),
        "{missing}"
    );
}
