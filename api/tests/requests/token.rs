//! The admin token on every way in.

use futures::{SinkExt as _, StreamExt as _};
use millrace_api::app::token;
use millrace_api::config::Authentication;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::server::{On, TestApp};

async fn guarded() -> TestApp {
    TestApp::with(On::Sqlite, |config| {
        config.http.authentication = Authentication::Required;
    })
    .await
}

#[tokio::test]
async fn nothing_comes_in_without_the_token() {
    let mut app = guarded().await;
    let token = app.token.take().unwrap();
    for (method, path) in [
        ("GET", "/graphql?query={version}"),
        ("POST", "/graphql"),
        ("PUT", "/artifacts/00"),
        ("GET", "/artifacts/00"),
        ("GET", "/metrics"),
    ] {
        let bare = app.request(method, path).send().await.unwrap();
        assert_eq!(bare.status(), 401, "{method} {path}");
        let wrong = app
            .request(method, path)
            .bearer_auth("millrace_wrong")
            .send()
            .await
            .unwrap();
        assert_eq!(wrong.status(), 401, "{method} {path}");
        let body: Value = wrong.json().await.unwrap();
        assert_eq!(body["errors"][0]["extensions"]["code"], "UNAUTHENTICATED");
    }
    assert_eq!(
        app.request("GET", "/livez").send().await.unwrap().status(),
        200
    );
    app.token = Some(token);
    app.run("{ version }").await;
}

#[tokio::test]
async fn the_token_is_shown_once_and_kept_as_a_digest() {
    let app = guarded().await;
    let first = app.token.as_ref().unwrap().expose_secret().to_owned();
    let (verifier, again) = token::obtain(&app.app).await.unwrap();
    assert!(again.is_none());
    assert!(verifier.accepts(&first));
    let next = token::replace(&app.app).await.unwrap();
    let (verifier, _) = token::obtain(&app.app).await.unwrap();
    assert!(verifier.accepts(next.expose_secret()) && !verifier.accepts(&first));
}

/// What the server answers to `connection_init` with this payload, and to a subscription after it.
async fn subscribe(app: &TestApp, payload: Value) -> Option<Value> {
    let url = format!("{}/graphql/ws", app.url.replace("http", "ws"));
    let mut request = url.into_client_request().unwrap();
    let protocol = "graphql-transport-ws".parse().unwrap();
    request
        .headers_mut()
        .insert("sec-websocket-protocol", protocol);
    let (mut socket, _) = connect_async(request).await.unwrap();
    for message in [
        json!({"type": "connection_init", "payload": payload}),
        json!({"type": "subscribe", "id": "1", "payload": {"query": "{ version }"}}),
    ] {
        socket
            .send(Message::text(message.to_string()))
            .await
            .unwrap();
    }
    while let Some(Ok(message)) = socket.next().await {
        let Ok(text) = message.to_text() else {
            continue;
        };
        let message: Value = serde_json::from_str(text).unwrap_or_default();
        if message["type"] == "next" {
            return Some(message["payload"]["data"].clone());
        }
    }
    None
}

#[tokio::test]
async fn subscriptions_carry_the_token_in_their_first_message() {
    let app = guarded().await;
    let token = app.token.as_ref().unwrap().expose_secret();
    let admitted = subscribe(&app, json!({"Authorization": format!("Bearer {token}")})).await;
    assert_eq!(admitted.unwrap()["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(subscribe(&app, json!({})).await, None);
    let wrong = json!({"Authorization": "Bearer millrace_wrong"});
    assert_eq!(subscribe(&app, wrong).await, None);
}
