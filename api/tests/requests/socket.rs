//! The protocol of subscriptions: what is answered, and how a client is told that it broke the rules.

use futures::{SinkExt as _, StreamExt as _};
use millrace_api::config::Authentication;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::server::{On, TestApp};

struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    async fn connect(app: &TestApp) -> Self {
        let url = format!("{}/graphql/ws", app.url.replace("http", "ws"));
        let mut request = url.into_client_request().unwrap();
        let protocol = "graphql-transport-ws".parse().unwrap();
        request
            .headers_mut()
            .insert("sec-websocket-protocol", protocol);
        Self(connect_async(request).await.unwrap().0)
    }

    async fn acknowledged(app: &TestApp) -> Self {
        let mut client = Self::connect(app).await;
        client.say(&json!({"type": "connection_init"})).await;
        assert_eq!(client.hear().await, json!({"type": "connection_ack"}));
        client
    }

    async fn say(&mut self, message: &Value) {
        let message = Message::text(message.to_string());
        self.0.send(message).await.unwrap();
    }

    async fn subscribe(&mut self, id: &str, query: &str) {
        let payload = json!({"query": query});
        self.say(&json!({"type": "subscribe", "id": id, "payload": payload}))
            .await;
    }

    async fn hear(&mut self) -> Value {
        let message = self.0.next().await.unwrap().unwrap();
        serde_json::from_str(message.to_text().unwrap()).unwrap()
    }

    /// The code with which the server closes, whatever it says before.
    async fn closed(mut self) -> u16 {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Close(frame))) => return frame.unwrap().code.into(),
                Some(Ok(_)) => {}
                other => panic!("no close frame came: {other:?}"),
            }
        }
    }
}

/// A subscription that goes on until somebody ends it.
const ENDLESS: &str = r#"subscription { aliasMoved(model: "m") { name } }"#;

async fn with_model() -> TestApp {
    let app = TestApp::start(On::Sqlite).await;
    app.run(r#"mutation { createModel(input: {name: "m", inputShape: [2], layers: [{dense: {units: 1}}]}) { model { id } } }"#).await;
    app
}

#[tokio::test]
async fn operations_are_answered_by_their_ids() {
    let app = with_model().await;
    let mut client = Client::acknowledged(&app).await;
    client.say(&json!({"type": "ping"})).await;
    assert_eq!(client.hear().await, json!({"type": "pong"}));

    client.subscribe("follow", ENDLESS).await;
    client.subscribe("ask", "{ version }").await;
    let next = client.hear().await;
    let version = json!({"version": env!("CARGO_PKG_VERSION")});
    assert_eq!(
        (&next["type"], &next["id"]),
        (&json!("next"), &json!("ask"))
    );
    assert_eq!(next["payload"]["data"], version);
    assert_eq!(
        client.hear().await,
        json!({"type": "complete", "id": "ask"})
    );

    // What cannot be run is over with its error.
    client.subscribe("wrong", "{ nonsense }").await;
    let error = client.hear().await;
    assert_eq!(
        (&error["type"], &error["id"]),
        (&json!("error"), &json!("wrong"))
    );
    let code = &error["payload"][0]["extensions"]["code"];
    assert_eq!(code, "INVALID_INPUT", "{error}");

    // An id is free again when its operation has ended.
    client
        .say(&json!({"type": "complete", "id": "follow"}))
        .await;
    client.subscribe("follow", "{ version }").await;
    assert_eq!(client.hear().await["type"], "next");
}

#[tokio::test]
async fn broken_rules_close_with_the_codes_of_the_protocol() {
    let app = with_model().await;
    for invalid in [
        "no JSON",
        r#"{"type": "nonsense"}"#,
        r#"{"type": "subscribe"}"#,
    ] {
        let mut client = Client::acknowledged(&app).await;
        client.0.send(Message::text(invalid)).await.unwrap();
        assert_eq!(client.closed().await, 4400, "{invalid}");
    }
    let mut client = Client::acknowledged(&app).await;
    client
        .say(&json!({"type": "subscribe", "id": "1", "payload": {}}))
        .await;
    assert_eq!(client.closed().await, 4400);

    let mut client = Client::connect(&app).await;
    client.subscribe("1", "{ version }").await;
    assert_eq!(client.closed().await, 4401);

    // Says nothing at all.
    let client = Client::connect(&app).await;
    assert_eq!(client.closed().await, 4408);

    let mut client = Client::acknowledged(&app).await;
    client.subscribe("1", ENDLESS).await;
    client.subscribe("1", ENDLESS).await;
    assert_eq!(client.closed().await, 4409);

    let mut client = Client::acknowledged(&app).await;
    client.say(&json!({"type": "connection_init"})).await;
    assert_eq!(client.closed().await, 4429);

    let guarded = TestApp::with(On::Sqlite, |config| {
        config.http.authentication = Authentication::Required;
    })
    .await;
    let mut client = Client::connect(&guarded).await;
    client.say(&json!({"type": "connection_init"})).await;
    assert_eq!(client.closed().await, 4403);
}
