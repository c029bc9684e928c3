//! Knative: inferences as Services that records are brought to, in the cluster of `[platform.kubernetes]`.

use serde::{Deserialize, Serialize};

use super::Error;

/// `[platform.knative]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Knative {
    /// Whether it is on.
    pub enabled: bool,
    /// The Secret that sources read the brokers' password from, for connections that have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl Knative {
    /// `has_cluster` says whether there is a section `[platform.kubernetes]`.
    pub(super) fn check(&self, has_cluster: bool) -> Result<(), Error> {
        if self.enabled && !has_cluster {
            return Err(Error::invalid(
                "platform.knative.enabled",
                "its cluster, images and service account are those of platform.kubernetes: set these, too",
            ));
        }
        Ok(())
    }
}
