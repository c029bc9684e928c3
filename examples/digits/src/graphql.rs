//! A small GraphQL client: operations over HTTP, subscriptions over a WebSocket
//! (`graphql-transport-ws`).

use anyhow::{Context as _, Result, anyhow, bail};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Runs a query or mutation and returns `data`.
pub async fn execute(url: &str, operation: &str, variables: Value) -> Result<Value> {
    let answer: Value = reqwest::Client::new()
        .post(format!("{url}/graphql"))
        .json(&json!({"query": operation, "variables": variables}))
        .send()
        .await?
        .json()
        .await?;
    data(answer)
}

/// A running subscription.
pub struct Subscription {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Subscription {
    /// Starts a subscription.
    pub async fn start(url: &str, operation: &str, variables: Value) -> Result<Self> {
        let address = format!("{}/graphql/ws", url.replacen("http", "ws", 1));
        let mut request = address.into_client_request()?;
        let protocol = "graphql-transport-ws".parse()?;
        request
            .headers_mut()
            .insert("Sec-WebSocket-Protocol", protocol);
        let (mut socket, _) = connect_async(request).await?;
        socket
            .send(message(&json!({"type": "connection_init"})))
            .await?;
        let mut subscription = Self { socket };
        let acknowledged = subscription.receive().await?;
        if acknowledged.as_ref().and_then(kind) != Some("connection_ack") {
            bail!("the API did not accept the connection: {acknowledged:?}");
        }
        let payload = json!({"query": operation, "variables": variables});
        let subscribe = json!({"type": "subscribe", "id": "1", "payload": payload});
        subscription.socket.send(message(&subscribe)).await?;
        Ok(subscription)
    }

    /// The next `data`; none when the subscription is complete.
    pub async fn next(&mut self) -> Result<Option<Value>> {
        loop {
            let Some(mut received) = self.receive().await? else {
                bail!("the API closed the connection");
            };
            match kind(&received) {
                Some("next") => return data(received["payload"].take()).map(Some),
                Some("complete") => return Ok(None),
                Some("error") => bail!("the subscription failed: {}", received["payload"]),
                Some("ping") => self.socket.send(message(&json!({"type": "pong"}))).await?,
                _ => {}
            }
        }
    }

    async fn receive(&mut self) -> Result<Option<Value>> {
        while let Some(received) = self.socket.next().await {
            if let Message::Text(text) = received? {
                return Ok(Some(serde_json::from_str(&text)?));
            }
        }
        Ok(None)
    }
}

fn kind(received: &Value) -> Option<&str> {
    received["type"].as_str()
}

fn message(value: &Value) -> Message {
    Message::text(value.to_string())
}

fn data(mut answer: Value) -> Result<Value> {
    if let Some(error) = answer["errors"].get(0) {
        let code = error["extensions"]["code"].as_str().unwrap_or("no code");
        let text = error["message"]
            .as_str()
            .context("an error without a message")?;
        return Err(anyhow!("{code}: {text}"));
    }
    Ok(answer["data"].take())
}
