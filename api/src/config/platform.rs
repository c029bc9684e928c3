//! The platforms that run functions.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Error, Keda, Knative, Kubernetes, Lambda};

/// `[platform]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Platform {
    /// The platform that runs trainings.
    pub trainings: String,
    /// Processes on this machine.
    pub local: Local,
    /// Lambda on this machine.
    pub lambda_local: LambdaLocal,
    /// Kubernetes, where there is a section for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<Kubernetes>,
    /// KEDA, where there is a section for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keda: Option<Keda>,
    /// Knative, where there is a section for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub knative: Option<Knative>,
    /// AWS Lambda, where there is a section for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lambda: Option<Lambda>,
}

impl Default for Platform {
    fn default() -> Self {
        Self {
            trainings: "local".to_owned(),
            local: Local::default(),
            lambda_local: LambdaLocal::default(),
            kubernetes: None,
            keda: None,
            knative: None,
            lambda: None,
        }
    }
}

impl Platform {
    /// The defaults of every section, those that are off included.
    pub(super) fn shape() -> Self {
        Self {
            kubernetes: Some(Kubernetes::default()),
            keda: Some(Keda::default()),
            knative: Some(Knative::default()),
            lambda: Some(Lambda::default()),
            ..Self::default()
        }
    }

    /// `artifacts` is the URL of the artifact store.
    pub(super) fn check(&self, artifacts: &str) -> Result<(), Error> {
        self.local.check()?;
        self.lambda_local.check()?;
        let can_train = match self.trainings.as_str() {
            "local" => true,
            "kubernetes" => self.kubernetes.is_some(),
            "knative" => self.knative.as_ref().is_some_and(|knative| knative.enabled),
            "lambda" => self.lambda.is_some(),
            _ => false,
        };
        if !can_train {
            return Err(Error::invalid(
                "platform.trainings",
                "trainings run on local, kubernetes, knative or lambda, and the last three need a section of their own",
            ));
        }
        if let Some(keda) = &self.keda {
            keda.check(self.kubernetes.is_some())?;
        }
        if let Some(knative) = &self.knative {
            knative.check(self.kubernetes.is_some())?;
        }
        if let Some(kubernetes) = &self.kubernetes {
            kubernetes.check(artifacts)?;
            let in_pods = ["kubernetes", "knative"].contains(&self.trainings.as_str());
            if in_pods && kubernetes.training_image.is_none() {
                return Err(Error::invalid(
                    "platform.kubernetes.training_image",
                    "trainings run in pods: name the training function's image, which infra/docker/training.Dockerfile makes",
                ));
            }
        }
        self.lambda.as_ref().map_or(Ok(()), Lambda::check)
    }
}

/// `[platform.local]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Local {
    /// How many trainings may run at once.
    pub training_slots: u32,
    /// The folder of the functions' programs; the one of `millrace` itself where it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binaries: Option<PathBuf>,
}

impl Default for Local {
    fn default() -> Self {
        Self {
            training_slots: 1,
            binaries: None,
        }
    }
}

impl Local {
    fn check(&self) -> Result<(), Error> {
        if !(1..=64).contains(&self.training_slots) {
            return Err(Error::invalid(
                "platform.local.training_slots",
                "between 1 and 64 trainings can run at once",
            ));
        }
        Ok(())
    }

    /// The folder of the functions' programs.
    ///
    /// # Errors
    /// The system does not tell where this program is.
    pub fn binaries(&self) -> std::io::Result<PathBuf> {
        if let Some(folder) = &self.binaries {
            return Ok(folder.clone());
        }
        let program = std::env::current_exe()?;
        Ok(program.parent().map(PathBuf::from).unwrap_or_default())
    }
}

/// `[platform.lambda_local]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LambdaLocal {
    /// The folder that the inference function's zip for Lambda was unpacked into; without, functions are the programs of `local`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<PathBuf>,
}

impl LambdaLocal {
    fn check(&self) -> Result<(), Error> {
        match &self.package {
            Some(package) if !package.join("bootstrap").is_file() => Err(Error::invalid(
                "platform.lambda_local.package",
                "there is no `bootstrap` in that folder: unpack target/package/x86_64/inference.zip there, which `make lambda` makes",
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn a_package_has_a_bootstrap() {
        let folder = tempfile::tempdir().unwrap();
        let platform = Platform {
            lambda_local: LambdaLocal {
                package: Some(folder.path().to_owned()),
            },
            ..Platform::default()
        };
        let error = platform.check("file:///a").unwrap_err().to_string();
        assert!(error.contains("bootstrap"), "{error}");
        std::fs::write(folder.path().join("bootstrap"), "").unwrap();
        platform.check("file:///a").unwrap();
    }

    #[test]
    fn trainings_run_where_there_is_a_platform_for_them() {
        let on = |trainings: &str| Platform {
            trainings: trainings.to_owned(),
            ..Platform::default()
        };
        on("local").check("file:///a").unwrap();
        for wrong in ["lambda", "kubernetes", "knative", "moon", ""] {
            let error = on(wrong).check("file:///a").unwrap_err().to_string();
            assert!(error.contains("platform.trainings"), "{wrong}: {error}");
        }
        let mut in_pods = on("knative");
        in_pods.knative = Some(Knative {
            enabled: true,
            ..Knative::default()
        });
        in_pods.kubernetes = Some(Kubernetes {
            inference_image: "millrace-inference".to_owned(),
            ..Kubernetes::default()
        });
        let error = in_pods.check("s3://bucket/a").unwrap_err().to_string();
        assert!(error.contains("training_image"), "{error}");
        if let Some(kubernetes) = &mut in_pods.kubernetes {
            kubernetes.training_image = Some("millrace-training".to_owned());
        }
        in_pods.check("s3://bucket/a").unwrap();
    }
}
