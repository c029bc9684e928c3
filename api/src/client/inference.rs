//! `millrace inference`: replays, rescoring and moves, and how far an inference is.

use anyhow::{Result, bail};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Server, estimate};
use crate::output;

/// Commands about inferences.
#[derive(Debug, Subcommand)]
pub enum InferenceCommand {
    /// Show an inference: its state, and how far it is
    #[command(after_help = "Examples:
  millrace inference show points
  millrace inference show points --json")]
    Show(Show),
    /// Answer a part of an inference's input once more, beside it
    ///
    /// The new inference does what the other one does, and is FINISHED when it has answered all. Without a segment and
    /// without times it answers all that Kafka keeps.
    #[command(after_help = "Examples:
  millrace inference replay points yesterday --output-topic again --from 2026-11-22T00:00:00Z --to 2026-11-23T00:00:00Z
  millrace inference replay points held-out --output-topic trial --segment U2VnbWVudDowMWEy --version 4 --rate 500")]
    Replay(Replay),
    /// Answer everything since a time once more with a new version, which then takes the inference's place
    ///
    /// When the new inference has got as far as the other one, that one is stopped, and the new one goes on exactly there.
    #[command(after_help = "Examples:
  millrace inference rescore points points-2 --output-topic points-2 --version 2 --from 2026-11-01T00:00:00Z
  millrace inference rescore points points-2 --output-topic predictions --alias champion --json")]
    Rescore(Rescore),
    /// Take an inference to another platform
    ///
    /// What runs ends in order, and goes on there exactly where it ended. One that is stopped is there when it is started.
    #[command(after_help = "Examples:
  millrace inference move points lambda-local --guarantee AT_LEAST_ONCE
  millrace inference move points local --guarantee EXACTLY_ONCE --replicas 2")]
    Move(Move),
    /// Show what would be made for an inference on AWS Lambda, and what that would cost in a month
    ///
    /// Nothing is made. The API has to have the section platform.lambda.
    #[command(after_help = "Examples:
  millrace inference plan points --records-per-second 400 --milliseconds 20
  millrace inference plan points --records-per-second 5 --milliseconds 80 --memory-mib 2048 --json")]
    Plan(Plan),
}

/// Where the inference is, and how to answer.
#[derive(Debug, Args)]
struct Common {
    /// The project
    #[arg(long, default_value = "default")]
    project: String,
    /// Print what the API answers, as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// What a new inference has otherwise than the one beside which it works.
#[derive(Debug, Args)]
struct Beside {
    /// The inference beside which it works
    inference: String,
    /// The name of the new one
    name: String,
    /// Where its predictions go
    #[arg(long, value_name = "TOPIC")]
    output_topic: String,
    /// Where it hands on records of which it is not sure, where the other one hands on any
    #[arg(long, value_name = "TOPIC")]
    hand_on_topic: Option<String>,
    /// The version to run
    #[arg(long, value_name = "NUMBER")]
    version: Option<i32>,
    /// The alias to follow
    #[arg(long, conflicts_with = "version")]
    alias: Option<String>,
    /// From the first record that is not older than this; from the first one that Kafka keeps without
    #[arg(long, value_name = "TIME")]
    from: Option<DateTime<Utc>>,
    /// Records a second at most
    #[arg(long, value_name = "RECORDS")]
    rate: Option<u32>,
    /// How many functions share the work
    #[arg(long, default_value_t = 1)]
    replicas: u32,
}

/// Arguments of `inference show`.
#[derive(Debug, Args)]
pub struct Show {
    /// The inference
    name: String,
    #[command(flatten)]
    common: Common,
}

/// Arguments of `inference plan`.
#[derive(Debug, Args)]
pub struct Plan {
    /// The inference
    name: String,
    #[command(flatten)]
    load: estimate::Load,
    #[command(flatten)]
    common: Common,
}

/// Arguments of `inference replay`.
#[derive(Debug, Args)]
pub struct Replay {
    #[command(flatten)]
    beside: Beside,
    /// The records of this segment
    #[arg(long, value_name = "ID", conflicts_with_all = ["from", "to"])]
    segment: Option<String>,
    /// Up to the first record that is not older than this; up to now without
    #[arg(long, value_name = "TIME")]
    to: Option<DateTime<Utc>>,
    #[command(flatten)]
    common: Common,
}

/// Arguments of `inference rescore`.
#[derive(Debug, Args)]
pub struct Rescore {
    #[command(flatten)]
    beside: Beside,
    #[command(flatten)]
    common: Common,
}

/// Arguments of `inference move`.
#[derive(Debug, Args)]
pub struct Move {
    /// The inference
    name: String,
    /// Where it shall run
    platform: String,
    /// What shall be promised about each record there; what was promised so far without
    #[arg(long, value_parser = ["EXACTLY_ONCE", "AT_LEAST_ONCE"])]
    guarantee: Option<String>,
    /// How many functions share the work there
    #[arg(long, default_value_t = 1)]
    replicas: u32,
    #[command(flatten)]
    common: Common,
}

const SHOW: &str = "query Show($project: String!, $name: String!) {
  project(name: $project) { inference(name: $name) { ...How } }
}";
const REPLAY: &str = "mutation Replay($input: ReplayInferenceInput!) {
  made: replayInference(input: $input) { inference { ...How } }
}";
const RESCORE: &str = "mutation Rescore($input: RescoreInferenceInput!) {
  made: rescoreInference(input: $input) { inference { ...How } }
}";
const MOVE: &str = "mutation Move($input: MoveInferenceInput!) {
  made: moveInference(input: $input) { inference { ...How } }
}";
const HOW: &str = "fragment How on Inference {
  name state message platform alias version { number } runningVersion { number } inputTopic outputTopic deadLetterTopic
  span { ends { partition offset } recordsPerSecond } takesOver { name } successor { name }
  handover { inference offsets { partition offset } } lag { partition committed end lag }
}";

