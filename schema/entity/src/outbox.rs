//! A record to be produced, written in the transaction of the change that it announces.

use sea_orm::entity::prelude::*;

/// A row of `outbox`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "outbox")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    #[sea_orm(column_type = "Text")]
    pub topic: String,
    /// Null is chosen by the key.
    pub partition: Option<i32>,
    #[sea_orm(column_type = "Text")]
    pub key: String,
    /// Null is a tombstone.
    #[sea_orm(column_type = "Text", nullable)]
    pub value: Option<String>,
    pub connection_id: Uuid,
    pub created_at: DateTimeUtc,
}

/// What a row belongs to, and what belongs to it.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::connection::Entity",
        from = "Column::ConnectionId",
        to = "super::connection::Column::Id",
        on_delete = "Restrict"
    )]
    Connection,
}

impl Related<super::connection::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Connection.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
