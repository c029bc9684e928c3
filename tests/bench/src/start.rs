//! From the start of a process to its first answer, with a record that waits for it and a model in the artifact store.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use millrace_kafka::{Connection, Tail, TailEvent};
use millrace_wire::function::Guarantee;
use serde_json::Value;

use crate::cluster::Cluster;
use crate::effort::Effort;
use crate::launch::{Program, Route};
use crate::models::Model;
use crate::report::{Better, Row};
use crate::subject::Subject;

/// How the rows begin.
pub(crate) const NAME: &str = "start";

/// Milliseconds that it may take.
const LIMIT: f64 = 150.0;
/// How long the reader waits before it looks after the process.
const LOOK: Duration = Duration::from_secs(1);
/// What an inference says on its way, and what it has done by then.
const STEPS: [(&str, &str); 4] = [
    ("the function started", "exec, log and HTTP"),
    (
        "version loaded",
        "ONNX Runtime and the model, beside a look at the topics",
    ),
    (
        "reading records",
        "the transactional id, beside the group join",
    ),
    ("partitions assigned", "what is left of the group join"),
];
/// What it does after the last of these.
const LAST_STEP: &str = "fetch, run, write and commit";

/// The rows of the start.
pub(crate) fn rows(effort: &Effort) -> Result<Vec<Row>> {
    let folder = tempfile::Builder::new()
        .prefix("millrace-bench-")
        .tempdir()?;
    let artifacts = format!("file://{}", folder.path().display());
    let cluster = Cluster::open()?;
    let model = Model::dense([8, 16, 2], &artifacts)?;
    let inference = Program::Inference {
        model: &model,
        artifacts: &artifacts,
        guarantee: Guarantee::ExactlyOnce,
        properties: &[],
    };
    // The least that could be: it need not wait for its commit.
    let copy = Program::Copy {
        guarantee: Guarantee::AtLeastOnce,
        answer: None,
    };
    let mut totals = Vec::new();
    let mut copies = Vec::new();
    let mut parts: [Vec<f64>; STEPS.len() + 1] = Default::default();
    for _ in 0..effort.rounds {
        let (mut subject, end) = first_answer(&inference, &cluster, &model)?;
        totals.push(millis(subject.begun, end));
        let mut last = subject.begun;
        for ((line, _), part) in STEPS.iter().zip(&mut parts) {
            let said = said(&mut subject, line)?;
            part.push(millis(last, said));
            last = said;
        }
        parts[STEPS.len()].push(millis(last, end));
        subject.end()?;
        let (subject, end) = first_answer(&copy, &cluster, &model)?;
        copies.push(millis(subject.begun, end));
        subject.end()?;
    }
    let row = |what: &str, values: &[f64], floors: &[f64]| {
        let name = format!("{NAME}, inference, exactly once | {what}");
        Row::new(name, "ms", Better::Lower, values, floors)
    };
    let mut rows = vec![
        Row {
            target: Some(1.0),
            ..row("the limit: exec to the first answer", &totals, &[LIMIT])
        },
        row(
            "a copy, at least once: exec to the first answer",
            &totals,
            &copies,
        ),
    ];
    let names = STEPS.iter().map(|(_, name)| *name).chain([LAST_STEP]);
    rows.extend(
        names
            .zip(&parts)
            .map(|(name, part)| row(&format!("the whole: {name}"), part, &totals)),
    );
    Ok(rows)
}

/// Starts a program whose input holds one record, and says when its answer was there.
fn first_answer<'c>(
    program: &Program<'_>,
    cluster: &'c Cluster,
    model: &Model,
) -> Result<(Subject<'c>, DateTime<Utc>)> {
    let route = Route::make(cluster)?;
    cluster.fill(&route.input, &model.records, 1)?;
    cluster.release()?;
    let connection = Connection::new(&cluster.properties);
    let mut tail = Tail::open(&connection, &route.output, &BTreeMap::new())?;
    // From here on it waits at the broker for what comes.
    while tail.poll(LOOK)? != TailEvent::CaughtUp {}
    let start = Instant::now();
    let mut subject = program.start_on(cluster, route)?;
    loop {
        match tail.poll(LOOK)? {
            TailEvent::Record(_) => return Ok((subject, Utc::now())),
            TailEvent::CaughtUp => {}
            TailEvent::Idle => subject.check(start)?,
        }
    }
}

/// When the process has logged this.
fn said(subject: &mut Subject<'_>, text: &str) -> Result<DateTime<Utc>> {
    let line = subject.process.wait_for(text, LOOK);
    let line: Value = serde_json::from_str(&line)?;
    let time = line["timestamp"].as_str().context("a line has a time")?;
    Ok(time.parse()?)
}

fn millis(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    (to - from).as_seconds_f64() * 1e3
}
