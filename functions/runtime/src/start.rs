//! The start of every function process: log, specification, parent, signals, HTTP.
//!
//! Invariant: when the role's code begins, all of that stands; when it returns, the process ends
//! with the exit code that [`Failure`] documents.

use std::path::PathBuf;
use std::process::ExitCode;

use axum::Router;
use millrace_wire::function::{FunctionSpec, ORDINAL_VARIABLE, Trigger, VARIABLE};
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;
use crate::knative::{self, Intake};
use crate::lambda::Environment;
use crate::readiness::Readiness;
use crate::shutdown::Shutdown;
use crate::{http, logs, parent};

/// Names the file of ONNX Runtime's library.
const LIBRARY: &str = "MILLRACE_ONNXRUNTIME__LIBRARY";

/// A started function: what its role's code works with.
pub struct Function {
    /// What it shall do.
    pub spec: FunctionSpec,
    /// Whether it shall end.
    pub shutdown: Shutdown,
    /// What it says at `/readyz`.
    pub readiness: Readiness,
    /// For what is asynchronous (the artifact store, acknowledged sends). The role's own code
    /// runs on the main thread, since Kafka's calls block.
    pub runtime: Handle,
    /// Where it runs, as far as Lambda is concerned.
    pub(crate) environment: Environment,
    /// Where requests wait that bring records.
    pub(crate) intake: Intake,
}

/// Starts a function process and runs its role's code on the main thread.
///
/// The specification comes from the environment variable `MILLRACE_FUNCTION`, the log's level from
/// `MILLRACE_LOG`. SIGTERM and SIGINT request the [`Shutdown`]; the end of a piped standard input
/// ends the process at once, since its parent is gone.
pub fn run(role: impl FnOnce(Function) -> Result<(), Failure>) -> ExitCode {
    run_as(
        || {
            let [specified, ordinal] =
                [VARIABLE, ORDINAL_VARIABLE].map(|name| std::env::var(name).ok());
            specification(specified.as_deref(), ordinal.as_deref())
        },
        role,
    )
}

/// The same with a specification that comes from elsewhere.
pub fn run_as(
    specification: impl FnOnce() -> Result<FunctionSpec, Failure>,
    role: impl FnOnce(Function) -> Result<(), Failure>,
) -> ExitCode {
    let environment = Environment::of_process();
    let result = logs::start()
        .and_then(|()| specification())
        .and_then(|spec| start(spec, role, &environment));
    match result {
        Ok(()) => {
            tracing::info!("the function ended in order");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            tracing::error!(exit.code = failure.code(), "{failure}");
            environment.tell(&failure);
            failure.exit_code()
        }
    }
}

/// The file of ONNX Runtime's library, for functions that run models.
///
/// # Errors
/// [`Failure::Specification`] where whoever started the function does not name it, and none lies beside the function.
pub fn onnxruntime() -> Result<PathBuf, Failure> {
    let named = std::env::var_os(LIBRARY).map(PathBuf::from);
    named.or_else(beside).ok_or_else(|| {
        Failure::Specification(format!(
            "the environment variable {LIBRARY} is not set: it names the file of ONNX Runtime's library"
        ))
    })
}

/// The library in the folder `lib` beside the function's own file, as it lies in a package for Lambda.
fn beside() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let library = own.parent()?.join("lib/libonnxruntime.so");
    library.is_file().then_some(library)
}

fn start(
    spec: FunctionSpec,
    role: impl FnOnce(Function) -> Result<(), Failure>,
    environment: &Environment,
) -> Result<(), Failure> {
    let is_for_lambda = matches!(spec.trigger, Trigger::Lambda(_));
    environment.check(is_for_lambda)?;
    parent::watch()?;
    // Two threads: one slow file of the artifact store must not keep a probe from its answer.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start the runtime: {error}")))?;
    let shutdown = Shutdown::default();
    listen_to_signals(runtime.handle(), &shutdown)?;
    let readiness = Readiness::default();
    let intake = Intake::default();
    let (address, more) = match spec.trigger {
        Trigger::Knative(_) => (knative::address(&spec.listen), intake.routes()),
        Trigger::Poll | Trigger::Lambda(_) => (spec.listen.clone(), Router::new()),
    };
    // Nobody can reach a function in Lambda.
    let server = (!is_for_lambda)
        .then(|| http::serve(runtime.handle(), &address, readiness.clone(), more))
        .transpose()?;
    tracing::info!(function.ordinal = spec.ordinal, "the function started");
    let result = role(Function {
        spec,
        shutdown,
        readiness,
        runtime: runtime.handle().clone(),
        environment: environment.clone(),
        intake,
    });
    if let Some(server) = server {
        server.end(runtime.handle());
    }
    // Work that is still under way there belongs to nobody any more.
    runtime.shutdown_background();
    result
}

/// What this process shall do. Where one specification serves all replicas, the second variable says which one it is.
fn specification(text: Option<&str>, ordinal: Option<&str>) -> Result<FunctionSpec, Failure> {
    let text = text.ok_or_else(|| {
        Failure::Specification(format!(
            "the environment variable {VARIABLE} is not set: a function is started by Millrace, which puts its specification there"
        ))
    })?;
    let spec = FunctionSpec::from_json(text)
        .map_err(|error| Failure::Specification(format!("{VARIABLE} cannot be read: {error}")))?;
    let ordinal = match ordinal {
        None => spec.ordinal,
        Some(text) => text.parse().map_err(|_| {
            Failure::Specification(format!(
                "{ORDINAL_VARIABLE} is {text:?}: give the replica's number, from 0"
            ))
        })?,
    };
    Ok(spec.replica(ordinal))
}

fn listen_to_signals(runtime: &Handle, shutdown: &Shutdown) -> Result<(), Failure> {
    let _inside = runtime.enter();
    for (kind, name) in [
        (SignalKind::terminate(), "SIGTERM"),
        (SignalKind::interrupt(), "SIGINT"),
    ] {
        let mut signals = signal(kind)
            .map_err(|error| Failure::failed(format!("cannot listen to {name}: {error}")))?;
        let shutdown = shutdown.clone();
        runtime.spawn(async move {
            while signals.recv().await.is_some() {
                tracing::info!(signal = name, "the function shall end");
                shutdown.request();
            }
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn a_missing_or_malformed_specification_is_told_apart() {
        let missing = specification(None, None).unwrap_err();
        assert_eq!(missing.code(), 2);
        assert!(missing.to_string().contains("is not set"), "{missing}");
        let malformed = specification(Some(r#"{"format":1,"role":"training"}"#), None).unwrap_err();
        assert_eq!(malformed.code(), 2);
        assert!(malformed.to_string().contains("artifacts"), "{malformed}");
    }

    #[test]
    fn one_specification_serves_all_replicas() {
        let text = r#"{"format":1,"control":{"connection":{},"events_topic":"e","registry_topic":"r"},
            "artifacts":"file:///a","listen":"[::]:8090","ordinal":1,"role":"training","topic":"t","group":"g",
            "memory_bytes":1}"#;
        assert_eq!(specification(Some(text), None).unwrap().ordinal, 1);
        assert_eq!(specification(Some(text), Some("2")).unwrap().ordinal, 2);
        let wrong = specification(Some(text), Some("second")).unwrap_err();
        assert_eq!(wrong.code(), 2);
        assert!(wrong.to_string().contains("MILLRACE_ORDINAL"), "{wrong}");
    }
}
