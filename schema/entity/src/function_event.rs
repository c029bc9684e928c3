//! What a function reported, under the id of its event, so that each counts once.

use sea_orm::entity::prelude::*;

/// A row of `function_event`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "function_event")]
pub struct Model {
    /// The id of the event itself.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// `training` or `inference`.
    #[sea_orm(column_type = "Text")]
    pub function_kind: String,
    /// The training or the inference.
    pub owner_id: Uuid,
    #[sea_orm(column_type = "Text")]
    pub kind: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub body: Json,
    pub occurred_at: DateTimeUtc,
}

/// It refers to no other table.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
