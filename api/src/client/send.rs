//! `millrace send`: streams the rows of a file into a datasource's topic, and makes a segment of
//! exactly what it sent.

mod encode;
mod rows;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use millrace_kafka::{Connection, Delivery, OutRecord, Producer};
use millrace_wire::record::{Label, RecordFormat, SchemaKey};
use millrace_wire::split::Split;
use serde_json::{Value, json};

use self::encode::{Encoded, Encoder, Registered};
use super::{Client, Server};
use crate::output;

/// Records on their way at most.
const WINDOW: usize = 10_000;
/// How often the progress bar is drawn anew, times a second.
const DRAWS: u8 = 10;

/// Arguments of `send`.
#[derive(Debug, Args)]
#[command(
    after_help = "The file is CSV, or CSV compressed by gzip (.gz), without a head: one record a row, its
elements in C order. Columns behind those are the label: one, or as many as it has elements.

Examples:
  millrace send digits digits.csv.gz
  millrace send digits digits.csv.gz --shuffle 7 --take 1297 --validation 0.1
  millrace send digits new.csv --topic digits-input --no-segment --json"
)]
pub struct SendArguments {
    /// The datasource's name: its format says how rows become records
    datasource: String,
    /// The file
    file: PathBuf,
    /// Another topic than the datasource's
    #[arg(long, requires = "no_segment")]
    topic: Option<String>,
    /// Permute the rows by this seed first
    #[arg(long, value_name = "SEED")]
    shuffle: Option<u64>,
    /// Leave out so many rows at the beginning (after the permutation)
    #[arg(long, default_value_t = 0, value_name = "ROWS")]
    skip: usize,
    /// Send so many rows at most
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    take: Option<u64>,
    /// Make no segment of what was sent
    #[arg(long)]
    no_segment: bool,
    /// The id of the records' schema in the registry, where the datasource's records name it: a number, or for AWS Glue the
    /// UUID of the schema's version
    #[arg(long, value_name = "ID")]
    schema_id: Option<SchemaKey>,
    /// The file that holds this schema, for records of AVRO and PROTOBUF
    #[arg(long, value_name = "FILE", requires = "schema_id")]
    schema: Option<PathBuf>,
    /// The message in it, for records of PROTOBUF: the first one without
    #[arg(long, value_name = "NAME", requires = "schema")]
    message: Option<String>,
    /// Share of the segment for validation
    #[arg(long, default_value_t = 0.0, value_name = "SHARE", value_parser = share, allow_negative_numbers = true)]
    validation: f64,
    /// Share of the segment for the final test
    #[arg(long, default_value_t = 0.0, value_name = "SHARE", value_parser = share, allow_negative_numbers = true)]
    test: f64,
    /// Seed of the segment's split
    #[arg(long, default_value_t = 0)]
    seed: i64,
    /// The project
    #[arg(long, default_value = "default")]
    project: String,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// A part of the records.
fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok();
    let share = share.filter(|share| (0.0..1.0).contains(share));
    share.ok_or_else(|| "a share is a number from 0 to less than 1, as 0.1".to_owned())
}

/// What the API knows about the datasource.
struct Target {
    connection: BTreeMap<String, String>,
    topic: String,
    format: RecordFormat,
    label: Option<Label>,
}

/// What was sent to a partition.
#[derive(Clone, Copy)]
struct Span {
    /// The first offset.
    start: i64,
    /// The offset behind the last one.
    end: i64,
    /// How many of the records between are ours.
    sent: i64,
}

/// What was sent, by partition.
type Ranges = BTreeMap<i32, Span>;

const FIND: &str = "query Find($project: String!, $name: String!) {
  project(name: $project) {
    datasource(name: $name) { topic format label connection { properties } }
  }
}";
const CREATE_SEGMENT: &str = "mutation CreateSegment($input: CreateSegmentInput!) {
  createSegment(input: $input) {
    segment {
      id topic count digest retainedUntil
      partitions { partition start end count }
      split { seed validation test }
      trainCount validationCount testCount
    }
  }
}";

