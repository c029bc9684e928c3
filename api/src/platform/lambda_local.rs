//! Lambda on this machine: the function's own binary behind a Runtime API of ours, and event source mappings that read
//! the real Kafka. What it does as AWS does, and what it does not, stands in docs/lambda-local.md.
//!
//! Invariant: nothing outlives the API. A mapping that ends has settled the event under way, or not committed it, and is
//! waited for by nobody but whoever asks for the same function.

mod destination;
mod environment;
mod event;
mod mapping;
mod runtime_api;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;
use futures::future::join_all;
use millrace_entity::inference::Guarantee;
use millrace_wire::function::{FunctionSpec, Invocations, Role, Trigger};
use tokio::runtime::Handle;
use tokio::sync::watch;

use self::mapping::{Mapping, Poller, Provisioned};
use super::local::{Log, Settings, log_path, remove_logs};
use super::work::work;
use super::{Changes, Deployment, Error, LambdaOptions, Owner, Platform, State, Status};

/// Its name in the API.
pub(super) const NAME: &str = "lambda-local";

/// Most pollers of a mapping, each of which has an environment of its own.
const MOST_POLLERS: u32 = 16;
/// What a destination begins with that is a topic.
const TOPIC: &str = "kafka://";
/// How often AWS tries an event again that has somewhere to go, where nobody says otherwise.
const RETRIES: u32 = 10;

/// Whether this platform can do what is asked of Lambda.
pub(super) fn check(asked: &LambdaOptions) -> Result<(), String> {
    let cannot = |name: &str| {
        Err(format!(
            "lambda.{name} cannot be had on {NAME:?}: leave it out"
        ))
    };
    let destination = asked.on_failure.as_deref();
    if destination.is_some_and(|place| !place.starts_with(TOPIC) || asked.pollers.is_none()) {
        return cannot("onFailure without pollers, or to anything but kafka://TOPIC,");
    }
    if !asked.filters.is_empty() {
        return cannot("filters");
    }
    if asked.memory_mib.is_some() {
        return cannot("memoryMib");
    }
    match asked.pollers {
        Some(pollers) if pollers.minimum > MOST_POLLERS => {
            cannot(&format!("pollers.minimum above {MOST_POLLERS}"))
        }
        _ => Ok(()),
    }
}

impl Default for Mapping {
    /// AWS's own, where it has any; AWS keeps an idle environment for some minutes.
    fn default() -> Self {
        Self {
            batch_size: 100,
            window: Duration::from_millis(500),
            timeout: Duration::from_mins(1),
            idle: Duration::from_mins(1),
            provisioned: None,
            pollers: 1,
        }
    }
}

impl Mapping {
    fn of(asked: &LambdaOptions) -> Self {
        let default = Self::default();
        let seconds = |asked: Option<u32>, default: Duration| {
            asked.map_or(default, |asked| Duration::from_secs(asked.into()))
        };
        Self {
            batch_size: asked
                .batch_size
                .map_or(default.batch_size, |size| size as usize),
            window: seconds(asked.window_seconds, default.window),
            timeout: seconds(asked.timeout_seconds, default.timeout),
            idle: default.idle,
            pollers: asked.pollers.map_or(1, |pollers| pollers.minimum),
            provisioned: asked.pollers.map(|_| Provisioned {
                retries: asked.retries.or(asked.on_failure.as_ref().map(|_| RETRIES)),
                bisects: asked.bisect,
                oldest: asked
                    .record_age_seconds
                    .map(|seconds| Duration::from_secs(seconds.into())),
                on_failure: asked
                    .on_failure
                    .as_ref()
                    .map(|place| place.trim_start_matches(TOPIC).to_owned()),
            }),
        }
    }
}

/// Functions as Lambda runs them.
pub struct LambdaLocal {
    settings: Arc<Settings>,
    changes: Changes,
    /// Each is taken by whoever starts or ends its function, for as long as that takes.
    owners: Mutex<BTreeMap<Owner, Arc<Function>>>,
    closing: AtomicBool,
    visible: Mutex<BTreeMap<Owner, Arc<Shared>>>,
}

/// The function of an owner, while it has one.
type Function = tokio::sync::Mutex<Option<Running>>;

/// A function with its mapping.
struct Running {
    spec: FunctionSpec,
    mapping: Mapping,
    end: watch::Sender<bool>,
    pollers: Vec<JoinHandle<()>>,
}

/// What a poller shares with its platform.
struct Shared {
    settings: Arc<Settings>,
    status: Mutex<Status>,
    log: Arc<Log>,
    changes: Changes,
}

impl Shared {
    /// The mapping reads, and its function answers as far as it was asked.
    fn enabled(&self) {
        if lock(&self.status).state != State::Running {
            self.update(|status| {
                status.state = State::Running;
                status.last_exit = None;
            });
        }
    }

    /// The environment has this process now.
    fn has_process(&self, process_id: Option<u32>) {
        if lock(&self.status).process_id != process_id {
            self.update(|status| status.process_id = process_id);
        }
    }

    /// An invocation has failed, and is tried again.
    fn failed(&self, reason: &str) {
        self.update(|status| {
            status.state = State::BackingOff;
            status.last_exit = Some(format!("failed: {reason}"));
            status.restarts += 1;
        });
    }

