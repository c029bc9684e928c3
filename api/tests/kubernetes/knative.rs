//! Inferences as Knative Services, with Knative's own definitions of its objects.

use std::time::Duration;

use millrace_api::config::Knative;
use millrace_api::platform::{
    Changes, Deployment, KnativeOptions, KnativePlatform, Owner, Platform as _, State,
};
use millrace_harness::wait_until;
use millrace_wire::function::{FunctionSpec, Requests, Role, Trigger};
use serde_json::{Value, json};

use super::cluster::{
    Cluster, LIMIT, deploy, function, inference, is_as_kept, moved, name, pool, refusal, version,
};

async fn platform(cluster: &Cluster) -> KnativePlatform {
    let own = Knative {
        enabled: true,
        secret: Some("millrace-kafka".to_owned()),
    };
    let settings = cluster.settings().await;
    KnativePlatform::configured(&settings, &own, "s3://bucket/artifacts", Changes::default())
        .await
        .unwrap()
}

/// A cluster that knows Knative's kinds, and a platform that may use them.
async fn start() -> (Cluster, KnativePlatform) {
    let cluster = Cluster::start().await;
    cluster
        .knows(
            &["service.yaml", "kafkasource.yaml"],
            "knative",
            &[
                "serving.knative.dev/v1/services",
                "sources.knative.dev/v1/kafkasources",
            ],
        )
        .await;
    let platform = platform(&cluster).await;
    (cluster, platform)
}

fn objects(cluster: &Cluster, owner: Owner) -> [String; 2] {
    let namespace = &cluster.namespace;
    [("serving", "services"), ("sources", "kafkasources")].map(|(group, kind)| {
        format!(
            "/apis/{group}.knative.dev/v1/namespaces/{namespace}/{kind}/{}",
            name(owner)
        )
    })
}

fn wanted() -> (Owner, Deployment) {
    let (owner, mut deployment) = inference(1);
    deployment.options.knative = Some(KnativeOptions {
        min_scale: Some(0),
        max_scale: Some(4),
        ..KnativeOptions::default()
    });
    (owner, deployment)
}

/// Ends what was deployed, with Knative's and the garbage collector's part in it.
async fn deploy_none(
    cluster: &Cluster,
    platform: &KnativePlatform,
    owner: Owner,
    [service, source]: [&str; 2],
) {
    let none = Deployment::default();
    refusal(platform, owner, &none, "still pauses the KafkaSource").await;
    say(cluster, source, "True", "").await;
    refusal(platform, owner, &none, "still ends the Service").await;
    let finalized = json!({"metadata": {"finalizers": null}});
    cluster.server.merge(service, &finalized).await;
    deploy(platform, owner, &none).await;
}

