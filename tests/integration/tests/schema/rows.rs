//! A row of each table, with a value wherever one may be, to be put in and read back.

use millrace_entity::{
    admin_token, alias, alias_move, artifact, connection, datasource, event_position,
    function_event, inference, model, outbox, project, segment, training, training_epoch, version,
};
use sea_orm::prelude::{DateTimeUtc, Uuid};
use serde_json::json;

/// One row of each table. They share an id, so that each can refer to the others.
pub(crate) struct Rows {
    pub(crate) id: Uuid,
    now: DateTimeUtc,
}

impl Rows {
    pub(crate) fn new() -> Self {
        // Microseconds, which is what PostgreSQL keeps.
        let now = "2026-11-22T18:00:00.123456Z".parse().unwrap();
        Self {
            id: Uuid::now_v7(),
            now,
        }
    }

    pub(crate) fn project(&self) -> project::Model {
        project::Model {
            id: self.id,
            name: "name".into(),
            created_at: self.now,
        }
    }

    pub(crate) fn connection(&self) -> connection::Model {
        connection::Model {
            id: self.id,
            project_id: self.id,
            name: "name".into(),
            properties: json!({ "sasl.password": "${env:PASSWORD}" }),
            prefix: "prefix".into(),
            topic_templates: json!({}),
            topic_policy: connection::TopicPolicy::Require,
            topic_partitions: 1,
            topic_replication: 1,
            managed: true,
            created_at: self.now,
        }
    }

    pub(crate) fn artifact(&self) -> artifact::Model {
        artifact::Model {
            digest: "ab".repeat(32),
            size: i64::MAX,
            created_at: self.now,
        }
    }

    pub(crate) fn model(&self) -> model::Model {
        model::Model {
            id: self.id,
            project_id: self.id,
            name: "name".into(),
            description: Some("8×8 images".into()),
            next_version: 1,
            created_at: self.now,
        }
    }

    pub(crate) fn datasource(&self) -> datasource::Model {
        datasource::Model {
            id: self.id,
            project_id: self.id,
            connection_id: self.id,
            name: "name".into(),
            topic: "topic".into(),
            format: json!({}),
            label: Some(json!({ "header": "label" })),
            created_at: self.now,
        }
    }

    pub(crate) fn segment(&self) -> segment::Model {
        segment::Model {
            id: self.id,
            project_id: self.id,
            datasource_id: self.id,
            name: None,
            cluster_id: "cluster_id".into(),
            topic_id: "topic_id".into(),
            topic: "topic".into(),
            partitions: json!([{ "partition": 0, "start": 0, "end": 5, "count": 4 }]),
            count: i64::MAX,
            digest: "ab".repeat(32),
            split: json!({}),
            train_count: i64::MAX,
            validation_count: i64::MAX,
            test_count: i64::MAX,
            retained_until: Some(self.now),
            pinned_digest: Some("0".repeat(64)),
            pinned_bytes: Some(9),
            created_at: self.now,
        }
    }

    pub(crate) fn version(&self) -> version::Model {
        version::Model {
            id: self.id,
            model_id: self.id,
            number: 1,
            digest: "ab".repeat(32),
            size: i64::MAX,
            signature: json!({}),
            layers: None,
            parent_id: None,
            training_id: Some(self.id),
            segment_id: Some(self.id),
            metrics: Some(json!({ "accuracy": 0.96 })),
            report: Some(json!({ "classes": [], "confusion": [[1, 0], [0, 1]] })),
            computed_on: Some(json!(["avx512/fast"])),
            samples: Some(json!({ "digest": "cd", "count": 3 })),
            created_at: self.now,
        }
    }

    pub(crate) fn alias(&self) -> alias::Model {
        alias::Model {
            id: self.id,
            model_id: self.id,
            name: "name".into(),
            version_id: self.id,
            moved_at: self.now,
        }
    }

    pub(crate) fn alias_move(&self) -> alias_move::Model {
        alias_move::Model {
            id: self.id,
            model_id: self.id,
            name: "name".into(),
            from_version_id: None,
            to_version_id: Some(self.id),
            moved_by: "moved_by".into(),
            moved_at: self.now,
        }
    }

    pub(crate) fn training(&self) -> training::Model {
        training::Model {
            id: self.id,
            project_id: self.id,
            version_id: self.id,
            segment_id: self.id,
            hyperparameters: json!({}),
            state: training::State::Succeeded,
            cancel_requested: true,
            platform: "platform".into(),
            slot: Some(0),
            seed: i64::MAX,
            promote_to: None,
            result_version_id: Some(self.id),
            message: Some("waits for Kafka".into()),
            warnings: Some(json!([])),
            error_code: None,
            error_message: None,
            created_at: self.now,
            started_at: Some(self.now),
            finished_at: None,
        }
    }

    pub(crate) fn training_epoch(&self) -> training_epoch::Model {
        training_epoch::Model {
            id: self.id,
            training_id: self.id,
            epoch: 1,
            metrics: json!({}),
            reported_at: self.now,
        }
    }

    pub(crate) fn inference(&self) -> inference::Model {
        inference::Model {
            id: self.id,
            project_id: self.id,
            name: "name".into(),
            datasource_id: self.id,
            model_id: self.id,
            version_id: None,
            alias: Some("champion".into()),
            connection_id: self.id,
            input_topic: "input_topic".into(),
            input_topic_id: "input_topic_id".into(),
            output_topic: "output_topic".into(),
            dead_letter_topic: "dead_letter_topic".into(),
            redrive_topic: "redrive_topic".into(),
            group_id: "group_id".into(),
            guarantee: inference::Guarantee::ExactlyOnce,
            output_format: inference::OutputFormat::KafkaMl,
            start: json!("NOW"),
            platform: "platform".into(),
            replicas: 1,
            settings: json!({}),
            desired: inference::Desired::Running,
            state: inference::State::Degraded,
            message: None,
            saved_offsets: Some(json!([[0, 7]])),
            owned_topics: json!({}),
            running_version: Some(1),
            span: Some(json!({ "ends": [] })),
            takes_over_id: Some(self.id),
            handover: None,
            created_at: self.now,
            updated_at: self.now,
        }
    }

    pub(crate) fn function_event(&self) -> function_event::Model {
        function_event::Model {
            id: self.id,
            function_kind: "function_kind".into(),
            owner_id: self.id,
            kind: "kind".into(),
            body: json!({}),
            occurred_at: self.now,
        }
    }

    pub(crate) fn event_position() -> event_position::Model {
        event_position::Model {
            topic: "topic".into(),
            partition: 1,
            next_offset: i64::MAX,
        }
    }

    pub(crate) fn outbox(&self) -> outbox::Model {
        outbox::Model {
            id: 1,
            topic: "topic".into(),
            partition: Some(3),
            key: "key".into(),
            value: None,
            connection_id: self.id,
            created_at: self.now,
        }
    }

    pub(crate) fn admin_token(&self) -> admin_token::Model {
        admin_token::Model {
            id: 1,
            sha256: "sha256".into(),
            created_at: self.now,
        }
    }
}
