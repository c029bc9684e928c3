//! An inference: a version or an alias at work between two topics.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

/// A row of `inference`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "inference")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub project_id: Uuid,
    #[sea_orm(column_type = "Text")]
    pub name: String,
    pub datasource_id: Uuid,
    pub model_id: Uuid,
    /// The version that it runs, where it does not follow an alias.
    pub version_id: Option<Uuid>,
    /// The alias that it follows, where it does not run one version.
    #[sea_orm(column_type = "Text", nullable)]
    pub alias: Option<String>,
    pub connection_id: Uuid,
    #[sea_orm(column_type = "Text")]
    pub input_topic: String,
    /// Kafka's id of the input topic.
    #[sea_orm(column_type = "Text")]
    pub input_topic_id: String,
    #[sea_orm(column_type = "Text")]
    pub output_topic: String,
    #[sea_orm(column_type = "Text")]
    pub dead_letter_topic: String,
    #[sea_orm(column_type = "Text")]
    pub redrive_topic: String,
    /// The consumer group.
    #[sea_orm(column_type = "Text")]
    pub group_id: String,
    pub guarantee: Guarantee,
    pub output_format: OutputFormat,
    /// Where it was made to start.
    #[sea_orm(column_type = "JsonBinary")]
    pub start: Json,
    #[sea_orm(column_type = "Text")]
    pub platform: String,
    pub replicas: i32,
    #[sea_orm(column_type = "JsonBinary")]
    pub settings: Json,
    /// What the reconciler drives it to.
    pub desired: Desired,
    pub state: State,
    /// What a person should know about its state.
    #[sea_orm(column_type = "Text", nullable)]
    pub message: Option<String>,
    /// The positions at which it was stopped, put back when it starts again.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub saved_offsets: Option<Json>,
    /// The topics that Millrace made for it, and removes with it: a list of `name` and Kafka's `id`.
    #[sea_orm(column_type = "JsonBinary")]
    pub owned_topics: Json,
    /// The number of the version that it last reported to run.
    pub running_version: Option<i32>,
    /// What it answers of its input, where that ends.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub span: Option<Json>,
    /// The inference in whose place it works as soon as it has got as far.
    pub takes_over_id: Option<Uuid>,
    /// In whose place it works since when: a name and offsets.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub handover: Option<Json>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

/// How often a record is answered.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize,
)]
#[sea_orm(
    rs_type = "String",
    db_type = "Text",
    rename_all = "SCREAMING_SNAKE_CASE"
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Guarantee {
    /// Once, for readers that read committed records only.
    ExactlyOnce,
    /// Once or more often.
    AtLeastOnce,
}

/// The shape of an output's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "Text",
    rename_all = "SCREAMING_SNAKE_CASE"
)]
pub enum OutputFormat {
    /// Millrace's own: model, version, source and named outputs.
    Json,
    /// That of Kafka-ML's consumers: a list of values.
    KafkaMl,
    /// An Avro record, whose schema stands in a registry.
    Avro,
    /// The bytes of the outputs.
    Raw,
}

/// What somebody wants an inference to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "Text",
    rename_all = "SCREAMING_SNAKE_CASE"
)]
pub enum Desired {
    /// At work.
    Running,
    /// At rest, with its offsets saved.
    Stopped,
    /// Gone, with all that Millrace made for it.
    Deleted,
}

/// Where an inference is, as far as its functions reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "Text",
    rename_all = "SCREAMING_SNAKE_CASE"
)]
pub enum State {
    /// Nothing has been started yet.
    Pending,
    /// Its functions start.
    Deploying,
    /// All its replicas work.
    Running,
    /// It works, but not as it should; the message says why.
    Degraded,
    /// Its functions end.
    Stopping,
    /// No function runs, and its offsets are saved.
    Stopped,
    /// Its span is answered, and no function runs.
    Finished,
    /// It cannot go on without a person.
    Failed,
    /// What Millrace made for it is being removed.
    Deleting,
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
    #[sea_orm(
        belongs_to = "super::model::Entity",
        from = "Column::ModelId",
        to = "super::model::Column::Id",
        on_delete = "Restrict"
    )]
    Model,
    #[sea_orm(
        belongs_to = "super::version::Entity",
        from = "Column::VersionId",
        to = "super::version::Column::Id",
        on_delete = "Restrict"
    )]
    Version,
    #[sea_orm(
        belongs_to = "super::connection::Entity",
        from = "Column::ConnectionId",
        to = "super::connection::Column::Id",
        on_delete = "Restrict"
    )]
    Connection,
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

impl Related<super::model::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Model.def()
    }
}

impl Related<super::version::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Version.def()
    }
}

impl Related<super::connection::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Connection.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
