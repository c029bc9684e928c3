//! Mini-batches in the order of the training: from a file they are gathered on a thread of their own while the engine works on the
//! one before. In memory that takes a small part of a step, and a thread would wait longer for a core beside the engine's.

use std::sync::mpsc;
use std::thread;

use crate::batch::Batch;
use crate::failure::Failure;
use crate::records::Records;
use crate::targets::Shapes;

/// Batches on their way: one is worked on, the others are ready or being gathered.
const BATCHES: usize = 4;

/// Calls `work` with the records at `indices`, in order, `size` at a time, as the step graph takes them.
///
/// # Errors
/// What `work` says, or that a record can't be read.
pub fn each_batch<E: From<Failure>>(
    records: &Records,
    shapes: &Shapes,
    indices: &[u32],
    size: usize,
    mut work: impl FnMut(&Batch) -> Result<(), E>,
) -> Result<(), E> {
    let size = size.min(indices.len());
    if size == 0 {
        return Ok(());
    }
    if records.are_in_memory() {
        let mut batch = Batch::new(shapes, size);
        for indices in indices.chunks(size) {
            batch.fill(records, indices)?;
            work(&batch)?;
        }
        return Ok(());
    }
    let (give_back, empty) = mpsc::channel();
    let (give, ready) = mpsc::channel();
    for _ in 0..BATCHES.min(indices.len().div_ceil(size)) {
        // Nobody has gone yet: both ends are here.
        give_back.send(Batch::new(shapes, size)).ok();
    }
    // Both ends move in, so that whoever waits for the other when that one ends early ends as well.
    thread::scope(move |scope| {
        scope.spawn(move || {
            for indices in indices.chunks(size) {
                // Without a batch that comes back the work has ended early.
                let Ok(mut batch) = empty.recv() else { break };
                let filled = batch.fill(records, indices).map(|()| batch);
                let is_last = filled.is_err();
                if give.send(filled).is_err() || is_last {
                    break;
                }
            }
        });
        for batch in ready {
            let batch = batch?;
            work(&batch)?;
            // Who gathers may have finished already.
            give_back.send(batch).ok();
        }
        Ok(())
    })
}
