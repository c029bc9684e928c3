//! Inferences that KEDA scales, with KEDA's own definitions of its objects and without its controller.

use millrace_api::config::Keda;
use millrace_api::platform::{
    Deployment, KubernetesOptions, KubernetesPlatform, Owner, Platform as _, Scaling,
};
use millrace_harness::wait_until;
use millrace_wire::function::Role;
use serde_json::json;

use super::cluster::{
    Cluster, LIMIT, deploy, inference, is_as_kept, name, refusal, scaled, version,
};

async fn start() -> (Cluster, KubernetesPlatform) {
    let cluster = Cluster::start().await;
    cluster
        .knows(
            &["scaledobject.yaml", "triggerauthentication.yaml"],
            "keda",
            &[
                "keda.sh/v1alpha1/scaledobjects",
                "keda.sh/v1alpha1/triggerauthentications",
            ],
        )
        .await;
    let keda = Keda {
        enabled: true,
        secret: Some("millrace-brokers".to_owned()),
    };
    let platform = scaled(&cluster.settings().await, &keda).await;
    (cluster, platform)
}

/// An inference on brokers that ask for a password, with pods from one to so many.
fn wanted(max_replicas: u32) -> (Owner, Deployment) {
    let (owner, mut deployment) = inference(2);
    for spec in &mut deployment.functions {
        if let Role::Inference(inference) = &mut spec.role {
            for (name, value) in [
                ("security.protocol", "SASL_SSL"),
                ("sasl.mechanism", "SCRAM-SHA-512"),
                ("ssl.ca.location", "/run/secrets/kafka/ca.pem"),
            ] {
                inference
                    .connection
                    .insert(name.to_owned(), value.to_owned());
            }
            inference.redrive_topic = Some("r".to_owned());
        }
    }
    deployment.options.kubernetes = Some(KubernetesOptions {
        scaling: Some(Scaling {
            max_replicas,
            lag: Some(50),
        }),
        ..KubernetesOptions::default()
    });
    (owner, deployment)
}

