//! Creates `model`. `next_version` only ever grows, so that no number is given twice.

use sea_orm_migration::{
    prelude::*,
    schema::{integer, pk_uuid, text, text_null, timestamp_with_time_zone, uuid},
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
                    .table("model")
                    .col(pk_uuid("id"))
                    .col(uuid("project_id"))
                    .col(text("name"))
                    .col(text_null("description"))
                    .col(integer("next_version"))
                    .col(timestamp_with_time_zone("created_at"))
                    .index(&mut unique("model", &["project_id", "name"]))
                    .foreign_key(&mut refers_to("model", "project_id", "project", "id"))
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("model").to_owned())
            .await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
