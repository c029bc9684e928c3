//! What `make bench` runs: training steps, decoders and inference, each measured beside its limits in the same run.
//!
//! Invariant: a value and its floor are measured in turns, round by round, and told as medians over the
//! rounds: whatever else the machine does meets both. The ratio is what counts; the figures themselves
//! belong to the machine that is named with them.

#![allow(clippy::print_stdout, reason = "a program for people at a terminal")]
#![allow(
    clippy::cast_precision_loss,
    reason = "counts of records and steps are far below 2^52"
)]

mod bare;
mod cases;
mod cluster;
mod copy;
mod cpu;
mod decoders;
mod effort;
mod inference;
mod job;
mod large;
mod memory;
mod numbers;
mod peer_job;
mod peers;
mod products;
mod report;
mod subject;
mod training;
mod transformer;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};

use crate::effort::Effort;
use crate::report::Report;

/// Measures training steps, decoders and inference beside their limits, prints a table and writes it as JSON.
#[derive(Parser)]
struct Arguments {
    /// One round over few records: shows that the bench works, not how fast anything is.
    #[arg(long)]
    quick: bool,
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
            _ => "latest",
        };
        millrace_harness::root().join(format!("tests/bench/results/{name}.json"))
    });

    millrace_engine::load(&millrace_harness::onnxruntime())?;
    let mut report = Report::new();
    match &arguments.role {
        Some(Role::Peers(peers)) => report.rows.extend(peers::rows(peers, &effort)?),
        Some(Role::Large(large)) => report.rows.extend(large::rows(large)?),
        _ => {
            report.rows.extend(training::rows(&effort)?);
            report.rows.extend(decoders::rows(&effort));
            report.rows.extend(inference::rows(&effort)?);
        }
    }

    print!("{report}");
    report
        .write(&output)
        .with_context(|| format!("cannot write {}", output.display()))?;
    println!("written to {}", output.display());
    Ok(())
}
