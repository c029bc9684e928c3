//! Creates `outbox`: records to be produced, written in the transaction of the change that they
//! announce, and removed when Kafka has them. A null value is a tombstone; a null
//! partition is chosen by the key.

use sea_orm_migration::{
    prelude::*,
    schema::{big_pk_auto, integer_null, text, text_null, timestamp_with_time_zone, uuid},
};

use crate::constraint::refers_to;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("outbox")
                    .col(big_pk_auto("id"))
                    .col(text("topic"))
                    .col(integer_null("partition"))
                    .col(text("key"))
                    .col(text_null("value"))
                    .col(uuid("connection_id"))
                    .col(timestamp_with_time_zone("created_at"))
                    .foreign_key(&mut refers_to(
                        "outbox",
                        "connection_id",
                        "connection",
                        "id",
                    ))
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("outbox").to_owned())
            .await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
