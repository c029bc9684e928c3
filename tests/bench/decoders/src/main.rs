//! Measures the decoders alone, without the rest of the bench: `millrace-bench-decoders [NAME [PYTHON]]` prints records a second
//! of the workloads whose names contain NAME. It is what to run under a profiler.

#![allow(clippy::print_stdout, reason = "a program for people at a terminal")]

use std::env;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

const ROUNDS: usize = 5;
const TURN: Duration = Duration::from_millis(300);

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let only = arguments.next().unwrap_or_default();
    for rates in millrace_bench_decoders::rates(&only, ROUNDS, TURN) {
        print(&rates.name, "a loop by hand", &rates.ours, &rates.by_hand);
    }
    if let Some(python) = arguments.next() {
        let python = Path::new(&python);
        for rates in millrace_bench_decoders::peer_rates(python, &only, ROUNDS, TURN)? {
            print(&rates.name, &rates.way, &rates.ours, &rates.theirs);
        }
    }
    Ok(())
}

fn print(name: &str, beside: &str, ours: &[f64], theirs: &[f64]) {
    let best = |rates: &[f64]| rates.iter().copied().fold(0.0, f64::max);
    let (ours, theirs) = (best(ours), best(theirs));
    println!(
        "{:44} {ours:12.0} {theirs:12.0} {:7.2}",
        format!("{name} | {beside}"),
        ours / theirs
    );
}
