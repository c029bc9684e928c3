//! A namespace of a cluster, and a platform that works in it as Millrace's service account.

use std::time::Duration;

use millrace_api::config::{Keda, Kubernetes};
use millrace_api::platform::{
    Changes, Deployment, Error, KubernetesPlatform, Owner, Platform, Status,
};
use millrace_harness::{KubernetesApi, root, unique, wait_until};
use millrace_wire::function::{FunctionSpec, Role};
use serde_json::{Value, json};
use uuid::Uuid;

/// Long enough for a watch to come back, which waits half a minute at most.
pub const LIMIT: Duration = Duration::from_mins(2);

/// One namespace of a server of its own, under the pod security standard that the base asks for.
pub struct Cluster {
    pub server: KubernetesApi,
    pub namespace: String,
}

impl Cluster {
    pub async fn start() -> Self {
        let server = KubernetesApi::start().await;
        let namespace = unique("functions");
        let labels = json!({
            "pod-security.kubernetes.io/enforce": "restricted",
            "pod-security.kubernetes.io/enforce-version": "latest",
        });
        let made = json!({"metadata": {"name": namespace, "labels": labels}});
        server.create("/api/v1/namespaces", &made).await;
        let infra = root().join("infra/kubernetes");
        for file in [
            "base/service-account.yaml",
            "components/functions/service-account.yaml",
            "components/functions/role.yaml",
        ] {
            server.apply_file(&infra.join(file), &namespace).await;
        }
        Self { server, namespace }
    }

    /// Has the server know these kinds, and the platform have this component's rights.
    pub async fn knows(&self, files: &[&str], component: &str, kinds: &[&str]) {
        for file in files {
            let path = root().join("tests/kubernetes/crds").join(file);
            self.server.apply_file(&path, &self.namespace).await;
        }
        let role = root()
            .join("infra/kubernetes/components")
            .join(component)
            .join("role.yaml");
        self.server.apply_file(&role, &self.namespace).await;
        for kind in kinds {
            wait_until("the kind is served", LIMIT, async || {
                let found = self.server.get(&format!("/apis/{kind}")).await;
                found.map(|_| ()).ok_or("not yet")
            })
            .await;
        }
    }

    pub async fn settings(&self) -> Kubernetes {
        let token = self.server.token(&self.namespace, "millrace").await;
        Kubernetes {
            kubeconfig: Some(self.server.kubeconfig(&token, &self.namespace)),
            inference_image: "registry.example.com/millrace-inference:1".to_owned(),
            training_image: Some("registry.example.com/millrace-training:1".to_owned()),
            environment_secret: Some("millrace-secrets".to_owned()),
            file_secret: Some("millrace-kafka".to_owned()),
            ..Kubernetes::default()
        }
    }

    pub async fn platform(&self) -> KubernetesPlatform {
        platform(&self.settings().await).await
    }

    /// Where the `StatefulSet` of an owner lies.
    pub fn set(&self, owner: Owner) -> String {
        format!(
            "/apis/apps/v1/namespaces/{}/statefulsets/{}",
            self.namespace,
            name(owner)
        )
    }

    pub fn pods(&self) -> String {
        format!("/api/v1/namespaces/{}/pods", self.namespace)
    }

    /// Makes a pod of a `StatefulSet` as its controller does, which the pod security standard has to let pass.
    pub async fn make_pod(&self, owner: Owner, ordinal: u32) -> String {
        let set = self.server.get(&self.set(owner)).await.unwrap();
        let mut pod = set["spec"]["template"].clone();
        let name = format!("{}-{ordinal}", name(owner));
        pod["metadata"]["name"] = name.clone().into();
        pod["metadata"]["labels"]["apps.kubernetes.io/pod-index"] = ordinal.to_string().into();
        self.server.create(&self.pods(), &pod).await;
        format!("{}/{name}", self.pods())
    }
}

/// Holds an object against the manifest that `manifests/` keeps of it, and `tests/kubernetes/run` holds against the schema of
/// its kind. One that is missing is written, so it is deleted to have it anew.
pub async fn is_as_kept(cluster: &Cluster, owner: Owner, path: &str, file: &str) {
    let mut object = cluster.server.get(path).await.unwrap();
    object.as_object_mut().unwrap().remove("status");
    let metadata = object["metadata"].as_object_mut().unwrap();
    // What each object is given anew.
    for given in [
        "creationTimestamp",
        "generation",
        "managedFields",
        "resourceVersion",
        "uid",
    ] {
        metadata.remove(given);
    }
    // The specification is a format of its own, with tests of its own.
    if let Some(value) = object.pointer_mut("/spec/template/spec/containers/0/env/0/value") {
        *value = "…".into();
    }
    let mut text = serde_json::to_string_pretty(&object).unwrap() + "\n";
    text = text.replace(&cluster.namespace, "millrace");
    if let Owner::Inference(id) = owner {
        text = text.replace(&id.to_string(), &Uuid::nil().to_string());
    }
    let kept = root().join("api/tests/kubernetes/manifests").join(file);
    let Ok(wanted) = std::fs::read_to_string(&kept) else {
        std::fs::write(&kept, text).unwrap();
        panic!("{} was missing, and is written: look at it", kept.display());
    };
    let [applied, wanted] =
        [text, wanted].map(|text| serde_json::from_str::<Value>(&text).unwrap());
    assert_eq!(applied, wanted, "applied, and {}", kept.display());
}

