//! The contract between a trigger, which moves records, and a handler, which answers them.
//!
//! Invariant: every record of a batch gets exactly one answer, in the batch's order; a record that
//! cannot be answered is a failure of its own and never of its batch.

use std::ops::Range;
use std::time::Duration;

use millrace_wire::progress::Stage;
use millrace_wire::record::Parts;

/// A record to be answered. It stays where the trigger has it.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// Where it comes from: the text of a [`Source`](millrace_wire::prediction::Source).
    pub source: &'a str,
    /// What it holds.
    pub parts: Parts<'a>,
}

/// What a handler works with at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Current {
    /// The version of the model.
    pub version: u32,
    /// The offset of the registry entry that this version comes from, where an alias is followed;
    /// −1 before the first one.
    pub registry: Option<i64>,
}

/// Answers records.
pub trait Handler {
    /// Takes over a newer version, if one is waiting. Triggers call it between batches, so that a
    /// batch is answered by one version.
    fn refresh(&mut self) -> Current;

    /// Answers every record of the batch.
    ///
    /// # Errors
    /// [`Stall`] where none of them can be answered now.
    fn handle(&mut self, batch: &[Input<'_>], answers: &mut Answers) -> Result<(), Stall>;
}

/// What a handler waits for: the batch comes again, and meanwhile nothing is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stall {
    /// A short stable code.
    pub code: &'static str,
    /// What is missing, and what to do, as a sentence.
    pub message: String,
}

/// Why a record has no output. The fault is the record's: no retry helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// A short stable code.
    pub code: &'static str,
    /// What is wrong, as a sentence.
    pub message: String,
}

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<'a> {
    /// The value of its output.
    Output(&'a [u8]),
    /// It goes on to the next model as it came: this one is not sure of it.
    HandOn,
    /// It has no output.
    Refused(&'a Refusal),
}

#[derive(Debug)]
enum Kept {
    /// A range of the buffer.
    Output(Range<usize>),
    HandOn,
    Refused(Refusal),
}

/// The answers to a batch. All outputs lie in one buffer, which is used again for the next batch.
#[derive(Debug, Default)]
pub struct Answers {
    /// Headers of every output of the batch.
    pub headers: Vec<(&'static str, String)>,
    buffer: Vec<u8>,
    kept: Vec<Kept>,
    took: Vec<(Stage, Duration)>,
}

impl Answers {
    /// Forgets all answers.
    pub fn clear(&mut self) {
        self.headers.clear();
        self.buffer.clear();
        self.kept.clear();
        self.took.clear();
    }

    /// Says how long a stage of the work took. What is said of one stage adds up.
    pub fn took(&mut self, stage: Stage, duration: Duration) {
        match self.took.iter_mut().find(|(known, _)| *known == stage) {
            Some((_, sum)) => *sum += duration,
            None => self.took.push((stage, duration)),
        }
    }

    /// How long the stages took.
    #[must_use]
    pub fn stages(&self) -> &[(Stage, Duration)] {
        &self.took
    }

    /// Answers the next record with what `write` appends to the buffer.
    pub fn output<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let start = self.buffer.len();
        let result = write(&mut self.buffer);
        self.kept.push(Kept::Output(start..self.buffer.len()));
        result
    }

    /// Leaves the next record to the next model.
    pub fn hand_on(&mut self) {
        self.kept.push(Kept::HandOn);
    }

    /// Answers the next record with a refusal.
    pub fn refuse(&mut self, code: &'static str, message: impl Into<String>) {
        self.kept.push(Kept::Refused(Refusal {
            code,
            message: message.into(),
        }));
    }

    /// The answers in the order of their records.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Answer<'_>> {
        self.kept.iter().map(|answer| match answer {
            Kept::Output(range) => Answer::Output(&self.buffer[range.clone()]),
            Kept::HandOn => Answer::HandOn,
            Kept::Refused(refusal) => Answer::Refused(refusal),
        })
    }

    /// How many records were answered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether none was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_keep_the_order_of_their_records() {
        let mut answers = Answers::default();
        answers.output(|buffer| buffer.extend_from_slice(b"one"));
        answers.refuse("size", "too short");
        answers.hand_on();
        answers.output(|buffer| buffer.extend_from_slice(b"three"));
        let refusal = Refusal {
            code: "size",
            message: "too short".to_owned(),
        };
        let expected = [
            Answer::Output(b"one"),
            Answer::Refused(&refusal),
            Answer::HandOn,
            Answer::Output(b"three"),
        ];
        assert!(answers.iter().eq(expected));
        for _ in 0..2 {
            answers.took(Stage::Run, Duration::from_secs(1));
        }
        assert_eq!(answers.stages(), [(Stage::Run, Duration::from_secs(2))]);
        answers.clear();
        assert!(answers.stages().is_empty());
        assert!(answers.is_empty());
    }
}
