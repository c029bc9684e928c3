//! Memory for what a kernel makes in between, kept by each thread from one run to the next.

use std::cell::RefCell;

thread_local! {
    /// A use within a use gets memory of its own.
    static MEMORY: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes of a line of the processor's cache.
const LINE: usize = 64;
/// Numbers in a line.
const LINE_LEN: usize = LINE / size_of::<f32>();

/// Lends pieces of these lengths for the time of `work`, each at the start of a cache line; what is in them at first is not
/// said.
pub(super) fn with<const N: usize, R>(
    lengths: [usize; N],
    work: impl FnOnce([&mut [f32]; N]) -> R,
) -> R {
    let mut memory = MEMORY.with_borrow_mut(Vec::pop).unwrap_or_default();
    let lines = |length: usize| length.next_multiple_of(LINE_LEN);
    let needed = lengths.iter().map(|&length| lines(length)).sum::<usize>() + LINE_LEN;
    if memory.len() < needed {
        memory.resize(needed, 0.0);
    }
    let start = memory.as_ptr().align_offset(LINE);
    let mut rest = &mut memory[start.min(LINE_LEN)..];
    let pieces = lengths.map(|length| {
        let piece = rest
            .split_off_mut(..lines(length))
            .expect("the memory is as long as all pieces");
        &mut piece[..length]
    });
    let result = work(pieces);
    MEMORY.with_borrow_mut(|memories| memories.push(memory));
    result
}
