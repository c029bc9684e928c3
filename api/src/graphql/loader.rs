//! Batched reads by id: one query for all rows that one level of a query asks for.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use async_graphql::dataloader::Loader;
use millrace_entity as entity;
use sea_orm::{ColumnTrait as _, DatabaseConnection, DbErr, EntityTrait as _, QueryFilter as _};
use uuid::Uuid;

/// Reads rows by id.
pub struct Rows {
    database: DatabaseConnection,
}

impl Rows {
    /// A loader on this database.
    #[must_use]
    pub fn new(database: DatabaseConnection) -> Self {
        Self { database }
    }
}

macro_rules! by_id {
    ($($key:ident => $noun:ident),+ $(,)?) => {$(
        #[doc = concat!("The id of a `", stringify!($noun), "` row.")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $key(pub Uuid);

        impl Loader<$key> for Rows {
            type Value = entity::$noun::Model;
            type Error = Arc<DbErr>;

            async fn load(&self, keys: &[$key]) -> Result<HashMap<$key, Self::Value>, Self::Error> {
                let ids = keys.iter().map(|key| key.0);
                let rows = entity::$noun::Entity::find()
                    .filter(entity::$noun::Column::Id.is_in(ids))
                    .all(&self.database)
                    .await
                    .map_err(Arc::new)?;
                Ok(rows.into_iter().map(|row| ($key(row.id), row)).collect())
            }
        }
    )+};
}

by_id! {
    AliasId => alias,
    ConnectionId => connection,
    DatasourceId => datasource,
    InferenceId => inference,
    ModelId => model,
    ProjectId => project,
    SegmentId => segment,
    TrainingId => training,
    VersionId => version,
}
