//! Creates `alias`, and `alias_move`: the append-only history of who moved it when.

use sea_orm_migration::{
    prelude::*,
    schema::{pk_uuid, text, timestamp_with_time_zone, uuid, uuid_null},
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
                    .table("alias")
                    .col(pk_uuid("id"))
                    .col(uuid("model_id"))
                    .col(text("name"))
                    .col(uuid("version_id"))
                    .col(timestamp_with_time_zone("moved_at"))
                    .index(&mut unique("alias", &["model_id", "name"]))
                    .foreign_key(&mut refers_to("alias", "model_id", "model", "id"))
                    .foreign_key(&mut refers_to("alias", "version_id", "version", "id"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("alias_move")
                    .col(pk_uuid("id"))
                    .col(uuid("model_id"))
                    .col(text("name"))
                    .col(uuid_null("from_version_id"))
                    .col(uuid_null("to_version_id"))
                    .col(text("moved_by"))
                    .col(timestamp_with_time_zone("moved_at"))
                    .foreign_key(&mut refers_to("alias_move", "model_id", "model", "id"))
                    .foreign_key(&mut refers_to(
                        "alias_move",
                        "from_version_id",
                        "version",
                        "id",
                    ))
                    .foreign_key(&mut refers_to(
                        "alias_move",
                        "to_version_id",
                        "version",
                        "id",
                    ))
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("alias_move").to_owned())
            .await?;
        manager
            .drop_table(Table::drop().table("alias").to_owned())
            .await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
