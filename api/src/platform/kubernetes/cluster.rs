//! One namespace of a cluster as Millrace works in it: which objects are its own, how they are found, applied and deleted,
//! and what went wrong in Kubernetes' own words.
//!
//! Invariant: an object that does not carry Millrace's labels is neither changed nor deleted.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{
    DeleteParams, DynamicObject, LogParams, Patch, PatchParams, Preconditions, PropagationPolicy,
};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::ApiResource;
use kube::runtime::watcher::Config;
use kube::{Api, Client, ResourceExt as _};
use serde_json::Value;
use uuid::Uuid;

use super::super::{Error, Owner};
use super::pod;
use crate::config;

/// Who owns the fields that Millrace sets.
const MANAGER: &str = "millrace";
/// Names what manages an object.
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Tells the Millraces of a namespace apart.
const INSTANCE: &str = "app.kubernetes.io/instance";
/// Which of the platforms an object is of.
const PLATFORM: &str = "millrace.io/platform";
/// The inference's id.
const INFERENCE: &str = "millrace.io/inference";
/// Training, or inference.
const COMPONENT: &str = "app.kubernetes.io/component";

/// A namespace, and what is Millrace's in it.
pub(in crate::platform) struct Cluster {
    client: Client,
    namespace: String,
    instance: String,
    platform: &'static str,
}

impl Cluster {
    /// The cluster that the configuration names: that of the file, of the environment (`KUBECONFIG`, `~/.kube/config`),
    /// or the one that this process runs in. It need not be reachable.
    ///
    /// # Errors
    /// Why there is none.
    pub(in crate::platform) async fn configured(
        platform: &'static str,
        settings: &config::Kubernetes,
    ) -> Result<Self, String> {
        let found = match &settings.kubeconfig {
            Some(path) => {
                let options = KubeConfigOptions::default();
                let read = Kubeconfig::read_from(path);
                match read {
                    Ok(file) => kube::Config::from_custom_kubeconfig(file, &options).await,
                    Err(error) => Err(error),
                }
                .map_err(|error| format!("{} cannot be used: {}", path.display(), chain(&error)))?
            }
            None => kube::Config::infer()
                .await
                .map_err(|error| format!("there is no cluster: {}; set platform.kubernetes.kubeconfig, or give Millrace's pod its service account's token", chain(&error)))?,
        };
        let namespace = settings
            .namespace
            .clone()
            .unwrap_or_else(|| found.default_namespace.clone());
        let client = Client::try_from(found).map_err(|error| chain(&error))?;
        Ok(Self {
            client,
            namespace,
            instance: settings.instance.clone(),
            platform,
        })
    }

    /// Where everything stands.
    pub(in crate::platform) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// What an owner's objects are called: short enough for the names and labels that controllers make of it.
    pub(in crate::platform) fn name(&self, owner: Owner) -> String {
        match owner {
            Owner::TrainingPool => format!("{}-training", self.instance),
            Owner::Inference(id) => format!("{}-{id}", self.instance),
        }
    }

    /// What an owner's pods, and nobody else's, carry.
    pub(in crate::platform) fn selector(&self, owner: Owner) -> BTreeMap<String, String> {
        let mut labels = self.own_labels();
        match owner {
            Owner::TrainingPool => {
                labels.insert(COMPONENT.to_owned(), "training".to_owned());
            }
            Owner::Inference(id) => {
                labels.insert(COMPONENT.to_owned(), "inference".to_owned());
                labels.insert(INFERENCE.to_owned(), id.to_string());
            }
        }
        labels
    }

    /// What an owner's objects carry.
    pub(in crate::platform) fn labels(&self, owner: Owner) -> BTreeMap<String, String> {
        let mut labels = self.selector(owner);
        for (label, value) in [
            ("app.kubernetes.io/name", "millrace-function"),
            ("app.kubernetes.io/part-of", "millrace"),
        ] {
            labels.insert(label.to_owned(), value.to_owned());
        }
        labels
    }

