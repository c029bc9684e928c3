//! The process: how it starts, what it says of itself, how it ends.

use millrace_harness::{Kafka, Process};
use millrace_wire::event::Body;
use millrace_wire::progress::Progress;

use crate::fixture::{Fixture, LIMIT, end};
use crate::models;

#[test]
fn without_a_specification_it_says_so_and_ends_with_two() {
    let none: [(&str, &str); 0] = [];
    for (environment, words) in [
        (none.to_vec(), "is not set"),
        (vec![("MILLRACE_FUNCTION", "{}")], "cannot be read"),
    ] {
        let mut process = Process::start(
            "millrace-inference",
            std::iter::empty::<&str>(),
            environment,
        );
        assert_eq!(process.wait(LIMIT).code(), Some(2));
        let lines = process.lines().join("\n");
        assert!(lines.contains(words), "{lines}");
        serde_json::from_str::<serde_json::Value>(&lines).unwrap();
    }
}

#[tokio::test]
async fn it_ends_at_once_when_its_parent_is_gone() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, models::dense(1)).await;
    let mut process = fixture.start(0, &fixture.spec(0, &version));
    process.wait_for("partitions assigned", LIMIT);
    process.close_stdin();
    // Its libraries' exit handlers may not survive the end in the middle of everything: that it
    // ends counts, since nobody is left to read a code.
    assert!(!process.wait(LIMIT).success());
    process.wait_for("the parent process is gone", LIMIT);
}

#[tokio::test]
async fn without_a_model_it_takes_nothing_from_others() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(1, models::dense(1)).await;
    let at_work = fixture.start(0, &fixture.spec(0, &version));
    fixture.send(0..1);
    fixture.wait_until_done();
    let mut missing = version.clone();
    missing.digest = "0".repeat(64);
    // Of the same ordinal, with which it would fence the other one.
    let mut waiting = fixture.start(0, &fixture.spec(0, &missing));
    fixture.wait_for_problem("version-unavailable");
    fixture.send(1..10);
    fixture.wait_until_done();
    assert!(waiting.running());
    assert_eq!(fixture.outputs().drain().len(), 10);
    end(waiting);
    end(at_work);
}

#[tokio::test]
async fn it_reports_its_progress() {
    let fixture = Fixture::new(Kafka::shared(), 1, 1).await;
    let version = fixture.version(5, models::dense(1)).await;
    let process = fixture.start(0, &fixture.spec(0, &version));
    fixture.wait_for_event("running", |body| {
        *body
            == Body::InferenceRunning {
                ordinal: 0,
                version: 5,
            }
    });
    fixture.send(0..30);
    fixture.wait_until_done();
    end(process);
    fixture.wait_for_event("the last progress", |body| {
        matches!(
            body,
            Body::InferenceProgress(Progress {
                ordinal: 0,
                version: 5,
                predicted: 30,
                dead_lettered: 0,
                ..
            })
        )
    });
}
