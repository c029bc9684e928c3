//! What stands in the cluster, kept up to date by a watch.
//!
//! Invariant: once it has seen the cluster it always has an answer, at worst an old one. A watch that breaks begins again by
//! itself, and says so once.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use futures::{FutureExt as _, StreamExt as _};
use kube::runtime::reflector::Store;
use kube::runtime::reflector::store::Writer;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;

use super::super::Changes;

/// Objects of one kind.
pub(in crate::platform) struct Watched<K>
where
    K: Resource + Clone + 'static,
    K::DynamicType: Eq + Hash + Clone,
{
    store: Store<K>,
    trouble: Arc<Mutex<Option<String>>>,
    task: JoinHandle<()>,
}

impl<K> Watched<K>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K::DynamicType: Debug + Eq + Hash + Clone + Send + Sync,
{
    /// Watches the objects that `selected` has, and tells of each change.
    pub(in crate::platform) fn start(
        objects: Api<K>,
        kind: K::DynamicType,
        selected: watcher::Config,
        changes: Changes,
    ) -> Self {
        let what = K::plural(&kind).into_owned();
        let known_as = format!("{what} of {}", K::api_version(&kind));
        let writer = Writer::new(kind);
        let store = writer.as_reader();
        let trouble = Arc::new(Mutex::new(None));
        let events = watcher(objects, selected).default_backoff().reflect(writer);
        let told = Arc::clone(&trouble);
        let task = tokio::spawn(async move {
            let mut events = std::pin::pin!(events);
            while let Some(event) = events.next().await {
                let now = event.err().map(|error| reason(&error, &known_as));
                let before = std::mem::replace(
                    &mut *told.lock().unwrap_or_else(PoisonError::into_inner),
                    now.clone(),
                );
                if let Some(reason) = now.filter(|now| before.as_ref() != Some(now)) {
                    tracing::warn!(
                        kubernetes.kind = what,
                        reason,
                        "the watch of a cluster broke, and begins again"
                    );
                }
                changes.send();
            }
        });
        Self {
            store,
            trouble,
            task,
        }
    }

    /// Whether it has seen the cluster.
    ///
    /// # Errors
    /// Why not.
    pub(in crate::platform) fn ready(&self) -> Result<(), String> {
        if self.store.wait_until_ready().now_or_never().is_some() {
            return Ok(());
        }
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        Err(match trouble.as_ref() {
            Some(trouble) => format!("cannot see what stands in its cluster: {trouble}"),
            None => "is still looking at what stands in its cluster".to_owned(),
        })
    }

    /// All of them.
    pub(in crate::platform) fn all(&self) -> Vec<Arc<K>> {
        self.store.state()
    }

    /// The one of this name.
    pub(in crate::platform) fn named(&self, name: &str) -> Option<Arc<K>> {
        self.store.find(|object| object.name_any() == name)
    }
}

impl<K> Drop for Watched<K>
where
    K: Resource + Clone + 'static,
    K::DynamicType: Eq + Hash + Clone,
{
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn reason(error: &watcher::Error, known_as: &str) -> String {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == 404 => {
            format!("it knows no {known_as}, so what these are part of has to be installed first")
        }
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => super::cluster::words(error),
        error => error.to_string(),
    }
}