/// Sends the file.
///
/// # Errors
/// Where the file does not fit the datasource (named by row and column), Kafka does not take the
/// records, and the API's.
pub async fn run(arguments: SendArguments) -> Result<()> {
    let client = arguments.server.client();
    let mut target = find(&client, &arguments.project, &arguments.datasource).await?;
    if let Some(topic) = arguments.topic {
        target.topic = topic;
    }
    let selection = rows::Selection {
        shuffle: arguments.shuffle,
        skip: arguments.skip,
        take: arguments.take.map_or(usize::MAX, |rows| {
            usize::try_from(rows).unwrap_or(usize::MAX)
        }),
    };
    let registered = registered(arguments.schema_id, arguments.schema, arguments.message)?;
    let split = Split {
        seed: arguments.seed.cast_unsigned(),
        validation: arguments.validation,
        test: arguments.test,
    };
    let file = arguments.file;
    let (topic, sent) = tokio::task::spawn_blocking(move || {
        let rows = rows::read(&file, &selection)?;
        // What can't become a segment is not sent either: a second try would double it.
        if !arguments.no_segment {
            split.sizes(rows.len() as u64).context("nothing was sent")?;
        }
        // Neither are the rows in front of one that is no record.
        let encoder = Encoder::new(&target.format, target.label.as_ref(), registered.as_ref())?;
        let records = rows.iter().map(|row| encoder.row(&row));
        let records: Vec<Encoded> = records.collect::<Result<_>>().context("nothing was sent")?;
        drop(rows);
        let sent = stream(&target, &records)?;
        anyhow::Ok((target.topic, sent))
    })
    .await??;
    let (project, datasource) = (arguments.project, arguments.datasource);
    if arguments.no_segment {
        return report_offsets(&topic, &sent, arguments.json);
    }
    refuse_strangers(&topic, &sent)?;
    let offsets: Vec<Value> = sent
        .iter()
        .map(|(partition, Span { start, end, .. })| {
            json!({"partition": partition, "start": start, "end": end})
        })
        .collect();
    let split =
        json!({"seed": arguments.seed, "validation": arguments.validation, "test": arguments.test});
    let input =
        json!({"project": project, "datasource": datasource, "offsets": offsets, "split": split});
    let made = client
        .execute(CREATE_SEGMENT, json!({"input": input}))
        .await;
    let made = made.context("the records were sent, but no segment could be made of them")?;
    report_segment(&made["createSegment"]["segment"], arguments.json)
}

/// The schema of the registry that is named, with the text of its file.
fn registered(
    id: Option<SchemaKey>,
    file: Option<PathBuf>,
    message: Option<String>,
) -> Result<Option<Registered>> {
    let Some(id) = id else {
        return Ok(None);
    };
    let text = file.map(|file| {
        let read = std::fs::read_to_string(&file);
        read.with_context(|| format!("{} cannot be read", file.display()))
    });
    Ok(Some(Registered {
        id,
        text: text.transpose()?,
        message,
    }))
}

async fn find(client: &Client, project: &str, name: &str) -> Result<Target> {
    let mut found = client
        .execute(FIND, json!({"project": project, "name": name}))
        .await?;
    if found["project"].is_null() {
        bail!("there is no project {project}");
    }
    let mut source = found["project"]["datasource"].take();
    if source.is_null() {
        bail!("there is no datasource {name} in the project {project}");
    }
    Ok(Target {
        connection: serde_json::from_value(source["connection"]["properties"].take())?,
        topic: source["topic"].as_str().unwrap_or_default().to_owned(),
        format: serde_json::from_value(source["format"].take())?,
        label: serde_json::from_value(source["label"].take())?,
    })
}

/// Produces all records and waits until Kafka has them. Blocks.
fn stream(target: &Target, records: &[Encoded]) -> Result<Ranges> {
    let producer = Producer::new(&Connection::new(&target.connection))?;
    let progress = progress(records.len() as u64)?;
    let mut ranges = Ranges::new();
    let mut waiting = std::collections::VecDeque::new();
    for record in records {
        waiting.push_back(produce(&producer, target, record)?);
        if waiting.len() >= WINDOW {
            settle(waiting.pop_front(), &mut ranges)?;
        }
        progress.inc(1);
    }
    while let Some(delivery) = waiting.pop_front() {
        settle(Some(delivery), &mut ranges)?;
    }
    progress.finish();
    Ok(ranges)
}

fn produce(producer: &Producer, target: &Target, encoded: &Encoded) -> Result<Delivery> {
    let mut record = OutRecord::to(&target.topic);
    record.key = encoded.key.as_deref();
    record.value = encoded.value.as_deref();
    for (name, value) in &encoded.headers {
        record = record.header(name.as_str(), value);
    }
    Ok(producer.send_and_wait(&record)?)
}

fn settle(delivery: Option<Delivery>, ranges: &mut Ranges) -> Result<()> {
    let Some(delivery) = delivery else {
        return Ok(());
    };
    let delivered = delivery.wait()?;
    let span = ranges.entry(delivered.partition).or_insert(Span {
        start: delivered.offset,
        end: delivered.offset,
        sent: 0,
    });
    span.start = span.start.min(delivered.offset);
    span.end = span.end.max(delivered.offset + 1);
    span.sent += 1;
    Ok(())
}

