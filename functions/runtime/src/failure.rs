//! How a function ends when it cannot go on, and the exit codes that tell its supervisor why.
//!
//! | code | meaning | what a supervisor does |
//! | --- | --- | --- |
//! | 0 | ended in order, as it was asked to | nothing |
//! | 1 | failed | starts it again, with a growing pause |
//! | 2 | the specification or the settings are malformed | starting it again cannot help |
//! | 3 | fenced: a newer process has the same identity | never starts it again at once: the newer one works |
//! | SIGKILL, by itself | the parent is gone, a panic (a fault of Millrace), or a call of Kafka's client or of the model that never returns | starts it again, with a growing pause |

use std::process::ExitCode;

/// Why a function cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It cannot go on by itself; a new start may help.
    #[error("{0}")]
    Failed(String),
    /// The specification or the environment is malformed: whoever wrote it must repair it.
    #[error("{0}")]
    Specification(String),
    /// A newer process has this one's identity and does its work.
    #[error("{0}")]
    Fenced(String),
}

impl Failure {
    /// A failure after which a new start may help.
    pub fn failed(reason: impl std::fmt::Display) -> Self {
        Self::Failed(reason.to_string())
    }

    /// The process's exit code.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Specification(_) => 2,
            Self::Fenced(_) => 3,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }
}

impl From<millrace_kafka::Error> for Failure {
    fn from(error: millrace_kafka::Error) -> Self {
        if error.is_fenced() {
            Self::Fenced(error.to_string())
        } else {
            Self::Failed(error.to_string())
        }
    }
}
