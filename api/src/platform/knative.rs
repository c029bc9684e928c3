//! The platform `knative`: an inference is a Knative Service, which scales by itself, and a `KafkaSource` that brings it
//! its records; the training pool is one, too, which its commands are brought to.
//!
//! Invariant: the source pauses before the Service ends, so no request is lost on its way. It goes only when its offsets are
//! saved, since Knative deletes the consumer group with it. A Service is one function to Millrace, however many pods it has.

mod service;
mod source;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::core::DynamicObject;
use millrace_entity::inference::Guarantee;
use millrace_wire::function::{Requests, Trigger};
use serde::{Deserialize, Serialize};
use serde_json::json;

use self::service::Pace;
use self::source::Fed;
use super::kubernetes::cluster::{self, Cluster, condition, kind};
use super::kubernetes::kept::Kept;
use super::kubernetes::manifest::{Maker, fits, shared};
use super::kubernetes::pod;
use super::kubernetes::watched::Watched;
use super::{Changes, Deployment, Error, Owner, Platform, Resources, State, Status};
use crate::config;

/// Its name in the API.
pub(super) const NAME: &str = "knative";
/// Seconds that a request may take at most, as Knative has it unless it is told otherwise.
const LONGEST_SECONDS: u32 = 600;
/// Requests that one pod answers at once at most, as Knative has it.
const MOST_CONCURRENT: u32 = 1000;

/// What this platform can be told of an inference.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Pods that stay without records; 0 lets it sleep.
    pub min_scale: Option<u32>,
    /// Pods at most; without it there is no limit.
    pub max_scale: Option<u32>,
    /// Requests that one pod answers at once, at which another one begins.
    pub target: Option<u32>,
    /// Whether records of one partition come at once, in no order.
    pub unordered: bool,
    /// Consumers of the source.
    pub consumers: Option<u32>,
    /// Seconds that an answer may take.
    pub timeout_seconds: Option<u32>,
    /// What each pod asks for, and takes at most.
    pub resources: Resources,
}

impl Options {
    /// Refuses what Knative's webhook would refuse.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), String> {
        if let (Some(min), Some(max)) = (self.min_scale, self.max_scale)
            && max != 0
            && min > max
        {
            return Err(format!("minScale {min} is more than maxScale {max}"));
        }
        if self
            .target
            .is_some_and(|target| !(1..=MOST_CONCURRENT).contains(&target))
        {
            return Err(format!("target is 1 to {MOST_CONCURRENT} requests"));
        }
        if self
            .timeout_seconds
            .is_some_and(|seconds| !(1..=LONGEST_SECONDS).contains(&seconds))
        {
            return Err(format!("timeoutSeconds is 1 to {LONGEST_SECONDS}"));
        }
        if self.consumers == Some(0) {
            return Err("a source has at least 1 of consumers".to_owned());
        }
        Ok(())
    }
}

/// Functions as Knative Services.
pub struct KnativePlatform {
    cluster: Arc<Cluster>,
    settings: config::Kubernetes,
    secret: Option<String>,
    /// The folder of artifacts, where they lie on a volume.
    artifacts: Option<String>,
    services: Kept,
    sources: Kept,
    pods: Watched<Pod>,
    closing: AtomicBool,
}

impl KnativePlatform {
    /// The platform that the configuration names, which begins to watch its cluster. That need not be reachable.
    ///
    /// # Errors
    /// What the configuration lacks to find it.
    pub async fn configured(
        settings: &config::Kubernetes,
        own: &config::Knative,
        artifacts: &str,
        changes: Changes,
    ) -> Result<Self, String> {
        let cluster = Arc::new(Cluster::configured(NAME, settings).await?);
        let service = kind("serving.knative.dev", "v1", "Service", "services");
        let source = kind("sources.knative.dev", "v1", "KafkaSource", "kafkasources");
        Ok(Self {
            services: Kept::new(Arc::clone(&cluster), service, changes.clone()),
            sources: Kept::new(Arc::clone(&cluster), source, changes.clone()),
            pods: Watched::start(cluster.pods(), (), cluster.own(), changes),
            cluster,
            settings: settings.clone(),
            secret: own.secret.clone(),
            artifacts: artifacts.strip_prefix("file://").map(str::to_owned),
            closing: AtomicBool::new(false),
        })
    }

