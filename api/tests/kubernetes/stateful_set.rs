//! What is applied, and what is left alone.

use millrace_api::platform::{Deployment, KubernetesOptions, Owner, Platform as _};
use millrace_harness::wait_until;
use millrace_wire::function::{FunctionSpec, Role};
use serde_json::json;

use super::cluster::{
    Cluster, LIMIT, deploy, inference, is_as_kept, moved, name, platform, pool, refusal, version,
};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kubernetes' API server: make test-kubernetes"]
async fn what_is_wanted_is_applied_once() {
    let cluster = Cluster::start().await;
    let first = cluster.platform().await;
    let (owner, wanted) = inference(2);
    deploy(&first, owner, &wanted).await;
    let made = cluster.server.get(&cluster.set(owner)).await.unwrap();
    assert_eq!(made["spec"]["replicas"], 2);
    let container = &made["spec"]["template"]["spec"]["containers"][0];
    let spec = FunctionSpec::from_json(container["env"][0]["value"].as_str().unwrap()).unwrap();
    let Role::Inference(in_pod) = spec.clone().replica(1).role else {
        panic!("an inference was deployed");
    };
    assert_eq!(in_pod.transactional_id, "millrace.inference.digits.1");
    assert_eq!(container["env"][1]["name"], "MILLRACE_ORDINAL");
    let text = made.to_string();
    assert!(text.contains("${env:PASSWORD}"), "secrets stay references");
    is_as_kept(&cluster, owner, &cluster.set(owner), "stateful-set.json").await;

    // The same again, an alias that has moved, and an API that has started anew: nothing is written.
    for _ in 0..5 {
        deploy(&first, owner, &wanted).await;
    }
    deploy(&first, owner, &moved(&wanted)).await;
    let second = cluster.platform().await;
    deploy(&second, owner, &moved(&wanted)).await;
    let still = cluster.server.get(&cluster.set(owner)).await.unwrap();
    assert_eq!(version(&still), version(&made));

    // Other work is a new template.
    let mut other = wanted.clone();
    for spec in &mut other.functions {
        if let Role::Inference(inference) = &mut spec.role {
            inference.batching.max_batch = 2;
        }
    }
    other.functions.pop();
    deploy(&second, owner, &other).await;
    let changed = cluster.server.get(&cluster.set(owner)).await.unwrap();
    assert_eq!(changed["spec"]["replicas"], 1);
    assert_ne!(changed["spec"]["template"], made["spec"]["template"]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kubernetes' API server: make test-kubernetes"]
async fn edits_by_hand_are_undone() {
    let cluster = Cluster::start().await;
    let platform = cluster.platform().await;
    let (owner, wanted) = inference(1);
    deploy(&platform, owner, &wanted).await;
    let path = cluster.set(owner);
    let edits = [
        json!({"spec": {"replicas": 7}}),
        json!({"metadata": {"annotations": {"millrace.io/name": "another"}}}),
        json!({"spec": {"template": {"spec": {"serviceAccountName": "default"}}}}),
    ];
    let before = cluster.server.get(&path).await.unwrap();
    for edit in edits {
        let edited = cluster.server.merge(&path, &edit).await;
        assert_ne!(version(&edited), version(&before));
        wait_until("the edit is undone", LIMIT, async || {
            let deployed = platform.deploy(owner, wanted.clone()).await;
            deployed.map_err(|error| error.to_string())?;
            let now = cluster.server.get(&path).await.unwrap();
            let same = now["spec"] == before["spec"]
                && now["metadata"]["annotations"] == before["metadata"]["annotations"];
            if same { Ok(()) } else { Err(now.to_string()) }
        })
        .await;
    }
    // What others add is theirs.
    let added = json!({"metadata": {"annotations": {"example.com/owner": "somebody"}}});
    cluster.server.merge(&path, &added).await;
    deploy(&platform, owner, &wanted).await;
    let now = cluster.server.get(&path).await.unwrap();
    assert_eq!(
        now["metadata"]["annotations"]["example.com/owner"],
        "somebody"
    );
    // And one that was deleted comes back.
    cluster.server.delete(&path).await;
    wait_until("it is made again", LIMIT, async || {
        let deployed = platform.deploy(owner, wanted.clone()).await;
        deployed.map_err(|error| error.to_string())?;
        cluster
            .server
            .get(&path)
            .await
            .ok_or_else(|| "it is gone".to_owned())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kubernetes' API server: make test-kubernetes"]
async fn what_is_not_its_own_is_left_alone() {
    let cluster = Cluster::start().await;
    let platform = cluster.platform().await;
    let (owner, wanted) = inference(1);
    let labels = json!({"app": "theirs"});
    let theirs = json!({
        "metadata": {"name": name(owner)},
        "spec": {
            "replicas": 3, "serviceName": "theirs", "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
        },
    });
    let path = format!(
        "/apis/apps/v1/namespaces/{}/statefulsets",
        cluster.namespace
    );
    let theirs = cluster.server.create(&path, &theirs).await;
    let said = refusal(&platform, owner, &wanted, "did not make").await;
    assert!(said.contains(&name(owner)), "{said}");
    // Nor is it deleted where ours shall end.
    deploy(&platform, owner, &Deployment::default()).await;
    let still = cluster.server.get(&cluster.set(owner)).await.unwrap();
    assert_eq!(version(&still), version(&theirs));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kubernetes' API server: make test-kubernetes"]
async fn without_its_rights_it_says_which_ones_it_lacks() {
    let cluster = Cluster::start().await;
    let token = cluster
        .server
        .token(&cluster.namespace, "millrace-functions")
        .await;
    let mut settings = cluster.settings().await;
    settings.kubeconfig = Some(cluster.server.kubeconfig(&token, &cluster.namespace));
    let platform = platform(&settings).await;
    let (owner, wanted) = inference(1);
    let said = refusal(&platform, owner, &wanted, "forbidden").await;
    assert!(
        said.contains("statefulsets") && said.contains("components/functions"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kubernetes' API server: make test-kubernetes"]
async fn a_quota_is_no_missing_right() {
    let cluster = Cluster::start().await;
    let platform = cluster.platform().await;
    let (owner, wanted) = inference(1);
    let quotas = format!("/api/v1/namespaces/{}/resourcequotas", cluster.namespace);
    let none = json!({"count/statefulsets.apps": "0"});
    let quota = json!({"metadata": {"name": "none"}, "spec": {"hard": none}});
    cluster.server.create(&quotas, &quota).await;
    // As the controller of quotas does.
    let counted = json!({"status": {"hard": none, "used": none}});
    let status = format!("{quotas}/none/status");
    cluster.server.merge(&status, &counted).await;
    let said = refusal(&platform, owner, &wanted, "exceeded quota: none").await;
    assert!(
        said.contains("is forbidden") && !said.contains("Role"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kubernetes' API server: make test-kubernetes"]
async fn the_training_pool_is_one_too() {
    let cluster = Cluster::start().await;
    let platform = cluster.platform().await;
    deploy(&platform, Owner::TrainingPool, &pool(1)).await;
    let made = cluster
        .server
        .get(&cluster.set(Owner::TrainingPool))
        .await
        .unwrap();
    let container = &made["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(
        container["image"],
        "registry.example.com/millrace-training:1"
    );
    assert!(
        !made.to_string().contains("/of/the/api"),
        "a pod has a folder of its own: {made}"
    );
    let path = cluster.set(Owner::TrainingPool);
    is_as_kept(
        &cluster,
        Owner::TrainingPool,
        &path,
        "training-stateful-set.json",
    )
    .await;
    let pod = cluster.make_pod(Owner::TrainingPool, 0).await;
    assert!(cluster.server.get(&pod).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kubernetes' API server: make test-kubernetes"]
async fn what_kubernetes_refuses_is_said_and_may_be_mended_at_once() {
    let cluster = Cluster::start().await;
    let platform = cluster.platform().await;
    let (owner, mut wanted) = inference(1);
    let asking = |cpu: &str| {
        let mut asking = KubernetesOptions::default();
        asking.resources.cpu = Some(cpu.to_owned());
        Some(asking)
    };
    wanted.options.kubernetes = asking("2x");
    refusal(&platform, owner, &wanted, "quantities must match").await;
    // It stays said, whether it was asked for again or not.
    for _ in 0..3 {
        refusal(&platform, owner, &wanted, "quantities must match").await;
    }
    assert!(cluster.server.get(&cluster.set(owner)).await.is_none());
    wanted.options.kubernetes = asking("250m");
    platform.deploy(owner, wanted).await.unwrap();
}
