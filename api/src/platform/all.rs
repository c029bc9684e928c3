//! The platforms that the configuration names.

use std::sync::Arc;

use futures::future::join_all;
use tokio::sync::watch;

use super::{
    KnativePlatform, KubernetesPlatform, LambdaLocal, LambdaPlatform, LocalPlatform, LocalSettings,
    Platform, Status, lambda,
};
use crate::config::Config;

/// Tells that the state of some function has changed.
#[derive(Debug, Clone, Default)]
pub struct Changes(watch::Sender<u64>);

impl Changes {
    /// Tells it.
    pub fn send(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Hears it.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

/// The consumer groups by which some platform, of the configuration or not, brings redriven records to an inference with this
/// group.
#[must_use]
pub fn redrive_groups(group: &str) -> [String; 2] {
    [group.to_owned(), lambda::redrive_group(group)]
}

/// All platforms. The local one is always there: versions are tried on it.
pub struct Platforms {
    /// Processes on this machine.
    pub local: Arc<LocalPlatform>,
    all: Vec<Arc<dyn Platform>>,
    trainings: Arc<dyn Platform>,
    changes: Changes,
}

impl Platforms {
    /// Those that the configuration describes.
    ///
    /// # Errors
    /// One of them cannot be made.
    pub async fn configured(config: &Config) -> std::io::Result<Self> {
        let changes = Changes::default();
        let settings = LocalSettings::configured(config)?;
        let local = Arc::new(LocalPlatform::new(settings.clone(), changes.clone()));
        let settings = match &config.platform.lambda_local.package {
            Some(folder) => settings.packaged(folder),
            None => settings,
        };
        let lambda_local = LambdaLocal::new(settings, changes.clone());
        let mut all: Vec<Arc<dyn Platform>> = vec![local.clone(), Arc::new(lambda_local)];
        if let Some(lambda) = &config.platform.lambda {
            all.push(Arc::new(LambdaPlatform::new(lambda, changes.clone())));
        }
        if let Some(settings) = &config.platform.kubernetes {
            let keda = config.platform.keda.clone().unwrap_or_default();
            let artifacts = config.artifacts_url();
            let made =
                KubernetesPlatform::configured(settings, &keda, &artifacts, changes.clone()).await;
            all.push(Arc::new(made.map_err(std::io::Error::other)?));
            if let Some(own) = config.platform.knative.as_ref().filter(|own| own.enabled) {
                let made = KnativePlatform::configured(settings, own, &artifacts, changes.clone());
                all.push(Arc::new(made.await.map_err(std::io::Error::other)?));
            }
        }
        let trainings = all
            .iter()
            .find(|platform| platform.name() == config.platform.trainings);
        Ok(Self {
            trainings: trainings.map(Arc::clone).ok_or_else(|| {
                let name = &config.platform.trainings;
                std::io::Error::other(format!("there is no platform {name:?} for trainings"))
            })?,
            all,
            local,
            changes,
        })
    }

    /// The platform of this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&dyn Platform> {
        let found = self.all.iter().find(|platform| platform.name() == name);
        found.map(AsRef::as_ref)
    }

    /// The names of all.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        self.all.iter().map(|platform| platform.name()).collect()
    }

    /// The one that runs trainings.
    #[must_use]
    pub fn for_trainings(&self) -> &dyn Platform {
        self.trainings.as_ref()
    }

    /// The names of those whose functions end with the API.
    #[must_use]
    pub fn ending_with_the_api(&self) -> Vec<&'static str> {
        let all = self.all.iter();
        all.filter(|platform| platform.ends_with_the_api())
            .map(|platform| platform.name())
            .collect()
    }

    /// Those that run no trainings.
    pub fn not_for_trainings(&self) -> impl Iterator<Item = &dyn Platform> {
        let trainings = self.trainings.name();
        let all = self.all.iter().map(AsRef::as_ref);
        all.filter(move |platform| platform.name() != trainings)
    }

    /// The functions of all.
    pub async fn functions(&self) -> Vec<Status> {
        let mut functions = Vec::new();
        for platform in &self.all {
            functions.extend(platform.functions().await);
        }
        functions
    }

    /// Changes whenever the state of a function does.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Ends in order what cannot go on without the API.
    pub async fn shutdown(&self) {
        join_all(self.all.iter().map(|platform| platform.shutdown())).await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    /// A group that none of these names would stay in Kafka when its inference is deleted.
    #[tokio::test]
    async fn a_redrive_group_is_known_without_its_platform() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.data.folder = folder.path().to_owned();
        config.platform.lambda = Some(crate::config::complete_lambda());
        let platforms = Platforms::configured(&config).await.unwrap();
        for platform in &platforms.all {
            let group = platform.redrive_group("group");
            assert!(redrive_groups("group").contains(&group), "{group}");
        }
    }

    /// Rows of these are put back when the API starts: they say that functions run, and none does.
    #[tokio::test]
    async fn what_runs_on_this_machine_ends_with_the_api() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.data.folder = folder.path().to_owned();
        let platforms = Platforms::configured(&config).await.unwrap();
        assert_eq!(platforms.ending_with_the_api(), ["local", "lambda-local"]);
    }
}
