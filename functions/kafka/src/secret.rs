//! Secret references in property values: `${env:NAME}` and `${file:/path}`.
//!
//! Invariant: a reference is resolved at the moment when a client is made, and
//! what it resolves to is never printed.

use crate::Error;

/// What stands in place of a secret wherever properties are shown.
pub(crate) const MASK: &str = "***";

/// Replaces every reference in `value` by what it names.
pub(crate) fn resolve(property: &str, value: &str) -> Result<String, Error> {
    let mut resolved = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(start) = rest.find("${") {
        resolved.push_str(&rest[..start]);
        let reference = &rest[start..];
        let Some(end) = reference.find('}') else {
            return Err(missing(property, "${…", "is not closed by `}`"));
        };
        let reference = &reference[..=end];
        resolved.push_str(&look_up(property, reference)?);
        rest = &rest[start + reference.len()..];
    }
    resolved.push_str(rest);
    Ok(resolved)
}

fn look_up(property: &str, reference: &str) -> Result<String, Error> {
    let inner = &reference[2..reference.len() - 1];
    match inner.split_once(':') {
        Some(("env", name)) => std::env::var(name).map_err(|_| {
            missing(
                property,
                reference,
                &format!("is not set: set the environment variable {name} for this process"),
            )
        }),
        Some(("file", path)) => match std::fs::read_to_string(path) {
            // Editors and `echo` end files with a line break, which no credential has.
            Ok(content) => Ok(content.trim_end_matches(['\r', '\n']).to_owned()),
            Err(error) => Err(missing(
                property,
                reference,
                &format!("cannot be read: {path}: {error}"),
            )),
        },
        _ => Err(missing(
            property,
            reference,
            "is not known: write ${env:NAME} or ${file:/path}",
        )),
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
        || property == "sasl.oauthbearer.config"
        || property == "ssl.key"
}

/// The value as it may be shown. A lone reference says where the secret is
/// kept, not what it is, so it stays readable.
pub(crate) fn masked(property: &str, value: &str) -> String {
    let is_lone_reference = value.starts_with("${") && value.find('}') == Some(value.len() - 1);
    if is_secret(property) && !is_lone_reference {
        MASK.to_owned()
    } else {
        value.to_owned()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn references_resolve_anywhere_in_a_value() {
        let home = std::env::var("HOME").unwrap();
        assert_eq!(
            resolve("client.id", "a-${env:HOME}-b").unwrap(),
            format!("a-{home}-b")
        );
        assert_eq!(resolve("client.id", "plain").unwrap(), "plain");
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
