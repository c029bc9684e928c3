//! The platform `kubernetes`: the functions of an owner are the pods of one `StatefulSet`, which read Kafka themselves.
//!
//! Invariant: a pod's ordinal is its replica's, so a `transactional.id` is used by one pod at a time; what goes on in the
//! cluster goes on without the API.

pub(super) mod cluster;
pub(super) mod kept;
pub(super) mod manifest;
pub(super) mod pod;
mod refused;
pub(super) mod watched;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::core::ApiResource;
use millrace_entity::inference::Guarantee;
use serde::{Deserialize, Serialize};

use self::cluster::Cluster;
use self::kept::Kept;
use self::manifest::{LONGEST_VARIABLE, Maker, shared};
use self::watched::Watched;
use super::{Changes, Deployment, Error, Owner, Platform, Status};
use crate::config;

/// Its name in the API.
pub(super) const NAME: &str = "kubernetes";

/// What this platform can be told of an inference.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// What each pod asks for, and takes at most.
    pub resources: Resources,
}

/// What a pod asks for, and takes at most, in Kubernetes' quantities. What is left out is as the configuration says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Resources {
    /// Processors that it asks for: `500m` or `2`.
    pub cpu: Option<String>,
    /// Processors that it takes at most.
    pub cpu_limit: Option<String>,
    /// Memory that it asks for: `512Mi`.
    pub memory: Option<String>,
    /// Memory that it takes at most.
    pub memory_limit: Option<String>,
}

/// Functions as pods of `StatefulSets`.
pub struct KubernetesPlatform {
    cluster: Arc<Cluster>,
    settings: config::Kubernetes,
    /// The folder of artifacts, where they lie on a volume.
    artifacts: Option<String>,
    sets: Kept,
    pods: Watched<Pod>,
    closing: AtomicBool,
}

impl KubernetesPlatform {
    /// The platform that the configuration names, which begins to watch its cluster. That need not be reachable.
    ///
    /// # Errors
    /// What the configuration lacks to find it.
    pub async fn configured(
        settings: &config::Kubernetes,
        artifacts: &str,
        changes: Changes,
    ) -> Result<Self, String> {
        let cluster = Arc::new(Cluster::configured(NAME, settings).await?);
        Ok(Self {
            sets: Kept::new(Arc::clone(&cluster), stateful_sets(), changes.clone()),
            pods: Watched::start(cluster.pods(), (), &cluster.own(), changes),
            cluster,
            settings: settings.clone(),
            artifacts: artifacts.strip_prefix("file://").map(str::to_owned),
            closing: AtomicBool::new(false),
        })
    }

    /// Ends an owner's functions.
    async fn end(&self, owner: Owner) -> Result<(), Error> {
        self.sets.end(&self.cluster.name(owner)).await?;
        let left = self.pods_of(owner).len();
        if left > 0 {
            return Err(self.cluster.unavailable(format!("still ends {left} pods")));
        }
        Ok(())
    }

    fn pods_of(&self, owner: Owner) -> Vec<Arc<Pod>> {
        let mut pods = self.pods.all();
        pods.retain(|pod| cluster::owner(pod.labels()) == Some(owner));
        pods
    }
}

#[async_trait]
impl Platform for KubernetesPlatform {
    fn name(&self) -> &'static str {
        NAME
    }

    fn guarantees(&self) -> &'static [Guarantee] {
        &[Guarantee::ExactlyOnce, Guarantee::AtLeastOnce]
    }

    fn is_pushed(&self) -> bool {
        false
    }

    fn training_slots(&self) -> u32 {
        self.settings.training_slots
    }

    async fn deploy(&self, owner: Owner, deployment: Deployment) -> Result<(), Error> {
        if self.closing.load(Ordering::SeqCst) {
            return Err(Error::Closing { platform: NAME });
        }
        self.sets.ready()?;
        self.pods
            .ready()
            .map_err(|message| self.cluster.unavailable(message))?;
        let Some(first) = deployment.functions.first() else {
            return self.end(owner).await;
        };
        let live = self.sets.live(&self.cluster.name(owner)).await?;
        let spec = shared(first, live.as_ref().map(|live| &live.data));
        if spec.to_json().len() >= LONGEST_VARIABLE {
            return Err(self.cluster.unavailable(
                "cannot give a pod a specification of more than 128 KiB; give its version fewer samples".to_owned(),
            ));
        }
        let maker = Maker {
            cluster: &self.cluster,
            settings: &self.settings,
            artifacts: self.artifacts.as_deref(),
        };
        let resources = deployment.options.kubernetes.unwrap_or_default().resources;
        let manifest = maker.stateful_set(owner, deployment.functions.len(), &spec, &resources);
        self.sets.keep(manifest, live).await
    }

    async fn remove(&self, owner: Owner) -> Result<(), Error> {
        self.deploy(owner, Deployment::default()).await
    }

    async fn functions(&self) -> Vec<Status> {
        let pods = self.pods.all();
        let mut functions: Vec<Status> = pods
            .iter()
            .filter_map(|pod| pod::status(NAME, pod))
            .collect();
        functions.sort_by_key(|status| (status.owner, status.ordinal));
        functions
    }

    async fn log(&self, owner: Owner, ordinal: u32, last: usize) -> Vec<String> {
        let name = format!("{}-{ordinal}", self.cluster.name(owner));
        match self.pods.named(&name) {
            Some(pod) => self.cluster.log(&pod, last).await,
            None => Vec::new(),
        }
    }

    async fn shutdown(&self) {
        self.closing.store(true, Ordering::SeqCst);
    }
}

fn stateful_sets() -> ApiResource {
    ApiResource {
        group: "apps".to_owned(),
        version: "v1".to_owned(),
        api_version: "apps/v1".to_owned(),
        kind: "StatefulSet".to_owned(),
        plural: "statefulsets".to_owned(),
    }
}
