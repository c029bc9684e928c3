//! Why a bucket refuses a request, in words that say what to change.
//!
//! What is named here does not go by itself; all else may.

use std::error::Error as _;
use std::fmt::Write as _;

/// Why a request to the bucket was refused, where repeating it would not help.
pub(crate) fn of(bucket: &str, error: &object_store::Error) -> Option<String> {
    // The client keeps the answer to itself: it is in the words of its errors only.
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(said, " {cause}");
        source = cause.source();
    }
    let reason = match code(&said) {
        Some("NoSuchBucket") => {
            format!("there is no bucket `{bucket}`: make it, or correct the address of the store")
        }
        Some("InvalidAccessKeyId") => {
            "the access key is not known: see AWS_ACCESS_KEY_ID of this process".to_owned()
        }
        Some("SignatureDoesNotMatch") => {
            "the secret does not belong to the access key: see AWS_SECRET_ACCESS_KEY of this process".to_owned()
        }
        Some("ExpiredToken" | "InvalidToken" | "TokenRefreshRequired") => {
            "the credentials of this process have expired or are none: see AWS_SESSION_TOKEN".to_owned()
        }
        Some("RequestTimeTooSkewed" | "RequestExpired") => {
            "the clock of this machine is wrong by more than a quarter of an hour: set it".to_owned()
        }
        Some(
            "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" | "InvalidRegionName",
        ) => wrong_region(bucket),
        None if said.contains("Received redirect without LOCATION") => wrong_region(bucket),
        _ if matches!(error, object_store::Error::PermissionDenied { .. }) => format!(
            "the bucket `{bucket}` does not allow this process to {}; what is missing reads like that, too, where it may not list the bucket (s3:ListBucket)",
            permission(&said)
        ),
        _ if matches!(error, object_store::Error::Unauthenticated { .. }) => {
            format!("the bucket `{bucket}` does not know who asks: see the credentials of this process")
        }
        // The answer to a HEAD has no words.
        _ if said.contains("Error performing HEAD") && said.contains("400 Bad Request") => format!(
            "the bucket `{bucket}` does not take requests as they are signed here: see AWS_REGION and the credentials of this process"
        ),
        _ if said.contains("/latest/api/token") || said.contains("/latest/meta-data") => {
            "this process has no credentials: give it a role, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned()
        }
        _ => return None,
    };
    Some(reason)
}

fn wrong_region(bucket: &str) -> String {
    format!("the bucket `{bucket}` lies in another region: name it in AWS_REGION")
}

/// The code of an answer of S3, which is XML.
fn code(said: &str) -> Option<&str> {
    let (_, rest) = said.split_once("<Code>")?;
    rest.split_once("</Code>").map(|(code, _)| code)
}

/// What a policy calls the request that failed.
fn permission(said: &str) -> &'static str {
    if said.contains("list request") {
        return "list it (s3:ListBucket)";
    }
    let method = said.split_once("Error performing ").map(|(_, rest)| rest);
    match method.and_then(|rest| rest.split(' ').next()) {
        Some("PUT" | "POST") => "write (s3:PutObject)",
        Some("DELETE") => "delete (s3:DeleteObject)",
        // Which has no words of its own.
        Some("HEAD") => "read (s3:GetObject), or does not take its credentials",
        _ => "read (s3:GetObject)",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    fn answer(text: &str) -> object_store::Error {
        object_store::Error::Generic {
            store: "S3",
            source: text.to_owned().into(),
        }
    }

    #[test]
    fn what_cannot_go_by_itself_is_named_with_what_to_change() {
        for (said, expected) in [
            ("<Error><Code>NoSuchBucket</Code></Error>", "no bucket `b`"),
            (
                "<Code>SignatureDoesNotMatch</Code>",
                "AWS_SECRET_ACCESS_KEY",
            ),
            ("<Code>InvalidAccessKeyId</Code>", "AWS_ACCESS_KEY_ID"),
            ("<Code>RequestTimeTooSkewed</Code>", "clock"),
            ("<Code>AuthorizationHeaderMalformed</Code>", "AWS_REGION"),
            ("<Code>ExpiredToken</Code>", "expired"),
            ("Received redirect without LOCATION, this", "AWS_REGION"),
        ] {
            let reason = of("b", &answer(said)).unwrap();
            assert!(reason.contains(expected), "{reason}");
        }
        assert_eq!(of("b", &answer("<Code>SlowDown</Code>")), None);
        assert_eq!(of("b", &answer("connection refused")), None);
    }

    #[test]
    fn a_denied_request_is_named_as_a_policy_names_it() {
        for (said, expected) in [
            ("Error performing PUT http://b/k in 1ms - x", "s3:PutObject"),
            (
                "Error performing DELETE http://b/k in 1ms - x",
                "s3:DeleteObject",
            ),
            (
                "Error performing HEAD http://b/k in 1ms - x",
                "s3:GetObject",
            ),
            (
                "Error performing list request: Error performing GET http://b in 1ms",
                "list it (s3:ListBucket)",
            ),
        ] {
            let denied = object_store::Error::PermissionDenied {
                path: "k".to_owned(),
                source: said.to_owned().into(),
            };
            let reason = of("b", &denied).unwrap();
            assert!(reason.contains(expected), "{reason}");
        }
    }
}
