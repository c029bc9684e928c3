//! The memory of a process, as Linux counts it.

use std::fs;

use anyhow::{Context as _, Result};

/// What a process holds in physical memory, in MiB.
pub(crate) struct Memory {
    /// The most it has ever held, files that it maps included.
    pub(crate) peak: f64,
    /// What no file stands behind: it can't be dropped and read again.
    pub(crate) anonymous: f64,
}

impl Memory {
    /// That of a process at this moment.
    pub(crate) fn of(process: u32) -> Result<Self> {
        let path = format!("/proc/{process}/status");
        let text = fs::read_to_string(&path)
            .with_context(|| format!("cannot read {path}: memory is measured on Linux only"))?;
        let field = |name| mebibytes(&text, name).with_context(|| format!("{path} has no {name}"));
        Ok(Self {
            peak: field("VmHWM:")?,
            anonymous: field("RssAnon:")?,
        })
    }
}

fn mebibytes(status: &str, name: &str) -> Option<f64> {
    let field = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u32 = field.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(f64::from(kibibytes) / 1024.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn the_fields_are_found_and_are_mebibytes() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nRssAnon:\t   512 kB\n";
        assert_eq!(mebibytes(status, "VmHWM:"), Some(2.0));
        assert_eq!(mebibytes(status, "RssAnon:"), Some(0.5));
        assert_eq!(mebibytes(status, "RssFile:"), None);
    }
}
