//! The database.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize, Serializer};

use super::Error;

/// `[database]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// `postgres://…` or `sqlite://…`; a SQLite file in the data folder where it is not set.
    #[serde(serialize_with = "masked", skip_serializing_if = "Option::is_none")]
    pub url: Option<SecretString>,
}

impl Database {
    pub(super) fn check(&self) -> Result<(), Error> {
        let Some(url) = &self.url else { return Ok(()) };
        let known = ["sqlite:", "postgres:", "postgresql:"];
        if known
            .iter()
            .any(|scheme| url.expose_secret().starts_with(scheme))
        {
            return Ok(());
        }
        Err(Error::invalid(
            "database.url",
            "databases are PostgreSQL (postgres://…) and SQLite (sqlite://…)",
        ))
    }
}

/// Replaces the password in `scheme://user:password@host` and in `?password=…`.
pub(super) fn mask(url: &str) -> String {
    let url = &mask_parameter(url);
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
    let Some(at) = rest[..authority_end].rfind('@') else {
        return url.to_owned();
    };
    match rest[..at].split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:***{}", &rest[at..]),
        None => url.to_owned(),
    }
}

fn mask_parameter(url: &str) -> String {
    let Some((address, parameters)) = url.split_once('?') else {
        return url.to_owned();
    };
    let parameters: Vec<String> = parameters
        .split('&')
        .map(|parameter| match parameter.split_once('=') {
            Some((name, _)) if name.contains("password") => format!("{name}=***"),
            _ => parameter.to_owned(),
        })
        .collect();
    format!("{address}?{}", parameters.join("&"))
}

/// Whoever prints the tree prints it masked.
#[allow(
    clippy::ref_option,
    reason = "serde hands over a reference to the field"
)]
fn masked<S: Serializer>(url: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    match url {
        Some(url) => serializer.serialize_str(&mask(url.expose_secret())),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn only_the_password_is_hidden() {
        assert_eq!(
            mask("postgres://me:hunter2@db:5432/millrace?sslmode=require"),
            "postgres://me:***@db:5432/millrace?sslmode=require"
        );
        assert_eq!(
            mask("postgres://me@db/millrace?sslmode=require&password=hunter2"),
            "postgres://me@db/millrace?sslmode=require&password=***"
        );
        assert_eq!(
            mask("postgres://me@db/millrace"),
            "postgres://me@db/millrace"
        );
        assert_eq!(mask("sqlite:///a/b@c:d.db"), "sqlite:///a/b@c:d.db");
    }
}
