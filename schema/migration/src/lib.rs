//! The migrations of the API's database, which are the truth about its schema.
//!
//! Each one is atomic, has a `down` that takes back all of it, says the same to SQLite and to
//! PostgreSQL, and is never edited once it has shipped.

#![allow(
    elided_lifetimes_in_paths,
    reason = "the trait hides the lifetime of `SchemaManager`, and its methods have to do the same"
)]

use sea_orm_migration::prelude::{MigrationTrait, MigratorTrait, async_trait};

mod constraint;
mod m20261122_180001_create_project;
mod m20261122_180002_create_connection;
mod m20261122_180003_create_artifact;
mod m20261122_180004_create_model;
mod m20261122_180005_create_datasource;
mod m20261122_180006_create_segment;
mod m20261122_180007_create_version;
mod m20261122_180008_create_alias;
mod m20261122_180009_create_training;
mod m20261122_180010_create_inference;
mod m20261122_180011_create_function_event;
mod m20261122_180012_create_event_position;
mod m20261122_180013_create_outbox;
mod m20261122_180014_create_admin_token;
mod m20261122_210001_add_version_report;
mod m20261122_210002_add_id_to_owned_topics;
mod m20261123_000001_add_version_computed_on;
mod m20261123_010001_add_pinned_segments;
mod m20261123_040001_add_training_warnings;
mod m20261123_100001_add_version_samples;
mod m20261123_110001_add_inference_span;

/// All migrations in the order in which they are applied.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261122_180001_create_project::Migration),
            Box::new(m20261122_180002_create_connection::Migration),
            Box::new(m20261122_180003_create_artifact::Migration),
            Box::new(m20261122_180004_create_model::Migration),
            Box::new(m20261122_180005_create_datasource::Migration),
            Box::new(m20261122_180006_create_segment::Migration),
            Box::new(m20261122_180007_create_version::Migration),
            Box::new(m20261122_180008_create_alias::Migration),
            Box::new(m20261122_180009_create_training::Migration),
            Box::new(m20261122_180010_create_inference::Migration),
            Box::new(m20261122_180011_create_function_event::Migration),
            Box::new(m20261122_180012_create_event_position::Migration),
            Box::new(m20261122_180013_create_outbox::Migration),
            Box::new(m20261122_180014_create_admin_token::Migration),
            Box::new(m20261122_210001_add_version_report::Migration),
            Box::new(m20261122_210002_add_id_to_owned_topics::Migration),
            Box::new(m20261123_000001_add_version_computed_on::Migration),
            Box::new(m20261123_010001_add_pinned_segments::Migration),
            Box::new(m20261123_040001_add_training_warnings::Migration),
            Box::new(m20261123_100001_add_version_samples::Migration),
            Box::new(m20261123_110001_add_inference_span::Migration),
        ]
    }
}
