//! How functions are, from what nodes say of their pods.

use millrace_api::platform::{Deployment, Platform as _, State};
use serde_json::{Value, json};

use super::cluster::{Cluster, deploy, function, inference};

/// What a node says of the container, and what is made of it.
fn cases() -> Vec<(Value, State, &'static [&'static str])> {
    let status = |ready: bool, restarts: u32, state: Value, last: Value| {
        json!({"phase": "Running", "podIP": "10.0.0.7", "containerStatuses": [{
            "name": "function", "image": "i", "imageID": "", "ready": ready, "restartCount": restarts,
            "state": state, "lastState": last,
        }]})
    };
    let now = "2026-01-02T03:04:05Z";
    let end = |code: i32, reason: &str, message: &str| json!({"terminated": {"exitCode": code, "reason": reason, "message": message, "startedAt": now, "finishedAt": now}});
    let waits =
        |reason: &str, message: &str| json!({"waiting": {"reason": reason, "message": message}});
    let unplaced = json!({"phase": "Pending", "conditions": [{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/3 nodes are available: 3 Insufficient memory.",
    }]});
    let evicted = json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory.",
        "containerStatuses": []});
    vec![
        (
            unplaced,
            State::BackingOff,
            &["Unschedulable", "3 Insufficient memory"],
        ),
        (
            status(false, 0, waits("ContainerCreating", ""), json!({})),
            State::Starting,
            &[],
        ),
        (
            status(
                false,
                0,
                waits("ImagePullBackOff", "Back-off pulling image \"i\""),
                json!({}),
            ),
            State::BackingOff,
            &[
                "cannot be started",
                "ImagePullBackOff",
                "Back-off pulling image",
            ],
        ),
        (
            status(
                false,
                0,
                waits(
                    "CreateContainerConfigError",
                    "secret \"millrace-kafka\" not found",
                ),
                json!({}),
            ),
            State::BackingOff,
            &[
                "CreateContainerConfigError",
                "secret \"millrace-kafka\" not found",
            ],
        ),
        (
            status(false, 0, json!({"running": {"startedAt": now}}), json!({})),
            State::Starting,
            &[],
        ),
        (
            status(true, 0, json!({"running": {"startedAt": now}}), json!({})),
            State::Running,
            &[],
        ),
        (
            status(
                false,
                3,
                waits("CrashLoopBackOff", "back-off 40s"),
                end(1, "Error", "INFO starts\nERROR no broker\n"),
            ),
            State::BackingOff,
            &["exit code 1", "ERROR no broker", "CrashLoopBackOff"],
        ),
        (
            status(
                false,
                4,
                waits("CrashLoopBackOff", "back-off 80s"),
                end(137, "OOMKilled", ""),
            ),
            State::BackingOff,
            &["OOMKilled"],
        ),
        (evicted, State::BackingOff, &["Evicted", "low on resource"]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kubernetes' API server: make test-kubernetes"]
async fn what_is_wrong_with_a_pod_is_told_in_kubernetes_words() {
    let cluster = Cluster::start().await;
    let platform = cluster.platform().await;
    let (owner, wanted) = inference(2);
    deploy(&platform, owner, &wanted).await;
    // The pod security standard would refuse one that asks for more than it may.
    let path = cluster.make_pod(owner, 1).await;
    for (status, state, words) in cases() {
        // In place of what was said before.
        let mut pod = cluster.server.get(&path).await.unwrap();
        pod["status"] = status.clone();
        cluster
            .server
            .replace(&format!("{path}/status"), &pod)
            .await;
        let seen = function(&platform, &status.to_string(), |seen| {
            let said = seen.last_exit.as_deref().unwrap_or_default();
            seen.owner == owner
                && seen.ordinal == 1
                && seen.state == state
                && words.iter().all(|word| said.contains(word))
                && seen.last_exit.is_none() == words.is_empty()
        })
        .await;
        assert_eq!(seen.platform, "kubernetes");
        if state == State::Running {
            assert_eq!(seen.address.as_deref(), Some("10.0.0.7:8090"));
            assert_eq!(
                seen.started_at.unwrap().to_rfc3339(),
                "2026-01-02T03:04:05+00:00"
            );
        }
    }
    // It may be asked for; no node has one here.
    assert_eq!(platform.log(owner, 1, 10).await, [""; 0]);
    cluster.server.delete(&path).await;
    millrace_harness::wait_until("it is forgotten", super::cluster::LIMIT, async || {
        let left = platform.functions().await;
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kubernetes' API server: make test-kubernetes"]
async fn why_there_is_no_pod_is_told_in_kubernetes_words() {
    let cluster = Cluster::start().await;
    let platform = cluster.platform().await;
    let (owner, wanted) = inference(2);
    deploy(&platform, owner, &wanted).await;
    let set = cluster.server.get(&cluster.set(owner)).await.unwrap();
    let events = format!("/api/v1/namespaces/{}/events", cluster.namespace);
    // What the controller says of an object of this name.
    let event = |name: &str, uid: &Value, time: &str, reason: &str, message: &str| {
        json!({
            "metadata": {"name": name, "namespace": cluster.namespace},
            "involvedObject": {"apiVersion": "apps/v1", "kind": "StatefulSet", "uid": uid,
                "namespace": cluster.namespace, "name": set["metadata"]["name"]},
            "type": "Warning", "reason": reason, "message": message,
            "firstTimestamp": time, "lastTimestamp": time, "count": 1,
        })
    };
    let refusal = "exceeded quota: few";
    let earlier = json!("00000000-0000-0000-0000-000000000001");
    let uid = &set["metadata"]["uid"];
    let (before, then) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    let after = "2026-01-03T00:00:00Z";
    for event in [
        event("of-another", &earlier, after, "FailedCreate", "another"),
        event("ended", uid, after, "SuccessfulDelete", "delete Pod"),
        event("made", uid, before, "SuccessfulCreate", "create Pod"),
        event("own", uid, then, "FailedCreate", refusal),
    ] {
        cluster.server.create(&events, &event).await;
    }
    let missing = |ordinal: u32| {
        let platform = &platform;
        async move {
            let words = "has no pod (FailedCreate: exceeded quota: few)";
            let seen = function(platform, words, |seen| {
                seen.last_exit.as_deref() == Some(words)
            });
            let seen = seen.await;
            assert_eq!((seen.owner, seen.ordinal), (owner, ordinal));
            assert_eq!(seen.state, State::BackingOff);
        }
    };
    missing(0).await;
    let made = |count: usize| {
        let platform = &platform;
        millrace_harness::wait_until(
            "pods alone are told",
            super::cluster::LIMIT,
            async move || {
                let seen = platform.functions().await;
                let is_pod = seen.iter().all(|seen| seen.state == State::Starting);
                if is_pod && seen.len() == count {
                    Ok(())
                } else {
                    Err(format!("{seen:#?}"))
                }
            },
        )
    };
    // One that was made later says that the reason of then is gone.
    let first = cluster.make_pod(owner, 0).await;
    made(1).await;
    // Once it is replaced, that it was made is what the controller says of it.
    let made_later = json!({"lastTimestamp": after, "count": 2});
    cluster
        .server
        .merge(&format!("{events}/made"), &made_later)
        .await;
    cluster.server.delete(&first).await;
    made(0).await;
    cluster.make_pod(owner, 0).await;
    made(1).await;
    let later = json!({"lastTimestamp": "2100-01-01T00:00:00Z", "count": 2});
    cluster.server.merge(&format!("{events}/own"), &later).await;
    missing(1).await;
    cluster.make_pod(owner, 1).await;
    made(2).await;
    // Nobody misses one where all shall end.
    let none = Deployment::default();
    super::cluster::refusal(&platform, owner, &none, "still ends the StatefulSet").await;
    cluster.server.delete(&first).await;
    made(1).await;
}
