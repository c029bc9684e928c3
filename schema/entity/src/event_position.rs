//! How far a partition of the topic of events has been projected.

use sea_orm::entity::prelude::*;

/// A row of `event_position`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event_position")]
pub struct Model {
    /// Kafka's id of the topic: one that is made anew under the same name begins anew.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub topic: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub partition: i32,
    /// The offset of the next event to project.
    pub next_offset: i64,
}

/// It refers to no other table.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
