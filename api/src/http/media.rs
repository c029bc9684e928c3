//! Media types: what a client accepts, and refusals that every client can read.

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use crate::app::{Code, Error};

/// The two media types of GraphQL's answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    /// `application/graphql-response+json`: its status tells whether the operation was run.
    Response,
    /// `application/json`: its status says 200 for every well-formed request.
    Json,
}

impl Media {
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Response => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
        }
    }

    /// What the client likes best of the two; `application/json` where it does not say; nothing
    /// where it takes neither.
    pub(super) fn accepted(headers: &HeaderMap) -> Option<Self> {
        let Some(accept) = headers.get(header::ACCEPT) else {
            return Some(Self::Json);
        };
        let mut best: Option<(f32, Self)> = None;
        for range in accept.to_str().ok()?.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = match parts
                .next()
                .unwrap_or_default()
                .to_ascii_lowercase()
                .as_str()
            {
                "application/graphql-response+json" => Self::Response,
                "application/json" | "application/*" | "*/*" => Self::Json,
                _ => continue,
            };
            let quality = parts
                .find_map(|part| part.strip_prefix("q="))
                .map_or(1.0, |quality| quality.parse().unwrap_or(0.0));
            if quality > 0.0 && best.is_none_or(|(most, _)| quality > most) {
                best = Some((quality, media));
            }
        }
        best.map(|(_, media)| media)
    }
}

/// A refusal in the form of GraphQL's errors, which the other routes share.
pub(super) fn refusal(status: StatusCode, code: Code, message: &str) -> Response {
    let body = json!({"errors": [{"message": message, "extensions": {"code": code.as_str()}}]});
    (
        status,
        [(header::CONTENT_TYPE, Media::Json.content_type())],
        body.to_string(),
    )
        .into_response()
}

/// The refusal for a failed operation. Internal faults give nothing away.
pub(super) fn failure(error: &Error) -> Response {
    let code = error.code();
    let status = match code {
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    if code == Code::Internal {
        tracing::error!(error = %error, "request failed");
        let message = "an internal error occurred; the API's log has the details";
        return refusal(status, code, message);
    }
    refusal(status, code, &error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn accepted(accept: &str) -> Option<Media> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        Media::accepted(&headers)
    }

    #[test]
    fn the_client_chooses() {
        assert_eq!(Media::accepted(&HeaderMap::new()), Some(Media::Json));
        assert_eq!(accepted("*/*"), Some(Media::Json));
        assert_eq!(
            accepted("application/graphql-response+json; charset=utf-8, application/json; q=0.9"),
            Some(Media::Response)
        );
        assert_eq!(
            accepted("application/graphql-response+json;q=0.1, application/json"),
            Some(Media::Json)
        );
        assert_eq!(accepted("text/html"), None);
    }
}
