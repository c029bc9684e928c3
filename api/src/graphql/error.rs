//! From application errors to GraphQL errors: a code in `extensions.code`, a sentence in
//! `message`, and nothing of Millrace's inside.

use std::sync::Arc;

use async_graphql::extensions::{
    Extension, ExtensionContext, ExtensionFactory, NextRequest, NextSubscribe,
};
use async_graphql::{ErrorExtensions as _, Response};
use futures::StreamExt as _;
use futures::stream::BoxStream;

use crate::app::{Code, Error};

/// What is said of a fault of Millrace's own.
const INTERNAL: &str = "an internal error occurred; the API's log has the details";

/// What async-graphql says of an `Int` that does not fit the field's own type.
const INVALID_NUMBER: &str = "Failed to parse \"Int\": Invalid number";

/// The same, so that somebody finds the number: the input objects that it stands in follow.
const OUT_OF_RANGE: &str = "a whole number is negative or too large for its field";

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
        INTERNAL.to_owned()
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

/// Gives a code to the errors that have none: those of GraphQL itself, which are the request's
/// fault, and those that a resolver passed on as they were, which are not.
pub(super) struct Codes;

impl ExtensionFactory for Codes {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait::async_trait]
impl Extension for Codes {
    async fn request(&self, context: &ExtensionContext<'_>, next: NextRequest<'_>) -> Response {
        coded(next.run(context).await)
    }

    fn subscribe<'s>(
        &self,
        context: &ExtensionContext<'_>,
        responses: BoxStream<'s, Response>,
        next: NextSubscribe<'_>,
    ) -> BoxStream<'s, Response> {
        next.run(context, responses).map(coded).boxed()
    }
}

fn coded(mut response: Response) -> Response {
    for error in &mut response.errors {
        let extensions = error.extensions.get_or_insert_default();
        if extensions.get("code").is_some() {
            continue;
        }
        let code = if error.source.is_some() {
            tracing::error!(error = error.message, "operation failed");
            INTERNAL.clone_into(&mut error.message);
            Code::Internal
        } else {
            error.message = error.message.replace(INVALID_NUMBER, OUT_OF_RANGE);
            Code::InvalidInput
        };
        extensions.set("code", code.as_str());
    }
    response
}
