//! The local platform: functions are child processes of the API, each under a supervisor.
//!
//! Invariant: a function never outlives the API, however that ends. Each replica has one
//! supervisor, so a `transactional.id` is used by one process at a time.

mod backoff;
mod log;
mod supervisor;
#[cfg(test)]
mod tests;
mod trial;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
pub use backoff::Pauses;
use futures::future::join_all;
pub(super) use log::Log;
use millrace_entity::inference::Guarantee;
use millrace_wire::function::FunctionSpec;
use millrace_wire::trial::{Outcome, Trial};
use supervisor::{Order, Shared, supervise};
use tokio::process::Command;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use crate::config::Config;

use super::work::work;
use super::{Changes, Deployment, Error, Owner, Platform, State, Status};

/// Its name in the API.
const NAME: &str = "local";

/// How long a function may take to end in order: it commits what it has begun.
const GRACE: Duration = Duration::from_secs(20);

/// How long a trial may take: to load a large model takes most of it.
const TRIAL: Duration = Duration::from_mins(2);

/// What the platform starts, and how.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The training function's binary.
    pub training: PathBuf,
    /// The inference function's binary.
    pub inference: PathBuf,
    /// ONNX Runtime's library; without, functions find it by their own environment.
    pub onnxruntime: Option<PathBuf>,
    /// How many trainings may run at once.
    pub training_slots: u32,
    /// What functions log: `info`, or by module as in `info,rdkafka=debug`.
    pub log: String,
    /// Where the functions' logs are kept; it exists.
    pub logs: PathBuf,
    /// How long a function may take to end in order.
    pub grace: Duration,
    /// How long a trial may take.
    pub trial: Duration,
    /// The pauses before it is started again.
    pub pauses: Pauses,
    /// For probes.
    pub client: reqwest::Client,
}

impl Settings {
    /// Those of the configuration. Functions log as this process does.
    ///
    /// # Errors
    /// The folder of their logs cannot be made, or this program's own place is not known.
    pub fn configured(config: &Config) -> io::Result<Self> {
        let binaries = config.platform.local.binaries()?;
        let logs = config.data.folder.join("functions");
        std::fs::create_dir_all(&logs)?;
        Ok(Self {
            training: binaries.join("millrace-training"),
            inference: binaries.join("millrace-inference"),
            onnxruntime: config.onnxruntime.library.clone(),
            training_slots: config.platform.local.training_slots,
            log: std::env::var("MILLRACE_LOG").unwrap_or_else(|_| "info".to_owned()),
            logs,
            grace: GRACE,
            trial: TRIAL,
            pauses: Pauses::default(),
            client: reqwest::Client::new(),
        })
    }

    /// The same with the inference function as it is packed for Lambda, unpacked in this folder.
    pub(super) fn packaged(self, folder: &Path) -> Self {
        Self {
            inference: folder.join("bootstrap"),
            onnxruntime: Some(folder.join("lib/libonnxruntime.so")),
            ..self
        }
    }
}

/// Functions as supervised child processes.
pub struct LocalPlatform {
    settings: Arc<Settings>,
    owners: StdMutex<BTreeMap<Owner, Arc<Mutex<Replicas>>>>,
    closing: AtomicBool,
    /// What readers see, who need not wait while functions end.
    visible: StdMutex<BTreeMap<(Owner, u32), Arc<Shared>>>,
    changes: Changes,
}

/// The replicas of one owner by ordinal. One that has been told to end stays until it has ended, so
/// that no other begins before.
type Replicas = BTreeMap<u32, Replica>;

struct Replica {
    orders: watch::Sender<Order>,
    supervisor: JoinHandle<()>,
}

impl LocalPlatform {
    /// A platform on which nothing runs yet. Its functions live as long as the runtime on which
    /// it is used.
    #[must_use]
    pub fn new(settings: Settings, changes: Changes) -> Self {
        Self {
            settings: Arc::new(settings),
            owners: StdMutex::default(),
            closing: AtomicBool::new(false),
            visible: StdMutex::default(),
            changes,
        }
    }

    /// Runs a version once, in a process of the inference function that ends with its answer.
    ///
    /// # Errors
    /// Why there was no answer.
    pub async fn try_out(&self, trial: &Trial) -> Result<Outcome, String> {
        trial::try_out(&self.settings, trial).await
    }

    fn replicas(&self, owner: Owner) -> Arc<Mutex<Replicas>> {
        let mut owners = lock(&self.owners);
        Arc::clone(owners.entry(owner).or_default())
    }

    fn start(&self, owner: Owner, spec: FunctionSpec) -> Replica {
        let ordinal = spec.ordinal;
        let shared = Arc::new(Shared {
            status: StdMutex::new(Status {
                platform: NAME,
                owner,
                ordinal,
                state: State::Starting,
                process_id: None,
                address: None,
                restarts: 0,
                started_at: None,
                last_exit: None,
            }),
            log: Log::open(log_path(&self.settings, owner, ordinal)),
            changes: self.changes.clone(),
        });
        lock(&self.visible).insert((owner, ordinal), Arc::clone(&shared));
        let (orders, receiver) = watch::channel(Order::Run(Box::new(spec)));
        let settings = Arc::clone(&self.settings);
        Replica {
            orders,
            supervisor: tokio::spawn(supervise(settings, shared, receiver)),
        }
    }

