//! A connection: a Kafka cluster, how to reach it, and its rules for topics.

use sea_orm::entity::prelude::*;

/// A row of `connection`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "connection")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub project_id: Uuid,
    #[sea_orm(column_type = "Text")]
    pub name: String,
    /// A flat map of librdkafka properties, whose values may hold references to secrets.
    #[sea_orm(column_type = "JsonBinary")]
    pub properties: Json,
    /// What the names of topics, groups and transactions begin with.
    #[sea_orm(column_type = "Text")]
    pub prefix: String,
    /// The names of the topics that Millrace makes, by what they are for.
    #[sea_orm(column_type = "JsonBinary")]
    pub topic_templates: Json,
    pub topic_policy: TopicPolicy,
    /// Partitions of a topic that is made here.
    pub topic_partitions: i32,
    /// Replicas of a topic that is made here.
    pub topic_replication: i32,
    /// It comes from the configuration, which alone changes it.
    pub managed: bool,
    pub created_at: DateTimeUtc,
}

/// Whether topics that are missing are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "Text",
    rename_all = "SCREAMING_SNAKE_CASE"
)]
pub enum TopicPolicy {
    /// Millrace makes them.
    Create,
    /// The owner of the cluster makes them; Millrace says which.
    Require,
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
}

impl Related<super::project::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Project.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
