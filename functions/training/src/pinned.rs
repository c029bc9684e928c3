//! Reads a pinned segment: its records from the artifact store, without Kafka.

use futures::TryStreamExt as _;
use millrace_artifacts::Store;
use millrace_wire::pinned::{NotRecords, Reader, Record};
use tokio::runtime::Handle;

use crate::failure::{Failure, Stop};

/// Shows every record of the file with this digest, piece by piece.
pub fn read(
    store: &Store,
    runtime: &Handle,
    digest: &str,
    show: &mut dyn FnMut(Vec<Record>) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let what = "the copy of the pinned segment can't be read";
    let lost = |error| Failure::artifact(what, &error);
    let damaged = |error: NotRecords| Failure::new("artifact-damaged", format!("{what}: {error}"));
    let mut file = runtime.block_on(store.reader(digest, None)).map_err(lost)?;
    let mut reader = Reader::default();
    while let Some(piece) = runtime.block_on(file.try_next()).map_err(lost)? {
        reader.push(&piece);
        let mut records = Vec::new();
        while let Some(record) = reader.record().map_err(damaged)? {
            records.push(record);
        }
        show(records)?;
    }
    reader.finish().map_err(damaged)?;
    Ok(())
}
