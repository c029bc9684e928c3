//! Brings versions from the artifact store into ONNX Runtime.
//!
//! Invariant: what is loaded has exactly the bytes that the version's digest names.

use std::time::Duration;

use millrace_artifacts::Store;
use millrace_runtime::{Failure, Function, Shutdown, Status};
use millrace_wire::function::InferenceSpec;
use millrace_wire::prediction::Choice;
use millrace_wire::record::RecordFormat;
use millrace_wire::registry::Version;
use tokio::runtime::Handle;

use crate::model::{Model, Unfit};

/// The pauses between two tries to load a version double from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(30);

const UNAVAILABLE: &str = "version-unavailable";
const INVALID: &str = "version-invalid";
const MISMATCH: &str = "version-mismatch";

/// Loads versions for the records of one inference; cheap to clone.
#[derive(Clone)]
pub(crate) struct Loader {
    store: Store,
    runtime: Handle,
    model: String,
    format: RecordFormat,
    outputs: Vec<Choice>,
}

/// Why a version cannot be used.
pub(crate) struct Fault {
    code: &'static str,
    message: String,
}

impl Loader {
    /// Opens the artifact store.
    pub(crate) fn open(function: &Function, spec: &InferenceSpec) -> Result<Self, Failure> {
        let store = function
            .runtime
            .block_on(Store::open(&function.spec.artifacts))
            .map_err(Failure::failed)?;
        Ok(Self {
            store,
            runtime: function.runtime.clone(),
            model: spec.model.clone(),
            format: spec.input_format.clone(),
            outputs: spec.outputs.clone(),
        })
    }

    /// Loads a version.
    pub(crate) fn load(&self, version: &Version) -> Result<Model, Fault> {
        let number = version.version;
        let name = format!("version {number} of the model {}", self.model);
        let file = self
            .runtime
            .block_on(self.store.get_bytes(&version.digest))
            .map_err(|error| Fault {
                code: UNAVAILABLE,
                message: format!("{name} cannot be read: {error}"),
            })?;
        let made = Model::new(number, &file, &self.format, &self.outputs);
        let model = made.map_err(|error| match error {
            Unfit::Invalid(error) => Fault {
                code: INVALID,
                message: format!("{name} cannot be run: {error}"),
            },
            Unfit::Mismatch(reason) => Fault {
                code: MISMATCH,
                message: format!("{name} does not fit this inference: {reason}"),
            },
        })?;
        tracing::info!(
            model.name = self.model,
            model.version = number,
            model.digest = version.digest,
            "version loaded"
        );
        Ok(model)
    }

    /// Loads a version, again and again until it succeeds; nothing where the function shall end
    /// first.
    pub(crate) fn persist(
        &self,
        version: &Version,
        status: &Status,
        shutdown: &Shutdown,
    ) -> Option<Model> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.load(version) {
                Ok(model) => {
                    recovered(status);
                    return Some(model);
                }
                Err(fault) => fault.report(status, "nothing is answered until it can be"),
            }
            if shutdown.wait(pause) {
                return None;
            }
            pause = longer(pause);
        }
    }
}

impl Fault {
    /// Says that a version cannot be used, and what happens meanwhile.
    pub(crate) fn report(&self, status: &Status, meanwhile: &str) {
        for code in [UNAVAILABLE, INVALID, MISMATCH] {
            if code != self.code {
                status.recovered(code);
            }
        }
        status.degraded(self.code, format!("{}; {meanwhile}", self.message));
    }
}

/// The version that is wanted is loaded: no fault of an earlier one matters any more.
pub(crate) fn recovered(status: &Status) {
    for code in [UNAVAILABLE, INVALID, MISMATCH] {
        status.recovered(code);
    }
}

/// The pause after this one.
pub(crate) fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LAST_PAUSE)
}

/// The pause after the first failure.
pub(crate) fn first_pause() -> Duration {
    FIRST_PAUSE
}
