//! How functions end, and how the platform gets over the loss of its view.

use millrace_api::platform::{Deployment, Platform as _, State};
use millrace_harness::wait_until;
use serde_json::json;

use super::cluster::{Cluster, LIMIT, deploy, function, inference, refusal, version};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kubernetes' API server: make test-kubernetes"]
async fn an_end_is_waited_for() {
    let cluster = Cluster::start().await;
    let platform = cluster.platform().await;
    let (owner, wanted) = inference(1);
    deploy(&platform, owner, &wanted).await;
    let pod = cluster.make_pod(owner, 0).await;
    function(&platform, "its pod is seen", |seen| seen.owner == owner).await;

    let none = Deployment::default();
    refusal(&platform, owner, &none, "still ends the StatefulSet").await;
    let set = cluster.server.get(&cluster.set(owner)).await.unwrap();
    assert_eq!(set["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    // Nothing begins before it has ended.
    refusal(&platform, owner, &wanted, "still ends").await;
    // As the garbage collector does when it does not see the pods first.
    cluster
        .server
        .merge(
            &cluster.set(owner),
            &json!({"metadata": {"finalizers": null}}),
        )
        .await;
    refusal(&platform, owner, &none, "still ends 1 pods").await;
    cluster.server.delete(&pod).await;
    deploy(&platform, owner, &none).await;
    platform.remove(owner).await.unwrap();
    assert!(cluster.server.get(&cluster.set(owner)).await.is_none());
    deploy(&platform, owner, &wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kubernetes' API server: make test-kubernetes"]
async fn a_server_that_was_away_is_seen_again() {
    let mut cluster = Cluster::start().await;
    let platform = cluster.platform().await;
    let (owner, wanted) = inference(1);
    deploy(&platform, owner, &wanted).await;
    let before = cluster.server.get(&cluster.set(owner)).await.unwrap();
    let pod = cluster.make_pod(owner, 0).await;
    function(&platform, "its pod is seen", |seen| {
        seen.state == State::Starting
    })
    .await;

    cluster.server.stop();
    // What runs needs nobody; what shall change has to wait.
    deploy(&platform, owner, &wanted).await;
    let (other, more) = inference(1);
    refusal(&platform, other, &more, "cannot look at the StatefulSet").await;
    assert_eq!(platform.functions().await.len(), 1);

    cluster.server.restart().await;
    deploy(&platform, other, &more).await;
    let ready = json!({"status": {"phase": "Running", "containerStatuses": [{
        "name": "function", "image": "i", "imageID": "", "ready": true, "restartCount": 0,
        "state": {"running": {"startedAt": "2026-01-02T03:04:05Z"}},
    }]}});
    cluster.server.merge(&format!("{pod}/status"), &ready).await;
    function(&platform, "what changed meanwhile is seen", |seen| {
        seen.state == State::Running
    })
    .await;
    deploy(&platform, owner, &wanted).await;
    let after = cluster.server.get(&cluster.set(owner)).await.unwrap();
    assert_eq!(version(&after), version(&before));
    // Edits that were made out of sight as well.
    cluster
        .server
        .merge(&cluster.set(owner), &json!({"spec": {"replicas": 5}}))
        .await;
    wait_until("the edit is undone", LIMIT, async || {
        let deployed = platform.deploy(owner, wanted.clone()).await;
        deployed.map_err(|error| error.to_string())?;
        let now = cluster.server.get(&cluster.set(owner)).await.unwrap();
        if now["spec"] == before["spec"] {
            Ok(())
        } else {
            Err(now.to_string())
        }
    })
    .await;
}
