//! What `make bench` runs: training steps, decoders and inference (how much, how soon, in how much memory), each measured
//! beside its limits in the same run.
//!
//! Invariant: a value and its floor are measured in turns, round by round, and told as medians over the
//! rounds: whatever else the machine does meets both. The ratio is what counts; the figures themselves
//! belong to the machine that is named with them.

#![allow(clippy::print_stdout, reason = "a program for people at a terminal")]
#![allow(
    clippy::cast_precision_loss,
    reason = "counts of records and steps are far below 2^52"
)]

mod answer;
mod bare;
mod builds;
mod cases;
mod cluster;
mod cold_start;
mod copy;
mod cpu;
mod decoders;
mod effort;
mod endurance;
mod inference;
mod job;
mod large;
mod latency;
mod launch;
mod memory;
mod models;
mod numbers;
mod pace;
mod peer_job;
mod peers;
mod products;
mod report;
mod start;
mod subject;
mod training;
mod transformer;

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, Subcommand};

use crate::effort::Effort;
use crate::report::{Report, Row};

/// Measures training steps, decoders and inference beside their limits, prints a table and writes it as JSON.
#[derive(Parser)]
struct Arguments {
    /// One round over few records: shows that the bench works, not how fast anything is.
    #[arg(long)]
    quick: bool,
    /// Only what has this in its name: of "training step", "decoding", "inference", "latency", "memory", "start" and "cold start".
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// The file that gets the results [default: tests/bench/results/latest.json, or peers.json].
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Subcommand)]
enum Role {
    /// Copies a topic to another one, as the floor of an inference; started by the bench itself.
    #[command(hide = true)]
    Copy(copy::Arguments),
    /// Measures decoders beside Python's, and training steps and a whole training beside PyTorch and TensorFlow instead.
    Peers(peers::Arguments),
    /// Measures the memory of a training on more records than fit into it instead.
    Large(large::Arguments),
    /// Measures the memory of an inference over very many records instead.
    Memory(endurance::Arguments),
    /// Measures a whole training beside that of another build of the same function instead.
    Builds(builds::Arguments),
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Role::Copy(arguments)) = &arguments.role {
        return copy::run(arguments);
    }
    let effort = if arguments.quick {
        Effort::QUICK
    } else {
        Effort::FULL
    };
    let output = arguments.output.unwrap_or_else(|| {
        let name = match &arguments.role {
            Some(Role::Peers(_)) => "peers",
            Some(Role::Large(_)) => "large",
            Some(Role::Memory(_)) => "memory",
            Some(Role::Builds(_)) => "builds",
            _ => "latest",
        };
        millrace_harness::root().join(format!("tests/bench/results/{name}.json"))
    });

    millrace_engine::load(&millrace_harness::onnxruntime())?;
    let mut report = Report::new();
    match &arguments.role {
        Some(Role::Peers(peers)) => report.rows.extend(peers::rows(peers, &effort)?),
        Some(Role::Large(large)) => report.rows.extend(large::rows(large)?),
        Some(Role::Memory(memory)) => report.rows.extend(endurance::rows(memory.records)?),
        Some(Role::Builds(builds)) => report.rows.extend(builds::rows(builds, &effort)?),
        _ => {
            let only = arguments.only.as_deref().unwrap_or_default();
            report.rows.extend(all(only, &effort)?);
        }
    }

    print!("{report}");
    report
        .write(&output)
        .with_context(|| format!("cannot write {}", output.display()))?;
    println!("written to {}", output.display());
    Ok(())
}

/// The rows of everything that has `only` in its name.
fn all(only: &str, effort: &Effort) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    if training::NAME.contains(only) {
        rows.extend(training::rows(effort)?);
    }
    if decoders::NAME.contains(only) {
        rows.extend(decoders::rows(effort));
    }
    if inference::NAME.contains(only) {
        rows.extend(inference::rows(effort)?);
    }
    if latency::NAME.contains(only) {
        rows.extend(latency::rows(effort)?);
    }
    if endurance::NAME.contains(only) {
        rows.extend(endurance::rows(effort.lasting_records)?);
    }
    if start::NAME.contains(only) {
        rows.extend(start::rows(effort)?);
    }
    if cold_start::NAME.contains(only) {
        rows.extend(cold_start::rows(effort)?);
    }
    ensure!(!rows.is_empty(), "there are no rows of {only:?}");
    Ok(rows)
}
