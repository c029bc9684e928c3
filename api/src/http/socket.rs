//! Subscriptions: `graphql-transport-ws` over a WebSocket, with the close codes of its protocol. The
//! token comes in `connection_init`, as `{"Authorization": "Bearer …"}`.
//!
//! Nothing is run before the token was seen, and a client that shows none is not kept.

use std::sync::Arc;
use std::time::Duration;

use async_graphql::{Data, Response as Outcome, ServerError};
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use axum::extract::{State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio_stream::StreamMap;

use super::graphql::{LARGEST, read, was_run};
use super::media::refusal;
use super::{Guard, Server};
use crate::app::Code;
use crate::graphql::Schema;

const PROTOCOL: &str = "graphql-transport-ws";
/// How long a client may take to send `connection_init`.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest reason that fits a frame of control, in bytes.
const REASON: usize = 123;

/// What a client says.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Said {
    ConnectionInit {
        #[serde(default)]
        payload: Value,
    },
    Subscribe {
        id: String,
        payload: Map<String, Value>,
    },
    Complete {
        id: String,
    },
    Ping,
    Pong,
}

/// What the server says.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Answer<'a> {
    ConnectionAck,
    Pong,
    Next {
        id: &'a str,
        payload: &'a Outcome,
    },
    /// The operation was not run.
    Error {
        id: &'a str,
        payload: &'a [ServerError],
    },
    Complete {
        id: &'a str,
    },
}

/// Why the server closes.
struct Close(u16, String);

impl Close {
    const AWAY: u16 = 1001;
    const INVALID: u16 = 4400;
    const UNAUTHORIZED: u16 = 4401;
    const FORBIDDEN: u16 = 4403;
    const LATE: u16 = 4408;
    const TAKEN: u16 = 4409;
    const TOO_MANY: u16 = 4429;

    fn new(code: u16, reason: impl Into<String>) -> Self {
        Self(code, reason.into())
    }
}

/// Opens a WebSocket.
pub(super) async fn open(
    State(server): State<Server>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let offered = headers
        .get(header::SEC_WEBSOCKET_PROTOCOL)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|offered| offered.split(',').any(|name| name.trim() == PROTOCOL));
    if !offered {
        return refusal(
            StatusCode::BAD_REQUEST,
            Code::InvalidInput,
            "subscriptions speak graphql-transport-ws",
        );
    }
    upgrade
        .protocols([PROTOCOL])
        // Anybody can open one: the token comes later.
        .max_message_size(LARGEST)
        .on_upgrade(move |socket| serve(socket, server))
}

async fn serve(mut socket: WebSocket, server: Server) {
    let mut session = Session {
        schema: server.schema,
        guard: server.guard,
        data: None,
        operations: StreamMap::new(),
    };
    let close = tokio::select! {
        close = session.run(&mut socket) => close,
        () = server.shutdown.requested() => Some(Close::new(Close::AWAY, "Millrace ends")),
    };
    if let Some(Close(code, mut reason)) = close {
        reason.truncate(reason.floor_char_boundary(REASON));
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        // The client may be gone by itself.
        drop(socket.send(Message::Close(Some(frame))).await);
    }
}

struct Session {
    schema: Schema,
    guard: Guard,
    /// What resolvers find in their context, once the token was seen.
    data: Option<Arc<Data>>,
    /// What runs, by the client's ids; nothing stands for the end.
    operations: StreamMap<String, BoxStream<'static, Option<Outcome>>>,
}

impl Session {
    /// Answers until the client is gone, or has done what the protocol does not allow.
    async fn run(&mut self, socket: &mut WebSocket) -> Option<Close> {
        let patience = tokio::time::sleep(PATIENCE);
        tokio::pin!(patience);
        loop {
            let answer = tokio::select! {
                () = &mut patience, if self.data.is_none() => {
                    return Some(Close::new(Close::LATE, "Connection initialisation timeout"));
                }
                received = socket.recv() => match received {
                    Some(Ok(Message::Text(text))) => match self.hear(&text) {
                        Ok(answer) => answer,
                        Err(close) => return Some(close),
                    },
                    Some(Ok(Message::Binary(_))) => {
                        return Some(Close::new(Close::INVALID, "messages are text"));
                    }
                    // The socket answers these by itself.
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => None,
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                },
                Some((id, outcome)) = self.operations.next(), if !self.operations.is_empty() => {
                    Some(self.tell(&id, outcome.as_ref()))
                }
            };
            if let Some(answer) = answer
                && socket.send(Message::text(answer)).await.is_err()
            {
                return None;
            }
        }
    }

    /// What a message of the client's is answered with at once.
    fn hear(&mut self, text: &str) -> Result<Option<String>, Close> {
        let said = serde_json::from_str(text)
            .map_err(|error| Close::new(Close::INVALID, format!("Invalid message: {error}")))?;
        match said {
            Said::ConnectionInit { payload } => {
                self.admit(&payload)?;
                Ok(Some(written(&Answer::ConnectionAck)))
            }
            Said::Subscribe { id, payload } => {
                self.start(id, payload)?;
                Ok(None)
            }
            Said::Complete { id } => {
                self.operations.remove(&id);
                Ok(None)
            }
            Said::Ping => Ok(Some(written(&Answer::Pong))),
            Said::Pong => Ok(None),
        }
    }

    fn admit(&mut self, payload: &Value) -> Result<(), Close> {
        if self.data.is_some() {
            let reason = "Too many initialisation requests";
            return Err(Close::new(Close::TOO_MANY, reason));
        }
        let authorization = ["Authorization", "authorization"]
            .iter()
            .find_map(|name| payload.get(name)?.as_str());
        let Some(actor) = self.guard.admit(authorization) else {
            let reason = "Forbidden: the admin token is needed";
            return Err(Close::new(Close::FORBIDDEN, reason));
        };
        let mut data = Data::default();
        data.insert(actor);
        self.data = Some(Arc::new(data));
        Ok(())
    }

    fn start(&mut self, id: String, payload: Map<String, Value>) -> Result<(), Close> {
        let Some(data) = &self.data else {
            return Err(Close::new(Close::UNAUTHORIZED, "Unauthorized"));
        };
        if self.operations.contains_key(&id) {
            let reason = format!("Subscriber for {id} already exists");
            return Err(Close::new(Close::TAKEN, reason));
        }
        let request = read(payload)
            .map_err(|reason| Close::new(Close::INVALID, format!("Invalid message: {reason}")))?;
        let outcomes = self
            .schema
            .execute_stream_with_session_data(request, Arc::clone(data))
            .map(Some)
            .chain(futures::stream::once(std::future::ready(None)));
        self.operations.insert(id, outcomes.boxed());
        Ok(())
    }

    /// What the client is told of an operation.
    fn tell(&mut self, id: &str, outcome: Option<&Outcome>) -> String {
        match outcome {
            Some(outcome) if was_run(outcome) => written(&Answer::Next {
                id,
                payload: outcome,
            }),
            Some(outcome) => {
                self.operations.remove(id);
                written(&Answer::Error {
                    id,
                    payload: &outcome.errors,
                })
            }
            None => {
                self.operations.remove(id);
                written(&Answer::Complete { id })
            }
        }
    }
}

fn written(answer: &Answer<'_>) -> String {
    serde_json::to_string(answer).expect("an answer has text for keys and finite numbers")
}
