//! A version of a model: an ONNX file with its signature, lineage and metrics.

use sea_orm::entity::prelude::*;

/// A row of `version`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "version")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub model_id: Uuid,
    pub number: i32,
    /// The artifact that holds the ONNX file.
    #[sea_orm(column_type = "Text")]
    pub digest: String,
    /// In bytes.
    pub size: i64,
    /// Names, types and shapes of the inputs and the outputs.
    #[sea_orm(column_type = "JsonBinary")]
    pub signature: Json,
    /// The layers that it was built from, where it was.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub layers: Option<Json>,
    /// The version that it was trained from.
    pub parent_id: Option<Uuid>,
    /// The training that made it. No foreign key: trainings refer to versions.
    pub training_id: Option<Uuid>,
    /// The segment that it was trained on.
    pub segment_id: Option<Uuid>,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metrics: Option<Json>,
    /// What its training's test part said of each class.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub report: Option<Json>,
    /// With what its training's steps were computed.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub computed_on: Option<Json>,
    /// The samples that it is held to, as functions get them: the artifact that holds them, and how close it must come.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub samples: Option<Json>,
    pub created_at: DateTimeUtc,
}

/// What a row belongs to, and what belongs to it.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::model::Entity",
        from = "Column::ModelId",
        to = "super::model::Column::Id",
        on_delete = "Restrict"
    )]
    Model,
    #[sea_orm(
        belongs_to = "super::artifact::Entity",
        from = "Column::Digest",
        to = "super::artifact::Column::Digest",
        on_delete = "Restrict"
    )]
    Artifact,
    #[sea_orm(
        belongs_to = "Entity",
        from = "Column::ParentId",
        to = "Column::Id",
        on_delete = "Restrict"
    )]
    Parent,
    #[sea_orm(
        belongs_to = "super::segment::Entity",
        from = "Column::SegmentId",
        to = "super::segment::Column::Id",
        on_delete = "Restrict"
    )]
    Segment,
}

impl Related<super::model::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Model.def()
    }
}

impl Related<super::artifact::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Artifact.def()
    }
}

impl Related<super::segment::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Segment.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
