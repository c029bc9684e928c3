//! What one look at AWS saw of an inference: its function, and the worst of what brings it records.

use super::super::State;
use super::mapping;

/// How a function is, as one look saw it.
pub(super) struct Look {
    pub(super) state: State,
    pub(super) words: Option<String>,
    /// Whether AWS was told what it shall be, because it was not so.
    pub(super) has_begun: bool,
}

impl Look {
    pub(super) fn at(state: State, words: String) -> Self {
        Self {
            state,
            words: Some(words),
            has_begun: false,
        }
    }

    pub(super) fn begun(words: String) -> Self {
        Self {
            has_begun: true,
            ..Self::at(State::Starting, words)
        }
    }

    /// Of one whose mappings are so: as the worst of them is.
    pub(super) fn worst(stages: Vec<mapping::Stage>) -> Self {
        let mut worst = Self {
            state: State::Running,
            words: None,
            has_begun: false,
        };
        let weight = |look: &Self| match look.state {
            State::Running => 0,
            State::Starting => 1,
            State::BackingOff => 2,
            State::Stopped => 3,
        };
        for stage in stages {
            let look = match stage {
                mapping::Stage::Stands => continue,
                mapping::Stage::Begun(words) => Self::begun(words),
                mapping::Stage::Changing(words) => Self::at(State::Starting, words),
                mapping::Stage::Ailing(words) => Self::at(State::BackingOff, words),
                mapping::Stage::Disabled(words) => Self::at(State::Stopped, words),
            };
            if weight(&look) > weight(&worst) {
                worst = look;
            }
        }
        worst
    }

    /// The same where all stood before: somebody else has been there, which is told.
    pub(super) fn drifted(self) -> Self {
        let words = self.words.unwrap_or_default();
        Self::at(
            State::BackingOff,
            format!("was changed or deleted by somebody else, {words}"),
        )
    }
}
