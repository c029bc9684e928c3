//! The job itself, step by step, through the public interface only. The operations are the files
//! beside this crate, which anybody can paste into the playground.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::cluster::Cluster;
use crate::graphql::{Subscription, execute};
use crate::stack::Place;
use crate::{check, show};

/// The seed by which the data set is permuted, and how many images of it are trained on.
const SEED: &str = "7";
const TRAINING: &str = "1297";
/// What the accuracy on records that training never saw must reach.
const ACCURACY: f64 = 0.95;

/// The topics of one run.
struct Topics {
    training: String,
    input: String,
    output: String,
}

impl Topics {
    /// On somebody's own broker each run has topics of its own.
    fn of(place: &Place) -> Self {
        let run = place.run.as_ref();
        let run = run.map_or(String::new(), |run| format!("-{run}"));
        Self {
            training: format!("digits-training{run}"),
            input: format!("digits-input{run}"),
            output: format!("digits-predictions{run}"),
        }
    }
}

/// Runs the job and proves its result.
pub async fn run(place: &Place) -> Result<()> {
    let begun = Instant::now();
    let url = place.url.as_str();
    let topics = Topics::of(place);

    heading("a model described as layers: scale by 1/16, 64 → 128 → 10");
    let made = operation(url, "1-create-model", json!({})).await?;
    let version = &made["createModel"]["version"];
    let tensor = |side: &str| {
        version["signature"][side][0]["text"]
            .as_str()
            .unwrap_or("?")
            .to_owned()
    };
    println!(
        "  version {}: {} → {}",
        version["number"],
        tensor("inputs"),
        tensor("outputs")
    );

    heading("a datasource: 64 bytes a record, the label in a header");
    let topic = json!({"topic": topics.training});
    operation(url, "2-create-datasource", topic).await?;
    println!("  topic {}", topics.training);

    heading("millrace send: 1,297 images to the training topic");
    let split = ["--validation", "0.1", "--seed", SEED];
    send(
        url,
        &[&["--shuffle", SEED, "--take", TRAINING], split.as_slice()].concat(),
    )
    .await?;
    let found = operation(url, "3-segments", json!({})).await?;
    let segment = &found["project"]["datasource"]["segments"]["nodes"][0]["id"];

    heading("a training on that segment");
    let started = operation(url, "4-start-training", json!({"segment": segment})).await?;
    let version = watch_training(url, &started["startTraining"]["training"]["id"]).await?;
    println!("  version {} is the champion", version["number"]);

    heading("an inference that follows the champion");
    let input = json!({"topic": topics.input});
    create_input(url, &input).await?;
    let names = json!({"input": topics.input, "output": topics.output});
    let made = operation(url, "6-create-inference", names).await?;
    let inference = &made["createInference"]["inference"];
    println!(
        "  {} (readers use {})",
        text(&inference["guarantee"]),
        text(&inference["readersMustUse"])
    );
    wait_for_inference(url).await?;

    heading("500 records that training never saw");
    let to_input = ["--topic", &topics.input, "--no-segment"];
    send(
        url,
        &[
            &["--shuffle", SEED, "--skip", TRAINING],
            to_input.as_slice(),
        ]
        .concat(),
    )
    .await?;
    let group = text(&inference["consumerGroup"]).to_owned();
    let cluster = Cluster::of(url).await?;
    let report = tokio::task::spawn_blocking(move || {
        check::read_back(&cluster.connection, &group, &topics.input, &topics.output)
    })
    .await??;

    heading("what was predicted");
    show::digits(&report.answers[..6.min(report.answers.len())]);
    println!();
    show::confusion(&report.answers);
    let (lost, repeated) = (report.lost(), report.repeated());
    let sent = report.answers.len();
    println!(
        "\ndemo: test accuracy {:.3}, {sent} sent, {} predicted, {lost} lost, {repeated} repeated, {:.0} s",
        report.accuracy(),
        sent - lost + repeated + report.foreign,
        begun.elapsed().as_secs_f64()
    );
    if sent != 500 || lost > 0 || repeated > 0 || report.foreign > 0 {
        bail!("not every one of 500 records has exactly one prediction");
    }
    if report.accuracy() < ACCURACY {
        bail!("the accuracy is below {ACCURACY}");
    }
    Ok(())
}

/// Follows a training to its end and returns the version that it made.
async fn watch_training(url: &str, training: &Value) -> Result<Value> {
    let text = read("5-watch-training")?;
    let mut watching = Subscription::start(url, &text, json!({"training": training})).await?;
    show::epoch_head();
    let mut last = Value::Null;
    while let Some(mut data) = watching.next().await? {
        let mut progress = data["trainingProgress"].take();
        if !progress["epoch"].is_null() {
            show::epoch_row(&progress["epoch"]);
        }
        last = progress["training"].take();
    }
    match last["state"].as_str() {
        Some("SUCCEEDED") => Ok(last["result"].take()),
        state => bail!("the training ended {state:?}: {}", last["error"]),
    }
}

/// Waits until the inference answers records.
async fn wait_for_inference(url: &str) -> Result<()> {
    let text = read("7-watch-inference")?;
    let mut watching = Subscription::start(url, &text, json!({})).await?;
    while let Some(data) = watching.next().await? {
        let inference = &data["inferenceChanged"];
        match inference["state"].as_str() {
            Some("RUNNING") => {
                println!(
                    "  running version {}",
                    inference["runningVersion"]["number"]
                );
                return Ok(());
            }
            Some("FAILED" | "DEGRADED") => {
                bail!("the inference does not run: {}", inference["message"])
            }
            _ => {}
        }
    }
    bail!("the API ended the subscription")
}

/// The input topic is the user's own; here a second datasource makes it.
async fn create_input(url: &str, topic: &Value) -> Result<()> {
    let text = read("2-create-datasource")?.replace("name: \"digits\"", "name: \"digits-input\"");
    execute(url, &text, topic.clone()).await?;
    Ok(())
}

async fn send(url: &str, arguments: &[&str]) -> Result<()> {
    let status = Command::new(std::env::current_exe()?.with_file_name("millrace"))
        .args(["send", "digits"])
        .arg(folder().join("digits.csv.gz"))
        .args(arguments)
        .env("MILLRACE_URL", url)
        .status()
        .await?;
    if status.success() {
        return Ok(());
    }
    bail!("millrace send failed: {status}")
}

async fn operation(url: &str, name: &str, variables: Value) -> Result<Value> {
    let answer = execute(url, &read(name)?, variables).await;
    answer.with_context(|| format!("examples/digits/{name}.graphql failed"))
}

fn read(name: &str) -> Result<String> {
    let file = folder().join(format!("{name}.graphql"));
    std::fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn heading(text: &str) {
    println!("\n▸ {text}");
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}
