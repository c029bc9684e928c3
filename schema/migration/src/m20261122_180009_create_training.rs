//! Creates `training`, and `training_epoch`: what it reported, which goes when it goes.

use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, boolean, integer, integer_null, json_binary, pk_uuid, text, text_null,
        timestamp_with_time_zone, timestamp_with_time_zone_null, uuid, uuid_null,
    },
};

use crate::constraint::{owned_by, refers_to, unique};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("training")
                    .col(pk_uuid("id"))
                    .col(uuid("project_id"))
                    .col(uuid("version_id"))
                    .col(uuid("segment_id"))
                    .col(json_binary("hyperparameters"))
                    .col(text("state"))
                    .col(boolean("cancel_requested"))
                    .col(text("platform"))
                    .col(integer_null("slot"))
                    .col(big_integer("seed"))
                    .col(text_null("promote_to"))
                    .col(uuid_null("result_version_id"))
                    .col(text_null("message"))
                    .col(text_null("error_code"))
                    .col(text_null("error_message"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone_null("started_at"))
                    .col(timestamp_with_time_zone_null("finished_at"))
                    .foreign_key(&mut refers_to("training", "project_id", "project", "id"))
                    .foreign_key(&mut refers_to("training", "version_id", "version", "id"))
                    .foreign_key(&mut refers_to("training", "segment_id", "segment", "id"))
                    .foreign_key(&mut refers_to(
                        "training",
                        "result_version_id",
                        "version",
                        "id",
                    ))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("training_epoch")
                    .col(pk_uuid("id"))
                    .col(uuid("training_id"))
                    .col(integer("epoch"))
                    .col(json_binary("metrics"))
                    .col(timestamp_with_time_zone("reported_at"))
                    .index(&mut unique("training_epoch", &["training_id", "epoch"]))
                    .foreign_key(&mut owned_by(
                        "training_epoch",
                        "training_id",
                        "training",
                        "id",
                    ))
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("training_epoch").to_owned())
            .await?;
        manager
            .drop_table(Table::drop().table("training").to_owned())
            .await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
