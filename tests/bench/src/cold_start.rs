//! A cold start on AWS Lambda, with a Runtime API of our own: from exec to the first question for an invocation, and to the first
//! prediction.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_harness::{Lambda, Outcome};
use serde_json::json;

use crate::cluster::Cluster;
use crate::cpu;
use crate::effort::Effort;
use crate::launch::{Route, start_on_lambda};
use crate::models::Model;
use crate::report::{Better, Row};

/// How the rows begin.
pub(crate) const NAME: &str = "cold start";

/// Milliseconds of CPU time until the first question.
const CPU_LIMIT: f64 = 60.0;
/// Milliseconds until the first prediction.
const LIMIT: f64 = 150.0;
/// After so long nothing is to be expected any more.
const PATIENCE: Duration = Duration::from_mins(2);

/// The rows of the cold start.
pub(crate) fn rows(effort: &Effort) -> Result<Vec<Row>> {
    let folder = tempfile::Builder::new()
        .prefix("millrace-bench-")
        .tempdir()?;
    let artifacts = format!("file://{}", folder.path().display());
    let cluster = Cluster::open()?;
    let model = Model::dense([8, 16, 2], &artifacts)?;
    let (mut cpu, mut ready, mut answered) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.rounds {
        let route = Route::make(&cluster)?;
        let lambda = Lambda::start();
        // Idle after its start, so that nothing else is counted.
        let start = Instant::now();
        let mut process = start_on_lambda(&lambda, &cluster, &route, &model, &artifacts)?;
        ready.push(millis(start, lambda.asked(PATIENCE)));
        cpu.push(cpu::seconds_of_threads(process.id())? * 1e3);
        process.kill();
        // With an event that waits for it, as Lambda starts an environment.
        let event = event(&route.input, &model.records[0]);
        let invocation = lambda.invoke(&event, PATIENCE);
        let start = Instant::now();
        let mut process = start_on_lambda(&lambda, &cluster, &route, &model, &artifacts)?;
        let (outcome, told) = lambda.ended(&invocation, PATIENCE);
        ensure!(matches!(outcome, Outcome::Answered(_)), "{outcome:?}");
        answered.push(millis(start, told));
        process.kill();
        cluster.admin.delete_topics(&route.topics())?;
    }
    let row = |what: &str, values: &[f64], limit: f64| Row {
        target: Some(1.0),
        ..Row::new(
            format!("{NAME}, inference on Lambda | the limit: {what}"),
            "ms",
            Better::Lower,
            values,
            &[limit],
        )
    };
    Ok(vec![
        row("CPU from exec to the first next", &cpu, CPU_LIMIT),
        row("exec to the first prediction", &answered, LIMIT),
        Row::new(
            format!("{NAME}, inference on Lambda | the first prediction: exec to the first next"),
            "ms",
            Better::Lower,
            &ready,
            &answered,
        ),
    ])
}

/// What a mapping makes of one record.
fn event(topic: &str, record: &[u8]) -> serde_json::Value {
    let record = json!({
        "topic": topic, "partition": 0, "offset": 0, "timestamp": 1, "timestampType": "CREATE_TIME",
        "value": STANDARD.encode(record), "headers": [],
    });
    json!({"eventSource": "aws:kafka", "records": {format!("{topic}-0"): [record]}})
}

fn millis(from: Instant, to: Instant) -> f64 {
    (to - from).as_secs_f64() * 1e3
}
