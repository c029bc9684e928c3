//! Creates `version`: a numbered ONNX file of a model, with its signature, lineage and metrics.
//! `training_id` has no foreign key, since trainings refer to versions in their turn.

use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, integer, json_binary, json_binary_null, pk_uuid, text,
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
                    .table("version")
                    .col(pk_uuid("id"))
                    .col(uuid("model_id"))
                    .col(integer("number"))
                    .col(text("digest"))
                    .col(big_integer("size"))
                    .col(json_binary("signature"))
                    .col(json_binary_null("layers"))
                    .col(uuid_null("parent_id"))
                    .col(uuid_null("training_id"))
                    .col(uuid_null("segment_id"))
                    .col(json_binary_null("metrics"))
                    .col(timestamp_with_time_zone("created_at"))
                    .index(&mut unique("version", &["model_id", "number"]))
                    .foreign_key(&mut refers_to("version", "model_id", "model", "id"))
                    .foreign_key(&mut refers_to("version", "digest", "artifact", "digest"))
                    .foreign_key(&mut refers_to("version", "parent_id", "version", "id"))
                    .foreign_key(&mut refers_to("version", "segment_id", "segment", "id"))
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("version").to_owned())
            .await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