    fn update(&self, change: impl FnOnce(&mut Status)) {
        change(&mut lock(&self.status));
        self.changes.send();
    }
}

impl LambdaLocal {
    /// A platform on which nothing runs yet.
    #[must_use]
    pub fn new(settings: Settings, changes: Changes) -> Self {
        Self {
            settings: Arc::new(settings),
            changes,
            owners: Mutex::default(),
            closing: AtomicBool::new(false),
            visible: Mutex::default(),
        }
    }

    fn function(&self, owner: Owner) -> Arc<Function> {
        Arc::clone(lock(&self.owners).entry(owner).or_default())
    }

    fn start(&self, owner: Owner, spec: FunctionSpec, mapping: Mapping) -> Result<Running, Error> {
        let Role::Inference(inference) = &spec.role else {
            return Err(unavailable("runs inferences only"));
        };
        let shared = Arc::new(Shared {
            settings: Arc::clone(&self.settings),
            status: Mutex::new(Status {
                platform: NAME,
                owner,
                ordinal: 0,
                state: State::Starting,
                process_id: None,
                address: None,
                restarts: 0,
                started_at: Some(Utc::now()),
                last_exit: None,
            }),
            log: Arc::new(Log::open(log_path(&self.settings, owner, 0))),
            changes: self.changes.clone(),
        });
        lock(&self.visible).insert(owner, Arc::clone(&shared));
        let (end, ends) = watch::channel(false);
        let invocations = Invocations {
            partial: mapping.provisioned.is_some(),
        };
        let poller = Poller {
            inference: inference.as_ref().clone(),
            spec: spec.clone().triggered_by(Trigger::Lambda(invocations)),
            mapping: mapping.clone(),
            shared,
            runtime: Handle::current(),
            end: ends,
        };
        let mut pollers = Vec::new();
        for _ in 0..mapping.pollers {
            let poller = poller.clone();
            let thread = std::thread::Builder::new()
                .name("mapping".to_owned())
                .spawn(move || poller.run())
                .map_err(|error| unavailable(&format!("has no room for a thread: {error}")))?;
            pollers.push(thread);
        }
        Ok(Running {
            spec,
            mapping,
            end,
            pollers,
        })
    }

    /// Returns when the event under way is settled or left, and nothing of the function runs any more.
    async fn end(&self, owner: Owner, running: Running) {
        // A poller that is gone needs no order.
        let _ = running.end.send(true);
        let pollers = running.pollers;
        let join = move || pollers.into_iter().all(|poller| poller.join().is_ok());
        let joined = tokio::task::spawn_blocking(join).await;
        if !matches!(joined, Ok(true)) {
            tracing::error!("a mapping failed");
        }
        lock(&self.visible).remove(&owner);
        self.changes.send();
    }
}

#[async_trait]
impl Platform for LambdaLocal {
    fn name(&self) -> &'static str {
        NAME
    }

    fn guarantees(&self) -> &'static [Guarantee] {
        &[Guarantee::AtLeastOnce]
    }

    fn is_pushed(&self) -> bool {
        true
    }

    fn ends_with_the_api(&self) -> bool {
        true
    }

    fn training_slots(&self) -> u32 {
        0
    }

    async fn deploy(&self, owner: Owner, deployment: Deployment) -> Result<(), Error> {
        let function = self.function(owner);
        let mut function = function.lock().await;
        let wanted = deployment.functions.into_iter().next();
        let mapping = Mapping::of(&deployment.options.lambda.unwrap_or_default());
        if let (Some(running), Some(spec)) = (&*function, &wanted)
            && work(&running.spec) == work(spec)
            && running.mapping == mapping
            && !running.pollers.iter().any(JoinHandle::is_finished)
        {
            return Ok(());
        }
        if let Some(running) = function.take() {
            self.end(owner, running).await;
        }
        if let Some(spec) = wanted {
            if self.closing.load(Ordering::SeqCst) {
                return Err(Error::Closing { platform: NAME });
            }
            *function = Some(self.start(owner, spec, mapping)?);
        }
        Ok(())
    }

    async fn remove(&self, owner: Owner) -> Result<(), Error> {
        self.deploy(owner, Deployment::default()).await?;
        remove_logs(&self.settings, owner);
        Ok(())
    }

    async fn functions(&self) -> Vec<Status> {
        lock(&self.visible)
            .values()
            .map(|shared| lock(&shared.status).clone())
            .collect()
    }

    async fn log(&self, owner: Owner, _ordinal: u32, last: usize) -> Vec<String> {
        let shared = lock(&self.visible).get(&owner).cloned();
        shared.map_or_else(Vec::new, |shared| shared.log.last(last))
    }

    async fn shutdown(&self) {
        self.closing.store(true, Ordering::SeqCst);
        let owners = lock(&self.owners).clone();
        let ending = owners.into_iter().map(async |(owner, function)| {
            if let Some(running) = function.lock().await.take() {
                self.end(owner, running).await;
            }
        });
        join_all(ending).await;
    }
}

fn unavailable(message: &str) -> Error {
    Error::Unavailable {
        platform: NAME,
        message: message.to_owned(),
    }
}

/// A panic under one of these locks leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
