//! The same records in Python's fastest decoders, into arrays of numpy: each in a process of its own, in turns with ours.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::avro;
use crate::per_second;
use crate::workload::{self, Workload};

/// How fast records are decoded beside a peer, in records a second: one figure a round.
pub struct PeerRate {
    /// Which format, and which records.
    pub name: String,
    /// Which library, and how it is used.
    pub way: String,
    /// The product.
    pub ours: Vec<f64>,
    /// The peer.
    pub theirs: Vec<f64>,
}

/// What the script says of one way.
#[derive(Deserialize)]
struct Answer {
    way: String,
    records_per_second: f64,
}

/// Measures the workloads whose names contain `only` beside every way of the peers. `python` is an interpreter that imports numpy,
/// fastavro, orjson, msgspec, simdjson and protobuf.
///
/// # Errors
/// What the interpreter says where it cannot do it.
pub fn peer_rates(
    python: &Path,
    only: &str,
    rounds: usize,
    turn: Duration,
) -> Result<Vec<PeerRate>> {
    let mut rates: Vec<PeerRate> = Vec::new();
    let folder = tempfile::Builder::new()
        .prefix("millrace-bench-")
        .tempdir()?;
    for workload in workload::all() {
        if !workload.name().contains(only) {
            continue;
        }
        let file = folder.path().join("records");
        fs::write(&file, lengths_and_records(&workload))?;
        let first = rates.len();
        let mut ours = workload.ours();
        per_second(&workload, turn / 4, &mut ours);
        for _ in 0..rounds {
            let our_rate = per_second(&workload, turn, &mut ours);
            for answer in ask(python, &workload, &file, turn)? {
                let mut known = rates[first..].iter_mut();
                match known.find(|rate| rate.way == answer.way) {
                    Some(rate) => {
                        rate.ours.push(our_rate);
                        rate.theirs.push(answer.records_per_second);
                    }
                    None => rates.push(PeerRate {
                        name: workload.name(),
                        way: answer.way,
                        ours: vec![our_rate],
                        theirs: vec![answer.records_per_second],
                    }),
                }
            }
        }
    }
    Ok(rates)
}

/// One process that measures all ways of a peer.
fn ask(python: &Path, workload: &Workload, file: &Path, turn: Duration) -> Result<Vec<Answer>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../peers/decoders.py");
    let [reading, image, spectrum] = avro::schemas();
    let schema = match workload.kind {
        "784 integers" => image,
        "256 floats" => spectrum,
        _ => reading,
    };
    let output = Command::new(python)
        .arg(script)
        .args([workload.language, workload.kind])
        .arg(file)
        .arg(turn.as_secs_f64().to_string())
        .arg(schema.to_string())
        .output()
        .with_context(|| format!("cannot start {}", python.display()))?;
    ensure!(
        output.status.success(),
        "{} ended with {}:\n{}",
        python.display(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = String::from_utf8(output.stdout)?;
    let answers = lines.lines().map(serde_json::from_str);
    Ok(answers.collect::<Result<_, _>>()?)
}

/// Each record behind its length, four bytes with the least significant first.
fn lengths_and_records(workload: &Workload) -> Vec<u8> {
    let mut file = Vec::new();
    for record in &workload.records {
        file.extend(
            u32::try_from(record.len())
                .unwrap_or_default()
                .to_le_bytes(),
        );
        file.extend(record);
    }
    file
}
