//! The log of a server: one line an event, on standard error.

use std::io::IsTerminal as _;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// How a line looks.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// For programs, a JSON object a line
    Json,
}

/// Starts to log what `MILLRACE_LOG` says, `info` without it.
pub(super) fn start(format: Format) {
    let filter = EnvFilter::try_from_env("MILLRACE_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,rdkafka=warn,sqlx=warn"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        Format::Text => lines.with_ansi(std::io::stderr().is_terminal()).init(),
        Format::Json => lines.json().flatten_event(true).init(),
    }
}
