//! A process that makes one trial and ends: its line comes in by standard input, the outcome goes out by standard output,
//! the log by standard error.
//!
//! Invariant: it does not outlive whoever asked, who holds the other end of its standard input.

use std::io::{BufRead as _, Write as _};
use std::process::ExitCode;

use millrace_wire::trial::{Outcome, Trial};
use tokio::runtime::{Builder, Handle};

use crate::failure::Failure;
use crate::{logs, parent};

/// Reads a trial, makes it and says what it showed.
pub fn try_out(make: impl FnOnce(Trial, &Handle) -> Outcome) -> ExitCode {
    match logs::start().and_then(|()| answer(make)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tracing::error!(exit.code = failure.code(), "{failure}");
            failure.exit_code()
        }
    }
}

fn answer(make: impl FnOnce(Trial, &Handle) -> Outcome) -> Result<(), Failure> {
    let mut line = Vec::new();
    std::io::stdin()
        .lock()
        .read_until(b'\n', &mut line)
        .map_err(|error| Failure::failed(format!("the trial cannot be read: {error}")))?;
    let trial =
        Trial::from_json(&line).map_err(|error| Failure::Specification(error.to_string()))?;
    parent::watch()?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start the runtime: {error}")))?;
    let mut outcome = make(trial, runtime.handle()).to_json();
    outcome.push(b'\n');
    let mut output = std::io::stdout().lock();
    output
        .write_all(&outcome)
        .and_then(|()| output.flush())
        .map_err(|error| Failure::failed(format!("nobody reads the outcome: {error}")))?;
    runtime.shutdown_background();
    Ok(())
}
