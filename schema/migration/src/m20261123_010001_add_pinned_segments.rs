//! Adds `segment.pinned_digest` and `pinned_bytes`: the copy of its records in the artifact store.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer_null, text_null},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [text_null("pinned_digest"), big_integer_null("pinned_bytes")] {
            manager
                .alter_table(
                    Table::alter()
                        .table("segment")
                        .add_column(column)
                        .to_owned(),
                )
                .await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["pinned_digest", "pinned_bytes"] {
            manager
                .alter_table(
                    Table::alter()
                        .table("segment")
                        .drop_column(column)
                        .to_owned(),
                )
                .await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
