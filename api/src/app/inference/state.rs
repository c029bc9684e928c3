//! The states of an inference and the steps between them. Pure.
//!
//! Invariant: a state changes by a step only, and a step that does not lead on from a state is an
//! error, whoever takes it.

use millrace_entity::inference::State;

use super::super::{Code, Error, Result};

/// What happens to an inference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Somebody starts it again.
    Start,
    /// Its topics and offsets stand; its functions are started.
    Deploy,
    /// All its replicas answer records.
    Work,
    /// A replica does not do what it should.
    Degrade,
    /// It cannot go on without a person.
    Fail,
    /// Its span is answered.
    Finish,
    /// Somebody stops it.
    Stop,
    /// Its functions have ended, and its offsets are saved.
    Rest,
    /// Somebody deletes it.
    Delete,
}

/// The state behind a step.
///
/// # Errors
/// `ILLEGAL_STATE` where the step does not lead on from there.
pub fn next(state: State, step: Step) -> Result<State> {
    use State::{
        Degraded, Deleting, Deploying, Failed, Finished, Pending, Running, Stopped, Stopping,
    };
    let next = match (state, step) {
        (_, Step::Delete) => Deleting,
        (Stopped | Finished | Failed, Step::Start) => Pending,
        // Functions are put back after the API's own end, too.
        (Pending | Deploying | Running | Degraded, Step::Deploy) => Deploying,
        (Deploying | Running | Degraded, Step::Work) => Running,
        (Deploying | Running | Degraded, Step::Degrade) => Degraded,
        (Pending | Deploying | Running | Degraded | Stopping, Step::Fail) => Failed,
        (Deploying | Running | Degraded, Step::Finish) => Finished,
        (Pending | Deploying | Running | Degraded | Failed, Step::Stop) => Stopping,
        (Stopping, Step::Rest) => Stopped,
        _ => return Err(illegal(state, step)),
    };
    Ok(next)
}

fn illegal(state: State, step: Step) -> Error {
    let step = match step {
        Step::Start => "started",
        Step::Deploy => "deployed",
        Step::Work => "reported to work",
        Step::Degrade => "reported not to work",
        Step::Fail => "given up",
        Step::Finish => "finished",
        Step::Stop => "stopped",
        Step::Rest => "at rest",
        Step::Delete => "deleted",
    };
    let state = match state {
        State::Pending => "pending",
        State::Deploying => "deploying",
        State::Running => "running",
        State::Degraded => "degraded",
        State::Stopping => "stopping",
        State::Stopped => "stopped",
        State::Finished => "finished",
        State::Failed => "failed",
        State::Deleting => "being deleted",
    };
    Error::new(
        Code::IllegalState,
        format!("the inference is {state} and cannot be {step} now"),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn a_life_from_creation_to_deletion() {
        let steps = [
            (Step::Deploy, State::Deploying),
            (Step::Work, State::Running),
            (Step::Degrade, State::Degraded),
            (Step::Work, State::Running),
            (Step::Stop, State::Stopping),
            (Step::Rest, State::Stopped),
            (Step::Start, State::Pending),
            (Step::Fail, State::Failed),
            (Step::Start, State::Pending),
            (Step::Deploy, State::Deploying),
            (Step::Finish, State::Finished),
            (Step::Start, State::Pending),
            (Step::Delete, State::Deleting),
        ];
        let mut state = State::Pending;
        for (step, expected) in steps {
            state = next(state, step).unwrap();
            assert_eq!(state, expected, "after {step:?}");
        }
    }

    #[test]
    fn what_is_not_allowed_is_an_error() {
        for (state, step) in [
            (State::Running, Step::Start),
            (State::Deleting, Step::Start),
            (State::Stopped, Step::Stop),
            (State::Stopped, Step::Work),
            (State::Stopping, Step::Degrade),
            (State::Failed, Step::Work),
            (State::Pending, Step::Work),
            (State::Running, Step::Rest),
            (State::Deleting, Step::Stop),
            (State::Finished, Step::Stop),
            (State::Stopping, Step::Finish),
        ] {
            let error = next(state, step).unwrap_err();
            assert_eq!(error.code(), Code::IllegalState, "{state:?} {step:?}");
        }
    }
}
