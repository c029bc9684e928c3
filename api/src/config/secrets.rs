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
}

impl Secrets {
    pub(super) fn check(&self) -> Result<(), Error> {
        match &self.folder {
            Some(folder) if !is_plain(folder) => Err(Error::invalid(
                "secrets.folder",
                format!("{} is no absolute path", folder.display()),
            )),
            _ => Ok(()),
        }
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
}
