//! An environment: a process of the function behind a Runtime API, started for an invocation, frozen
//! between two of them, and killed when it takes too long.
//!
//! Invariant: at most one invocation is under way. A process that failed at its start, was killed or has
//! ended is used no more.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use millrace_wire::function::{FunctionSpec, VARIABLE};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::process::{Child, ChildStdin};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::super::local::{Log, Settings, program};
use super::runtime_api::{Call, Invocation, RuntimeApi};

/// How long Lambda lets a process take to ask for its first invocation.
const START: Duration = Duration::from_secs(10);

/// An environment whose process waits for an invocation.
pub(super) struct Environment {
    api: RuntimeApi,
    process: Child,
    /// Its other end tells the process that this one is gone.
    _tie: Option<ChildStdin>,
    /// Where the next invocation goes.
    waiting: oneshot::Sender<Invocation>,
}

/// Why there was no answer, as Lambda puts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure(pub(super) String);

/// An error as functions tell it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Told {
    error_type: String,
    error_message: String,
}

impl Environment {
    /// Starts a process, and returns when it waits for its first invocation.
    pub(super) async fn start(
        settings: &Settings,
        spec: &FunctionSpec,
        log: &Arc<Log>,
    ) -> Result<Self, Failure> {
        let failed =
            |error: std::io::Error| Failure(format!("the environment cannot be made: {error}"));
        let mut api = RuntimeApi::start().await.map_err(failed)?;
        let mut process = program(settings, &settings.inference)
            .env(VARIABLE, spec.to_json())
            .env("AWS_LAMBDA_RUNTIME_API", api.address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "millrace-local")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024")
            .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
            .spawn()
            .map_err(|error| Failure(format!("Runtime.InvalidEntrypoint: {error}")))?;
        let tie = process.stdin.take();
        if let Some(output) = process.stdout.take() {
            let log = Arc::clone(log);
            tokio::spawn(async move { log.follow(output).await });
        }
        if let Some(output) = process.stderr.take() {
            let log = Arc::clone(log);
            tokio::spawn(async move { log.follow(output).await });
        }
        let until = Instant::now() + START;
        let waiting = match timeout_at(until, call(&mut api, &mut process)).await {
            Ok(Ok(Call::Next(waiting))) => waiting,
            Ok(Ok(Call::NotStarted(error) | Call::Failed(_, error))) => return Err(told(&error)),
            Ok(Ok(Call::Answered(..))) => {
                return Err(Failure(
                    "Runtime.BadCall: it answered what was not asked".to_owned(),
                ));
            }
            Ok(Err(failure)) => return Err(failure),
            Err(_) => {
                return Err(Failure(format!(
                    "Sandbox.Timedout: the start took more than {} s",
                    START.as_secs()
                )));
            }
        };
        let environment = Self {
            api,
            process,
            _tie: tie,
            waiting,
        };
        environment.signal(Signal::STOP);
        Ok(environment)
    }

    /// Has an event answered within `limit`, and hands itself back where it can be used again.
    pub(super) async fn invoke(
        mut self,
        event: Vec<u8>,
        limit: Duration,
    ) -> (Option<Self>, Result<Bytes, Failure>) {
        self.signal(Signal::CONT);
        let id = Uuid::now_v7().to_string();
        let deadline = SystemTime::now() + limit;
        let until = Instant::now() + limit;
        let invocation = Invocation {
            id: id.clone(),
            event,
            deadline_ms: deadline
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default()
                .as_millis(),
        };
        if self.waiting.send(invocation).is_err() {
            let gone = "Runtime.ExitError: the process has gone between two invocations";
            return (None, Err(Failure(gone.to_owned())));
        }
        let mut outcome = None;
        loop {
            let told_now = match timeout_at(until, call(&mut self.api, &mut self.process)).await {
                Err(_) => {
                    // An answer that was given stands; the process is not to be trusted any more.
                    let timed_out =
                        format!("Task timed out after {:.2} seconds", limit.as_secs_f64());
                    return (None, outcome.unwrap_or(Err(Failure(timed_out))));
                }
                Ok(Err(failure)) => return (None, outcome.unwrap_or(Err(failure))),
                Ok(Ok(call)) => call,
            };
            match told_now {
                Call::Answered(answered, body) if answered == id && outcome.is_none() => {
                    outcome = Some(Ok(body));
                }
                Call::Failed(failed, error) if failed == id && outcome.is_none() => {
                    outcome = Some(Err(told(&error)));
                }
                Call::Next(waiting) if let Some(outcome) = outcome.take() => {
                    self.waiting = waiting;
                    self.signal(Signal::STOP);
                    return (Some(self), outcome);
                }
                _ => {
                    let lost = "Runtime.BadCall: it asked for an event before it had answered the last one, or answered another";
                    return (None, outcome.unwrap_or(Err(Failure(lost.to_owned()))));
                }
            }
        }
    }

    /// Its process.
    pub(super) fn process_id(&self) -> Option<u32> {
        self.process.id()
    }

    /// A frozen process that loses this one is ended by the kernel: its group has nobody left who could thaw it.
    fn signal(&self, signal: Signal) {
        let id = self.process.id().and_then(|id| i32::try_from(id).ok());
        if let Some(id) = id.and_then(Pid::from_raw) {
            // The process has not been waited for, so the id is its own; one that has ended needs no signal.
            let _ = kill_process(id, signal);
        }
    }
}

/// The next thing that the process asks or tells, or how it ended.
async fn call(api: &mut RuntimeApi, process: &mut Child) -> Result<Call, Failure> {
    tokio::select! {
        biased;
        Some(call) = api.calls.recv() => Ok(call),
        ended = process.wait() => Err(Failure(match ended {
            Ok(status) => format!("Runtime.ExitError: {status}"),
            Err(error) => format!("Runtime.ExitError: {error}"),
        })),
    }
}

fn told(error: &Bytes) -> Failure {
    let told: Told = serde_json::from_slice(error).unwrap_or_default();
    Failure(format!("{}: {}", told.error_type, told.error_message))
}
