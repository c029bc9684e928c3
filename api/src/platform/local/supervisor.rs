//! Keeps one replica's process at work: starts it, waits until it is ready, starts it again after a
//! growing pause when it ends by itself, and ends it in order when it is told to.
//!
//! Invariant: at most one process of the replica runs at any time. The process holds the other end
//! of a pipe as its standard input, so it learns of this process's death however that came about.

use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::pin::pin;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::Utc;
use millrace_wire::function::{FunctionSpec, Role, VARIABLE};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::super::{Changes, State, Status};
use super::backoff::Backoff;
use super::log::Log;
use super::{Settings, program};

/// How often a starting function is asked whether it is ready.
const PROBE_INTERVAL: Duration = Duration::from_millis(100);
/// How long one probe may take.
const PROBE_LIMIT: Duration = Duration::from_secs(2);
/// How long the last output of an ended process is waited for: a process that it left behind may
/// hold the pipe.
const OUTPUT_LIMIT: Duration = Duration::from_secs(1);
/// The exit code of a function whose specification is malformed: starting it again cannot help.
const SPECIFICATION: i32 = 2;
/// The exit code of a function in whose place another works: it must not come back at once.
const FENCED: i32 = 3;

/// What a replica shall do.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Order {
    /// Run this. The address to listen at is chosen at each start.
    Run(Box<FunctionSpec>),
    /// End.
    End,
}

/// What a supervisor shares with its platform.
pub(super) struct Shared {
    pub(super) status: Mutex<Status>,
    pub(super) log: Log,
    /// Counts the changes of all statuses.
    pub(super) changes: Changes,
}

impl Shared {
    fn update(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
        self.changes.send();
    }
}

/// How one process of a replica ended.
enum Ended {
    /// As it was told to, by a new order.
    Ordered,
    /// By itself, with what to say about it and its exit code.
    Alone(String, Option<i32>),
}

/// Works until the order to end, or until the platform is gone.
pub(super) async fn supervise(
    settings: Arc<Settings>,
    shared: Arc<Shared>,
    mut orders: watch::Receiver<Order>,
) {
    let mut backoff = Backoff::new(settings.pauses);
    loop {
        let order = orders.borrow_and_update().clone();
        let Order::Run(spec) = order else { break };
        if orders.has_changed().is_err() {
            break; // the platform is gone without a word
        }
        let started = Instant::now();
        let ended = match start(&settings, &shared, *spec) {
            Ok((child, address)) => live(&settings, &shared, child, &address, &mut orders).await,
            Err(reason) => Ended::Alone(reason, None),
        };
        let Ended::Alone(reason, code) = ended else {
            continue;
        };
        let random = f64::from(getrandom::u32().unwrap_or(u32::MAX / 2)) / f64::from(u32::MAX);
        let pause = match code {
            Some(SPECIFICATION) => None,
            Some(FENCED) => Some(backoff.longest(random)),
            _ => Some(backoff.pause(started.elapsed(), random)),
        };
        let next = pause.map_or("it is not started again".to_owned(), |pause| {
            format!("it is started again in {:.1} s", pause.as_secs_f64())
        });
        shared
            .log
            .push(&format!("millrace: the function {reason}; {next}"));
        shared.update(|status| {
            tracing::warn!(
                function.owner = ?status.owner,
                function.ordinal = status.ordinal,
                "a function {reason}; {next}"
            );
            status.state = pause.map_or(State::Stopped, |_| State::BackingOff);
            status.process_id = None;
            status.address = None;
            status.last_exit = Some(reason);
        });
        tokio::select! {
            () = wait(pause) => shared.update(|status| status.restarts += 1),
            _ = orders.changed() => {}
        }
    }
    shared.update(|status| {
        status.state = State::Stopped;
        status.process_id = None;
        status.address = None;
    });
}

/// Waits for the pause, for ever where there is none.
async fn wait(pause: Option<Duration>) {
    match pause {
        Some(pause) => sleep(pause).await,
        None => std::future::pending().await,
    }
}

