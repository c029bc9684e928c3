//! Brings versions from the artifact store into ONNX Runtime.
//!
//! Invariant: what is loaded has exactly the bytes that the version's digest names, and answers its samples here as they
//! expect.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use millrace_artifacts::{Store, Tagged};
use millrace_runtime::{Failure, Function, Registering, Schemas, Shutdown, Status, Unregistered};
use millrace_wire::function::{HandOn, InferenceSpec};
use millrace_wire::prediction::{Choice, OutputFormat};
use millrace_wire::record::RecordFormat;
use millrace_wire::registry::Version;
use millrace_wire::samples::{Expected, Samples};
use tokio::runtime::Handle;

use crate::model::{Model, Unfit};

/// The pauses between two tries to load a version double from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(30);

const UNAVAILABLE: &str = "version-unavailable";
const INVALID: &str = "version-invalid";
const MISMATCH: &str = "version-mismatch";
const DIFFERS: &str = "version-differs";
const REFUSED: &str = "version-schema-refused";
/// All of them: a version has one at a time.
const CODES: [&str; 5] = [UNAVAILABLE, INVALID, MISMATCH, DIFFERS, REFUSED];

/// Loads versions for the records of one inference; cheap to clone.
#[derive(Clone)]
pub(crate) struct Loader {
    store: Store,
    runtime: Handle,
    model: String,
    format: RecordFormat,
    outputs: Vec<Choice>,
    output_format: OutputFormat,
    output_topic: String,
    connection: BTreeMap<String, String>,
    hand_on: Option<HandOn>,
}

/// Why a version cannot be used, or is not known.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    /// What is wrong, as a sentence.
    pub(crate) message: String,
}

/// Why an object was not read.
#[derive(Debug)]
pub(crate) enum Unread {
    /// There is none.
    Nothing,
    /// The store could not be asked, with the reason.
    Failed(String),
}

impl Loader {
    /// Opens the artifact store.
    pub(crate) fn open(function: &Function, spec: &InferenceSpec) -> Result<Self, Failure> {
        let store = function
            .runtime
            .block_on(Store::open(&function.spec.artifacts))
            .map_err(Failure::failed)?;
        Ok(Self::new(store, function.runtime.clone(), spec))
    }

    /// A loader from an opened store.
    pub(crate) fn new(store: Store, runtime: Handle, spec: &InferenceSpec) -> Self {
        Self {
            store,
            runtime,
            model: spec.model.clone(),
            format: spec.input_format.clone(),
            outputs: spec.outputs.clone(),
            output_format: spec.output_format,
            output_topic: spec.output_topic.clone(),
            connection: spec.connection.clone(),
            hand_on: spec.hand_on.clone(),
        }
    }

    /// Reads an object of the artifact store unless it is still the one with this tag, within `limit`.
    pub(crate) fn changed_object(
        &self,
        name: &str,
        tag: Option<&str>,
        limit: Duration,
    ) -> Result<Option<Tagged>, Unread> {
        let reading = self.store.get_changed_object(name, tag);
        let read = async { tokio::time::timeout(limit, reading).await };
        match self.runtime.block_on(read) {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(millrace_artifacts::Error::NotFound(_))) => Err(Unread::Nothing),
            Ok(Err(error)) => Err(Unread::Failed(error.to_string())),
            Err(_) => Err(Unread::Failed(format!(
                "the artifact store does not answer within {limit:?}"
            ))),
        }
    }

    /// Loads a version that may take traffic.
    pub(crate) fn load(&self, version: &Version) -> Result<Model, Fault> {
        let mut model = self.open_version(version)?;
        if let Some(expected) = &version.samples {
            self.check(&mut model, expected)?;
        }
        self.register(&mut model, Registering::Write)?;
        Ok(model)
    }

    /// Loads a version, whatever it answers, and writes nothing anywhere.
    pub(crate) fn load_any(&self, version: &Version) -> Result<Model, Fault> {
        let mut model = self.open_version(version)?;
        self.register(&mut model, Registering::LookUp)?;
        Ok(model)
    }

    /// Gives the schema of what a version writes to the registry, where it has one.
    fn register(&self, model: &mut Model, how: Registering) -> Result<(), Fault> {
        let Some(schema) = model.schema() else {
            return Ok(());
        };
        let id = Schemas::new(&self.runtime, &self.connection)
            .map_err(Unregistered::from)
            .and_then(|schemas| schemas.register(&self.output_topic, schema, how))
            .map_err(|error| Fault {
                code: match error {
                    Unregistered::Refused(_) => REFUSED,
                    Unregistered::Unavailable(_) => UNAVAILABLE,
                },
                message: format!("{} cannot write: {error}", self.name(model.version())),
            })?;
        model.registered(id);
        Ok(())
    }

    fn open_version(&self, version: &Version) -> Result<Model, Fault> {
        let number = version.version;
        let name = self.name(number);
        let file = self
            .runtime
            .block_on(self.store.get_bytes(&version.digest))
            .map_err(|error| Fault {
                code: UNAVAILABLE,
                message: format!("{name} cannot be read: {error}"),
            })?;
        let hand_on = self.hand_on.as_ref();
        let made = Model::new(
            number,
            &file,
            &self.format,
            (&self.outputs, self.output_format),
            hand_on,
        );
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

    /// Sees that a version answers its samples on this machine as they expect.
    fn check(&self, model: &mut Model, expected: &Expected) -> Result<(), Fault> {
        let name = self.name(model.version());
        let unavailable = |error: &dyn Display| Fault {
            code: UNAVAILABLE,
            message: format!("the samples of {name} cannot be read: {error}"),
        };
        let file = self
            .runtime
            .block_on(self.store.get_bytes(&expected.digest))
            .map_err(|error| unavailable(&error))?;
        let samples = Samples::read(&file).map_err(|error| unavailable(&error))?;
        model
            .check(&samples, expected.tolerance)
            .map_err(|reason| Fault {
                code: DIFFERS,
                message: format!("{name} answers its samples otherwise on this machine: {reason}"),
            })?;
        tracing::info!(
            model.name = self.model,
            model.version = model.version(),
            samples.count = expected.count,
            "version answers its samples as they expect"
        );
        Ok(())
    }

    fn name(&self, number: u32) -> String {
        format!("version {number} of the model {}", self.model)
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
        // What is wrong with the way to a version says nothing of the version.
        if CODES.contains(&self.code) {
            for code in CODES {
                if code != self.code {
                    status.recovered(code);
                }
            }
        }
        status.degraded(self.code, format!("{}; {meanwhile}", self.message));
    }
}

/// The version that is wanted is loaded: no fault of an earlier one matters any more.
pub(crate) fn recovered(status: &Status) {
    for code in CODES {
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
