//! What AWS refuses, in words: which call, on what, whose fault it is, and what to do.
//!
//! Invariant: a right that is missing is named as IAM names it, with the statement of Terraform's that grants it.

use std::error::Error;

use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};

/// Why a call did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// AWS is at work on it; the call is made again soon.
    Busy(String),
    /// Somebody has to mend something, or AWS will not now.
    Refused(String),
}

/// Rights of the API's role, by the statement of `terraform/modules/access/api.tf` that grants them.
const STATEMENTS: &[(&str, &[&str])] = &[
    ("MakeFunctions", &["lambda:CreateFunction"]),
    ("GiveFunctionsTheirRole", &["iam:PassRole"]),
    ("TagFunctions", &["lambda:TagResource"]),
    (
        "ConfigureOwnFunctions",
        &["lambda:UpdateFunctionConfiguration"],
    ),
    (
        "LookAtFunctions",
        &["lambda:GetFunction", "lambda:ListTags"],
    ),
    (
        "RunOwnFunctions",
        &[
            "lambda:UpdateFunctionCode",
            "lambda:PutFunctionConcurrency",
            "lambda:DeleteFunctionConcurrency",
            "lambda:DeleteFunction",
        ],
    ),
    ("MakeMappings", &["lambda:CreateEventSourceMapping"]),
    (
        "RunOwnMappings",
        &[
            "lambda:UpdateEventSourceMapping",
            "lambda:DeleteEventSourceMapping",
        ],
    ),
    ("ReadCode", &["s3:GetObject"]),
    (
        "LogGroupsOfFunctions",
        &[
            "logs:CreateLogGroup",
            "logs:PutRetentionPolicy",
            "logs:TagResource",
            "logs:DeleteLogGroup",
        ],
    ),
    (
        "Lists",
        &[
            "lambda:ListEventSourceMappings",
            "cloudwatch:GetMetricData",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcs",
        ],
    ),
];

impl Trouble {
    pub(super) fn refused(message: impl Into<String>) -> Self {
        Self::Refused(message.into())
    }

    /// Of a call, by the name that IAM has for it, on a resource.
    pub(super) fn of<E, R>(action: &str, resource: &str, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: std::fmt::Debug + 'static,
    {
        let Some(code) = error.code() else {
            return Self::Refused(format!(
                "cannot reach AWS for {action} on {resource}: {}; check the region, the credentials and the way to its endpoint",
                chain(error)
            ));
        };
        let said = error.message().unwrap_or(code);
        let call = format!("{action} on {resource}");
        match code {
            "ResourceConflictException"
            | "ResourceInUseException"
            | "OperationAbortedException" => {
                Self::Busy(format!("waits with {call}: AWS says {said:?}"))
            }
            "AccessDeniedException" | "AccessDenied" | "UnauthorizedOperation" => {
                Self::Refused(forbidden(action, resource, said))
            }
            "TooManyRequestsException"
            | "ThrottlingException"
            | "Throttling"
            | "RequestLimitExceeded" => Self::Refused(format!(
                "is slowed down by AWS at {call}: {said:?}; it is tried again"
            )),
            "ServiceQuotaExceededException"
            | "LimitExceededException"
            | "CodeStorageExceededException" => Self::Refused(format!(
                "is at a quota of the account with {call}: {said:?}; have it raised under Service Quotas, or remove what is not needed"
            )),
            "RequestEntityTooLargeException" => Self::Refused(format!(
                "is refused the package at {call}: {said:?}; a function has 250 MiB of code at most, unpacked"
            )),
            "ExpiredTokenException"
            | "ExpiredToken"
            | "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch" => Self::Refused(format!(
                "has credentials that AWS does not take at {call}: {said:?}; renew those of the API"
            )),
            _ => Self::Refused(format!("is refused {call}: {code} {said:?}{}", hint(said))),
        }
    }

    /// What it says to people, behind the platform's name.
    pub(super) fn message(&self) -> &str {
        match self {
            Self::Busy(message) | Self::Refused(message) => message,
        }
    }
}

/// Whether a call was refused with this code.
pub(super) fn is<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>, code: &str) -> bool {
    error.code() == Some(code)
}

/// A right is missing. Where AWS names another one than the call's own (a role that is given, a tag), it is that one.
pub(super) fn forbidden(action: &str, resource: &str, said: &str) -> String {
    let after = |mark: &str| {
        let rest = said.split_once(mark)?.1;
        rest.split_whitespace().next()
    };
    let action = after("not authorized to perform: ").unwrap_or(action);
    let resource = after(" on resource: ").unwrap_or(resource);
    let statement = STATEMENTS
        .iter()
        .find(|(_, actions)| actions.contains(&action))
        .map_or_else(String::new, |(statement, _)| {
            format!(" by the statement {statement}")
        });
    format!(
        "may not {action} on {resource}: AWS says {said:?}; Terraform's module access grants it to the API's role (output api_role_arn){statement}"
    )
}

/// What to do about refusals that AWS tells apart by nothing but their words.
fn hint(said: &str) -> &'static str {
    let said = said.to_lowercase();
    if said.contains("cannot be assumed by lambda") {
        "; platform.lambda.role is to trust lambda.amazonaws.com, as Terraform's output function_role_arn does; one that was made just now is tried again"
    } else if said.contains("unzipped size") || said.contains("code size") {
        "; a function has 250 MiB of code at most, unpacked"
    } else if said.contains("s3 error code") || said.contains("error occurred while getobject") {
        "; platform.lambda.bucket and platform.lambda.package name the function's zip, which Terraform's module functions puts there"
    } else if said.contains("unreservedconcurrentexecution") {
        "; the account's quota of concurrent executions leaves no such reservation: leave out maximumConcurrency, or have the quota raised"
    } else if said.contains("execution role") {
        "; the functions' role is Terraform's output function_role_arn, and what it may do stands in its module access"
    } else {
        ""
    }
}

/// An error and its sources, as one sentence.
fn chain(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn terraform_grants_each_right_by_the_statement_that_is_named() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../terraform/modules/access/api.tf"
        );
        let text = std::fs::read_to_string(path).unwrap();
        for (statement, actions) in STATEMENTS {
            let (_, rest) = text
                .split_once(&format!("= \"{statement}\"\n"))
                .unwrap_or_else(|| panic!("no statement {statement}"));
            let rest = rest.split("Sid ").next().unwrap();
            for action in *actions {
                assert!(
                    rest.contains(&format!("\"{action}\"")),
                    "{statement} does not grant {action}"
                );
            }
        }
    }

    #[test]
    fn the_right_that_aws_names_is_the_one_that_is_missing() {
        let said = "User: arn:aws:sts::1:assumed-role/api is not authorized to perform: iam:PassRole on resource: arn:aws:iam::1:role/x because no identity-based policy allows the iam:PassRole action";
        let words = forbidden("lambda:CreateFunction", "millrace-1", said);
        assert!(
            words.starts_with("may not iam:PassRole on arn:aws:iam::1:role/x: AWS says "),
            "{words}"
        );
        assert!(
            words.ends_with("by the statement GiveFunctionsTheirRole"),
            "{words}"
        );
        let words = forbidden("lambda:GetFunction", "millrace-1", "no");
        assert!(
            words.starts_with("may not lambda:GetFunction on millrace-1"),
            "{words}"
        );
    }
}
