//! Creates `datasource`: a topic, the format of its records, and where the label is.

use sea_orm_migration::{
    prelude::*,
    schema::{json_binary, json_binary_null, pk_uuid, text, timestamp_with_time_zone, uuid},
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
                    .table("datasource")
                    .col(pk_uuid("id"))
                    .col(uuid("project_id"))
                    .col(uuid("connection_id"))
                    .col(text("name"))
                    .col(text("topic"))
                    .col(json_binary("format"))
                    .col(json_binary_null("label"))
                    .col(timestamp_with_time_zone("created_at"))
                    .index(&mut unique("datasource", &["project_id", "name"]))
                    .foreign_key(&mut refers_to("datasource", "project_id", "project", "id"))
                    .foreign_key(&mut refers_to(
                        "datasource",
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
            .drop_table(Table::drop().table("datasource").to_owned())
            .await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
