//! Creates `connection`: a Kafka cluster, how to reach it, and the naming and creation rules
//! for topics there. `properties` holds references to secrets, never a secret.

use sea_orm_migration::{
    prelude::*,
    schema::{boolean, integer, json_binary, pk_uuid, text, timestamp_with_time_zone, uuid},
};

use crate::constraint::{refers_to, unique};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("connection")
                    .col(pk_uuid("id"))
                    .col(uuid("project_id"))
                    .col(text("name"))
                    .col(json_binary("properties"))
                    .col(text("prefix"))
                    .col(json_binary("topic_templates"))
                    .col(text("topic_policy"))
                    .col(integer("topic_partitions"))
                    .col(integer("topic_replication"))
                    .col(boolean("managed"))
                    .col(timestamp_with_time_zone("created_at"))
                    .index(&mut unique("connection", &["project_id", "name"]))
                    .foreign_key(&mut refers_to("connection", "project_id", "project", "id"))
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("connection").to_owned())
            .await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
