//! `millrace dead-letters`: what an inference could not answer, looked at and sent back.

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Server, bytes, features, text};
use crate::output;

/// Commands about dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// List the records that an inference could not answer
    #[command(after_help = "Examples:
  millrace dead-letters list points
  millrace dead-letters list points --error predict --waiting --first 100 --json")]
    List(List),
    /// Show one of them, decoded as far as it goes
    #[command(after_help = "Examples:
  millrace dead-letters show points 0/17
  millrace dead-letters show points 0/17 --json")]
    Show(Show),
    /// Send dead letters back to their inference, each once
    ///
    /// They go through the inference's own topic, so no other reader of its input sees a record
    /// twice. They are answered behind what was answered meanwhile: their order is not kept.
    #[command(after_help = "Examples:
  millrace dead-letters redrive points 0/17 0/18
  millrace dead-letters redrive points --error predict
  millrace dead-letters redrive points --all --json")]
    Redrive(Redrive),
}

/// Which inference, and how to answer.
#[derive(Debug, Args)]
struct Common {
    /// The inference
    name: String,
    /// The project
    #[arg(long, default_value = "default")]
    project: String,
    /// Print what the API answers, as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// Arguments of `dead-letters list`.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    common: Common,
    /// At most so many
    #[arg(long, default_value_t = 20)]
    first: u32,
    /// Behind this one
    #[arg(long, value_name = "PARTITION/OFFSET")]
    after: Option<String>,
    /// Only those with this error
    #[arg(long, value_name = "CODE")]
    error: Option<String>,
    /// Only those that were not sent back
    #[arg(long)]
    waiting: bool,
}

/// Arguments of `dead-letters show`.
#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    common: Common,
    /// Where it lies
    #[arg(value_name = "PARTITION/OFFSET")]
    place: String,
}

/// Arguments of `dead-letters redrive`.
#[derive(Debug, Args)]
pub struct Redrive {
    #[command(flatten)]
    common: Common,
    /// Where they lie
    #[arg(value_name = "PARTITION/OFFSET", required_unless_present_any = ["all", "error"])]
    places: Vec<String>,
    /// All of them
    #[arg(long, conflicts_with_all = ["places", "error"])]
    all: bool,
    /// Those with this error
    #[arg(long, value_name = "CODE", conflicts_with = "places")]
    error: Option<String>,
}

const LIST: &str = "query DeadLetters($project: String!, $name: String!, $first: Int!, $after: String, $error: String, $redriven: Boolean) {
  project(name: $project) { inference(name: $name) {
    deadLetters(first: $first, after: $after, error: $error, redriven: $redriven) {
      nodes { place source error message version attempt redriven timestamp }
      pageInfo { hasNextPage endCursor }
    }
  } }
}";
const SHOW: &str = "query DeadLetter($project: String!, $name: String!, $place: String!) {
  project(name: $project) { inference(name: $name) { deadLetter(place: $place) {
    place source error message version attempt redriven timestamp
    key { ...All } value { ...All } headers { name value { ...All } }
    decoded { features texts error message }
  } } }
}
fragment All on Bytes { length base64 text }";
const REDRIVE: &str =
    "mutation Redrive($project: String!, $name: String!, $select: DeadLetterSelection!) {
  redriveDeadLetters(input: {project: $project, name: $name, select: $select}) { sent passedOver }
}";

/// Runs a command about dead letters.
///
/// # Errors
/// The API's.
pub async fn run(command: DeadLettersCommand) -> Result<()> {
    match command {
        DeadLettersCommand::List(list) => self::list(list).await,
        DeadLettersCommand::Show(show) => self::show(show).await,
        DeadLettersCommand::Redrive(redrive) => self::redrive(redrive).await,
    }
}

async fn list(list: List) -> Result<()> {
    let common = list.common;
    let variables = json!({
        "project": common.project, "name": common.name, "first": list.first,
        "after": list.after, "error": list.error,
        "redriven": list.waiting.then_some(false),
    });
    let mut data = common.server.client().execute(LIST, variables).await?;
    let page = inference(&mut data, &common.name)?["deadLetters"].take();
    if common.json {
        return Ok(output::line(serde_json::to_string_pretty(&page)?)?);
    }
    for letter in page["nodes"].as_array().into_iter().flatten() {
        output::line(summary(letter))?;
    }
    if page["pageInfo"]["hasNextPage"] == true {
        let end = text(&page["pageInfo"]["endCursor"]);
        output::line(format_args!("there are more: --after {end}"))?;
    }
    Ok(())
}

async fn show(show: Show) -> Result<()> {
    let common = show.common;
    let variables = json!({
        "project": common.project, "name": common.name, "place": show.place,
    });
    let mut data = common.server.client().execute(SHOW, variables).await?;
    let letter = inference(&mut data, &common.name)?["deadLetter"].take();
    if letter.is_null() {
        bail!("there is no dead letter at {}", show.place);
    }
    if common.json {
        return Ok(output::line(serde_json::to_string_pretty(&letter)?)?);
    }
    output::line(summary(&letter))?;
    output::line(format_args!("key       {}", bytes(&letter["key"])))?;
    output::line(format_args!("value     {}", bytes(&letter["value"])))?;
    let decoded = &letter["decoded"];
    let decoded = if decoded["features"].is_null() {
        format!(
            "{} ({})",
            text(&decoded["message"]),
            text(&decoded["error"])
        )
    } else {
        features(decoded)
    };
    output::line(format_args!("decoded   {decoded}"))?;
    for header in letter["headers"].as_array().into_iter().flatten() {
        let (name, value) = (text(&header["name"]), bytes(&header["value"]));
        output::line(format_args!("header    {name}: {value}"))?;
    }
    Ok(())
}

async fn redrive(redrive: Redrive) -> Result<()> {
    let common = redrive.common;
    let select = match redrive.error {
        _ if redrive.all => json!({"all": true}),
        Some(error) => json!({"error": error}),
        None => json!({"places": redrive.places}),
    };
    let variables = json!({
        "project": common.project, "name": common.name, "select": select,
    });
    let mut data = common.server.client().execute(REDRIVE, variables).await?;
    let done = data["redriveDeadLetters"].take();
    if common.json {
        return Ok(output::line(serde_json::to_string_pretty(&done)?)?);
    }
    output::line(format_args!(
        "{} sent back, {} had been before",
        done["sent"], done["passedOver"]
    ))?;
    Ok(())
}

fn inference<'a>(data: &'a mut Value, name: &str) -> Result<&'a mut Value> {
    let inference = &mut data["project"]["inference"];
    if inference.is_null() {
        bail!("there is no inference {name}");
    }
    Ok(inference)
}

/// One line about a dead letter.
fn summary(letter: &Value) -> String {
    let redriven = if letter["redriven"] == true {
        ", sent back"
    } else {
        ""
    };
    format!(
        "{:<10} {} by version {}, attempt {}{redriven}: {} ({})",
        text(&letter["place"]),
        text(&letter["source"]),
        letter["version"],
        letter["attempt"],
        text(&letter["message"]),
        text(&letter["error"]),
    )
}