    /// Ends the replicas with these ordinals, all at the same time.
    async fn end(&self, owner: Owner, replicas: &mut Replicas, ordinals: &[u32]) {
        for replica in ordinals.iter().filter_map(|ordinal| replicas.get(ordinal)) {
            // A supervisor that is gone has no process either.
            drop(replica.orders.send(Order::End));
        }
        for ordinal in ordinals {
            let Some(replica) = replicas.get_mut(ordinal) else {
                continue;
            };
            if let Err(error) = (&mut replica.supervisor).await {
                tracing::error!(%error, "a supervisor failed");
            }
            replicas.remove(ordinal);
            lock(&self.visible).remove(&(owner, *ordinal));
        }
    }
}

#[async_trait]
impl Platform for LocalPlatform {
    fn name(&self) -> &'static str {
        NAME
    }

    fn guarantees(&self) -> &'static [Guarantee] {
        &[Guarantee::ExactlyOnce, Guarantee::AtLeastOnce]
    }

    fn is_pushed(&self) -> bool {
        false
    }

    fn ends_with_the_api(&self) -> bool {
        true
    }

    fn training_slots(&self) -> u32 {
        self.settings.training_slots
    }

    async fn deploy(&self, owner: Owner, deployment: Deployment) -> Result<(), Error> {
        let functions = deployment.functions;
        let replicas = self.replicas(owner);
        let mut replicas = replicas.lock().await;
        if self.closing.load(Ordering::SeqCst) {
            return Err(Error::Closing { platform: NAME });
        }
        let ending: Vec<u32> = replicas
            .iter()
            .filter(|(ordinal, replica)| {
                let wanted = functions.iter().any(|spec| spec.ordinal == **ordinal);
                !wanted || *replica.orders.borrow() == Order::End
            })
            .map(|(ordinal, _)| *ordinal)
            .collect();
        self.end(owner, &mut replicas, &ending).await;
        for spec in functions {
            match replicas.get(&spec.ordinal) {
                Some(replica) => give(&replica.orders, spec),
                None => {
                    replicas.insert(spec.ordinal, self.start(owner, spec));
                }
            }
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

    async fn log(&self, owner: Owner, ordinal: u32, last: usize) -> Vec<String> {
        let shared = lock(&self.visible).get(&(owner, ordinal)).cloned();
        shared.map_or_else(Vec::new, |shared| shared.log.last(last))
    }

    async fn shutdown(&self) {
        self.closing.store(true, Ordering::SeqCst);
        let owners = lock(&self.owners).clone();
        let ending = owners.into_iter().map(async |(owner, replicas)| {
            let mut replicas = replicas.lock().await;
            let ordinals: Vec<u32> = replicas.keys().copied().collect();
            self.end(owner, &mut replicas, &ordinals).await;
        });
        join_all(ending).await;
    }
}

/// A process of a function's program, in the environment that functions get.
pub(super) fn program(settings: &Settings, binary: &Path) -> Command {
    let mut command = Command::new(binary);
    for (variable, _) in std::env::vars_os() {
        // Functions resolve references to secrets in their environment, but have no business
        // with the database.
        if variable.to_string_lossy().starts_with("MILLRACE_DATABASE") {
            command.env_remove(variable);
        }
    }
    if let Some(library) = &settings.onnxruntime {
        command.env("MILLRACE_ONNXRUNTIME__LIBRARY", library);
    }
    command
        .env("MILLRACE_LOG", &settings.log)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C at the terminal is the API's: it then ends its functions in order.
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// Where a replica's log is kept.
pub(super) fn log_path(settings: &Settings, owner: Owner, ordinal: u32) -> PathBuf {
    let file = format!("{}{ordinal}.log", log_prefix(owner));
    settings.logs.join(file)
}

/// Removes the logs of an owner.
pub(super) fn remove_logs(settings: &Settings, owner: Owner) {
    let prefix = log_prefix(owner);
    let Ok(files) = std::fs::read_dir(&settings.logs) else {
        return;
    };
    for file in files.flatten() {
        if file.file_name().to_string_lossy().starts_with(&prefix) {
            Log::remove(&file.path());
        }
    }
}

/// What the names of an owner's logs begin with.
fn log_prefix(owner: Owner) -> String {
    match owner {
        Owner::TrainingPool => "training-".to_owned(),
        Owner::Inference(id) => format!("inference-{id}-"),
    }
}

/// A panic under one of these locks leaves nothing half done.
fn lock<T>(mutex: &StdMutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives a replica its specification. Only one that means other work makes it start anew.
fn give(orders: &watch::Sender<Order>, spec: FunctionSpec) {
    orders.send_if_modified(|order| {
        let anew = !matches!(order, Order::Run(present) if work(present) == work(&spec));
        *order = Order::Run(Box::new(spec));
        anew
    });
}
