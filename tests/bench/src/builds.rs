//! A whole training by two builds of the function in turns: what a change gains or costs, also beside other work.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::cluster::Cluster;
use crate::effort::Effort;
use crate::job::{Job, Spent, TRAINING};
use crate::peer_job::{EPOCHS, MEMORY_BYTES};
use crate::report::{Better, Row};

/// Which builds are measured, and for how long.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The file of the other build of `millrace-training`.
    other: PathBuf,
    /// How often each has its turn.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
}

/// The rows of wall time, CPU time and memory.
pub(crate) fn rows(arguments: &Arguments, effort: &Effort) -> Result<Vec<Row>> {
    let folder = tempfile::Builder::new()
        .prefix("millrace-bench-")
        .tempdir()?;
    let artifacts = format!("file://{}", folder.path().display());
    let cluster = Cluster::open()?;
    let job = Job::new(&cluster, &artifacts, effort.job_records)?;
    // The harness looks beside this program, and takes a path from the root as it is.
    let other = std::path::absolute(&arguments.other)?;
    let other = other
        .to_str()
        .context("the other build's path is no text")?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        ours.push(job.train(TRAINING, EPOCHS, MEMORY_BYTES)?);
        theirs.push(job.train(other, EPOCHS, MEMORY_BYTES)?);
    }
    let figures = |spent: &[Spent], figure: fn(&Spent) -> f64| -> Vec<f64> {
        spent.iter().map(figure).collect()
    };
    let row = |what: &str, unit, figure: fn(&Spent) -> f64| {
        Row::new(
            format!("this build beside the other one: {what}"),
            unit,
            Better::Lower,
            &figures(&ours, figure),
            &figures(&theirs, figure),
        )
    };
    Ok(vec![
        row("wall time", "s", |spent| spent.seconds),
        row("CPU time", "s", |spent| spent.cpu_seconds),
        row("peak memory", "MiB", |spent| spent.peak),
        row("anonymous memory", "MiB", |spent| spent.anonymous),
    ])
}
