//! Creates `segment`: an immutable manifest of offsets in a datasource. The ends of the ranges
//! are exclusive, and `count` is what a `read_committed` reader finds between them.

use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, json_binary, pk_uuid, text, text_null, timestamp_with_time_zone,
        timestamp_with_time_zone_null, uuid,
    },
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
                    .table("segment")
                    .col(pk_uuid("id"))
                    .col(uuid("project_id"))
                    .col(uuid("datasource_id"))
                    .col(text_null("name"))
                    .col(text("cluster_id"))
                    .col(text("topic_id"))
                    .col(text("topic"))
                    .col(json_binary("partitions"))
                    .col(big_integer("count"))
                    .col(text("digest"))
                    .col(json_binary("split"))
                    .col(big_integer("train_count"))
                    .col(big_integer("validation_count"))
                    .col(big_integer("test_count"))
                    .col(timestamp_with_time_zone_null("retained_until"))
                    .col(timestamp_with_time_zone("created_at"))
                    .foreign_key(&mut refers_to("segment", "project_id", "project", "id"))
                    .foreign_key(&mut refers_to(
                        "segment",
                        "datasource_id",
                        "datasource",
                        "id",
                    ))
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("segment").to_owned())
            .await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