/// A segment has all records between its ends, so it would have those of others too.
fn refuse_strangers(topic: &str, sent: &Ranges) -> Result<()> {
    let strangers: i64 = sent
        .values()
        .map(|span| span.end - span.start - span.sent)
        .sum();
    if strangers == 0 {
        return Ok(());
    }
    let spans: Vec<String> = sent
        .iter()
        .map(|(partition, span)| format!("{partition}: {} to {}", span.start, span.end))
        .collect();
    bail!(
        "the records were sent, but somebody else wrote to {topic} in between ({strangers} offsets are not ours), so no segment \
         was made of them; send to a topic that nobody else writes to, or make a segment of all of these offsets with \
         `createSegment` ({})",
        spans.join(", ")
    );
}

/// A bar with rate and time left at a terminal, nothing elsewhere.
fn progress(records: u64) -> Result<ProgressBar> {
    let target = ProgressDrawTarget::stderr_with_hz(DRAWS);
    let bar = ProgressBar::with_draw_target(Some(records), target);
    let style = ProgressStyle::with_template(
        "  {wide_bar} {human_pos}/{human_len} records, {rate}/s, {eta} left",
    )?;
    bar.set_style(style.with_key(
        "rate",
        |state: &ProgressState, text: &mut dyn std::fmt::Write| {
            // What cannot be written to the bar's own text is not worth an error.
            let _ = write!(text, "{:.0}", state.per_sec());
        },
    ));
    bar.enable_steady_tick(Duration::from_millis(100));
    Ok(bar)
}

fn report_offsets(topic: &str, sent: &Ranges, as_json: bool) -> Result<()> {
    if as_json {
        let offsets: Vec<Value> = sent
            .iter()
            .map(|(partition, Span { start, end, .. })| {
                json!({"partition": partition, "start": start, "end": end})
            })
            .collect();
        let sent = json!({"topic": topic, "offsets": offsets});
        output::line(serde_json::to_string_pretty(&sent)?)?;
        return Ok(());
    }
    for (partition, Span { start, end, .. }) in sent {
        output::line(format_args!(
            "  sent to {topic}/{partition}: offsets {start} to {end} (exclusive)"
        ))?;
    }
    Ok(())
}

fn report_segment(segment: &Value, as_json: bool) -> Result<()> {
    if as_json {
        output::line(serde_json::to_string_pretty(segment)?)?;
        return Ok(());
    }
    let text = |name: &str| segment[name].as_str().unwrap_or("for ever").to_owned();
    output::line(format_args!("  segment {}", text("id")))?;
    for range in segment["partitions"].as_array().into_iter().flatten() {
        output::line(format_args!(
            "    {}/{}: offsets {} to {} (exclusive), {} records",
            text("topic"),
            range["partition"],
            range["start"],
            range["end"],
            range["count"]
        ))?;
    }
    output::line(format_args!(
        "    {} records: {} to train on, {} for validation, {} for the test (seed {})",
        segment["count"],
        segment["trainCount"],
        segment["validationCount"],
        segment["testCount"],
        segment["split"]["seed"]
    ))?;
    output::line(format_args!("    SHA-256 {}", text("digest")))?;
    output::line(format_args!(
        "    kept by Kafka until {}",
        text("retainedUntil")
    ))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn a_share_that_is_none_is_told_as_one() {
        #[derive(clap::Parser)]
        struct Program {
            #[command(flatten)]
            arguments: SendArguments,
        }
        let parse = |share: &str| {
            let words = ["x", "digits", "digits.csv", "--validation", share];
            <Program as clap::Parser>::try_parse_from(words)
                .map(|program| program.arguments.validation)
                .map_err(|error| error.to_string())
        };
        assert!((parse("0.25").unwrap() - 0.25).abs() < f64::EPSILON);
        for wrong in ["-0.1", "1", "NaN", "ten"] {
            let error = parse(wrong).unwrap_err();
            assert!(error.contains("from 0 to less than 1"), "{error}");
        }
    }

    #[test]
    fn records_of_others_are_told_from_ours() {
        let span = |start, end, sent| Span { start, end, sent };
        let alone = Ranges::from([(0, span(5, 9, 4)), (2, span(0, 1, 1))]);
        refuse_strangers("t", &alone).unwrap();
        let among = Ranges::from([(0, span(5, 9, 4)), (2, span(0, 10, 7))]);
        let error = refuse_strangers("t", &among).unwrap_err().to_string();
        assert!(error.contains("3 offsets are not ours"), "{error}");
        assert!(error.contains("2: 0 to 10"), "{error}");
    }
}
