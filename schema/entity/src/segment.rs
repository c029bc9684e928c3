//! A segment: an immutable manifest of offsets in a datasource, and its split.

use sea_orm::entity::prelude::*;

/// A row of `segment`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "segment")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub project_id: Uuid,
    pub datasource_id: Uuid,
    #[sea_orm(column_type = "Text", nullable)]
    pub name: Option<String>,
    /// The id of the Kafka cluster.
    #[sea_orm(column_type = "Text")]
    pub cluster_id: String,
    /// Kafka's id of the topic, which a topic made anew under the same name does not have.
    #[sea_orm(column_type = "Text")]
    pub topic_id: String,
    #[sea_orm(column_type = "Text")]
    pub topic: String,
    /// `[{partition, start, end, count}]`, the ends exclusive.
    #[sea_orm(column_type = "JsonBinary")]
    pub partitions: Json,
    /// Records that a `read_committed` reader finds. Transaction markers leave gaps.
    pub count: i64,
    /// SHA-256 over the records.
    #[sea_orm(column_type = "Text")]
    pub digest: String,
    /// `{seed, validation, test}`: the permutation and the fractions that it is cut at.
    #[sea_orm(column_type = "JsonBinary")]
    pub split: Json,
    pub train_count: i64,
    pub validation_count: i64,
    pub test_count: i64,
    /// When Kafka may delete the first of its records.
    pub retained_until: Option<DateTimeUtc>,
    /// The file in the artifact store that holds the records as well.
    #[sea_orm(column_type = "Text", nullable)]
    pub pinned_digest: Option<String>,
    /// Its size.
    pub pinned_bytes: Option<i64>,
    pub created_at: DateTimeUtc,
}

/// What a row belongs to, and what belongs to it.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::project::Entity",
        from = "Column::ProjectId",
        to = "super::project::Column::Id",
        on_delete = "Restrict"
    )]
    Project,
    #[sea_orm(
        belongs_to = "super::datasource::Entity",
        from = "Column::DatasourceId",
        to = "super::datasource::Column::Id",
        on_delete = "Restrict"
    )]
    Datasource,
}

impl Related<super::project::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Project.def()
    }
}

impl Related<super::datasource::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Datasource.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
