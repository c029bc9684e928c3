//! Memory for what a kernel makes in between, kept by each thread from one run to the next.

use std::cell::Cell;

thread_local! {
    static MEMORY: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Lends pieces of these lengths for the time of `work`; what is in them at first is not said.
pub(super) fn with<const N: usize, R>(
    lengths: [usize; N],
    work: impl FnOnce([&mut [f32]; N]) -> R,
) -> R {
    // Taken out, so that a use within a use gets memory of its own.
    let mut memory = MEMORY.take();
    let length = lengths.iter().sum();
    if memory.len() < length {
        memory.resize(length, 0.0);
    }
    let mut rest = memory.as_mut_slice();
    let pieces = lengths.map(|length| {
        rest.split_off_mut(..length)
            .expect("the memory is as long as all pieces")
    });
    let result = work(pieces);
    MEMORY.set(memory);
    result
}