    fn ready(&self) -> Result<(), Error> {
        self.services.ready()?;
        self.sources.ready()?;
        self.pods
            .ready()
            .map_err(|message| self.cluster.unavailable(message))
    }

    async fn end(&self, owner: Owner) -> Result<(), Error> {
        let name = self.cluster.name(owner);
        self.pause(&name).await?;
        self.services.end(&name).await?;
        let left = self
            .pods
            .all()
            .iter()
            .filter(|pod| cluster::owner(pod.labels()) == Some(owner))
            .count();
        if left > 0 {
            return Err(self.cluster.unavailable(format!("still ends {left} pods")));
        }
        Ok(())
    }

    /// Has the source of this name bring nothing any more.
    async fn pause(&self, name: &str) -> Result<(), Error> {
        let Some(live) = self.sources.standing(name).await? else {
            return Ok(());
        };
        if live.metadata.deletion_timestamp.is_some() {
            return self.sources.end(name).await;
        }
        let status = &live.data["status"];
        let is_of_now = status["observedGeneration"].as_i64() == live.metadata.generation;
        // Knative leaves a number out that is 0.
        let consumers = status["consumers"].as_i64().unwrap_or(0);
        if live.data["spec"]["consumers"] != 0 {
            let none = json!({"spec": {"consumers": 0}});
            self.sources.merge(&live, &none).await?;
        } else if is_of_now && consumers == 0 {
            return Ok(());
        }
        Err(self
            .cluster
            .unavailable(format!("still pauses the KafkaSource {name}")))
    }

    /// A Service as a function: what Knative says of it and of its source, and of its pods where these have trouble.
    fn status(&self, service: &DynamicObject, pods: &[Status]) -> Option<Status> {
        let owner = cluster::owner(service.labels())?;
        let source = self.sources.seen(&service.name_any());
        let broken = pods
            .iter()
            .find(|pod| pod.owner == owner && pod.state == State::BackingOff);
        let (state, last_exit) = match (unready(service), source.map(|source| unready(&source))) {
            (None, Some(None)) => (State::Running, None),
            _ if broken.is_some() => (
                State::BackingOff,
                broken.and_then(|pod| pod.last_exit.clone()),
            ),
            (Some(Unready::Failed(why)), _) => {
                (State::BackingOff, Some(format!("is not ready ({why})")))
            }
            (_, Some(Some(Unready::Failed(why)))) => (
                State::BackingOff,
                Some(format!("is brought no records ({why})")),
            ),
            (Some(Unready::Unknown(Some(why))), _) => {
                (State::Starting, Some(format!("is not ready yet ({why})")))
            }
            (_, Some(Some(Unready::Unknown(Some(why))))) => (
                State::Starting,
                Some(format!("is brought no records yet ({why})")),
            ),
            _ => (State::Starting, None),
        };
        Some(Status {
            platform: NAME,
            owner,
            ordinal: 0,
            state,
            process_id: None,
            address: service.data["status"]["url"].as_str().map(str::to_owned),
            restarts: pods
                .iter()
                .filter(|pod| pod.owner == owner)
                .map(|pod| pod.restarts)
                .sum(),
            started_at: None,
            last_exit,
        })
    }
}

/// Why something of Knative's is not ready.
enum Unready {
    /// It is on its way; with what Knative says that it waits for.
    Unknown(Option<String>),
    /// Knative's reason and message.
    Failed(String),
}

/// None where its condition `Ready` is true, for what was applied last.
fn unready(object: &DynamicObject) -> Option<Unready> {
    let seen = object.data["status"]["observedGeneration"].as_i64();
    let is_of_now = seen == object.metadata.generation;
    match condition(object, "Ready").filter(|_| is_of_now) {
        Some(("True", _)) => None,
        Some(("False", why)) => Some(Unready::Failed(why)),
        Some((_, why)) if !why.is_empty() => Some(Unready::Unknown(Some(why))),
        _ => Some(Unready::Unknown(None)),
    }
}

