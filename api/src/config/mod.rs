//! The configuration: one typed tree, from `millrace.toml` and from variables
//! `MILLRACE_<SECTION>__<KEY>`, which win.
//!
//! Unknown keys are refused, everything is checked before anything starts, and what is secret
//! is masked wherever the tree is printed. Variables without a double underscore
//! (`MILLRACE_TOKEN`, `MILLRACE_CACHE`, …) are not part of the tree.

mod artifacts;
mod data;
mod database;
mod http;
mod kafka;
mod keda;
mod knative;
mod kubernetes;
mod lambda;
mod limits;
mod load;
mod onnxruntime;
mod platform;
#[cfg(test)]
mod reference;
mod secrets;
mod training;

use std::path::Path;

use serde::{Deserialize, Serialize};

pub use artifacts::Artifacts;
pub use data::Data;
pub use database::Database;
pub use http::{Authentication, Http};
pub use kafka::{Kafka, TopicPolicy};
pub use keda::Keda;
pub use knative::Knative;
pub use kubernetes::Kubernetes;
pub use lambda::Lambda;
#[cfg(test)]
pub(crate) use lambda::tests::complete as complete_lambda;
pub use limits::Limits;
pub use load::Error;
pub use onnxruntime::OnnxRuntime;
pub use platform::{Local, Platform};
pub use secrets::{PREFIX as SECRET_PREFIX, Secrets};
pub use training::Training;

/// The file that is read where none is named.
pub const FILE: &str = "millrace.toml";

/// Everything that can be set.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where Millrace keeps what is not kept elsewhere.
    pub data: Data,
    /// The Kafka cluster of the connection `default`.
    pub kafka: Kafka,
    /// What connections may look up that are made by a mutation.
    pub secrets: Secrets,
    /// Where rows are.
    pub database: Database,
    /// Where ONNX files are.
    pub artifacts: Artifacts,
    /// The server.
    pub http: Http,
    /// ONNX Runtime, for the functions that are started here.
    pub onnxruntime: OnnxRuntime,
    /// What trainings may use.
    pub training: Training,
    /// What is too much.
    pub limits: Limits,
    /// Where functions run.
    pub platform: Platform,
}

impl Config {
    /// Reads the tree: `file` where it is given, else `millrace.toml` where there is one, then the
    /// variables of the environment.
    ///
    /// # Errors
    /// What is wrong, and in which file or variable.
    pub fn load(file: Option<&Path>) -> Result<Self, Error> {
        load::load(file, std::env::vars())
    }

    /// The tree of these variables alone.
    #[cfg(test)]
    pub(crate) fn of(variables: impl Iterator<Item = (String, String)>) -> Result<Self, Error> {
        load::load(None, variables)
    }

    /// The defaults, with each section that is off without its keys.
    fn shape() -> Self {
        Self {
            platform: Platform::shape(),
            ..Self::default()
        }
    }

    /// The tree as TOML, with secrets masked.
    ///
    /// # Errors
    /// Never for a tree that was loaded.
    pub fn masked(&self) -> Result<String, Error> {
        toml::to_string(self).map_err(|error| Error::Print(error.to_string()))
    }

    /// The URL of the database: the one that is set, else a file in the data folder.
    #[must_use]
    pub fn database_url(&self) -> String {
        use secrecy::ExposeSecret as _;
        match &self.database.url {
            Some(url) => url.expose_secret().to_owned(),
            None => format!(
                "sqlite://{}?mode=rwc",
                self.data.folder.join("millrace.db").display()
            ),
        }
    }

    /// The same without a password, for people to read.
    #[must_use]
    pub fn database_address(&self) -> String {
        database::mask(&self.database_url())
    }

    /// The URL of the artifact store: the one that is set, else a folder in the data folder.
    #[must_use]
    pub fn artifacts_url(&self) -> String {
        self.artifacts.url.clone().unwrap_or_else(|| {
            let folder = self.data.folder.join("artifacts");
            let folder = std::path::absolute(&folder).unwrap_or(folder);
            format!("file://{}", folder.display())
        })
    }

    fn check(&self) -> Result<(), Error> {
        self.kafka.check()?;
        self.database.check()?;
        self.secrets.check()?;
        self.artifacts.check()?;
        self.http.check()?;
        self.limits.check()?;
        self.platform.check(&self.artifacts_url())
    }
}