/// What Knative's controllers say of an object.
async fn say(cluster: &Cluster, path: &str, ready: &str, reason: &str) {
    let object = cluster.server.get(path).await.unwrap();
    let condition = json!({"type": "Ready", "status": ready, "reason": reason, "message": "they say why",
        "lastTransitionTime": "2026-01-02T03:04:05Z"});
    let status = json!({"status": {
        "observedGeneration": object["metadata"]["generation"], "conditions": [condition],
    }});
    cluster
        .server
        .merge(&format!("{path}/status"), &status)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kubernetes' API server: make test-kubernetes"]
async fn a_service_and_its_source_are_applied_once() {
    let (cluster, platform) = start().await;
    let (owner, wanted) = wanted();
    deploy(&platform, owner, &wanted).await;
    let [service, source] = objects(&cluster, owner);
    let versions = async || {
        let service: Value = cluster.server.get(&service).await.unwrap();
        [
            version(&service),
            version(&cluster.server.get(&source).await.unwrap()),
        ]
    };
    let before = versions().await;
    for _ in 0..5 {
        deploy(&platform, owner, &moved(&wanted)).await;
    }
    assert_eq!(versions().await, before);

    let made = cluster.server.get(&service).await.unwrap();
    let template = &made["spec"]["template"];
    assert_eq!(
        template["metadata"]["annotations"]["autoscaling.knative.dev/max-scale"],
        "4"
    );
    let text = template["spec"]["containers"][0]["env"][0]["value"]
        .as_str()
        .unwrap();
    let spec = FunctionSpec::from_json(text).unwrap();
    assert_eq!(template["spec"]["timeoutSeconds"], 120);
    let requests = Requests {
        timeout_seconds: 120,
    };
    assert_eq!(spec.trigger, Trigger::Knative(requests));
    is_as_kept(&cluster, owner, &service, "service.json").await;
    is_as_kept(&cluster, owner, &source, "kafka-source.json").await;

    cluster
        .server
        .merge(&source, &json!({"spec": {"consumers": 9}}))
        .await;
    wait_until("the edit is undone", LIMIT, async || {
        let deployed = platform.deploy(owner, wanted.clone()).await;
        deployed.map_err(|error| error.to_string())?;
        let now = cluster.server.get(&source).await.unwrap();
        if now["spec"]["consumers"] == 1 {
            Ok(())
        } else {
            Err(now.to_string())
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kubernetes' API server: make test-kubernetes"]
async fn how_it_is_is_told_in_knatives_words() {
    let (cluster, platform) = start().await;
    let (owner, wanted) = wanted();
    deploy(&platform, owner, &wanted).await;
    let [service, source] = objects(&cluster, owner);
    let seen = async |what: &str, state: State, word: &str| {
        function(&platform, what, |seen| {
            let said = seen.last_exit.as_deref().unwrap_or_default();
            seen.owner == owner && seen.state == state && said.contains(word)
        })
        .await;
    };
    seen("nothing is said yet", State::Starting, "").await;
    say(&cluster, &service, "Unknown", "RevisionMissing").await;
    seen(
        "the Service waits for its pods",
        State::Starting,
        "is not ready yet (RevisionMissing: they say why)",
    )
    .await;
    say(&cluster, &service, "False", "RevisionMissing").await;
    seen(
        "the Service is not ready",
        State::BackingOff,
        "RevisionMissing: they say why",
    )
    .await;
    say(&cluster, &service, "True", "").await;
    seen("the source is not ready yet", State::Starting, "").await;
    say(&cluster, &source, "Unknown", "SchedulePending").await;
    seen(
        "the source waits for a place",
        State::Starting,
        "is brought no records yet (SchedulePending: they say why)",
    )
    .await;
    say(&cluster, &source, "False", "OffsetsNotCommitted").await;
    seen(
        "the source is not ready",
        State::BackingOff,
        "brought no records (OffsetsNotCommitted",
    )
    .await;
    say(&cluster, &source, "True", "").await;
    seen("both are ready", State::Running, "").await;
    // What was said of an older specification says nothing of this one.
    let mut other = wanted.clone();
    for spec in &mut other.functions {
        if let Role::Inference(inference) = &mut spec.role {
            inference.batching.max_batch = 2;
        }
    }
    deploy(&platform, owner, &other).await;
    seen("the new revision is on its way", State::Starting, "").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kubernetes' API server: make test-kubernetes"]
async fn what_knative_lacks_is_named() {
    let cluster = Cluster::start().await;
    let (owner, wanted) = wanted();
    // With the Role of the component `functions` alone.
    let platform = platform(&cluster).await;
    let said = refusal(&platform, owner, &wanted, "forbidden").await;
    assert!(
        said.contains("services.serving.knative.dev") && said.contains("components/knative"),
        "{said}"
    );
    // With its own, where nobody has installed Knative.
    cluster.knows(&[], "knative", &[]).await;
    let words = "it knows no services of serving.knative.dev/v1";
    refusal(&platform, owner, &wanted, words).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kubernetes' API server: make test-kubernetes"]
async fn the_source_pauses_before_the_service_ends_and_goes_when_its_offsets_are_saved() {
    let (cluster, platform) = start().await;
    let (owner, wanted) = wanted();
    deploy(&platform, owner, &wanted).await;
    let [service, source] = objects(&cluster, owner);
    let none = Deployment::default();
    refusal(&platform, owner, &none, "still pauses the KafkaSource").await;
    let paused = cluster.server.get(&source).await.unwrap();
    assert_eq!(paused["spec"]["consumers"], 0, "{paused}");
    let still = cluster.server.get(&service).await.unwrap();
    assert!(still["metadata"]["deletionTimestamp"].is_null(), "{still}");
    // As Knative says it, first while a consumer is at work.
    let said = |consumers: i32| json!({"status": {"observedGeneration": paused["metadata"]["generation"], "consumers": consumers}});
    let status = format!("{source}/status");
    cluster.server.merge(&status, &said(1)).await;
    refusal(&platform, owner, &none, "still pauses the KafkaSource").await;
    cluster.server.merge(&status, &said(0)).await;
    refusal(&platform, owner, &none, "still ends the Service").await;
    // As the garbage collector does once nothing is left that it made.
    let finalized = json!({"metadata": {"finalizers": null}});
    cluster.server.merge(&service, &finalized).await;
    deploy(&platform, owner, &none).await;
    assert!(cluster.server.get(&service).await.is_none());
    let kept = cluster.server.get(&source).await.unwrap();
    assert!(kept["metadata"]["deletionTimestamp"].is_null(), "{kept}");

    // One that goes on here is brought its records again.
    deploy(&platform, owner, &wanted).await;
    assert_eq!(
        cluster.server.get(&source).await.unwrap()["spec"]["consumers"],
        1
    );
    deploy_none(&cluster, &platform, owner, [&service, &source]).await;
    let ending = platform.forget(owner).await.unwrap_err().to_string();
    assert!(ending.contains("still ends the KafkaSource"), "{ending}");
    cluster.server.merge(&source, &finalized).await;
    wait_until("the source is gone", LIMIT, async || {
        platform
            .forget(owner)
            .await
            .map_err(|error| error.to_string())
    })
    .await;
    assert!(cluster.server.get(&source).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kubernetes' API server: make test-kubernetes"]
async fn what_knative_would_refuse_is_refused_here() {
    let (_cluster, platform) = start().await;
    let (owner, mut wanted) = wanted();
    wanted.options.knative = Some(KnativeOptions {
        min_scale: Some(5),
        max_scale: Some(4),
        ..KnativeOptions::default()
    });
    refusal(
        &platform,
        owner,
        &wanted,
        "minScale 5 is more than maxScale 4",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Kubernetes' API server: make test-kubernetes"]
async fn trainings_are_brought_their_commands() {
    let (cluster, platform) = start().await;
    let owner = Owner::TrainingPool;
    deploy(&platform, owner, &pool(3)).await;
    let [service, source] = objects(&cluster, owner);
    let made = cluster.server.get(&service).await.unwrap();
    let template = &made["spec"]["template"];
    let container = &template["spec"]["containers"][0];
    assert_eq!(
        container["image"],
        "registry.example.com/millrace-training:1"
    );
    let text = container["env"][0]["value"].as_str().unwrap();
    let Trigger::Knative(requests) = FunctionSpec::from_json(text).unwrap().trigger else {
        panic!("it would read commands by itself: {text}");
    };
    assert_eq!(requests.within(), Duration::from_mins(9));
    assert!(!text.contains("/of/the/api"), "{text}");
    is_as_kept(&cluster, owner, &service, "training-service.json").await;
    is_as_kept(&cluster, owner, &source, "training-kafka-source.json").await;

    say(&cluster, &service, "True", "").await;
    say(&cluster, &source, "True", "").await;
    function(&platform, "the pool runs", |seen| {
        seen.owner == owner && seen.state == State::Running
    })
    .await;
    // As where another platform takes the trainings.
    deploy_none(&cluster, &platform, owner, [&service, &source]).await;
}
