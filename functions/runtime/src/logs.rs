//! The process's log: one JSON object a line on standard error, panics included.
//!
//! Invariant: after [`start`], whatever the process has to say goes through `tracing`.

use std::io::stderr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::failure::Failure;
use crate::parent;

/// The variable that sets the level (`debug`) or levels (`info,millrace_runtime=trace`).
const VARIABLE: &str = "MILLRACE_LOG";

/// Starts the log. A malformed level is an error that is itself logged at the default level.
pub(crate) fn start() -> Result<(), Failure> {
    let wanted = std::env::var(VARIABLE).unwrap_or_default();
    let wanted = if wanted.trim().is_empty() {
        "info"
    } else {
        wanted.as_str()
    };
    let (filter, result) = match EnvFilter::try_new(wanted) {
        Ok(filter) => (filter, Ok(())),
        Err(error) => (
            EnvFilter::new("info"),
            Err(Failure::Specification(format!(
                "{VARIABLE} is {wanted:?}, which names no log level ({error}): use error, warn, info, debug or trace"
            ))),
        ),
    };
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(stderr);
    let installed = tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init();
    if let Err(error) = installed {
        return Err(Failure::failed(format!("the log cannot start: {error}")));
    }
    // A thread that panics would leave the rest of the process half alive: what is left of the
    // function ends, and its supervisor starts a whole one.
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!("{panic}: this is a fault of Millrace, please report it");
        parent::end_at_once();
    }));
    result
}
