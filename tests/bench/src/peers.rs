//! Decoders beside Python's, see [`crate::decoders`]. Training steps beside PyTorch and TensorFlow: the same models, batches and threads, in turns with each way that these offer.
//! Then the whole job, see [`crate::peer_job`].
//!
//! What counts is the best of all rounds, of us and of them: other work on the machine only ever slows a step down.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use crate::cases::{CASES, Case, Kind};
use crate::effort::Effort;
use crate::report::{Better, Row};
use crate::training::{Steps, name};
use crate::{decoders, peer_job};

const THREADS: usize = 2;
/// Beside this way the steps of an MLP have a target of their own.
const KERAS: &str = "Keras train_on_batch";
const KERAS_TARGET: f64 = 5.0;

/// The Python interpreters that have the peers.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// One that imports torch.
    #[arg(long, value_name = "FILE")]
    torch: PathBuf,
    /// One that imports tensorflow and `confluent_kafka`.
    #[arg(long, value_name = "FILE")]
    tensorflow: PathBuf,
    /// One that imports what reads records in Python.
    #[arg(long, value_name = "FILE")]
    decoders: PathBuf,
    /// Only cases whose names contain this.
    #[arg(long, default_value = "")]
    only: String,
}

/// The rows of the decoders, a row for each case, batch and way, and those of the whole job.
pub(crate) fn rows(arguments: &Arguments, effort: &Effort) -> Result<Vec<Row>> {
    let is_wanted = |name: &str| name.contains(&arguments.only);
    let mut rows = Vec::new();
    if is_wanted(decoders::NAME) {
        rows.extend(decoders::peer_rows(&arguments.decoders, effort)?);
    }
    let cases: Vec<&Case> = CASES.iter().filter(|case| is_wanted(case.name)).collect();
    if !cases.is_empty() {
        let mut peers = [
            Peer::start(&arguments.torch, "torch")?,
            Peer::start(&arguments.tensorflow, "tensorflow")?,
        ];
        for case in cases {
            for (&batch, &target) in case.batches.iter().zip(case.targets) {
                rows.extend(beside(case, batch, target, &mut peers, effort)?);
            }
        }
    }
    if is_wanted(peer_job::NAME) {
        rows.extend(peer_job::rows(&arguments.tensorflow, effort)?);
    }
    Ok(rows)
}

fn beside(
    case: &Case,
    batch: usize,
    target: f64,
    peers: &mut [Peer],
    effort: &Effort,
) -> Result<Vec<Row>> {
    let mut ours = Steps::new(case.kind, batch, THREADS, millrace_engine::lowering())?;
    ours.per_second(effort.turn)?;
    let mut best = 0.0_f64;
    let mut theirs: Vec<(String, f64)> = Vec::new();
    for _ in 0..effort.rounds {
        best = best.max(ours.per_second(effort.turn)?);
        let mut found = Vec::new();
        for peer in &mut *peers {
            found.extend(peer.round(case.kind, batch, effort)?);
        }
        for (way, rate) in found {
            match theirs.iter_mut().find(|(known, _)| *known == way) {
                Some((_, best)) => *best = best.max(rate),
                None => theirs.push((way, rate)),
            }
        }
    }
    let name = name(case.name, batch, THREADS);
    theirs.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let rows = theirs.iter().enumerate().map(|(place, (way, rate))| Row {
        target: match place {
            0 => Some(target),
            _ if way.ends_with(KERAS) && matches!(case.kind, Kind::Mlp { .. }) => {
                Some(KERAS_TARGET)
            }
            _ => None,
        },
        ..Row::new(
            format!("{name} | {way}"),
            "steps/s",
            Better::Higher,
            &[best],
            &[*rate],
        )
    });
    Ok(rows.collect())
}

/// A process that trains the same models with another library.
struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    version: String,
    /// By the kind of a model.
    ways: BTreeMap<String, Vec<String>>,
}

#[derive(Serialize)]
struct Request<'a> {
    case: Kind,
    batch: usize,
    way: &'a str,
    seconds: f64,
}

#[derive(Deserialize)]
struct Greeting {
    version: String,
    ways: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    StepsPerSecond(f64),
    Error(String),
}

impl Peer {
    fn start(python: &Path, library: &str) -> Result<Self> {
        let script = millrace_harness::root().join("tests/bench/peers/steps.py");
        let mut child = Command::new(python)
            .arg(script)
            .args([library, &THREADS.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", python.display()))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (input, output) = pipes.context("both are pipes")?;
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let greeting: Greeting = serde_json::from_str(&line)
            .with_context(|| format!("{} cannot import {library}", python.display()))?;
        Ok(Self {
            child,
            input,
            output,
            version: greeting.version,
            ways: greeting.ways,
        })
    }

    /// Steps a second in each way.
    fn round(&mut self, case: Kind, batch: usize, effort: &Effort) -> Result<Vec<(String, f64)>> {
        let ways = self.ways.get(case.name()).cloned().unwrap_or_default();
        let mut found = Vec::new();
        for way in ways {
            let request = Request {
                case,
                batch,
                way: &way,
                seconds: effort.turn.as_secs_f64(),
            };
            let mut line = serde_json::to_string(&request)?;
            line.push('\n');
            self.input.write_all(line.as_bytes())?;
            line.clear();
            self.output.read_line(&mut line)?;
            let name = format!("{}, {way}", self.version);
            match serde_json::from_str(&line) {
                Ok(Answer::StepsPerSecond(rate)) => found.push((name, rate)),
                Ok(Answer::Error(error)) => bail!("{name}: {error}"),
                Err(_) => bail!("{name} has ended without an answer"),
            }
        }
        Ok(found)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
