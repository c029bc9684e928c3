//! The HTTP server: its routes and how it ends.
//!
//! Everything that can change or tell something passes `guard`; open to all are the playground's
//! static page and the probes.

mod artifact;
mod graphql;
mod guard;
mod health;
mod media;
mod playground;
mod socket;

use std::future::IntoFuture as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use axum::extract::Request;
use axum::http::Method;
use axum::middleware::{self, Next};
use axum::response::{Redirect, Response};
use axum::routing::get;
use axum::{Router, extract::MatchedPath};
pub use guard::Guard;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;

use crate::app::{App, Shutdown};
use crate::graphql::Schema;

/// How long requests under way may take when the server ends.
const PATIENCE: Duration = Duration::from_secs(10);

/// What handlers need.
#[derive(Clone)]
pub struct Server {
    app: App,
    schema: Schema,
    guard: Guard,
    metrics: PrometheusHandle,
    shutdown: Shutdown,
    written: health::Written,
}

impl Server {
    /// A server of this application.
    ///
    /// # Errors
    /// The metrics cannot be set up.
    pub fn new(app: App, guard: Guard, shutdown: Shutdown) -> Result<Self> {
        Ok(Self {
            schema: crate::graphql::schema(app.clone()),
            app,
            guard,
            metrics: health::recorder()?,
            shutdown,
            written: health::Written::default(),
        })
    }

    /// All routes.
    pub fn router(self) -> Router {
        let guarded = Router::new()
            .route("/graphql", get(graphql::get).post(graphql::post))
            .route("/artifacts/{digest}", get(artifact::get).put(artifact::put))
            .route("/metrics", get(health::metrics))
            .layer(middleware::from_fn_with_state(self.clone(), guard::check));
        // The token comes within the protocol here, since browsers cannot send it in a header.
        let socket = Router::new().route("/graphql/ws", get(socket::open)).layer(
            middleware::from_fn_with_state(self.clone(), guard::check_origin),
        );
        Router::new()
            .route("/", get(|| async { Redirect::to("/playground") }))
            .route("/livez", get(health::live))
            .route("/readyz", get(health::ready))
            .route("/playground", get(playground::page))
            .route("/playground/", get(playground::page))
            .route("/playground/{*path}", get(playground::asset))
            .merge(guarded)
            .merge(socket)
            .layer(middleware::from_fn(log))
            .with_state(self)
    }

    /// Serves until the end is ordered, and lets requests under way come to theirs.
    ///
    /// # Errors
    /// The listener failed.
    pub async fn serve(self, listener: TcpListener) -> Result<()> {
        let shutdown = self.shutdown.clone();
        let serving = axum::serve(listener, self.router())
            .with_graceful_shutdown({
                let shutdown = shutdown.clone();
                async move { shutdown.requested().await }
            })
            .into_future();
        tokio::select! {
            served = serving => served.context("the HTTP server failed"),
            () = async {
                shutdown.requested().await;
                tokio::time::sleep(PATIENCE).await;
            } => Ok(()),
        }
    }
}

/// One line and one measurement a request.
async fn log(request: Request, next: Next) -> Response {
    let started = Instant::now();
    // Every label is a time series for ever: callers must not be able to invent any.
    let method = match *request.method() {
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::OPTIONS => {
            request.method().to_string()
        }
        _ => "other".to_owned(),
    };
    let path = request.uri().path().to_owned();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unknown".to_owned(), |path| path.as_str().to_owned());
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let elapsed = started.elapsed();
    let probe = matches!(route.as_str(), "/livez" | "/readyz" | "/metrics");
    if probe {
        tracing::debug!(
            http.method = method,
            http.path = path,
            http.status = status,
            "request"
        );
    } else {
        tracing::info!(
            http.method = method,
            http.path = path,
            http.status = status,
            http.duration_ms = elapsed.as_secs_f64() * 1000.0,
            "request"
        );
    }
    metrics::histogram!(
        "millrace_http_request_seconds",
        "method" => method, "route" => route, "status" => status.to_string()
    )
    .record(elapsed);
    response
}
