//! The whole job beside the Python way: from a topic to a trained model, the process's start included.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::cluster::Cluster;
use crate::cpu;
use crate::effort::Effort;
use crate::job::{ACCURACY, BATCH, Job, Spent, TRAINING};
use crate::memory::Memory;
use crate::report::{Better, Row};

/// How the rows begin.
pub(crate) const NAME: &str = "the whole job";
/// How often the records are trained on.
pub(crate) const EPOCHS: u32 = 5;
/// What the configuration allows decoded records where nothing else is said: they stay in memory.
pub(crate) const MEMORY_BYTES: u64 = 256 << 20;
/// A fifth of their time and of their memory.
const TARGET: f64 = 0.2;
/// Rounds of some ten seconds each are as good as more.
const ROUNDS: usize = 3;

#[derive(Deserialize)]
struct Answer {
    way: String,
    accuracy: f64,
}

/// The rows of wall time, CPU time and memory.
pub(crate) fn rows(python: &Path, effort: &Effort) -> Result<Vec<Row>> {
    let folder = tempfile::Builder::new()
        .prefix("millrace-bench-")
        .tempdir()?;
    let artifacts = format!("file://{}", folder.path().display());
    let cluster = Cluster::open()?;
    let job = Job::new(&cluster, &artifacts, effort.job_records)?;
    let (mut ours, mut theirs, mut way) = (Vec::new(), Vec::new(), String::new());
    for _ in 0..effort.rounds.min(ROUNDS) {
        ours.push(job.train(TRAINING, EPOCHS, MEMORY_BYTES)?);
        let (named, spent) = peer(python, &cluster, &job, folder.path())?;
        theirs.push(spent);
        way = named;
    }
    let figures = |spent: &[Spent], figure: fn(&Spent) -> f64| -> Vec<f64> {
        spent.iter().map(figure).collect()
    };
    let name = format!(
        "{NAME}, MLP 784-128-10, {} records, {EPOCHS} epochs | {way}",
        effort.job_records
    );
    let row = |what: &str, unit, target, figure: fn(&Spent) -> f64| Row {
        target,
        ..Row::new(
            format!("{name}: {what}"),
            unit,
            Better::Lower,
            &figures(&ours, figure),
            &figures(&theirs, figure),
        )
    };
    Ok(vec![
        row("wall time", "s", Some(TARGET), |spent| spent.seconds),
        // Beside other work on the machine it says more than wall time does.
        row("CPU time", "s", None, |spent| spent.cpu_seconds),
        row("peak memory", "MiB", Some(TARGET), |spent| spent.peak),
    ])
}

/// The same job in Python.
fn peer(python: &Path, cluster: &Cluster, job: &Job<'_>, folder: &Path) -> Result<(String, Spent)> {
    let script = millrace_harness::root().join("tests/bench/peers/job.py");
    let start = Instant::now();
    let mut child = Command::new(python)
        .arg(script)
        .args([&cluster.properties["bootstrap.servers"], job.topic()])
        .args([EPOCHS, BATCH].map(|number| number.to_string()))
        .arg(folder.join("model.keras"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", python.display()))?;
    let output = child.stdout.take().context("it is a pipe")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    let seconds = start.elapsed().as_secs_f64();
    let memory = Memory::of(child.id());
    let cpu = cpu::seconds(child.id());
    // The end of its input lets it go.
    drop(child.stdin.take());
    let status = child.wait()?;
    ensure!(status.success(), "{} ended with {status}", python.display());
    let answer: Answer = serde_json::from_str(&line)?;
    let memory = memory?;
    ensure!(
        answer.accuracy >= ACCURACY,
        "{} learned nothing: {}",
        answer.way,
        answer.accuracy
    );
    let spent = Spent {
        seconds,
        cpu_seconds: cpu?,
        peak: memory.peak,
        anonymous: memory.anonymous,
    };
    Ok((answer.way, spent))
}
