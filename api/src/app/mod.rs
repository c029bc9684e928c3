//! What Millrace does, noun by noun: operations and state machines over the database, Kafka and
//! the artifact store. No GraphQL type comes in here.
//!
//! Every operation checks first and writes in one database transaction; what has to reach Kafka
//! goes through the outbox or is driven by the reconciler, so a crash at any point is repaired.

pub mod alias;
pub mod artifact;
mod change;
mod claim;
pub mod clusters;
pub mod compatibility;
pub mod connection;
mod database;
pub mod datasource;
pub mod dead_letter;
mod error;
pub mod inference;
pub mod janitor;
mod layer;
pub mod model;
pub mod outbox;
pub mod pin;
pub mod project;
pub mod projector;
pub mod reconciler;
pub mod samples;
pub mod segment;
mod shutdown;
pub mod token;
pub mod training;
mod turns;
pub mod version;
pub mod why;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub use change::{Change, Changes};
use chrono::{DateTime, Utc};
pub use claim::Claim;
pub use clusters::{Cluster, Clusters, Ensured, Need};
pub use error::{Code, Error, Result};
use millrace_artifacts::Store;
pub use outbox::Outbox;
use sea_orm::{DatabaseConnection, DatabaseTransaction};
pub use shutdown::{Ending, Shutdown, shutdown};
pub use turns::Turns;
use uuid::Uuid;

use crate::config::Config;
use crate::platform::Platforms;

/// The application: a cheap handle on everything that operations need.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What an [`App`] is made of.
pub struct Parts {
    /// What was configured.
    pub config: Config,
    /// The database, migrated.
    pub database: DatabaseConnection,
    /// Where ONNX files are.
    pub artifacts: Store,
    /// Taken to write by whoever removes artifacts, to read by whoever relies on one.
    pub artifact_guard: tokio::sync::RwLock<()>,
    /// Tells subscribers that a row has changed.
    pub changes: Changes,
    /// Kafka clusters, by connection.
    pub clusters: Clusters,
    /// Wakes the publisher of the outbox.
    pub outbox: Outbox,
    /// Where functions run.
    pub platforms: Platforms,
    /// For reading topics for segments.
    pub scans: Turns,
    /// For asking groups how far they are behind.
    pub lags: Turns,
    /// For trials of versions, which take a process each.
    pub trials: Turns,
    /// What the replicas of inferences last said.
    pub replicas: inference::Replicas,
    /// Whether Millrace's own topics stand, as far as is known. The reconciler alone makes them; whoever misses one
    /// says so here.
    pub own_topics_stand: AtomicBool,
}

impl App {
    /// Opens the database and the artifact store, and sees to what is always there. Kafka need
    /// not be reachable.
    ///
    /// # Errors
    /// What cannot be opened, and why.
    pub async fn open(config: Config) -> Result<Self> {
        tokio::fs::create_dir_all(&config.data.folder)
            .await
            .map_err(|error| {
                Error::internal(format!(
                    "the data folder {} cannot be made: {error}",
                    config.data.folder.display()
                ))
            })?;
        let address = config.database_address();
        tracing::info!(database.url = address, "opening the database");
        let opened = database::open(&config.database_url()).await;
        let app = Self(Arc::new(Parts {
            database: opened.map_err(|error| {
                Error::internal(format!("the database {address} cannot be opened: {error}"))
            })?,
            artifacts: open_artifacts(&config).await.map_err(Error::internal)?,
            artifact_guard: tokio::sync::RwLock::default(),
            changes: Changes::default(),
            clusters: Clusters::default(),
            outbox: Outbox::default(),
            platforms: Platforms::configured(&config)
                .await
                .map_err(Error::internal)?,
            scans: Turns::default(),
            lags: Turns::default(),
            trials: Turns::default(),
            replicas: inference::Replicas::new(clock()),
            own_topics_stand: AtomicBool::new(false),
            config,
        }));
        project::prepare(&app).await?;
        Ok(app)
    }

    /// Begins a database transaction that writes.
    ///
    /// # Errors
    /// The database's.
    pub async fn begin(&self) -> Result<DatabaseTransaction> {
        Ok(database::begin(&self.database).await?)
    }

    /// Whether the database takes what is written.
    ///
    /// # Errors
    /// The database's.
    pub async fn probe_database(&self) -> Result<()> {
        Ok(database::probe(&self.database).await?)
    }

    /// The one place that reads the clock.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        clock()
    }

    /// The one place that makes ids: they grow with time, so lists are ordered by them.
    #[must_use]
    pub fn new_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// The artifact store. What would be refused until somebody changes something is found now, and not by the first upload.
async fn open_artifacts(config: &Config) -> std::result::Result<Store, millrace_artifacts::Error> {
    let scratch = config.data.folder.join("scratch");
    let store = Store::open_in(&config.artifacts_url(), &scratch).await?;
    match store.check().await {
        Err(error) if error.is_retryable() => {
            tracing::warn!(%error, "the artifact store cannot be used yet");
        }
        checked => checked?,
    }
    Ok(store)
}

fn clock() -> DateTime<Utc> {
    // Databases keep microseconds; a row must equal what was written.
    chrono::SubsecRound::trunc_subsecs(Utc::now(), 6)
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
