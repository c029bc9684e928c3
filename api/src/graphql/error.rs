//! From application errors to GraphQL errors: a code in `extensions.code`, a sentence in
//! `message`, and nothing of Millrace's inside.

use async_graphql::ErrorExtensions as _;

use crate::app::{Code, Error};

/// The GraphQL error for a failed operation. Internal faults are logged here and answered with a
/// sentence that gives nothing away.
#[must_use]
#[allow(
    clippy::needless_pass_by_value,
    reason = "it stands in map_err, which gives the error away"
)]
pub fn report(error: Error) -> async_graphql::Error {
    let code = error.code();
    let message = if code == Code::Internal {
        tracing::error!(error = %error, "operation failed");
        "an internal error occurred; the API's log has the details".to_owned()
    } else {
        error.to_string()
    };
    async_graphql::Error::new(message).extend_with(|_, extensions| {
        extensions.set("code", code.as_str());
    })
}

/// A lookup as a nullable field has it: what is not there is null.
///
/// # Errors
/// Every other error, as GraphQL has it.
pub fn optional<T>(found: Result<T, Error>) -> async_graphql::Result<Option<T>> {
    match found {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.code() == Code::NotFound => Ok(None),
        Err(error) => Err(report(error)),
    }
}
