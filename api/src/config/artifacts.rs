//! The artifact store.

use serde::{Deserialize, Serialize};

/// `[artifacts]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Artifacts {
    /// `file:///folder`; a folder in the data folder where it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}
