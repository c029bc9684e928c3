//! The log of a server: one line an event, on standard error.

use std::io::IsTerminal as _;

use anyhow::{Context as _, Result};
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

/// What libraries say below this is about themselves. Whoever wants it names the library.
const LIBRARIES: &str = "rdkafka=warn,sqlx=warn,sea_orm_migration=warn";

/// Starts to log what `MILLRACE_LOG` says, `info` without it.
///
/// # Errors
/// The variable names no levels.
pub(super) fn start(format: Format) -> Result<()> {
    let wanted = std::env::var("MILLRACE_LOG").unwrap_or_else(|_| "info".to_owned());
    let filter = EnvFilter::try_new(format!("{LIBRARIES},{wanted}")).with_context(|| {
        format!(
            "MILLRACE_LOG is {wanted:?}, which names no log level: use error, warn, info, debug or trace"
        )
    })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        Format::Text => lines.with_ansi(std::io::stderr().is_terminal()).init(),
        Format::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}