/// Runs a command about inferences.
///
/// # Errors
/// The API's.
pub async fn run(command: InferenceCommand) -> Result<()> {
    match command {
        InferenceCommand::Show(show) => self::show(show).await,
        InferenceCommand::Plan(plan) => self::plan(plan).await,
        InferenceCommand::Replay(replay) => {
            let mut input = replay.beside.input(&replay.common.project);
            if let Some(segment) = replay.segment {
                input["segment"] = json!(segment);
            }
            if let Some(to) = replay.to {
                input["end"] = json!({"time": to});
            }
            make(REPLAY, input, replay.common).await
        }
        InferenceCommand::Rescore(rescore) => {
            let input = rescore.beside.input(&rescore.common.project);
            make(RESCORE, input, rescore.common).await
        }
        InferenceCommand::Move(to) => {
            let input = json!({
                "project": to.common.project, "name": to.name, "platform": to.platform,
                "guarantee": to.guarantee, "replicas": to.replicas,
            });
            make(MOVE, input, to.common).await
        }
    }
}

impl Beside {
    fn input(&self, project: &str) -> Value {
        json!({
            "project": project, "inference": self.inference, "name": self.name,
            "version": self.version, "alias": self.alias, "outputTopic": self.output_topic,
            "handOnTopic": self.hand_on_topic,
            "start": self.from.map(|time| json!({"time": time})),
            "recordsPerSecond": self.rate, "replicas": self.replicas,
        })
    }
}

async fn show(show: Show) -> Result<()> {
    let common = show.common;
    let variables = json!({"project": common.project, "name": show.name});
    let operation = format!("{SHOW}\n{HOW}");
    let mut data = common
        .server
        .client()
        .execute(&operation, variables)
        .await?;
    let inference = data["project"]["inference"].take();
    if inference.is_null() {
        bail!("there is no inference {}", show.name);
    }
    print(&inference, common.json)
}

async fn plan(plan: Plan) -> Result<()> {
    let common = plan.common;
    let variables = plan.load.variables(&common.project, &plan.name);
    let operation = format!(
        "query Plan($project: String!, $name: String!, $load: LambdaLoadInput!, $lambda: LambdaInput) {{
  project(name: $project) {{ inference(name: $name) {{ {} }} }}
}}",
        estimate::FIELDS
    );
    let data = common
        .server
        .client()
        .execute(&operation, variables)
        .await?;
    let inference = &data["project"]["inference"];
    if inference.is_null() {
        bail!("there is no inference {}", plan.name);
    }
    let found = &inference["lambdaEstimate"];
    if common.json {
        return Ok(output::line(serde_json::to_string_pretty(found)?)?);
    }
    estimate::print(found)
}

async fn make(operation: &str, input: Value, common: Common) -> Result<()> {
    let operation = format!("{operation}\n{HOW}");
    let variables = json!({"input": input});
    let mut data = common
        .server
        .client()
        .execute(&operation, variables)
        .await?;
    print(&data["made"]["inference"].take(), common.json)
}

fn print(inference: &Value, as_json: bool) -> Result<()> {
    if as_json {
        return Ok(output::line(serde_json::to_string_pretty(inference)?)?);
    }
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let version = match (
        &inference["runningVersion"]["number"],
        inference["alias"].as_str(),
    ) {
        (Value::Null, Some(alias)) => format!("alias {alias}"),
        (Value::Null, None) => format!("version {}", inference["version"]["number"]),
        (number, _) => format!("version {number}"),
    };
    output::line(format_args!(
        "{} {} on {}: {version}, {} → {}",
        text(&inference["name"]),
        text(&inference["state"]),
        text(&inference["platform"]),
        text(&inference["inputTopic"]),
        text(&inference["outputTopic"]),
    ))?;
    if let Some(message) = inference["message"].as_str() {
        output::line(format_args!("  {message}"))?;
    }
    if let Some(live) = inference["takesOver"]["name"].as_str() {
        output::line(format_args!(
            "  takes the place of {live} when it has got as far"
        ))?;
    }
    if let Some(successor) = inference["successor"]["name"].as_str() {
        output::line(format_args!("  {successor} is about to take its place"))?;
    }
    let handover = &inference["handover"];
    if let Some(live) = handover["inference"].as_str() {
        output::line(format_args!("  has taken the place of {live} at"))?;
        for offset in handover["offsets"].as_array().into_iter().flatten() {
            output::line(format_args!(
                "    partition {}: offset {}",
                offset["partition"], offset["offset"]
            ))?;
        }
    }
    for lag in inference["lag"].as_array().into_iter().flatten() {
        output::line(format_args!(
            "  partition {}: {} of {}, {} behind",
            lag["partition"], lag["committed"], lag["end"], lag["lag"]
        ))?;
    }
    Ok(())
}
