//! ONNX files: streamed in by `PUT`, out by `GET`, never whole in memory.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::Server;
use super::media::{failure, refusal};
use crate::app::{self, Code};

/// Takes a file in: 201 where it is new, 200 where it was there.
pub(super) async fn put(
    State(server): State<Server>,
    Path(digest): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let limit = server.app.config.limits.max_artifact_bytes;
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit) {
        return refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            Code::TooLarge,
            &format!(
                "the file is larger than the {limit} bytes that are allowed; nothing was kept"
            ),
        );
    }
    match app::artifact::accept(&server.app, &digest, body.into_data_stream()).await {
        Ok(accepted) => {
            let status = if accepted.created {
                StatusCode::CREATED
            } else {
                StatusCode::OK
            };
            let body = json!({"digest": accepted.artifact.digest, "size": accepted.artifact.size});
            (status, Json(body)).into_response()
        }
        Err(error) => failure(&error),
    }
}

/// Gives a file out.
pub(super) async fn get(State(server): State<Server>, Path(digest): Path<String>) -> Response {
    let artifact = match app::artifact::find(&server.app.database, &digest).await {
        Ok(artifact) => artifact,
        Err(error) => return failure(&error),
    };
    match server.app.artifacts.reader(&digest, None).await {
        Ok(reader) => (
            [
                (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
                (header::CONTENT_LENGTH, artifact.size.to_string()),
                (header::ETAG, format!("\"{digest}\"")),
                (
                    header::CACHE_CONTROL,
                    "private, max-age=31536000, immutable".to_owned(),
                ),
            ],
            Body::from_stream(reader),
        )
            .into_response(),
        Err(error) => failure(&error.into()),
    }
}
