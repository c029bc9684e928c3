//! What is noted beside a committed offset, for whoever holds the partition next.
//!
//! Invariant: a note that cannot be read, as one of another Millrace, is none.

use std::fmt;

/// Words of the form `name=number`, with spaces between them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Note {
    /// The registry entry that was applied.
    pub(super) registry: Option<i64>,
    /// Records below this offset are answered one by one: a run with them in its batch never ended.
    pub(super) alone: Option<i64>,
    /// The record at this offset is not given to the model again: its run never ended.
    pub(super) culprit: Option<i64>,
}

impl Note {
    pub(super) fn parse(text: &str) -> Self {
        let number = |name: &str| {
            let mut words = text.split(' ');
            let value = words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            value?.parse().ok()
        };
        Self {
            registry: number("registry"),
            alone: number("alone"),
            culprit: number("culprit"),
        }
    }

    /// What is left of it at a later offset.
    pub(super) fn at(self, offset: i64) -> Self {
        Self {
            registry: self.registry,
            alone: self.alone.filter(|end| offset < *end),
            culprit: self.culprit.filter(|culprit| offset <= *culprit),
        }
    }

    pub(super) fn has_suspects(self) -> bool {
        self.alone.is_some()
    }

    /// The note after a run that never ended, whose batch held the partition's records from `first`
    /// up to `end`, and `records` in all.
    pub(super) fn blame(self, first: i64, end: i64, records: usize) -> Self {
        Self {
            alone: self.alone.max(Some(end)),
            culprit: if records == 1 {
                Some(first)
            } else {
                self.culprit
            },
            ..self
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [
            ("registry", self.registry),
            ("alone", self.alone),
            ("culprit", self.culprit),
        ];
        let mut space = "";
        for (name, number) in words {
            if let Some(number) = number {
                write!(formatter, "{space}{name}={number}")?;
                space = " ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_read_back() {
        let note = Note {
            registry: Some(7),
            alone: Some(12),
            culprit: Some(3),
        };
        for note in [note, note.at(4), note.at(12), Note::default()] {
            assert_eq!(Note::parse(&note.to_string()), note);
        }
        assert_eq!(note.at(4).culprit, None);
        assert_eq!(note.at(12).to_string(), "registry=7");
        assert_eq!(Note::parse("somebody else's"), Note::default());
    }

    #[test]
    fn a_batch_is_suspected_first_and_then_one_record() {
        let many = Note::default().blame(5, 9, 4);
        assert_eq!(many.to_string(), "alone=9");
        assert_eq!(many.at(6).blame(6, 7, 1).to_string(), "alone=9 culprit=6");
    }
}
