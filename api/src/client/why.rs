//! `millrace why`: an answer, what it comes from, and whether it is still the answer.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use millrace_wire::samples::Tolerance;
use serde_json::{Value, json};

use super::{Server, bytes, features, text};
use crate::output;

/// Arguments of `why`.
#[derive(Debug, Args)]
pub struct WhyArguments {
    /// An output record or a dead letter
    #[arg(value_name = "TOPIC/PARTITION/OFFSET")]
    record: String,
    /// The project
    #[arg(long, default_value = "default")]
    project: String,
    /// The connection to the cluster that holds it
    #[arg(long, default_value = "default")]
    connection: String,
    /// Do not run the input again
    #[arg(long)]
    no_rerun: bool,
    /// How far from a number of the answer that number may be now, as a share of it, for both to be close
    #[arg(long, default_value_t = Tolerance::default().relative)]
    rtol: f64,
    /// How far it may be on top of that, which counts near zero
    #[arg(long, default_value_t = Tolerance::default().absolute)]
    atol: f64,
    /// Print what the API answers, as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

const WHY: &str = "query Why(
  $project: String!, $connection: String!, $record: String!, $again: Boolean!, $relative: Float!, $absolute: Float!
) {
  project(name: $project) { why(record: $record, connection: $connection) {
    record { ...Record }
    refusal { code message }
    source input { ...Record } inputError { code message } decoded { features texts error message }
    model versionNumber versionError { code message }
    version {
      ...Made
      training { id state seed hyperparameters finishedAt }
      segment { id name topic count digest partitions { partition start end } retainedUntil }
      parent { ...Made }
    }
    inference { name state }
    again(relativeTolerance: $relative, absoluteTolerance: $absolute) @include(if: $again) {
      verdict message largestDifference value { ...Bytes } refusal { code message }
    }
  } }
}
fragment Record on KafkaRecord {
  place timestamp key { ...Bytes } value { ...Bytes } headers { name value { ...Bytes } }
}
fragment Bytes on Bytes { length base64 text }
fragment Made on Version { number digest createdAt aliases metrics }";

/// Explains a record.
///
/// # Errors
/// Where there is no such record, or none that Millrace wrote, and the API's.
pub async fn run(arguments: WhyArguments) -> Result<ExitCode> {
    let variables = json!({
        "project": arguments.project, "connection": arguments.connection, "record": arguments.record,
        "again": !arguments.no_rerun, "relative": arguments.rtol, "absolute": arguments.atol,
    });
    let mut data = arguments.server.client().execute(WHY, variables).await?;
    if data["project"].is_null() {
        bail!("there is no project {}", arguments.project);
    }
    let why = data["project"]["why"].take();
    if arguments.json {
        output::line(serde_json::to_string_pretty(&why)?)?;
    } else {
        print(&why)?;
    }
    Ok(if why["again"]["verdict"] == "DIFFERENT" {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn print(why: &Value) -> Result<()> {
    let record = &why["record"];
    line("answer", &place(record))?;
    if why["refusal"].is_null() {
        line("", &bytes(&record["value"]))?;
    } else {
        line("", &format!("a dead letter: {}", fault(&why["refusal"])))?;
    }
    let input = &why["input"];
    if input.is_null() {
        let source = text(&why["source"]);
        line("input", &format!("{source}: {}", fault(&why["inputError"])))?;
    } else {
        line("input", text(&why["source"]))?;
        if input["place"] != why["source"] {
            let place = text(&input["place"]);
            line(
                "",
                &format!("Kafka has dropped it; kept by its dead letter {place}"),
            )?;
        }
        line("", &bytes(&input["value"]))?;
        if !why["decoded"]["features"].is_null() {
            line("", &format!("features {}", features(&why["decoded"])))?;
        }
    }
    lineage(why)?;
    let again = &why["again"];
    if !again.is_null() {
        let verdict = text(&again["verdict"]).to_lowercase();
        line("again", &format!("{verdict}: {}", text(&again["message"])))?;
        if again["verdict"] == "DIFFERENT" && !again["value"].is_null() {
            line("", &bytes(&again["value"]))?;
        }
    }
    Ok(())
}

/// The version, and what made it.
fn lineage(why: &Value) -> Result<()> {
    let version = &why["version"];
    let model = text(&why["model"]);
    if version.is_null() {
        let number = &why["versionNumber"];
        let fault = fault(&why["versionError"]);
        return line("version", &format!("{model} version {number}: {fault}"));
    }
    line("version", &made(model, version))?;
    if !why["inference"].is_null() {
        let (name, state) = (&why["inference"]["name"], &why["inference"]["state"]);
        line("inference", &format!("{}, {}", text(name), text(state)))?;
    }
    let training = &version["training"];
    if training.is_null() {
        return line(
            "training",
            "none: the version was uploaded, or built from layers",
        );
    }
    line(
        "training",
        &format!(
            "{}, seed {}, ended {}",
            text(&training["id"]),
            training["seed"],
            text(&training["finishedAt"])
        ),
    )?;
    line("", &training["hyperparameters"].to_string())?;
    let segment = &version["segment"];
    line(
        "segment",
        &format!(
            "{}, {} records of {}, SHA-256 {}",
            text(&segment["id"]),
            segment["count"],
            text(&segment["topic"]),
            text(&segment["digest"])
        ),
    )?;
    for part in segment["partitions"].as_array().into_iter().flatten() {
        let range = format!(
            "{}/{}: offsets {} to {} (exclusive)",
            text(&segment["topic"]),
            part["partition"],
            part["start"],
            part["end"]
        );
        line("", &range)?;
    }
    line("parent", &made(model, &version["parent"]))
}

fn made(model: &str, version: &Value) -> String {
    let aliases: Vec<&str> = version["aliases"]
        .as_array()
        .into_iter()
        .flatten()
        .map(text)
        .collect();
    let aliases = if aliases.is_empty() {
        String::new()
    } else {
        format!(" ({})", aliases.join(", "))
    };
    format!(
        "{model} version {}{aliases}, made {}, SHA-256 {}",
        version["number"],
        text(&version["createdAt"]),
        text(&version["digest"])
    )
}

fn place(record: &Value) -> String {
    format!(
        "{} of {}",
        text(&record["place"]),
        text(&record["timestamp"])
    )
}

fn fault(error: &Value) -> String {
    format!("{} ({})", text(&error["message"]), text(&error["code"]))
}

/// A line under a title; without one it belongs to the line before.
fn line(title: &str, words: &str) -> Result<()> {
    Ok(output::line(format_args!("{title:<10}{words}"))?)
}
