//! What Millrace does, noun by noun: operations and state machines over the database, Kafka and
//! the artifact store. No GraphQL type comes in here.
//!
//! Every operation checks first and writes in one database transaction; what has to reach Kafka
//! goes through the outbox or is driven by the reconciler, so a crash at any point is repaired.

mod change;
pub mod compatibility;
mod error;

use std::sync::Arc;

pub use change::{Change, Changes};
use chrono::{DateTime, Utc};
pub use error::{Code, Error, Result};
use sea_orm::DatabaseConnection;
use uuid::Uuid;

/// The application: a cheap handle on everything that operations need.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What an [`App`] is made of.
pub struct Parts {
    /// The database, migrated.
    pub database: DatabaseConnection,
    /// Where ONNX files are.
    pub artifacts: millrace_artifacts::Store,
    /// Tells subscribers that a row has changed.
    pub changes: Changes,
}

impl App {
    /// The application on these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The one place that reads the clock.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        // Databases keep microseconds; a row must equal what was written.
        chrono::SubsecRound::trunc_subsecs(Utc::now(), 6)
    }

    /// The one place that makes ids: they grow with time, so lists are ordered by them.
    #[must_use]
    pub fn new_id(&self) -> Uuid {
        Uuid::now_v7()
    }
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