#[async_trait]
impl Platform for KnativePlatform {
    fn name(&self) -> &'static str {
        NAME
    }

    fn guarantees(&self) -> &'static [Guarantee] {
        &[Guarantee::AtLeastOnce]
    }

    fn is_pushed(&self) -> bool {
        true
    }

    fn training_slots(&self) -> u32 {
        self.settings.training_slots
    }

    fn check(&self, owner: Owner, deployment: &Deployment) -> Result<(), String> {
        let Some(first) = deployment.functions.first() else {
            return Ok(());
        };
        if self.artifacts.is_some() {
            return Err("mounts no volume of artifacts, which is a feature of Knative's that is off unless it is asked for: set artifacts.url to s3://…".to_owned());
        }
        fits(first)?;
        let options = deployment.options.knative.clone().unwrap_or_default();
        options
            .check()
            .map_err(|message| format!("would refuse its options: {message}"))?;
        let slots = self.settings.training_slots;
        let seconds = Pace::new(&first.role, &options, slots).timeout_seconds;
        let fed = Fed::new(first, &options, slots, seconds);
        source::source(&self.cluster, owner, first, &fed, self.secret.as_deref()).map(|_| ())
    }

    async fn reach(&self, _owner: Owner) -> Result<(), Error> {
        self.ready()
    }

    async fn deploy(&self, owner: Owner, deployment: Deployment) -> Result<(), Error> {
        if self.closing.load(Ordering::SeqCst) {
            return Err(Error::Closing { platform: NAME });
        }
        self.ready()?;
        let Some(first) = deployment.functions.first() else {
            return self.end(owner).await;
        };
        self.check(owner, &deployment)
            .map_err(|message| self.cluster.unavailable(message))?;
        let options = deployment.options.knative.clone().unwrap_or_default();
        let name = self.cluster.name(owner);
        let live = self.services.live(&name).await?;
        let slots = self.settings.training_slots;
        let pace = Pace::new(&first.role, &options, slots);
        let wanted = first.clone().triggered_by(Trigger::Knative(Requests {
            timeout_seconds: pace.timeout_seconds,
        }));
        let spec = shared(&wanted, live.as_ref().map(|live| &live.data));
        let fed = Fed::new(&spec, &options, slots, pace.timeout_seconds);
        let source = source::source(&self.cluster, owner, &spec, &fed, self.secret.as_deref());
        let source = source.map_err(|message| self.cluster.unavailable(message))?;
        let maker = Maker {
            cluster: &self.cluster,
            settings: &self.settings,
            artifacts: None,
        };
        let service = service::service(&maker, owner, &spec, &options, &pace);
        self.services.keep(service, live).await?;
        let live = self.sources.live(&name).await?;
        self.sources.keep(source, live).await
    }

    async fn forget(&self, owner: Owner) -> Result<(), Error> {
        self.ready()?;
        self.sources.end(&self.cluster.name(owner)).await
    }

    async fn remove(&self, owner: Owner) -> Result<(), Error> {
        self.deploy(owner, Deployment::default()).await?;
        self.forget(owner).await
    }

    async fn functions(&self) -> Vec<Status> {
        let pods = self.pods.all();
        let pods: Vec<Status> = pods
            .iter()
            .filter_map(|pod| pod::status(NAME, pod))
            .collect();
        let services = self.services.all();
        services
            .iter()
            .filter_map(|service| self.status(service, &pods))
            .collect()
    }

    async fn log(&self, owner: Owner, _ordinal: u32, last: usize) -> Vec<String> {
        let mut pods = self.pods.all();
        pods.retain(|pod| cluster::owner(pod.labels()) == Some(owner));
        // That of one pod: lines of several would stand in no order.
        pods.sort_by_key(|pod| std::cmp::Reverse(pod.creation_timestamp()));
        match pods.first() {
            Some(pod) => self.cluster.log(pod, last).await,
            None => Vec::new(),
        }
    }

    async fn shutdown(&self) {
        self.closing.store(true, Ordering::SeqCst);
    }
}
