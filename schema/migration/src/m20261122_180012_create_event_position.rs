//! Creates `event_position`: how far the topic of events has been projected.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, integer, text},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("event_position")
                    .col(text("topic"))
                    .col(integer("partition"))
                    .col(big_integer("next_offset"))
                    .primary_key(Index::create().col("topic").col("partition"))
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("event_position").to_owned())
            .await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
