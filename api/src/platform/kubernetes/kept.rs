//! Objects of one kind that Millrace keeps as they are wanted.
//!
//! Invariant: nothing is asked of the cluster while it shows the very generation that was applied last for the same
//! manifest; whoever edits a field of it finds the edit undone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use kube::ResourceExt as _;
use kube::core::{ApiResource, DynamicObject};
use serde_json::Value;

use super::super::{Changes, Error};
use super::cluster::Cluster;
use super::refused::Refused;
use super::watched::Watched;

/// Objects of one kind.
pub(in crate::platform) struct Kept {
    cluster: Arc<Cluster>,
    kind: ApiResource,
    watched: Watched<DynamicObject>,
    /// By name.
    applied: Mutex<HashMap<String, Applied>>,
    refused: Mutex<Refused>,
}

/// What was applied, and what the cluster made of it.
#[derive(Clone, PartialEq)]
struct Applied {
    manifest: Value,
    uid: Option<String>,
    generation: Option<i64>,
}

impl Kept {
    /// Begins to watch them.
    pub(in crate::platform) fn new(
        cluster: Arc<Cluster>,
        kind: ApiResource,
        changes: Changes,
    ) -> Self {
        let objects = cluster.objects(&kind);
        let watched = Watched::start(objects, kind.clone(), cluster.own(), changes);
        Self {
            cluster,
            kind,
            watched,
            applied: Mutex::default(),
            refused: Mutex::default(),
        }
    }

    /// Whether it is known what stands.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(in crate::platform) fn ready(&self) -> Result<(), Error> {
        self.watched
            .ready()
            .map_err(|message| self.cluster.unavailable(message))
    }

    /// What was seen under this name.
    pub(in crate::platform) fn seen(&self, name: &str) -> Option<Arc<DynamicObject>> {
        self.watched.named(name)
    }

    /// All that was seen.
    pub(in crate::platform) fn all(&self) -> Vec<Arc<DynamicObject>> {
        self.watched.all()
    }

    /// What stands under this name: as it was seen, or, for one that was not, as it is found.
    ///
    /// # Errors
    /// [`Error::Unavailable`], where it is not Millrace's too.
    pub(in crate::platform) async fn live(
        &self,
        name: &str,
    ) -> Result<Option<Arc<DynamicObject>>, Error> {
        match self.watched.named(name) {
            Some(seen) => Ok(Some(seen)),
            None => Ok(self.cluster.find(&self.kind, name).await?.map(Arc::new)),
        }
    }

    /// Applies the manifest unless it stands already. `live` is what [`Self::live`] gave.
    ///
    /// # Errors
    /// [`Error::Unavailable`], while an older one is being deleted too.
    pub(in crate::platform) async fn keep(
        &self,
        manifest: Value,
        live: Option<Arc<DynamicObject>>,
    ) -> Result<(), Error> {
        let name = manifest["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        if live.is_some_and(|live| self.stands(&name, &manifest, &live)) {
            return Ok(());
        }
        if let Some(message) = self.refused().still(&name, &manifest, Instant::now()) {
            return Err(self.cluster.unavailable(message.to_owned()));
        }
        // What was seen may be older than what stands.
        let live = self.cluster.find(&self.kind, &name).await?;
        if let Some(live) = &live {
            if live.metadata.deletion_timestamp.is_some() {
                return Err(self.ends(&name));
            }
            if self.stands(&name, &manifest, live) {
                return Ok(());
            }
        }
        let applied = self
            .cluster
            .apply(&self.kind, &manifest, live.as_ref())
            .await;
        if let Err(Error::Unavailable { message, .. }) = &applied {
            self.refused()
                .note(&name, &manifest, message, Instant::now());
        }
        let applied = applied?;
        self.refused().forget(&name);
        tracing::info!(
            kubernetes.kind = self.kind.kind,
            kubernetes.name = name,
            kubernetes.generation = applied.metadata.generation,
            "applied"
        );
        let applied = Applied {
            manifest,
            uid: applied.uid(),
            generation: applied.metadata.generation,
        };
        self.lock().insert(name, applied);
        Ok(())
    }

    fn stands(&self, name: &str, manifest: &Value, live: &DynamicObject) -> bool {
        let applied = self.lock();
        let Some(applied) = applied.get(name) else {
            return false;
        };
        live.metadata.deletion_timestamp.is_none()
            && applied.manifest == *manifest
            && applied.uid == live.uid()
            && applied.generation == live.metadata.generation
            // These two do not count for the generation.
            && has(&manifest["metadata"]["labels"], live.labels())
            && has(&manifest["metadata"]["annotations"], live.annotations())
    }

    /// Has the object of this name deleted.
    ///
    /// # Errors
    /// [`Error::Unavailable`] until it is gone.
    pub(in crate::platform) async fn end(&self, name: &str) -> Result<(), Error> {
        self.refused().forget(name);
        let Some(live) = self.standing(name).await? else {
            self.lock().remove(name);
            return Ok(());
        };
        if live.metadata.deletion_timestamp.is_none() {
            self.cluster.delete(&self.kind, &live).await?;
            tracing::info!(
                kubernetes.kind = self.kind.kind,
                kubernetes.name = name,
                "deleted"
            );
        }
        Err(self.ends(name))
    }

    /// What stands under this name, without a question where nothing does.
    ///
    /// # Errors
    /// [`Error::Unavailable`], where it is not Millrace's too.
    pub(in crate::platform) async fn standing(
        &self,
        name: &str,
    ) -> Result<Option<Arc<DynamicObject>>, Error> {
        let was_applied = self.lock().contains_key(name);
        match self.watched.named(name) {
            Some(seen) => Ok(Some(seen)),
            // It may have been applied just now, and not been seen yet.
            None if was_applied => Ok(self.cluster.find(&self.kind, name).await?.map(Arc::new)),
            None => Ok(None),
        }
    }

    /// Changes fields of what stands, until it is applied again.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(in crate::platform) async fn merge(
        &self,
        live: &DynamicObject,
        fields: &Value,
    ) -> Result<DynamicObject, Error> {
        self.cluster.merge(&self.kind, live, fields).await
    }

    fn ends(&self, name: &str) -> Error {
        self.cluster.unavailable(format!(
            "still ends the {} {name}; see `kubectl --namespace {} get pods`",
            self.kind.kind,
            self.cluster.namespace()
        ))
    }

    fn refused(&self) -> MutexGuard<'_, Refused> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Applied>> {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether these labels or annotations are among those of the object.
fn has(wanted: &Value, live: &std::collections::BTreeMap<String, String>) -> bool {
    let Some(wanted) = wanted.as_object() else {
        return true;
    };
    wanted
        .iter()
        .all(|(name, value)| live.get(name).map(String::as_str) == value.as_str())
}
