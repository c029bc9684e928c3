//! The playground: the page that `api/web` builds, inside the program.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

/// What `npm run build` wrote; nothing where it was not run.
#[derive(RustEmbed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Built;

const PLACEHOLDER: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Millrace playground</title><h1>The playground was not built</h1><p>Run <code>npm ci &amp;&amp; npm run build</code> in <code>api/web</code>, then build Millrace again. The GraphQL API itself is at <code>/graphql</code>.</p></html>";

/// The page.
pub(super) async fn page() -> Response {
    match Built::get("index.html") {
        Some(file) => serve("index.html", file, "no-cache"),
        None => Html(PLACEHOLDER).into_response(),
    }
}

/// What the page loads. The names hold digests of the contents.
pub(super) async fn asset(Path(path): Path<String>) -> Response {
    match Built::get(&path) {
        Some(file) => serve(&path, file, "public, max-age=31536000, immutable"),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn serve(path: &str, file: EmbeddedFile, caching: &'static str) -> Response {
    let media = match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("ttf") => "font/ttf",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    };
    (
        [
            (header::CONTENT_TYPE, media),
            (header::CACHE_CONTROL, caching),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::X_FRAME_OPTIONS, "DENY"),
        ],
        file.data,
    )
        .into_response()
}
