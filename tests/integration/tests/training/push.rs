//! Commands that Lambda and Knative bring one at a time: a training cut into turns ends with the bytes of one that ran through.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_harness::{Lambda, Outcome, Process, free_port, wait_until};
use millrace_wire::command::{Action, Command};
use millrace_wire::event::Body;
use millrace_wire::training::TrainingSpec;
use serde_json::{Value, json};

use crate::trouble::{ENDLESS, epochs, has_succeeded, trains};
use crate::turns::{makes_way, turns};
use crate::world::{LIMIT, World};

/// How long a turn is: much shorter than the trainings.
const SLICE_MS: u64 = 100;
const RECORDS: u32 = 1_000;
const EPOCHS: u32 = 20;

/// The event that Lambda makes of a command in the first partition.
fn event(world: &World<'_>, offset: i64, command: &Command) -> Value {
    let topic = world.command_topic();
    let key = command.training_id().to_string();
    let mut records = json!({});
    records[format!("{topic}-0")] = json!([{
        "topic": topic, "partition": 0, "offset": offset, "timestamp": 1, "timestampType": "CREATE_TIME",
        "key": STANDARD.encode(key), "value": STANDARD.encode(command.to_json()), "headers": [],
    }]);
    json!({"eventSource": "aws:kafka", "records": records})
}

fn succeeded() -> Outcome {
    Outcome::Answered(json!({"batchItemFailures": []}))
}

/// Brings a command, for which there is so much time.
fn bring(lambda: &Lambda, event: &Value, time: Duration) -> Outcome {
    let id = lambda.invoke(event, time);
    tokio::task::block_in_place(|| lambda.outcome(&id, LIMIT))
}

/// Brings every command from an offset on, each once it is there, until the training has succeeded.
async fn bring_all(
    world: &World<'_>,
    lambda: &Lambda,
    training: &TrainingSpec,
    mut offset: i64,
    time: Duration,
) -> String {
    while !has_succeeded(world, training.id) {
        for command in world.commands(offset) {
            let event = event(world, offset, &command);
            assert_eq!(bring(lambda, &event, time), succeeded());
            offset += 1;
        }
    }
    assert!(world.commands(offset).is_empty(), "nothing goes on");
    world.has_no_checkpoint(training.id).await;
    world.succeeded(training.id).await
}

async fn is_cancelled(world: &World<'_>, training: &TrainingSpec) {
    world
        .wait_for(training.id, "it is cancelled", |body| {
            matches!(body, Body::TrainingCancelled).then_some(())
        })
        .await;
}

