//! An artifact: a file that the artifact store holds, addressed by its content.

use sea_orm::entity::prelude::*;

/// A row of `artifact`.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "artifact")]
pub struct Model {
    /// SHA-256 in lower-case hexadecimal.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub digest: String,
    /// In bytes.
    pub size: i64,
    pub created_at: DateTimeUtc,
}

/// It refers to no other table.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
