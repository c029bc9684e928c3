//! Secret references in property values: `${env:NAME}`, `${file:/path}` and `${aws-secret:ARN}`.
//!
//! Invariant: a reference is resolved at the moment when a client is made, and
//! what it resolves to is never printed.

use std::fmt;

use crate::{Error, aws_secret};

/// What stands in place of a secret wherever properties are shown.
pub(crate) const MASK: &str = "***";

/// What every reference begins with.
const OPENING: &str = "${";

/// What a reference names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference<'a> {
    /// An environment variable.
    Env(&'a str),
    /// The content of a file.
    File(&'a str),
    /// A secret of AWS Secrets Manager by its ARN, or a field of one: `ARN#field`.
    Aws(&'a str),
}

impl<'a> Reference<'a> {
    /// The ARN of a secret of AWS.
    #[must_use]
    pub fn arn(&self) -> Option<&'a str> {
        match self {
            Self::Aws(reference) => Some(aws_secret::split(reference).0),
            Self::Env(_) | Self::File(_) => None,
        }
    }
}

/// Replaces every reference in `value` by what it names.
pub(crate) fn resolve(property: &str, value: &str) -> Result<String, Error> {
    let mut resolved = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, reference, after)) = next(property, rest)? {
        resolved.push_str(before);
        resolved.push_str(&look_up(property, reference)?);
        rest = after;
    }
    resolved.push_str(rest);
    Ok(resolved)
}

/// Every reference in `value`.
pub(crate) fn references<'a>(property: &str, value: &'a str) -> Result<Vec<Reference<'a>>, Error> {
    let mut found = Vec::new();
    let mut rest = value;
    while let Some((_, reference, after)) = next(property, rest)? {
        found.push(reference);
        rest = after;
    }
    Ok(found)
}

/// The first reference in `value`, with what stands before and behind it.
fn next<'a>(
    property: &str,
    value: &'a str,
) -> Result<Option<(&'a str, Reference<'a>, &'a str)>, Error> {
    let Some((before, rest)) = value.split_once(OPENING) else {
        return Ok(None);
    };
    let Some((inner, after)) = rest.split_once('}') else {
        return Err(missing(property, "${…", "is not closed by `}`"));
    };
    let reference = match inner.split_once(':') {
        Some(("env", name)) => Reference::Env(name),
        Some(("file", path)) => Reference::File(path),
        Some(("aws-secret", arn)) => Reference::Aws(arn),
        _ => {
            return Err(missing(
                property,
                &format!("${{{inner}}}"),
                "is not known: write ${env:NAME}, ${file:/path} or ${aws-secret:ARN}",
            ));
        }
    };
    Ok(Some((before, reference, after)))
}

fn look_up(property: &str, reference: Reference<'_>) -> Result<String, Error> {
    match reference {
        Reference::Env(name) => std::env::var(name).map_err(|_| {
            missing(
                property,
                &reference.to_string(),
                &format!("is not set: set the environment variable {name} for this process"),
            )
        }),
        Reference::File(path) => match std::fs::read_to_string(path) {
            // Editors and `echo` end files with a line break, which no credential has.
            Ok(content) => Ok(content.trim_end_matches(['\r', '\n']).to_owned()),
            Err(error) => Err(missing(
                property,
                &reference.to_string(),
                &format!("cannot be read: {path}: {error}"),
            )),
        },
        Reference::Aws(secret) => aws_secret::look_up(secret)
            .map_err(|reason| missing(property, &reference.to_string(), &reason)),
    }
}

impl fmt::Display for Reference<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(formatter, "${{env:{name}}}"),
            Self::File(path) => write!(formatter, "${{file:{path}}}"),
            Self::Aws(secret) => write!(formatter, "${{aws-secret:{secret}}}"),
        }
    }
}

fn missing(property: &str, reference: &str, reason: &str) -> Error {
    Error::MissingSecret {
        property: property.to_owned(),
        reference: reference.to_owned(),
        reason: reason.to_owned(),
    }
}