fn objects(cluster: &Cluster, owner: Owner) -> [String; 2] {
    ["scaledobjects", "triggerauthentications"].map(|kind| {
        format!(
            "/apis/keda.sh/v1alpha1/namespaces/{}/{kind}/{}",
            cluster.namespace,
            name(owner)
        )
    })
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kubernetes' API server: make test-kubernetes"]
async fn pods_are_scaled_by_what_waits() {
    let (cluster, platform) = start().await;
    let (owner, wanted) = wanted(6);
    deploy(&platform, owner, &wanted).await;
    let [object, authentication] = objects(&cluster, owner);
    for (path, file) in [
        (&object, "scaled-object.json"),
        (&authentication, "trigger-authentication.json"),
    ] {
        is_as_kept(&cluster, owner, path, file).await;
    }

    // As KEDA does through its autoscaler: Millrace does not take it back, and asks for nothing.
    let scale = json!({"spec": {"replicas": 5}});
    let set = cluster.set(owner);
    cluster.server.merge(&format!("{set}/scale"), &scale).await;
    for _ in 0..5 {
        deploy(&platform, owner, &wanted).await;
    }
    // Other work does not either.
    let mut other = wanted.clone();
    for spec in &mut other.functions {
        if let Role::Inference(inference) = &mut spec.role {
            inference.batching.max_batch = 2;
        }
    }
    let before = cluster.server.get(&set).await.unwrap();
    wait_until("the other work is applied", LIMIT, async || {
        let deployed = platform.deploy(owner, other.clone()).await;
        deployed.map_err(|error| error.to_string())?;
        let now = cluster.server.get(&set).await.unwrap();
        if now["spec"]["template"] == before["spec"]["template"] {
            return Err(now.to_string());
        }
        assert_eq!(now["spec"]["replicas"], 5);
        Ok(())
    })
    .await;

    // An edit of what is Millrace's is undone.
    let edit = json!({"spec": {"maxReplicaCount": 60}});
    let edited = cluster.server.merge(&object, &edit).await;
    wait_until("the edit is undone", LIMIT, async || {
        let deployed = platform.deploy(owner, other.clone()).await;
        deployed.map_err(|error| error.to_string())?;
        let now = cluster.server.get(&object).await.unwrap();
        if version(&now) != version(&edited) && now["spec"]["maxReplicaCount"] == 6 {
            Ok(())
        } else {
            Err(now.to_string())
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kubernetes' API server: make test-kubernetes"]
async fn without_scaling_the_replicas_are_millraces_again() {
    let (cluster, platform) = start().await;
    let (owner, wanted) = wanted(6);
    deploy(&platform, owner, &wanted).await;
    let [object, authentication] = objects(&cluster, owner);
    let mut fixed = wanted.clone();
    fixed.options = millrace_api::platform::Options::default();
    refusal(&platform, owner, &fixed, "still ends the ScaledObject").await;
    // As the garbage collector does.
    let finalized = json!({"metadata": {"finalizers": null}});
    cluster.server.merge(&object, &finalized).await;
    refusal(
        &platform,
        owner,
        &fixed,
        "still ends the TriggerAuthentication",
    )
    .await;
    cluster.server.merge(&authentication, &finalized).await;
    deploy(&platform, owner, &fixed).await;
    let set = cluster.server.get(&cluster.set(owner)).await.unwrap();
    assert_eq!(set["spec"]["replicas"], 2);

    // And at an end nothing of it is left to scale anything.
    deploy(&platform, owner, &wanted).await;
    let none = Deployment::default();
    refusal(&platform, owner, &none, "still ends the ScaledObject").await;
    let set = cluster.server.get(&cluster.set(owner)).await.unwrap();
    assert!(set["metadata"]["deletionTimestamp"].is_null(), "{set}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kubernetes' API server: make test-kubernetes"]
async fn what_keda_cannot_be_told_is_refused() {
    let (cluster, platform) = start().await;
    let (owner, few) = wanted(1);
    refusal(&platform, owner, &few, "from 2 replicas to 1").await;
    let settings = cluster.settings().await;
    let off = super::cluster::platform(&settings).await;
    let (owner, wanted) = wanted(6);
    refusal(&off, owner, &wanted, "platform.keda.enabled").await;
    let keda = Keda {
        enabled: true,
        secret: None,
    };
    let unproven = scaled(&settings, &keda).await;
    refusal(&unproven, owner, &wanted, "platform.keda.secret").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kubernetes' API server: make test-kubernetes"]
async fn what_keda_lacks_is_named() {
    let cluster = Cluster::start().await;
    let keda = Keda {
        enabled: true,
        secret: Some("millrace-brokers".to_owned()),
    };
    let (owner, wanted) = wanted(6);
    // With the Role of the component `functions` alone.
    let platform = scaled(&cluster.settings().await, &keda).await;
    let said = refusal(&platform, owner, &wanted, "forbidden").await;
    assert!(
        said.contains("scaledobjects") && said.contains("components/keda"),
        "{said}"
    );
    // With its own, where nobody has installed KEDA.
    cluster.knows(&[], "keda", &[]).await;
    let words = "it knows no scaledobjects of keda.sh/v1alpha1";
    let said = refusal(&platform, owner, &wanted, words).await;
    assert!(!said.contains("Role"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kubernetes' API server: make test-kubernetes"]
async fn what_keda_finds_wrong_is_told() {
    let (cluster, platform) = start().await;
    let (owner, wanted) = wanted(6);
    deploy(&platform, owner, &wanted).await;
    let [object, _] = objects(&cluster, owner);
    for (ready, reason, words) in [
        (
            "False",
            "TriggerError",
            Some("KEDA does not scale the pods (TriggerError: why)"),
        ),
        ("True", "ScaledObjectReady", None),
        (
            "Unknown",
            "PartialTriggerError",
            Some(
                "KEDA sees only a part of what waits, and scales the pods by that (PartialTriggerError: why)",
            ),
        ),
        // As before its first look.
        ("Unknown", "", None),
    ] {
        let condition =
            json!({"type": "Ready", "status": ready, "reason": reason, "message": "why"});
        let status = json!({"status": {"conditions": [condition]}});
        cluster
            .server
            .merge(&format!("{object}/status"), &status)
            .await;
        wait_until("it is told", LIMIT, async || {
            let told = platform.remark(owner);
            if told.as_deref() == words {
                Ok(())
            } else {
                Err(format!("{told:?}"))
            }
        })
        .await;
    }
}
