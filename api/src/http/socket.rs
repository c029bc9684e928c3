//! Subscriptions: `graphql-transport-ws` over a WebSocket. The token comes in `connection_init`,
//! as `{"Authorization": "Bearer …"}`.

use async_graphql::Data;
use async_graphql_axum::{GraphQLProtocol, GraphQLWebSocket};
use axum::extract::{State, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde_json::Value;

use super::Server;
use super::graphql::LARGEST;
use super::media::refusal;
use crate::app::Code;

const PROTOCOL: &str = "graphql-transport-ws";

/// Opens a WebSocket.
pub(super) async fn open(
    State(server): State<Server>,
    headers: HeaderMap,
    protocol: GraphQLProtocol,
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
    let Server {
        schema,
        guard,
        shutdown,
        ..
    } = server;
    upgrade
        .protocols([PROTOCOL])
        // Anybody can open one: the token comes later.
        .max_message_size(LARGEST)
        .on_upgrade(move |socket| async move {
            let serving = GraphQLWebSocket::new(socket, schema, protocol)
                .on_connection_init(move |payload: Value| async move {
                    let authorization = ["Authorization", "authorization"]
                        .iter()
                        .find_map(|name| payload.get(name)?.as_str());
                    let Some(actor) = guard.admit(authorization) else {
                        return Err(async_graphql::Error::new("the admin token is needed"));
                    };
                    let mut data = Data::default();
                    data.insert(actor);
                    Ok(data)
                })
                .serve();
            tokio::select! {
                () = serving => {}
                () = shutdown.requested() => {}
            }
        })
}
