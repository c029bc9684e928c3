//! What a pod is to Millrace: a function's state, and what is wrong with it in Kubernetes' own words.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;

use super::super::{State, Status};
use super::cluster;

/// The name of the container that is the function.
pub(in crate::platform) const CONTAINER: &str = "function";
/// Where functions listen: for probes and metrics, and for records that are brought.
pub(in crate::platform) const PORT: u16 = 8090;
/// The label that holds a pod's place among those of its `StatefulSet`.
pub(in crate::platform) const INDEX: &str = "apps.kubernetes.io/pod-index";

/// Longest that is told of what a function said last.
const LAST_WORDS: usize = 300;

/// A pod as a function. None where its labels are not those of one.
pub(in crate::platform) fn status(platform: &'static str, pod: &Pod) -> Option<Status> {
    let owner = cluster::owner(pod.labels())?;
    let container = container(pod);
    let (state, trouble) = state(pod, container);
    let running = container.and_then(|container| container.state.as_ref()?.running.as_ref());
    let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone());
    Some(Status {
        platform,
        owner,
        ordinal: ordinal(pod).unwrap_or(0),
        state,
        process_id: None,
        address: address.map(|address| socket(&address)),
        restarts: container.map_or(0, |container| {
            u32::try_from(container.restart_count).unwrap_or(0)
        }),
        started_at: running
            .and_then(|running| running.started_at.as_ref())
            .and_then(|time| moment(time.0)),
        last_exit: trouble.or_else(|| last_end(container?).map(ended)),
    })
}

/// A pod's place among those of its `StatefulSet`.
pub(in crate::platform) fn ordinal(pod: &Pod) -> Option<u32> {
    pod.labels().get(INDEX)?.parse().ok()
}

/// The container that is the function, as the pod's node sees it.
pub(in crate::platform) fn container(pod: &Pod) -> Option<&ContainerStatus> {
    let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
    containers
        .iter()
        .find(|container| container.name == CONTAINER)
}

/// How it is; and, where it does not get on, why.
fn state(pod: &Pod, container: Option<&ContainerStatus>) -> (State, Option<String>) {
    if pod.metadata.deletion_timestamp.is_some() {
        return (State::Starting, None); // It ends, and another begins where one is wanted.
    }
    let Some(status) = &pod.status else {
        return (State::Starting, None);
    };
    if status.phase.as_deref() == Some("Failed") {
        let why = because(status.reason.as_deref(), status.message.as_deref());
        return (
            State::BackingOff,
            Some(format!("was ended by its node{why}")),
        );
    }
    let Some(state) = container.and_then(|container| container.state.as_ref()) else {
        let conditions = status.conditions.iter().flatten();
        let mut unplaced =
            conditions.filter(|one| one.type_ == "PodScheduled" && one.status == "False");
        return match unplaced.next() {
            Some(one) => {
                let why = because(one.reason.as_deref(), one.message.as_deref());
                (State::BackingOff, Some(format!("has no node{why}")))
            }
            None => (State::Starting, None),
        };
    };
    if let Some(end) = &state.terminated {
        return (State::BackingOff, Some(ended(end)));
    }
    if let Some(waiting) = &state.waiting {
        let last = container.and_then(last_end);
        return match (waiting.reason.as_deref(), last) {
            (None | Some("ContainerCreating" | "PodInitializing"), _) => (State::Starting, None),
            (Some("CrashLoopBackOff"), Some(end)) => (
                State::BackingOff,
                Some(format!("{} (CrashLoopBackOff)", ended(end))),
            ),
            (reason, _) => {
                let why = because(reason, waiting.message.as_deref());
                (State::BackingOff, Some(format!("cannot be started{why}")))
            }
        };
    }
    if container.is_some_and(|container| container.ready) {
        (State::Running, None)
    } else {
        (State::Starting, None)
    }
}

fn last_end(container: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    container.last_state.as_ref()?.terminated.as_ref()
}

/// How a process ended, with the last line that it said.
fn ended(end: &ContainerStateTerminated) -> String {
    let how = match end.reason.as_deref() {
        Some("OOMKilled") => "was killed for its memory (OOMKilled)".to_owned(),
        _ => format!("ended with exit code {}", end.exit_code),
    };
    let said = end.message.as_deref().unwrap_or_default().trim();
    let Some(line) = said.lines().next_back() else {
        return how;
    };
    let line: String = line.chars().take(LAST_WORDS).collect();
    format!("{how}: {line}")
}

fn because(reason: Option<&str>, message: Option<&str>) -> String {
    match (reason, message) {
        (Some(reason), Some(message)) => format!(" ({reason}: {message})"),
        (Some(word), None) | (None, Some(word)) => format!(" ({word})"),
        (None, None) => String::new(),
    }
}

fn socket(address: &str) -> String {
    if address.contains(':') {
        format!("[{address}]:{PORT}")
    } else {
        format!("{address}:{PORT}")
    }
}

fn moment(time: Timestamp) -> Option<chrono::DateTime<chrono::Utc>> {
    chrono::DateTime::from_timestamp(time.as_second(), 0)
}
