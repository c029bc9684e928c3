//! A training: a version, a segment and hyperparameters, from which a version is made.

use sea_orm::entity::prelude::*;

/// A row of `training`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "training")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub project_id: Uuid,
    /// The version that it starts from.
    pub version_id: Uuid,
    pub segment_id: Uuid,
    #[sea_orm(column_type = "JsonBinary")]
    pub hyperparameters: Json,
    pub state: State,
    /// Somebody asked for its end.
    pub cancel_requested: bool,
    /// The platform that it runs on.
    #[sea_orm(column_type = "Text")]
    pub platform: String,
    /// The partition of the command topic that is taken by it, while it is.
    pub slot: Option<i32>,
    pub seed: i64,
    /// The alias that is moved to the result.
    #[sea_orm(column_type = "Text", nullable)]
    pub promote_to: Option<String>,
    /// The version that it made.
    pub result_version_id: Option<Uuid>,
    /// What it waits for, while it waits.
    #[sea_orm(column_type = "Text", nullable)]
    pub message: Option<String>,
    /// What its function warned about, in the order of arrival; null without warnings.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub warnings: Option<Json>,
    #[sea_orm(column_type = "Text", nullable)]
    pub error_code: Option<String>,
    #[sea_orm(column_type = "Text", nullable)]
    pub error_message: Option<String>,
    pub created_at: DateTimeUtc,
    pub started_at: Option<DateTimeUtc>,
    pub finished_at: Option<DateTimeUtc>,
}

/// Where a training is between its creation and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(
    rs_type = "String",
    db_type = "Text",
    rename_all = "SCREAMING_SNAKE_CASE"
)]
pub enum State {
    /// It waits for a free slot.
    Pending,
    /// Its command is on its way to a function.
    Deploying,
    /// A function reported its start.
    Running,
    /// It made a version.
    Succeeded,
    /// It ended with an error.
    Failed,
    /// It ended because somebody asked for it.
    Cancelled,
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
        belongs_to = "super::version::Entity",
        from = "Column::VersionId",
        to = "super::version::Column::Id",
        on_delete = "Restrict"
    )]
    Version,
    #[sea_orm(
        belongs_to = "super::segment::Entity",
        from = "Column::SegmentId",
        to = "super::segment::Column::Id",
        on_delete = "Restrict"
    )]
    Segment,
    #[sea_orm(
        belongs_to = "super::version::Entity",
        from = "Column::ResultVersionId",
        to = "super::version::Column::Id",
        on_delete = "Restrict"
    )]
    ResultVersion,
    #[sea_orm(has_many = "super::training_epoch::Entity")]
    TrainingEpoch,
}

impl Related<super::project::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Project.def()
    }
}

impl Related<super::version::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Version.def()
    }
}

impl Related<super::segment::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Segment.def()
    }
}

impl Related<super::training_epoch::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::TrainingEpoch.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
