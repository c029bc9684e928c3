//! Work on ONNX Runtime's own threads.

use std::sync::{Mutex, PoisonError};

use ort::operator::ComputeContext;

/// Elements of one part of an elementwise operator: enough that handing it to a thread costs little beside it.
pub(super) const PART: usize = 16 * 1024;

/// Does the work on each part, on as many threads as the session has; in which order, is not said.
pub(super) fn for_each<P: Send>(
    context: &ComputeContext,
    parts: Vec<P>,
    work: impl Fn(P) + Send + Sync,
) -> ort::Result<()> {
    if parts.len() < 2 {
        parts.into_iter().for_each(work);
        return Ok(());
    }
    // Each part is taken once; a lock that nobody waits for costs nothing beside a part.
    let parts: Vec<_> = parts
        .into_iter()
        .map(|part| Mutex::new(Some(part)))
        .collect();
    // Each goes to whoever is free: a thread that others keep from the processor does not hold up all.
    context.par_for(parts.len(), parts.len(), |index| {
        let part = parts[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(part) = part {
            work(part);
        }
    })
}
