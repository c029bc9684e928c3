//! Records that are brought one at a time, where the work on one takes minutes.
//!
//! Invariant: a record counts as done only when the work says so; else it comes again.

use std::time::Instant;

use crate::answer::Incoming;

/// A record that is brought alone.
#[derive(Debug, Clone, Copy)]
pub struct Alone<'a> {
    /// The partition it was read from.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// When whoever brought it waits no longer.
    pub until: Instant,
}

impl<'a> Alone<'a> {
    pub(crate) fn new(record: &'a impl Incoming, until: Instant) -> Self {
        Self {
            partition: record.partition(),
            offset: record.offset(),
            key: record.key(),
            value: record.value(),
            until,
        }
    }
}

/// Why a record has to come again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undone {
    /// A short stable code.
    pub code: &'static str,
    /// What kept it from being done, as a sentence.
    pub message: String,
}

/// Does what a record asks for.
pub type Work<'w> = dyn FnMut(&Alone<'_>) -> Result<(), Undone> + 'w;
