//! A training on more records than its process may hold in memory.

use anyhow::Result;

use crate::cluster::Cluster;
use crate::job::{Job, TRAINING};
use crate::report::{Better, Row};

/// What the configuration allows decoded records where nothing else is said.
const MEMORY_BYTES: u64 = 256 << 20;
/// The most anonymous memory that a training may take, in MiB.
const LIMIT: f64 = 1024.0;

/// How many records are trained on.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Records of 784 bytes: about 800 bytes each of the broker's disk, and 784 of the folder for temporary files.
    #[arg(long, default_value_t = 2_000_000)]
    records: u32,
    /// Decoded records that take more bytes than these go to a scratch file.
    #[arg(long, default_value_t = MEMORY_BYTES)]
    memory_bytes: u64,
}

/// The row of one training.
pub(crate) fn rows(arguments: &Arguments) -> Result<Vec<Row>> {
    let folder = tempfile::Builder::new()
        .prefix("millrace-bench-")
        .tempdir()?;
    let artifacts = format!("file://{}", folder.path().display());
    let cluster = Cluster::open()?;
    let job = Job::new(&cluster, &artifacts, arguments.records)?;
    let spent = job.train(TRAINING, 1, arguments.memory_bytes)?;
    let name = format!(
        "a training of {} records of 784 bytes in {:.0} s",
        arguments.records, spent.seconds
    );
    Ok(vec![Row {
        target: Some(1.0),
        ..Row::new(
            format!("{name} | anonymous memory beside its limit"),
            "MiB",
            Better::Lower,
            &[spent.anonymous],
            &[LIMIT],
        )
    }])
}
