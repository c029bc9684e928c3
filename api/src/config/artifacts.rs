//! The artifact store.

use serde::{Deserialize, Serialize};

use super::Error;

/// `[artifacts]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Artifacts {
    /// `file:///folder` or `s3://bucket/prefix`; a folder in the data folder where it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// How long an uploaded file is kept that no version was made of.
    pub keep_unused_hours: u32,
}

impl Default for Artifacts {
    fn default() -> Self {
        Self {
            url: None,
            keep_unused_hours: 24,
        }
    }
}

impl Artifacts {
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.keep_unused_hours == 0 {
            return Err(Error::invalid(
                "artifacts.keep_unused_hours",
                "0 would remove an upload before a version can be made of it; give 1 or more",
            ));
        }
        if let Some(url) = &self.url
            && !(url.starts_with("file://") || url.starts_with("s3://"))
        {
            return Err(Error::invalid(
                "artifacts.url",
                "artifacts lie in a folder of this machine, file:///path, or in a bucket, s3://bucket/prefix",
            ));
        }
        Ok(())
    }
}