pub async fn platform(settings: &Kubernetes) -> KubernetesPlatform {
    scaled(settings, &Keda::default()).await
}

pub async fn scaled(settings: &Kubernetes, keda: &Keda) -> KubernetesPlatform {
    let changes = Changes::default();
    KubernetesPlatform::configured(settings, keda, "s3://bucket/artifacts", changes)
        .await
        .unwrap()
}

pub fn name(owner: Owner) -> String {
    match owner {
        Owner::TrainingPool => "millrace-training".to_owned(),
        Owner::Inference(id) => format!("millrace-{id}"),
    }
}

/// An inference with so many replicas, which follows an alias.
pub fn inference(replicas: u32) -> (Owner, Deployment) {
    let id = Uuid::now_v7();
    let spec = json!({
        "format": 1, "artifacts": "s3://bucket/artifacts", "listen": "", "ordinal": 0, "role": "inference",
        "control": {"connection": {"bootstrap.servers": "kafka:9092"}, "events_topic": "e", "registry_topic": "r"},
        "id": id, "project": "default", "name": "digits",
        "connection": {"bootstrap.servers": "kafka:9092", "sasl.password": "${env:PASSWORD}"}, "model": "m",
        "version": {"version": 1, "digest": "d", "size": 1, "signature": {"inputs": [], "outputs": []}},
        "alias": "live", "input_topic": "i", "input_topic_id": "t", "input_format": {"type": "JSON", "fields": []},
        "output_topic": "o", "output_format": "JSON", "dead_letter_topic": "d", "group": "millrace.inference.digits",
        "guarantee": "EXACTLY_ONCE", "transactional_id": "millrace.inference.digits.{ordinal}",
        "batching": {"max_batch": 1, "max_bytes": 1, "commit_interval_ms": 1},
    });
    let spec = FunctionSpec::from_json(&spec.to_string()).unwrap();
    let functions = (0..replicas)
        .map(|ordinal| FunctionSpec {
            ordinal,
            ..spec.clone()
        })
        .collect();
    let deployment = Deployment {
        functions,
        ..Deployment::default()
    };
    (Owner::Inference(id), deployment)
}

/// A training pool of so many slots.
pub fn pool(slots: u32) -> Deployment {
    let spec = json!({
        "format": 1, "artifacts": "s3://bucket/artifacts", "listen": "", "ordinal": 0, "role": "training",
        "control": {"connection": {"bootstrap.servers": "kafka:9092"}, "events_topic": "e", "registry_topic": "r"},
        "topic": "millrace.training", "group": "millrace.training", "memory_bytes": 1,
        "scratch_folder": "/of/the/api",
    });
    let spec = FunctionSpec::from_json(&spec.to_string()).unwrap();
    let functions = (0..slots).map(|ordinal| FunctionSpec {
        ordinal,
        ..spec.clone()
    });
    Deployment {
        functions: functions.collect(),
        ..Deployment::default()
    }
}

/// The same with another version behind its alias.
pub fn moved(deployment: &Deployment) -> Deployment {
    let mut moved = deployment.clone();
    for spec in &mut moved.functions {
        if let Role::Inference(inference) = &mut spec.role {
            let version = inference.version.as_mut().unwrap();
            version.version += 1;
            "e".clone_into(&mut version.digest);
        }
    }
    moved
}

/// Asks for it as the reconciler does: again and again.
pub async fn deploy(platform: &dyn Platform, owner: Owner, deployment: &Deployment) {
    wait_until("it is deployed", LIMIT, async || {
        platform.deploy(owner, deployment.clone()).await
    })
    .await;
}

/// Asks until the platform says this, and gives all of its sentence.
pub async fn refusal(
    platform: &dyn Platform,
    owner: Owner,
    deployment: &Deployment,
    word: &str,
) -> String {
    wait_until(&format!("it says {word:?}"), LIMIT, async || match platform
        .deploy(owner, deployment.clone())
        .await
    {
        Err(error @ Error::Unavailable { .. }) if error.to_string().contains(word) => {
            Ok(error.to_string())
        }
        other => Err(format!("{other:?}")),
    })
    .await
}

/// Waits until the platform sees a function as wanted.
pub async fn function(
    platform: &dyn Platform,
    what: &str,
    wanted: impl Fn(&Status) -> bool,
) -> Status {
    wait_until(what, LIMIT, async || {
        let functions = platform.functions().await;
        let found = functions.iter().find(|status| wanted(status)).cloned();
        found.ok_or_else(|| format!("{functions:#?}"))
    })
    .await
}

/// What a manifest keeps over its changes by others.
pub fn version(object: &Value) -> String {
    object["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned()
}
