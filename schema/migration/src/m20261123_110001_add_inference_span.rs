//! Adds `inference.span`, `takes_over_id` and `handover`: what a replay answers, in whose place a rescoring inference
//! works in the end, and from where on it does.

use sea_orm_migration::{
    prelude::*,
    schema::{json_binary_null, uuid_null},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [
            json_binary_null("span"),
            uuid_null("takes_over_id"),
            json_binary_null("handover"),
        ] {
            manager
                .alter_table(
                    Table::alter()
                        .table("inference")
                        .add_column(column)
                        .to_owned(),
                )
                .await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["span", "takes_over_id", "handover"] {
            manager
                .alter_table(
                    Table::alter()
                        .table("inference")
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
