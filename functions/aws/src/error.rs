//! Why AWS gave no answer.

/// What went wrong with a question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// AWS refuses it.
    #[error("{service} refuses {action}: {code}: {message}")]
    Refused {
        /// Which service.
        service: &'static str,
        /// What it was asked for.
        action: String,
        /// AWS's own code, as `AccessDeniedException`.
        code: String,
        /// AWS's own words.
        message: String,
    },
    /// There is no answer: it may come later.
    #[error("{0}")]
    Unavailable(String),
}

impl Error {
    /// Whether a right is missing.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code.starts_with("AccessDenied"))
    }
}