/// Starts a process of the replica. Gives where it listens, too.
fn start(
    settings: &Settings,
    shared: &Shared,
    mut spec: FunctionSpec,
) -> Result<(Child, String), String> {
    // Somebody may take the port before the function does: then it fails, and the next start
    // tries another one.
    let address = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map_err(|error| format!("cannot be started: no port is free: {error}"))?
        .to_string();
    spec.listen.clone_from(&address);
    let binary: &Path = match spec.role {
        Role::Training(_) => &settings.training,
        Role::Inference(_) => &settings.inference,
    };
    let child = program(settings, binary)
        .env(VARIABLE, spec.to_json())
        .spawn()
        .map_err(|error| format!("cannot be started: {}: {error}", binary.display()))?;
    shared.update(|status| {
        status.state = State::Starting;
        status.process_id = child.id();
        status.address = Some(address.clone());
        status.started_at = Some(Utc::now());
    });
    Ok((child, address))
}

/// Accompanies a process to its end.
async fn live(
    settings: &Settings,
    shared: &Arc<Shared>,
    mut child: Child,
    address: &str,
    orders: &mut watch::Receiver<Order>,
) -> Ended {
    let started = Instant::now();
    // Held, never written to: its end tells the function that we are gone.
    let tie = child.stdin.take();
    let (said, complained) = (child.stdout.take(), child.stderr.take());
    let listening = tokio::spawn({
        let shared = Arc::clone(shared);
        async move {
            let said = async {
                if let Some(output) = said {
                    shared.log.follow(output).await;
                }
            };
            let complained = async {
                if let Some(output) = complained {
                    shared.log.follow(output).await;
                }
            };
            tokio::join!(said, complained);
        }
    });
    let mut ready = pin!(until_ready(&settings.client, address));
    let mut is_ready = false;
    let ended = loop {
        tokio::select! {
            status = child.wait() => break alone(status, started.elapsed()),
            () = &mut ready, if !is_ready => {
                is_ready = true;
                shared.update(|status| status.state = State::Running);
            }
            _ = orders.changed() => {
                end(&mut child, settings.grace).await;
                break Ended::Ordered;
            }
        }
    };
    drop(tie);
    let abort = listening.abort_handle();
    if timeout(OUTPUT_LIMIT, listening).await.is_err() {
        abort.abort();
    }
    ended
}

/// Asks the process to end, and ends it where it does not within `grace`.
async fn end(child: &mut Child, grace: Duration) {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(id) = id.and_then(Pid::from_raw) {
        // The process has not been waited for, so the id is still its own. An error means that it
        // has ended.
        let _ = kill_process(id, Signal::TERM);
    }
    if timeout(grace, child.wait()).await.is_err() {
        tracing::warn!(
            process.id = child.id(),
            "a function did not end in order and is killed"
        );
        if let Err(error) = child.kill().await {
            tracing::error!(process.id = child.id(), %error, "cannot kill a function");
        }
    }
}

fn alone(status: std::io::Result<ExitStatus>, lived: Duration) -> Ended {
    let lived = format!("after {:.1} s", lived.as_secs_f64());
    match status {
        Ok(status) => {
            let reason = match (status.code(), status.signal()) {
                (Some(SPECIFICATION), _) => {
                    format!(
                        "ended with code 2 {lived}: its specification or settings are malformed"
                    )
                }
                (Some(FENCED), _) => {
                    format!("ended with code 3 {lived}: another process does its work")
                }
                (Some(code), _) => format!("ended with code {code} {lived}"),
                (None, Some(signal)) => format!("was killed by signal {signal} {lived}"),
                (None, None) => format!("ended {lived}"),
            };
            Ended::Alone(reason, status.code())
        }
        Err(error) => Ended::Alone(format!("was lost {lived}: {error}"), None),
    }
}

/// Returns once `/readyz` has answered 200.
async fn until_ready(client: &reqwest::Client, address: &str) {
    let url = format!("http://{address}/readyz");
    loop {
        let answer = client.get(&url).timeout(PROBE_LIMIT).send().await;
        if answer.is_ok_and(|answer| answer.status() == reqwest::StatusCode::OK) {
            return;
        }
        sleep(PROBE_INTERVAL).await;
    }
}
