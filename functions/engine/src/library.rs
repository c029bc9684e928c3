//! The library in the process: loaded once, kept for ever, without telemetry.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;
use ort::logging::LogLevel;

use crate::Error;

static LOADED: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);

/// Loads ONNX Runtime from the file at `path`. Doing so again is no error.
///
/// # Errors
/// [`Error::Library`] where the file is no ONNX Runtime, or too old a one, and
/// [`Error::LoadedElsewhere`] where another file was loaded before.
pub fn load(path: &Path) -> Result<(), Error> {
    let reject = |reason: String| Error::Library {
        path: path.to_owned(),
        reason,
    };
    // The loader would search the system's folders for a relative name.
    let path = std::path::absolute(path).map_err(|error| reject(error.to_string()))?;
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((from, _)) = loaded.as_ref() {
        return if *from == path {
            Ok(())
        } else {
            Err(Error::LoadedElsewhere { path: from.clone() })
        };
    }
    let environment = ort::init_from(&path)
        .map_err(|error| reject(error.to_string()))?
        .with_name("millrace")
        .with_telemetry(false)
        .with_logger(Arc::new(log))
        .build()
        .map_err(|error| reject(error.to_string()))?;
    *loaded = Some((path, environment));
    Ok(())
}

/// The process's ONNX Runtime.
pub(crate) fn environment() -> Result<Environment, Error> {
    let loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    match loaded.as_ref() {
        Some((_, environment)) => Ok(environment.clone()),
        None => Err(Error::NotLoaded),
    }
}

/// ONNX Runtime would write to standard error, past the process's own log.
fn log(level: LogLevel, category: &str, _session: &str, location: &str, message: &str) {
    match level {
        LogLevel::Fatal | LogLevel::Error => {
            tracing::error!(onnxruntime.category = category, location, "{message}");
        }
        LogLevel::Warning => {
            tracing::warn!(onnxruntime.category = category, location, "{message}");
        }
        LogLevel::Info | LogLevel::Verbose => {
            tracing::trace!(onnxruntime.category = category, location, "{message}");
        }
    }
}
