//! KEDA: whether inferences on `kubernetes` may be given more pods while records wait.

use serde::{Deserialize, Serialize};

use super::Error;

/// `[platform.keda]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keda {
    /// Whether it is on.
    pub enabled: bool,
    /// The Secret that KEDA reads the brokers' password from, for connections that have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl Keda {
    /// `has_cluster` says whether there is a section `[platform.kubernetes]`.
    pub(super) fn check(&self, has_cluster: bool) -> Result<(), Error> {
        if self.enabled && !has_cluster {
            return Err(Error::invalid(
                "platform.keda.enabled",
                "it scales the pods of platform.kubernetes: set that section, too",
            ));
        }
        Ok(())
    }
}