    fn own_labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (MANAGED_BY.to_owned(), MANAGER.to_owned()),
            (INSTANCE.to_owned(), self.instance.clone()),
            (PLATFORM.to_owned(), self.platform.to_owned()),
        ])
    }

    /// All that is this platform's, by its labels.
    pub(in crate::platform) fn own(&self) -> Config {
        let labels = self.own_labels();
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, value)| format!("{label}={value}"))
            .collect();
        Config::default().labels(&labels.join(","))
    }

    /// Objects of a kind.
    pub(in crate::platform) fn objects(&self, kind: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, kind)
    }

    /// Pods.
    pub(in crate::platform) fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// What controllers say of objects.
    pub(in crate::platform) fn events(&self) -> Api<Event> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The last lines that the function of a pod said.
    pub(in crate::platform) async fn log(&self, of: &Pod, last: usize) -> Vec<String> {
        let container = pod::container(of);
        let waits = container
            .and_then(|container| container.state.as_ref())
            .is_some_and(|state| state.waiting.is_some());
        let how = LogParams {
            container: Some(pod::CONTAINER.to_owned()),
            tail_lines: i64::try_from(last).ok(),
            // The one that waits to be started again has said nothing yet.
            previous: waits && container.is_some_and(|container| container.restart_count > 0),
            ..LogParams::default()
        };
        match self.pods().logs(&of.name_any(), &how).await {
            Ok(text) => text.lines().map(str::to_owned).collect(),
            Err(error) => vec![format!("there is no log: {}", words(&error))],
        }
    }

    /// The object of this name.
    pub(in crate::platform) async fn find(
        &self,
        kind: &ApiResource,
        name: &str,
    ) -> Result<Option<DynamicObject>, Error> {
        let found = self.objects(kind).get_opt(name).await;
        let found = found.map_err(|error| self.failed("look at", kind, name, &error))?;
        match found {
            Some(object) if !self.is_own(&object) => Err(self.unavailable(format!(
                "finds a {} {name} in the namespace {} that Millrace did not make, and leaves it alone: delete or rename it",
                kind.kind, self.namespace
            ))),
            found => Ok(found),
        }
    }

    fn is_own(&self, object: &DynamicObject) -> bool {
        let labels = object.labels();
        self.own_labels()
            .iter()
            .all(|(label, value)| labels.get(label) == Some(value))
    }

    /// Applies a manifest: in place of `live`, whose fields by other hands give way, or as a new object.
    pub(in crate::platform) async fn apply(
        &self,
        kind: &ApiResource,
        manifest: &Value,
        live: Option<&DynamicObject>,
    ) -> Result<DynamicObject, Error> {
        let name = manifest["metadata"]["name"].as_str().unwrap_or_default();
        let mut manifest = manifest.clone();
        let mut how = PatchParams::apply(MANAGER).validation_strict();
        if let Some(live) = live {
            // Another object that has taken the name meanwhile is a conflict, not overwritten.
            manifest["metadata"]["uid"] = live.uid().into();
            how = how.force();
        }
        let applied = self
            .objects(kind)
            .patch(name, &how, &Patch::Apply(&manifest))
            .await;
        applied.map_err(|error| self.failed("apply", kind, name, &error))
    }

    /// Changes some fields of an object that stands, and leaves the others.
    pub(in crate::platform) async fn merge(
        &self,
        kind: &ApiResource,
        live: &DynamicObject,
        fields: &Value,
    ) -> Result<DynamicObject, Error> {
        let name = live.name_any();
        let mut fields = fields.clone();
        fields["metadata"]["uid"] = live.uid().into();
        let how = PatchParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let merged = self
            .objects(kind)
            .patch(&name, &how, &Patch::Merge(&fields))
            .await;
        merged.map_err(|error| self.failed("change", kind, &name, &error))
    }

    /// Has an object deleted, after all that it made.
    pub(in crate::platform) async fn delete(
        &self,
        kind: &ApiResource,
        live: &DynamicObject,
    ) -> Result<(), Error> {
        let name = live.name_any();
        let how = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Foreground),
            preconditions: Some(Preconditions {
                uid: live.uid(),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        match self.objects(kind).delete(&name, &how).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(self.failed("delete", kind, &name, &error)),
        }
    }

    /// What the platform cannot do now.
    pub(in crate::platform) fn unavailable(&self, message: String) -> Error {
        Error::Unavailable {
            platform: self.platform,
            message,
        }
    }

    fn failed(&self, what: &str, kind: &ApiResource, name: &str, error: &kube::Error) -> Error {
        self.unavailable(format!(
            "cannot {what} the {} {name}: {}",
            kind.kind,
            words(error)
        ))
    }
}

