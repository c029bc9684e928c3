//! One move of an alias. Rows are only ever added.

use sea_orm::entity::prelude::*;

/// A row of `alias_move`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "alias_move")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub model_id: Uuid,
    #[sea_orm(column_type = "Text")]
    pub name: String,
    /// Null where the alias was new.
    pub from_version_id: Option<Uuid>,
    /// Null where the alias was removed.
    pub to_version_id: Option<Uuid>,
    /// Who moved it: a user, or a training that promoted its result.
    #[sea_orm(column_type = "Text")]
    pub moved_by: String,
    pub moved_at: DateTimeUtc,
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
        belongs_to = "super::version::Entity",
        from = "Column::FromVersionId",
        to = "super::version::Column::Id",
        on_delete = "Restrict"
    )]
    FromVersion,
    #[sea_orm(
        belongs_to = "super::version::Entity",
        from = "Column::ToVersionId",
        to = "super::version::Column::Id",
        on_delete = "Restrict"
    )]
    ToVersion,
}

impl Related<super::model::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Model.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
