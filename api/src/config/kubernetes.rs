//! Kubernetes: in which namespace functions run, of which images, and what their pods are given.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Error;

/// `[platform.kubernetes]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kubernetes {
    /// The inference function's image.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub inference_image: String,
    /// The training function's image, which only trainings need.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training_image: Option<String>,
    /// How many trainings may run at once.
    pub training_slots: u32,
    /// When nodes pull images.
    pub image_pull_policy: String,
    /// The Secret that nodes pull images with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_secret: Option<String>,
    /// How the cluster is reached; by the environment where it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<PathBuf>,
    /// Where functions run; in the namespace of the connection where it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// What the names of objects begin with.
    pub instance: String,
    /// The functions' service account.
    pub service_account: String,
    /// A `ConfigMap` whose keys are variables of the functions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment_config: Option<String>,
    /// A Secret whose keys are variables of the functions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment_secret: Option<String>,
    /// A Secret whose keys are files of the functions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_secret: Option<String>,
    /// The folder of these files.
    pub file_folder: String,
    /// The claim of the volume that artifacts lie on, where they lie on one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifacts_claim: Option<String>,
    /// Where on that volume they lie.
    pub artifacts_path: String,
    /// The size of a pod's temporary folder.
    pub scratch: String,
    /// Processors that a pod asks for.
    pub cpu: String,
    /// Processors that it takes at most.
    pub cpu_limit: String,
    /// Memory that a pod asks for.
    pub memory: String,
    /// Memory that it takes at most.
    pub memory_limit: String,
}

impl Default for Kubernetes {
    fn default() -> Self {
        Self {
            inference_image: String::new(),
            training_image: None,
            training_slots: 1,
            image_pull_policy: "IfNotPresent".to_owned(),
            image_pull_secret: None,
            kubeconfig: None,
            namespace: None,
            instance: "millrace".to_owned(),
            service_account: "millrace-functions".to_owned(),
            environment_config: None,
            environment_secret: None,
            file_secret: None,
            file_folder: "/run/secrets/kafka".to_owned(),
            artifacts_claim: None,
            artifacts_path: "artifacts".to_owned(),
            scratch: "1Gi".to_owned(),
            cpu: "250m".to_owned(),
            cpu_limit: "2".to_owned(),
            memory: "256Mi".to_owned(),
            memory_limit: "1Gi".to_owned(),
        }
    }
}

impl Kubernetes {
    /// `artifacts` is the URL of the artifact store.
    pub(super) fn check(&self, artifacts: &str) -> Result<(), Error> {
        let invalid = |key: &'static str, reason: &str| Err(Error::invalid(key, reason));
        if self.inference_image.is_empty() {
            return invalid(
                "platform.kubernetes.inference_image",
                "name the inference function's image, which infra/docker/inference.Dockerfile makes",
            );
        }
        if !(1..=64).contains(&self.training_slots) {
            return invalid(
                "platform.kubernetes.training_slots",
                "between 1 and 64 trainings can run at once",
            );
        }
        if !["Always", "IfNotPresent", "Never"].contains(&self.image_pull_policy.as_str()) {
            return invalid(
                "platform.kubernetes.image_pull_policy",
                "it is Always, IfNotPresent or Never",
            );
        }
        if !is_label(&self.instance) || self.instance.len() > LONGEST_INSTANCE {
            return invalid(
                "platform.kubernetes.instance",
                "1 to 15 lower-case letters, digits and '-', which begin with a letter: an id is put behind them, and Kubernetes takes 52 letters",
            );
        }
        if artifacts.starts_with("file://") && self.artifacts_claim.is_none() {
            return invalid(
                "platform.kubernetes.artifacts_claim",
                "pods do not see this machine's folders: set artifacts.url to s3://…, or name the claim of a volume that the API and all pods share (ReadWriteMany)",
            );
        }
        Ok(())
    }
}

/// Names are this, a dash and a UUID; controllers put 11 more letters behind those of a `StatefulSet`, of 63.
const LONGEST_INSTANCE: usize = 15;

fn is_label(text: &str) -> bool {
    text.bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    type Change = fn(&mut Kubernetes);

    #[test]
    fn what_cannot_work_is_refused_with_its_key() {
        let good = Kubernetes {
            inference_image: "millrace-inference".to_owned(),
            ..Kubernetes::default()
        };
        good.check("s3://bucket/artifacts").unwrap();
        let cases: [(&str, Change); 5] = [
            ("inference_image", |one| one.inference_image.clear()),
            ("training_slots", |one| one.training_slots = 0),
            ("image_pull_policy", |one| {
                one.image_pull_policy = "Sometimes".to_owned();
            }),
            ("instance", |one| one.instance = "Mill_race".to_owned()),
            ("instance", |one| {
                one.instance = "a-name-of-16-abc".to_owned();
            }),
        ];
        for (key, change) in cases {
            let mut bad = good.clone();
            change(&mut bad);
            let error = bad.check("s3://bucket/artifacts").unwrap_err().to_string();
            assert!(
                error.contains(&format!("platform.kubernetes.{key}")),
                "{error}"
            );
        }
        let error = good.check("file:///data/artifacts").unwrap_err();
        assert!(error.to_string().contains("ReadWriteMany"), "{error}");
    }
}
