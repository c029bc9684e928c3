//! What connections may look up that are made by a mutation. Whoever may make one chooses the
//! brokers, too, to whom the secret is shown: it must be one that was put there for Kafka.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Error;

/// What the names of environment variables begin with that such a connection may name. Millrace's
/// own configuration has no section of this name.
pub const PREFIX: &str = "MILLRACE_SECRET_";

/// `[secrets]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Secrets {
    /// The folder whose files such a connection may name; none without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// The ARNs of AWS's secrets that such a connection may name, with commas between, each with `*` at its end where they begin
    /// alike; none without.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub arns: String,
}

impl Secrets {
    pub(super) fn check(&self) -> Result<(), Error> {
        match &self.folder {
            Some(folder) if !is_plain(folder) => Err(Error::invalid(
                "secrets.folder",
                format!("{} is no absolute path", folder.display()),
            )),
            _ => Ok(()),
        }?;
        let patterns = self.arns.split(',').map(str::trim);
        for pattern in patterns.filter(|pattern| !pattern.is_empty()) {
            if !pattern.starts_with("arn:") {
                return Err(Error::invalid(
                    "secrets.arns",
                    format!("{pattern:?} is no beginning of an ARN"),
                ));
            }
        }
        Ok(())
    }

    /// Whether a secret of AWS is among those that are named.
    #[must_use]
    pub fn names(&self, arn: &str) -> bool {
        let patterns = self.arns.split(',').map(str::trim);
        let mut patterns = patterns.filter(|pattern| pattern.starts_with("arn:"));
        patterns.any(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => arn.starts_with(beginning),
            None => arn == pattern,
        })
    }

    /// Whether a file lies in the folder. Links within the folder are its owner's business: secrets
    /// are mounted as such.
    #[must_use]
    pub fn holds(&self, file: &Path) -> bool {
        let folder = self.folder.as_deref();
        folder.is_some_and(|folder| is_plain(file) && file != folder && file.starts_with(folder))
    }
}

/// An absolute path without steps upwards.
fn is_plain(path: &Path) -> bool {
    path.is_absolute()
        && path
            .components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_below_the_folder_are_named() {
        let secrets = Secrets {
            folder: Some("/run/secrets".into()),
            ..Secrets::default()
        };
        assert!(secrets.holds(Path::new("/run/secrets/kafka/password")));
        for outside in [
            "/etc/passwd",
            "/run/secrets",
            "/run/secrets2/a",
            "/run/secrets/../x",
            "secrets/a",
        ] {
            assert!(!secrets.holds(Path::new(outside)), "{outside}");
        }
        assert!(!Secrets::default().holds(Path::new("/run/secrets/a")));
    }

    #[test]
    fn only_secrets_of_aws_that_are_listed_are_named() {
        let secrets = Secrets {
            arns: "arn:aws:secretsmanager:eu-west-1:1:secret:a, arn:aws:secretsmanager:eu-west-1:1:secret:kafka/*"
                .to_owned(),
            ..Secrets::default()
        };
        assert!(secrets.check().is_ok());
        for (arn, expected) in [
            ("arn:aws:secretsmanager:eu-west-1:1:secret:a", true),
            ("arn:aws:secretsmanager:eu-west-1:1:secret:ab", false),
            ("arn:aws:secretsmanager:eu-west-1:1:secret:kafka/x", true),
            ("arn:aws:secretsmanager:eu-west-2:1:secret:kafka/x", false),
        ] {
            assert_eq!(secrets.names(arn), expected, "{arn}");
        }
        assert!(!Secrets::default().names("arn:aws:secretsmanager:eu-west-1:1:secret:a"));
        let wrong = Secrets {
            arns: "*".to_owned(),
            ..Secrets::default()
        };
        assert!(wrong.check().is_err() && !wrong.names("arn:x"));
    }
}
