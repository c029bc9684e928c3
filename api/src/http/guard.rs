//! Who may come in.
//!
//! With a token: whoever shows it. Without one, which only a server on loopback does: whoever
//! speaks to it under a name of this machine and is not a page of another site. A page that a
//! browser loaded from elsewhere could otherwise reach it, through a name that it makes resolve to
//! 127.0.0.1.

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::Server;
use super::media::refusal;
use crate::app::Code;
use crate::app::token::Verifier;
use crate::graphql::Actor;

/// The rule of one server.
#[derive(Clone)]
pub struct Guard {
    verifier: Option<Verifier>,
    public: Option<String>,
}

impl Guard {
    /// Only with the token.
    #[must_use]
    pub fn with_token(verifier: Verifier) -> Self {
        Self {
            verifier: Some(verifier),
            public: None,
        }
    }

    /// Without a token, on loopback; `public` is one more name under which it may be reached.
    #[must_use]
    pub fn on_loopback(public: Option<String>) -> Self {
        Self {
            verifier: None,
            public,
        }
    }

    /// Whether this value of `Authorization` lets its bearer in, and as whom.
    pub(super) fn admit(&self, authorization: Option<&str>) -> Option<Actor> {
        let Some(verifier) = &self.verifier else {
            return Some(Actor("local".to_owned()));
        };
        let (scheme, token) = authorization?.split_once(' ')?;
        let admitted = scheme.eq_ignore_ascii_case("bearer") && verifier.accepts(token.trim());
        admitted.then(|| Actor("admin".to_owned()))
    }

    /// Whether a request comes from where it may; with a token that does not matter.
    fn is_from_here(&self, headers: &HeaderMap) -> bool {
        if self.verifier.is_some() {
            return true;
        }
        let text = |name| headers.get(name).map(HeaderValue::to_str);
        let Some(Ok(host)) = text(header::HOST) else {
            return false;
        };
        let Ok(host) = host.parse::<Authority>() else {
            return false;
        };
        if !self.is_own_name(host.host()) {
            return false;
        }
        match text(header::ORIGIN) {
            None => true,
            Some(Ok(origin)) => origin.split_once("://").is_some_and(|(_, authority)| {
                authority == host.as_str() || self.public.as_deref() == Some(authority)
            }),
            Some(Err(_)) => false,
        }
    }

    fn is_own_name(&self, host: &str) -> bool {
        matches!(host, "localhost" | "127.0.0.1" | "[::1]") || self.public.as_deref() == Some(host)
    }
}

/// Lets in who may, and says who it is.
pub(super) async fn check(
    State(server): State<Server>,
    mut request: Request,
    next: Next,
) -> Response {
    if !server.guard.is_from_here(request.headers()) {
        return elsewhere();
    }
    let authorization = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let Some(actor) = server.guard.admit(authorization) else {
        let mut response = refusal(
            StatusCode::UNAUTHORIZED,
            Code::Unauthenticated,
            "the admin token is needed, as `Authorization: Bearer …`; it was shown when Millrace was first started, and `millrace token` makes another one",
        );
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return response;
    };
    request.extensions_mut().insert(actor);
    next.run(request).await
}

/// Turns away pages of other sites; who it is, is settled later.
pub(super) async fn check_origin(
    State(server): State<Server>,
    request: Request,
    next: Next,
) -> Response {
    if server.guard.is_from_here(request.headers()) {
        next.run(request).await
    } else {
        elsewhere()
    }
}

fn elsewhere() -> Response {
    refusal(
        StatusCode::FORBIDDEN,
        Code::Unauthenticated,
        "without a token Millrace answers only to names of this machine (localhost, 127.0.0.1) and to its own pages; behind a proxy set `http.public`, or `http.authentication = \"required\"`",
    )
    .into_response()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn from_here(host: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        Guard::on_loopback(None).is_from_here(&headers)
    }

    #[test]
    fn only_this_machine_and_its_own_pages_come_in_without_a_token() {
        assert!(from_here("localhost:8080", None));
        assert!(from_here("[::1]:8080", None));
        assert!(from_here("127.0.0.1:8080", Some("http://127.0.0.1:8080")));
        assert!(!from_here("evil.example:8080", None));
        assert!(!from_here("localhost.evil.example", None));
        assert!(!from_here("127.0.0.1:8080", Some("http://evil.example")));
        assert!(!from_here("127.0.0.1:8080", Some("http://127.0.0.1:3000")));
        assert!(!from_here("127.0.0.1:8080", Some("null")));
    }
}
