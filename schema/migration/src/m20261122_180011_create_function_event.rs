//! Creates `function_event`: what functions reported, each once. The key is the event's own id,
//! so a report that arrives again is known as such.

use sea_orm_migration::{
    prelude::*,
    schema::{json_binary, pk_uuid, text, timestamp_with_time_zone, uuid},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("function_event")
                    .col(pk_uuid("id"))
                    .col(text("function_kind"))
                    .col(uuid("owner_id"))
                    .col(text("kind"))
                    .col(json_binary("body"))
                    .col(timestamp_with_time_zone("occurred_at"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("index_function_event_owner_id_occurred_at")
                    .table("function_event")
                    .col("owner_id")
                    .col("occurred_at")
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("function_event").to_owned())
            .await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