/// Whether the value of this property is a secret.
pub(crate) fn is_secret(property: &str) -> bool {
    let property = property.to_ascii_lowercase();
    property.contains("password")
        || property.contains("secret")
        || property.contains("token")
        || property.contains("key.pem")
        || property.contains("jaas")
        || property.contains("user.info")
        || property == "sasl.oauthbearer.config"
        || property == "ssl.key"
}

/// Whether a value of this property is looked up at all. Others, as `client.id`, are told to
/// brokers as they are, and would carry a secret out.
fn may_refer(property: &str) -> bool {
    // The text of a certificate is no secret, but it usually lies in a file.
    is_secret(property) || property.to_ascii_lowercase().ends_with(".pem")
}

/// Whether a property holds a reference that is not looked up there.
pub(crate) fn is_misplaced(property: &str, value: &str) -> bool {
    value.contains(OPENING) && !may_refer(property)
}

/// The value as it may be shown. A lone reference says where the secret is
/// kept, not what it is, so it stays readable.
pub(crate) fn masked(property: &str, value: &str) -> String {
    let is_lone_reference = value.starts_with("${") && value.find('}') == Some(value.len() - 1);
    if (is_secret(property) && !is_lone_reference) || names_a_user(value) {
        MASK.to_owned()
    } else {
        value.to_owned()
    }
}

/// Whether a value is an address with a user in it, who has a password there as well.
fn names_a_user(value: &str) -> bool {
    value.split_once("://").is_some_and(|(_, rest)| {
        let authority = rest.split('/').next().unwrap_or_default();
        authority.contains('@')
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn references_resolve_anywhere_in_a_value() {
        let home = std::env::var("HOME").unwrap();
        assert_eq!(
            resolve("sasl.password", "a-${env:HOME}-b").unwrap(),
            format!("a-{home}-b")
        );
        assert_eq!(resolve("client.id", "plain").unwrap(), "plain");
        assert_eq!(
            references("sasl.password", "a-${env:HOME}-${file:/b}").unwrap(),
            [Reference::Env("HOME"), Reference::File("/b")]
        );
    }

    #[test]
    fn a_file_loses_its_last_line_break() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "pass word\n").unwrap();
        let value = format!("${{file:{}}}", file.path().display());
        assert_eq!(resolve("sasl.password", &value).unwrap(), "pass word");
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = resolve("sasl.password", "${env:MILLRACE_NO_SUCH_VARIABLE}").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("sasl.password"), "{text}");
        assert!(text.contains("MILLRACE_NO_SUCH_VARIABLE"), "{text}");

        let error = resolve("ssl.key.pem", "${file:/no/such/file}").unwrap_err();
        assert!(error.to_string().contains("/no/such/file"), "{error}");

        for wrong in ["${env:HOME", "${vault:x}", "${}"] {
            assert!(resolve("sasl.password", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_secrets_and_certificates_are_looked_up() {
        for property in ["sasl.password", "ssl.key.pem", "ssl.certificate.pem"] {
            assert!(!is_misplaced(property, "${env:HOME}"), "{property}");
        }
        for property in ["client.id", "sasl.username", "bootstrap.servers"] {
            assert!(is_misplaced(property, "a${file:/etc/passwd}"), "{property}");
            assert!(!is_misplaced(property, "plain"), "{property}");
        }
    }

    #[test]
    fn secrets_are_masked_and_references_stay() {
        assert_eq!(masked("sasl.password", "hunter2"), MASK);
        assert_eq!(masked("ssl.key.pem", "-----BEGIN"), MASK);
        assert_eq!(masked("ssl.key.password", "x"), MASK);
        assert_eq!(
            masked("sasl.password", "${env:PASSWORD}"),
            "${env:PASSWORD}"
        );
        assert_eq!(masked("sasl.password", "${env:A}hunter2"), MASK);
        assert_eq!(masked("sasl.username", "me"), "me");
    }
}
