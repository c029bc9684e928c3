//! What functions report, applied as the reader of the events topic applies it.

use chrono::Utc;
use millrace_api::app::projector::project;
use millrace_api::app::{App, Change};
use millrace_entity::inference::{self, Desired};
use millrace_entity::training::{self, State};
use millrace_entity::version;
use millrace_kafka::Record;
use millrace_wire::event::{Body, Event};
use millrace_wire::progress::Progress;
use sea_orm::{ActiveModelTrait as _, ActiveValue::Set, EntityTrait as _};
use uuid::Uuid;

use crate::rows;
use crate::server::{BOTH, TestApp};

const MODEL: &str = r#"mutation { createModel(input: {
    name: "m", inputShape: [2], layers: [{dense: {units: 1}}]
}) { model { id } } }"#;

/// Applies a report as the record at an offset of the topic of events.
async fn report(app: &App, offset: i64, subject: Uuid, body: Body) {
    let event = Event::new(subject, &format!("report-{offset}"), Utc::now(), body);
    let record = Record {
        topic: "millrace.events".to_owned(),
        partition: 0,
        offset,
        timestamp_ms: None,
        key: None,
        value: Some(event.to_json()),
        headers: Vec::new(),
    };
    project(app, "id-of-events", &record).await.unwrap();
}

#[tokio::test]
async fn a_training_whose_file_is_not_there_fails_and_makes_no_version() {
    for on in BOTH {
        let app = TestApp::start(on).await;
        app.run(MODEL).await;
        let id = rows::training(&app, State::Running).await;
        let body = Body::TrainingSucceeded {
            digest: "ab".repeat(32),
            size: 1,
            metrics: std::iter::once(("loss".to_owned(), 0.5)).collect(),
            report: None,
            last: None,
            computed_on: Vec::new(),
            samples: None,
        };
        report(&app.app, 0, id, body).await;
        let database = &app.app.database;
        let row = training::Entity::find_by_id(id).one(database).await;
        let row = row.unwrap().unwrap();
        assert_eq!(row.state, State::Failed);
        assert_eq!(row.error_code.as_deref(), Some("report"));
        let message = row.error_message.unwrap();
        assert!(
            message.contains("is not in the artifact store"),
            "{message}"
        );
        let versions = version::Entity::find().all(database).await.unwrap();
        assert_eq!(versions.len(), 1, "only the one that it was trained from");
    }
}

#[tokio::test]
async fn a_heartbeat_tells_of_counts_and_of_no_change_to_the_inference() {
    for on in BOTH {
        let app = TestApp::start(on).await;
        app.run(MODEL).await;
        let source = rows::datasource(&app, "default").await;
        let id = rows::inference(&app, &source, "default", None).await;
        let running = inference::ActiveModel {
            id: Set(id),
            desired: Set(Desired::Running),
            state: Set(inference::State::Deploying),
            ..Default::default()
        };
        running.update(&app.app.database).await.unwrap();
        let mut changes = app.app.changes.subscribe();
        let works = Body::InferenceRunning {
            ordinal: 0,
            version: 1,
        };
        report(&app.app, 0, id, works).await;
        assert_eq!(changes.try_recv(), Ok(Change::Inference(id)));
        // The reconciler is woken by changes of inferences alone.
        let since = Utc::now();
        for predicted in 1..4 {
            let heartbeat = Body::InferenceProgress(Progress {
                since,
                version: 1,
                predicted,
                ..Progress::default()
            });
            report(&app.app, i64::try_from(predicted).unwrap(), id, heartbeat).await;
            assert_eq!(changes.try_recv(), Ok(Change::Counts(id)));
        }
        assert!(changes.try_recv().is_err());
        assert_eq!(app.app.replicas.counts(id).predicted, 3);
    }
}
