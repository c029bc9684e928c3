//! The memory of an inference over many records, exactly once.

use anyhow::Result;
use millrace_wire::function::Guarantee;

use crate::cluster::Cluster;
use crate::launch::Program;
use crate::memory::Memory;
use crate::models::Model;
use crate::report::{Better, Row};

/// How the rows begin.
pub(crate) const NAME: &str = "memory";

/// The most that an inference may hold in physical memory: 120 MB, in MiB.
const LIMIT: f64 = 120e6 / (1 << 20) as f64;
/// So many parts of the records are handled one after another.
const PARTS: usize = 10;
/// How much more may be held after the second half of them than after the first.
const FLAT: f64 = 1.05;

/// How many records are handled.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Records of 32 bytes; they and their answers take about 400 bytes each of the broker's disk.
    #[arg(long, default_value_t = 10_000_000)]
    pub(crate) records: usize,
}

/// The rows of one inference that answers so many records.
pub(crate) fn rows(records: usize) -> Result<Vec<Row>> {
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
    let mut subject = inference.start(&cluster)?;
    let mut peaks = Vec::with_capacity(PARTS);
    for _ in 0..PARTS {
        subject.handle(&model.records, records / PARTS)?;
        peaks.push(Memory::of(subject.process.id())?.peak);
    }
    subject.end()?;
    let name =
        |what: &str| format!("{NAME}, inference, 8-16-2, {records} records, exactly once | {what}");
    let row = |what: &str, target, floor| Row {
        target: Some(target),
        ..Row::new(
            name(what),
            "MiB",
            Better::Lower,
            &[peaks[PARTS - 1]],
            &[floor],
        )
    };
    Ok(vec![
        row("the limit: resident at most", 1.0, LIMIT),
        row(
            "after the first half: resident at most",
            FLAT,
            peaks[PARTS / 2 - 1],
        ),
    ])
}
