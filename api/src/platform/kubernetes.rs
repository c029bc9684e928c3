//! The platform `kubernetes`: the functions of an owner are the pods of one `StatefulSet`, which read Kafka themselves.
//!
//! Invariant: a pod's ordinal is its replica's, so a `transactional.id` is used by one pod at a time; what goes on in the
//! cluster goes on without the API.

pub(super) mod cluster;
mod keda;
pub(super) mod kept;
pub(super) mod manifest;
pub(super) mod pod;
pub(super) mod proof;
mod refusals;
mod refused;
pub(super) mod watched;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::core::DynamicObject;
use millrace_entity::inference::Guarantee;
use serde::{Deserialize, Serialize};

use self::cluster::{Cluster, kind};
use self::keda::Keda;
pub use self::keda::Scaling;
use self::kept::Kept;
use self::manifest::{Maker, fits, shared};
use self::refusals::Refusals;
use self::watched::Watched;
use super::{Changes, Deployment, Error, Owner, Platform, State, Status};
use crate::config;

/// Its name in the API.
pub(super) const NAME: &str = "kubernetes";

/// What this platform can be told of an inference.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// What each pod asks for, and takes at most.
    pub resources: Resources,
    /// How it scales; it has its replicas where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaling: Option<Scaling>,
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
    keda: Option<Keda>,
    pods: Watched<Pod>,
    refusals: Refusals,
    closing: AtomicBool,
}

impl KubernetesPlatform {
    /// The platform that the configuration names, which begins to watch its cluster. That need not be reachable.
    ///
    /// # Errors
    /// What the configuration lacks to find it.
    pub async fn configured(
        settings: &config::Kubernetes,
        keda: &config::Keda,
        artifacts: &str,
        changes: Changes,
    ) -> Result<Self, String> {
        let cluster = Arc::new(Cluster::configured(NAME, settings).await?);
        let sets = kind("apps", "v1", "StatefulSet", "statefulsets");
        Ok(Self {
            sets: Kept::new(Arc::clone(&cluster), sets, changes.clone()),
            keda: Keda::configured(keda, &cluster, &changes),
            pods: Watched::start(cluster.pods(), (), cluster.own(), changes.clone()),
            refusals: Refusals::start(&cluster, changes),
            cluster,
            settings: settings.clone(),
            artifacts: artifacts.strip_prefix("file://").map(str::to_owned),
            closing: AtomicBool::new(false),
        })
    }

    fn ready(&self) -> Result<(), Error> {
        self.sets.ready()?;
        self.pods
            .ready()
            .map_err(|message| self.cluster.unavailable(message))?;
        self.keda.as_ref().map_or(Ok(()), Keda::ready)
    }

    /// Ends an owner's functions.
    async fn end(&self, owner: Owner) -> Result<(), Error> {
        let name = self.cluster.name(owner);
        if let Some(keda) = &self.keda {
            keda.end(&name).await?;
        }
        self.sets.end(&name).await?;
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

    /// The first function of a `StatefulSet` for which the cluster makes no pod, and why. What was said before the newest
    /// pod was made is over, also where no event told of that pod.
    fn without_pod(&self, set: &DynamicObject) -> Option<Status> {
        if set.metadata.deletion_timestamp.is_some() {
            return None; // None is wanted.
        }
        // Hardly any set has one, so this spares the look at all pods.
        let (said, why) = self.refusals.last(set)?;
        let owner = cluster::owner(set.labels())?;
        let pods = self.pods_of(owner);
        let newest = pods.iter().filter_map(|pod| pod.creation_timestamp()).max();
        if newest.is_some_and(|newest| newest.0 > said) {
            return None;
        }
        let wanted = u32::try_from(set.data["spec"]["replicas"].as_u64()?).ok()?;
        let made: Vec<u32> = pods.iter().filter_map(|pod| pod::ordinal(pod)).collect();
        let ordinal = (0..wanted).find(|ordinal| !made.contains(ordinal))?;
        Some(Status {
            platform: NAME,
            owner,
            ordinal,
            state: State::BackingOff,
            process_id: None,
            address: None,
            restarts: 0,
            started_at: None,
            last_exit: Some(format!("has no pod ({why})")),
        })
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

    fn check(&self, _owner: Owner, deployment: &Deployment) -> Result<(), String> {
        deployment.functions.first().map_or(Ok(()), fits)?;
        let options = deployment.options.kubernetes.as_ref();
        let is_scaled = options.is_some_and(|options| options.scaling.is_some());
        if is_scaled && self.keda.is_none() {
            return Err("scales no pods by itself: install KEDA and set platform.keda.enabled, or leave `scaling` out".to_owned());
        }
        Ok(())
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
        let name = self.cluster.name(owner);
        let live = self.sets.live(&name).await?;
        let spec = shared(first, live.as_ref().map(|live| &live.data));
        self.check(owner, &deployment)
            .map_err(|message| self.cluster.unavailable(message))?;
        let maker = Maker {
            cluster: &self.cluster,
            settings: &self.settings,
            artifacts: self.artifacts.as_deref(),
        };
        let options = deployment.options.kubernetes.clone().unwrap_or_default();
        let least = deployment.functions.len();
        let mut manifest = maker.stateful_set(owner, least, &spec, &options.resources);
        match (&self.keda, &options.scaling) {
            (None, _) => self.sets.keep(manifest, live).await,
            (Some(keda), None) => {
                keda.end(&name).await?;
                self.sets.keep(manifest, live).await
            }
            (Some(keda), Some(scaling)) => {
                // KEDA's from here on, whatever it is at the moment.
                if let Some(set) = manifest["spec"].as_object_mut() {
                    set.remove("replicas");
                }
                self.sets.keep(manifest, live).await?;
                keda.keep(owner, &spec, least, scaling).await
            }
        }
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
        let sets = self.sets.all();
        functions.extend(sets.iter().filter_map(|set| self.without_pod(set)));
        functions.sort_by_key(|status| (status.owner, status.ordinal));
        functions
    }

    fn remark(&self, owner: Owner) -> Option<String> {
        self.keda.as_ref()?.remark(&self.cluster.name(owner))
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