/// What the pool makes of the same training.
async fn polled(world: &World<'_>, training: &TrainingSpec) -> String {
    let again = TrainingSpec {
        id: uuid::Uuid::now_v7(),
        ..training.clone()
    };
    let _pool = world.pool(0);
    world.start_on(1, &again).await;
    world.succeeded(again.id).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_training_cut_into_invocations_ends_as_if_it_had_run_through() {
    let world = World::new().await;
    let segment = world.easy_segment(RECORDS);
    let mut count = EPOCHS;
    let mut first = 0;
    // As many epochs as it takes on this machine for several turns.
    let (training, digest) = loop {
        let training = world.training(&segment, count);
        world.start(&training).await;
        let start = event(&world, first, &world.commands(first)[0]);
        let lambda = Lambda::start();
        let mut process = world.on_lambda(&lambda, Some(SLICE_MS));
        // Killed in the middle of its first turn, or behind it: its command comes again.
        lambda.invoke(&start, LIMIT);
        world.has_checkpoint(training.id).await;
        process.kill();
        let _process = world.on_lambda(&lambda, Some(SLICE_MS));
        assert_eq!(bring(&lambda, &start, LIMIT), succeeded());
        // A command that was done already does nothing more.
        let known = world.commands(first).len();
        if !has_succeeded(&world, training.id) {
            assert_eq!(bring(&lambda, &start, LIMIT), succeeded());
            assert_eq!(world.commands(first).len(), known);
        }
        let digest = bring_all(&world, &lambda, &training, first + 1, LIMIT).await;
        assert_eq!(epochs(&world, training.id).len(), count as usize);
        if turns(&world, training.id) >= 3 {
            break (training, digest);
        }
        first += i64::try_from(world.commands(first).len()).unwrap();
        count *= 2;
    };
    assert_eq!(polled(&world, &training).await, digest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_training_stops_before_its_invocations_deadline() {
    let world = World::new().await;
    let segment = world.easy_segment(RECORDS);
    let training = world.training(&segment, ENDLESS);
    world.start(&training).await;
    let lambda = Lambda::start();
    let _process = world.on_lambda(&lambda, None);
    let time = Duration::from_secs(8);
    for offset in 0..2 {
        let command = world.commands(offset).remove(0);
        let event = event(&world, offset, &command);
        assert_eq!(bring(&lambda, &event, time), succeeded());
    }
    makes_way(&world, training.id, 2).await;
    // As where it was cancelled during the invocation: that comes before the command by which it goes on.
    world.cancel(training.id).await;
    let cancel = world.commands(3).remove(0);
    assert!(matches!(cancel.action, Action::Cancel { .. }));
    assert_eq!(
        bring(&lambda, &event(&world, 3, &cancel), LIMIT),
        succeeded()
    );
    is_cancelled(&world, &training).await;
    world.has_no_checkpoint(training.id).await;
    let late = event(&world, 2, &world.commands(2)[0]);
    assert_eq!(bring(&lambda, &late, LIMIT), succeeded());
    assert_eq!(world.commands(4).len(), 0);
    let failed = |body: &Body| matches!(body, Body::TrainingFailed { .. });
    assert!(
        !world
            .events(training.id)
            .iter()
            .any(|event| failed(&event.body))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_invocations_for_one_training_the_older_one_stops_without_writing() {
    let world = World::new().await;
    let segment = world.easy_segment(RECORDS);
    let training = world.training(&segment, ENDLESS);
    world.start(&training).await;
    let start = event(&world, 0, &world.commands(0)[0]);
    let (older, younger) = (Lambda::start(), Lambda::start());
    let _first = world.on_lambda(&older, None);
    let id = older.invoke(&start, LIMIT);
    trains(&world, training.id).await;
    world.has_checkpoint(training.id).await;
    let mut second = world.on_lambda(&younger, None);
    younger.invoke(&start, LIMIT);
    second.wait_for("the training goes on from its checkpoint", LIMIT);
    match tokio::task::block_in_place(|| older.outcome(&id, LIMIT)) {
        Outcome::Failed { kind, .. } => assert_eq!(kind, "Millrace.taken-over"),
        Outcome::Answered(answer) => panic!("it succeeded: {answer}"),
    }
    assert!(
        world.commands(1).is_empty(),
        "the older one has sent a command"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_of_several_commands_is_refused() {
    let world = World::new().await;
    let segment = world.easy_segment(10);
    let command = Command::new(Action::Start {
        training: Box::new(world.training(&segment, 1)),
    });
    let mut event = event(&world, 0, &command);
    for list in event["records"].as_object_mut().unwrap().values_mut() {
        let list = list.as_array_mut().unwrap();
        list.push(list[0].clone());
    }
    let lambda = Lambda::start();
    let _process = world.on_lambda(&lambda, None);
    match bring(&lambda, &event, LIMIT) {
        Outcome::Failed { message, .. } => assert!(message.contains("BatchSize"), "{message}"),
        Outcome::Answered(answer) => panic!("it succeeded: {answer}"),
    }
}

/// Brings a command as a `KafkaSource` does. Returns the status; 0 where there was no answer.
async fn post(world: &World<'_>, port: u16, offset: i64, command: &Command) -> u16 {
    let key = STANDARD.encode(command.training_id().to_string());
    let source = format!(
        "/apis/v1/namespaces/n/kafkasources/s#{}",
        world.command_topic()
    );
    let request = reqwest::Client::new()
        .post(format!("http://127.0.0.1:{port}/"))
        .header("ce-specversion", "1.0")
        .header("ce-type", "dev.knative.kafka.event")
        .header("ce-source", source)
        .header("ce-id", format!("partition:0/offset:{offset}"))
        .header("ce-key", key)
        .body(command.to_json());
    let response = request.send().await;
    response.map_or(0, |response| response.status().as_u16())
}

async fn is_ready(port: u16) {
    wait_until("the function is ready", LIMIT, async || {
        let address = format!("http://127.0.0.1:{port}/readyz");
        let response = reqwest::get(address)
            .await
            .map_err(|error| error.to_string())?;
        match response.status().as_u16() {
            200 => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_training_cut_into_requests_ends_as_if_it_had_run_through() {
    let world = World::new().await;
    let segment = world.easy_segment(RECORDS);
    let training = world.training(&segment, EPOCHS * 20);
    world.start(&training).await;
    let port = free_port();
    // One turn that only the end of the process ends.
    let mut process: Process = world.on_knative(port, 1_000_000);
    is_ready(port).await;
    let start = world.commands(0).remove(0);
    let ended = async {
        world.has_checkpoint(training.id).await;
        // Another command has to wait: one is under way.
        assert_eq!(post(&world, port, 0, &start).await, 429);
        process.terminate();
    };
    let (status, ()) = tokio::join!(post(&world, port, 0, &start), ended);
    assert_eq!(status, 503);
    assert!(process.wait(LIMIT).success());

    let port = free_port();
    let _process = world.on_knative(port, 10 * SLICE_MS);
    is_ready(port).await;
    let mut offset = 0;
    while !has_succeeded(&world, training.id) {
        for command in world.commands(offset) {
            assert_eq!(post(&world, port, offset, &command).await, 202);
            offset += 1;
        }
    }
    world.has_no_checkpoint(training.id).await;
    let digest = world.succeeded(training.id).await;
    assert_eq!(polled(&world, &training).await, digest);
}
