//! Why the cluster makes no pod for a `StatefulSet`: a quota, a policy. Its controller says so in events alone.
//!
//! Invariant: an event counts for the very object that it is about, not for another one of its name; and a refusal only until
//! a pod was made after it.

use k8s_openapi::api::core::v1::Event;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::core::DynamicObject;
use kube::runtime::watcher::Config;

use super::super::Changes;
use super::cluster::Cluster;
use super::watched::Watched;

/// What the controllers of `StatefulSets` said lately.
pub(super) struct Refusals(Watched<Event>);

impl Refusals {
    /// Begins to listen.
    pub(super) fn start(cluster: &Cluster, changes: Changes) -> Self {
        // Events have no labels of ours.
        let selected = Config::default().fields("involvedObject.kind=StatefulSet");
        Self(Watched::start(cluster.events(), (), selected, changes))
    }

    /// Why pods of this object are not made, in Kubernetes' words, and when that was said last.
    pub(super) fn last(&self, set: &DynamicObject) -> Option<(Timestamp, String)> {
        let uid = set.uid()?;
        let events = self.0.all();
        let (said, event) = events
            .iter()
            .filter(|event| event.involved_object.uid.as_ref() == Some(&uid))
            .filter(|event| {
                is_refusal(event) || event.reason.as_deref() == Some("SuccessfulCreate")
            })
            .filter_map(|event| Some((time(event)?, event)))
            // Of one second, which is as fine as they tell the time, the refusal counts: the others may be of other pods.
            .max_by_key(|(said, event)| (*said, is_refusal(event)))
            .filter(|(_, event)| is_refusal(event))?;
        let message = event.message.as_deref().unwrap_or("without a message");
        Some((said, format!("FailedCreate: {message}")))
    }
}

fn is_refusal(event: &Event) -> bool {
    event.reason.as_deref() == Some("FailedCreate")
}

/// When it was said last.
fn time(event: &Event) -> Option<Timestamp> {
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    last.or_else(|| event.event_time.as_ref().map(|time| time.0))
}
