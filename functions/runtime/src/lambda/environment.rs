//! The environment that Lambda starts a function in, and how it hears that a start has failed.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::failure::Failure;

/// Names the address of the Runtime API; only Lambda sets it.
const API: &str = "AWS_LAMBDA_RUNTIME_API";
/// How long the Runtime API, which is on the same machine, may take for an answer.
const LIMIT: Duration = Duration::from_secs(5);

/// Where a function runs, as far as Lambda is concerned.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    /// The Runtime API's address; none outside Lambda.
    api: Option<String>,
    /// Whether invocations are waited for: from then on nothing is a failed start.
    has_begun: Arc<AtomicBool>,
}

impl Environment {
    /// This process's.
    pub(crate) fn of_process() -> Self {
        Self::at(std::env::var(API).ok())
    }

    fn at(api: Option<String>) -> Self {
        Self {
            api,
            has_begun: Arc::default(),
        }
    }

    /// Refuses a specification for Lambda elsewhere, and any other one in Lambda.
    pub(crate) fn check(&self, is_for_lambda: bool) -> Result<(), Failure> {
        match (&self.api, is_for_lambda) {
            (Some(_), true) | (None, false) => Ok(()),
            (None, true) => Err(Failure::Specification(format!(
                "the specification is one for AWS Lambda, and {API} is not set: only Lambda, or an emulator of it, starts such a function"
            ))),
            (Some(_), false) => Err(Failure::Specification(
                "AWS Lambda has started this function, and its specification is not one for Lambda: it would read records by itself".to_owned(),
            )),
        }
    }

    /// The start has succeeded.
    pub(crate) fn begun(&self) {
        self.has_begun.store(true, Ordering::Relaxed);
    }

    /// Tells Lambda why the function cannot start; nothing outside Lambda, or once it has started.
    pub(crate) fn tell(&self, failure: &Failure) {
        let Some(api) = &self.api else {
            return;
        };
        if self.has_begun.load(Ordering::Relaxed) {
            return;
        }
        match post(api, failure) {
            Ok(status) => tracing::debug!(http.status = status, "the failed start was told"),
            Err(error) => tracing::warn!(%error, "Lambda could not be told why the start failed"),
        }
    }
}

/// A code as Lambda and its alarms see it.
pub(super) fn error_type(code: &str) -> String {
    format!("Millrace.{code}")
}

/// By hand, since it has to work wherever a start may fail, also before there is anything that could make requests.
/// Returns the answer's first line.
fn post(api: &str, failure: &Failure) -> io::Result<String> {
    let kind = error_type(match failure {
        Failure::Failed(_) => "failed",
        Failure::Specification(_) => "specification",
        Failure::Fenced(_) => "fenced",
    });
    let body = json!({
        "errorMessage": failure.to_string(),
        "errorType": kind,
        "stackTrace": [],
    })
    .to_string();
    let mut stream = TcpStream::connect(api)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let length = body.len();
    write!(
        stream,
        "POST /2018-06-01/runtime/init/error HTTP/1.1\r\nHost: {api}\r\nContent-Type: application/json\r\nLambda-Runtime-Function-Error-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let line = answer
        .split(|byte| *byte == b'\r')
        .next()
        .unwrap_or_default();
    Ok(String::from_utf8_lossy(line).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_runs_only_where_its_specification_belongs() {
        let inside = Environment::at(Some("127.0.0.1:9001".to_owned()));
        let outside = Environment::at(None);
        assert_eq!(inside.check(true), Ok(()));
        assert_eq!(outside.check(false), Ok(()));
        assert!(
            inside
                .check(false)
                .is_err_and(|failure| failure.code() == 2)
        );
        assert!(
            outside
                .check(true)
                .is_err_and(|failure| failure.code() == 2)
        );
    }
}
