//! The proof: reads input and output topics back with a consumer of its own that sees committed
//! records only, and counts for each record that was sent how many predictions it got.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use millrace_kafka::{Admin, Connection, Range, RangeReader, Watermarks};
use millrace_wire::header;
use serde_json::Value;

/// How long the predictions may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// An input record and what was predicted for it.
pub struct Answer {
    /// The 64 pixels.
    pub pixels: Vec<u8>,
    /// What it is, from the header that the model never sees.
    pub label: usize,
    /// The most probable class of the first prediction.
    pub predicted: Option<usize>,
    /// How many predictions there are.
    pub count: usize,
}

/// What the output topic holds for the records that were sent.
pub struct Report {
    /// One entry a sent record.
    pub answers: Vec<Answer>,
    /// Predictions for records that nobody sent.
    pub foreign: usize,
}

impl Report {
    /// Sent records without a prediction.
    pub fn lost(&self) -> usize {
        self.answers
            .iter()
            .filter(|answer| answer.count == 0)
            .count()
    }

    /// Predictions beyond the first for the same record.
    pub fn repeated(&self) -> usize {
        self.answers
            .iter()
            .map(|answer| answer.count.saturating_sub(1))
            .sum()
    }

    /// Share of sent records that were predicted rightly.
    #[allow(clippy::cast_precision_loss, reason = "counts of some hundred")]
    pub fn accuracy(&self) -> f64 {
        let right = self
            .answers
            .iter()
            .filter(|answer| answer.predicted == Some(answer.label));
        right.count() as f64 / self.answers.len() as f64
    }
}

/// Waits until the inference's group has done all that was sent, and joins it with what was predicted. Blocks.
pub fn read_back(
    connection: &Connection,
    group: &str,
    input: &str,
    output: &str,
) -> Result<Report> {
    let admin = Admin::new(connection)?;
    let mut answers = BTreeMap::new();
    for record in read(connection, &admin, input)? {
        let label = record
            .header("label")
            .context("an input without its label")?;
        let answer = Answer {
            label: std::str::from_utf8(label)?.parse()?,
            pixels: record.value.clone().unwrap_or_default(),
            predicted: None,
            count: 0,
        };
        answers.insert(
            format!("{input}/{}/{}", record.partition, record.offset),
            answer,
        );
    }
    // What the group has committed is answered: what is missing then is lost, what comes later would come twice.
    let begun = Instant::now();
    while admin
        .lag(group, input)?
        .iter()
        .any(|partition| partition.lag > 0)
    {
        if begun.elapsed() > PATIENCE {
            bail!(
                "not every record was answered within {} s",
                PATIENCE.as_secs()
            );
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut foreign = 0;
    for record in read(connection, &admin, output)? {
        let source = record
            .header(header::SOURCE)
            .context("a prediction without its source")?;
        let value: Value = serde_json::from_slice(record.value.as_deref().unwrap_or_default())?;
        match answers.get_mut(std::str::from_utf8(source)?) {
            Some(answer) => {
                answer.count += 1;
                answer.predicted = answer.predicted.or(Some(most_probable(&value)?));
            }
            None => foreign += 1,
        }
    }
    Ok(Report {
        answers: answers.into_values().collect(),
        foreign,
    })
}

/// All committed records of a topic.
fn read(
    connection: &Connection,
    admin: &Admin,
    topic: &str,
) -> Result<Vec<millrace_kafka::Record>> {
    let ranges: Vec<Range> = admin
        .watermarks(topic)?
        .iter()
        .map(Watermarks::committed)
        .collect();
    let mut reader = RangeReader::open(connection, topic, &ranges)?;
    let mut records = Vec::new();
    while !reader.is_done() {
        let batch = reader.next_batch(1_000, Duration::from_millis(100))?;
        records.extend(batch.iter().map(millrace_kafka::RecordView::to_record));
    }
    Ok(records)
}

fn most_probable(value: &Value) -> Result<usize> {
    let probabilities = value["outputs"]["probabilities"]
        .as_array()
        .context("a prediction without probabilities")?;
    let numbers = probabilities
        .iter()
        .map(|number| number.as_f64().unwrap_or(f64::NAN));
    let best = numbers.enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
    best.map(|(class, _)| class)
        .context("a prediction without classes")
}
