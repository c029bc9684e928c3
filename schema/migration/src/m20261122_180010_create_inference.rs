//! Creates `inference`: a version or an alias at work between two topics. `owned_topics` are those
//! that Millrace made for it and removes with it.

use sea_orm_migration::{
    prelude::*,
    schema::{
        integer, integer_null, json_binary, json_binary_null, pk_uuid, text, text_null,
        timestamp_with_time_zone, uuid, uuid_null,
    },
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
                    .table("inference")
                    .col(pk_uuid("id"))
                    .col(uuid("project_id"))
                    .col(text("name"))
                    .col(uuid("datasource_id"))
                    .col(uuid("model_id"))
                    .col(uuid_null("version_id"))
                    .col(text_null("alias"))
                    .col(uuid("connection_id"))
                    .col(text("input_topic"))
                    .col(text("input_topic_id"))
                    .col(text("output_topic"))
                    .col(text("dead_letter_topic"))
                    .col(text("redrive_topic"))
                    .col(text("group_id"))
                    .col(text("guarantee"))
                    .col(text("output_format"))
                    .col(json_binary("start"))
                    .col(text("platform"))
                    .col(integer("replicas"))
                    .col(json_binary("settings"))
                    .col(text("desired"))
                    .col(text("state"))
                    .col(text_null("message"))
                    .col(json_binary_null("saved_offsets"))
                    .col(json_binary("owned_topics"))
                    .col(integer_null("running_version"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone("updated_at"))
                    .index(&mut unique("inference", &["project_id", "name"]))
                    .foreign_key(&mut refers_to("inference", "project_id", "project", "id"))
                    .foreign_key(&mut refers_to(
                        "inference",
                        "datasource_id",
                        "datasource",
                        "id",
                    ))
                    .foreign_key(&mut refers_to("inference", "model_id", "model", "id"))
                    .foreign_key(&mut refers_to("inference", "version_id", "version", "id"))
                    .foreign_key(&mut refers_to(
                        "inference",
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
            .drop_table(Table::drop().table("inference").to_owned())
            .await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