/// Whose an object or a pod is, by its labels.
pub(in crate::platform) fn owner(labels: &BTreeMap<String, String>) -> Option<Owner> {
    if let Some(id) = labels.get(INFERENCE) {
        return Uuid::parse_str(id).ok().map(Owner::Inference);
    }
    (labels.get(COMPONENT)? == "training").then_some(Owner::TrainingPool)
}

/// What a condition of an object says: its status, and its reason with its message.
pub(in crate::platform) fn condition<'o>(
    object: &'o DynamicObject,
    kind: &str,
) -> Option<(&'o str, String)> {
    let mut conditions = object.data["status"]["conditions"].as_array()?.iter();
    let found = conditions.find(|one| one["type"] == kind)?;
    let [status, reason, message] =
        ["status", "reason", "message"].map(|key| found[key].as_str().unwrap_or_default());
    let mut words = vec![reason, message];
    words.retain(|word| !word.is_empty());
    Some((status, words.join(": ")))
}

/// What the cluster answered, or why it did not.
pub(in crate::platform) fn words(error: &kube::Error) -> String {
    match error {
        // A quota and a policy forbid, too, where no Role would help.
        kube::Error::Api(status) if status.is_forbidden() && lacks_right(&status.message) => {
            let group = status.details.as_ref().map(|details| &*details.group);
            let component = match group {
                Some("serving.knative.dev" | "sources.knative.dev") => "knative",
                Some("keda.sh") => "keda",
                _ => "functions",
            };
            format!(
                "{}; give Millrace's service account the Role of infra/kubernetes/components/{component}",
                status.message
            )
        }
        kube::Error::Api(status) if status.message.is_empty() => {
            format!("{} {}", status.code, status.reason)
        }
        kube::Error::Api(status) => status.message.clone(),
        error => chain(error),
    }
}

/// Whether it is RBAC that refuses, which names whom it refuses and what: `User "…" cannot list resource "…" …`.
fn lacks_right(message: &str) -> bool {
    message.contains("User \"") && message.contains("\" cannot ")
}

/// An error with those behind it, which have the reason.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut behind = error.source();
    while let Some(error) = behind {
        let more = error.to_string();
        if !words.contains(&more) {
            words = format!("{words}: {more}");
        }
        behind = error.source();
    }
    words
}

/// A kind of objects.
pub(in crate::platform) fn kind(
    group: &str,
    version: &str,
    kind: &str,
    plural: &str,
) -> ApiResource {
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: format!("{group}/{version}"),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_role_is_asked_for_only_where_one_is_missing() {
        let missing = "services is forbidden: User \"system:serviceaccount:millrace:millrace\" cannot list resource \"services\"";
        for (message, group, component) in [
            (missing, "serving.knative.dev", Some("knative")),
            (missing, "keda.sh", Some("keda")),
            (missing, "apps", Some("functions")),
            (
                "statefulsets.apps \"one\" is forbidden: exceeded quota: few",
                "apps",
                None,
            ),
            (
                "admission webhook \"policy.example.com\" denied the request: no",
                "",
                None,
            ),
            (
                "statefulsets.apps \"one\" is forbidden: User \"them\" is over the limit",
                "apps",
                None,
            ),
        ] {
            let status = json!({"status": "Failure", "code": 403, "reason": "Forbidden", "message": message,
                "details": {"group": group}});
            let status = serde_json::from_value(status).expect("a status");
            let words = words(&kube::Error::Api(status));
            let role = component.map_or_else(String::new, |component| {
                format!("; give Millrace's service account the Role of infra/kubernetes/components/{component}")
            });
            assert_eq!(words, format!("{message}{role}"));
        }
    }
}
