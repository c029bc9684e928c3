//! The states of a training and which may follow which.

use millrace_entity::training::State;

use crate::app::{Code, Error, Result};

/// Whether nothing follows a state.
#[must_use]
pub fn is_final(state: State) -> bool {
    matches!(state, State::Succeeded | State::Failed | State::Cancelled)
}

/// The state as the API names it.
#[must_use]
pub fn name(state: State) -> &'static str {
    match state {
        State::Pending => "PENDING",
        State::Deploying => "DEPLOYING",
        State::Running => "RUNNING",
        State::Succeeded => "SUCCEEDED",
        State::Failed => "FAILED",
        State::Cancelled => "CANCELLED",
    }
}

/// The next state, if it may follow.
///
/// A training that was scheduled but never reported that it runs may end all the same: its first
/// report can be that its segment has expired.
///
/// # Errors
/// `ILLEGAL_STATE`.
pub fn transition(from: State, to: State) -> Result<State> {
    let legal = match from {
        State::Pending => matches!(to, State::Deploying | State::Failed | State::Cancelled),
        State::Deploying => !matches!(to, State::Pending | State::Deploying),
        State::Running => is_final(to),
        State::Succeeded | State::Failed | State::Cancelled => false,
    };
    if legal {
        return Ok(to);
    }
    Err(Error::new(
        Code::IllegalState,
        format!("a training cannot go from {} to {}", name(from), name(to)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use State::{Cancelled, Deploying, Failed, Pending, Running, Succeeded};

    #[test]
    fn the_whole_table() {
        let all = [Pending, Deploying, Running, Succeeded, Failed, Cancelled];
        let legal = [
            (Pending, Deploying),
            (Pending, Failed),
            (Pending, Cancelled),
            (Deploying, Running),
            (Deploying, Succeeded),
            (Deploying, Failed),
            (Deploying, Cancelled),
            (Running, Succeeded),
            (Running, Failed),
            (Running, Cancelled),
        ];
        for from in all {
            for to in all {
                assert_eq!(
                    transition(from, to).is_ok(),
                    legal.contains(&(from, to)),
                    "{from:?} to {to:?}"
                );
            }
        }
    }
}
