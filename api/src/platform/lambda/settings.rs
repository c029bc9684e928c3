//! What the driver works with, from the configuration.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

use crate::config::Lambda;

/// Where functions are made, and of what.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) prefix: String,
    pub(super) tag_key: String,
    pub(super) role: String,
    pub(super) subnets: Vec<String>,
    pub(super) groups: Vec<String>,
    pub(super) cluster: String,
    pub(super) region: String,
    pub(super) bucket: String,
    pub(super) package: String,
    /// The package's SHA-256 as Lambda writes it.
    pub(super) code: String,
    pub(super) slots: u32,
    pub(super) log_days: i32,
    pub(super) memory_mib: u32,
    /// What functions log.
    pub(super) log: String,
    pub(super) pace: Pace,
}

/// How often AWS is looked at, which answers a few calls a second for a whole account.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Where all is as it should be, or somebody has to mend something.
    pub(super) settled: Duration,
    /// Where AWS is at work.
    pub(super) unsettled: Duration,
}

impl Settings {
    /// Those of a section that was checked. Functions log as this process does.
    pub(super) fn configured(lambda: &Lambda) -> Self {
        Self {
            prefix: lambda.prefix.clone(),
            tag_key: lambda.tag_key.clone(),
            role: lambda.role.clone(),
            subnets: lambda.subnets(),
            groups: lambda.groups(),
            cluster: lambda.cluster.clone(),
            region: lambda.region().unwrap_or_default().to_owned(),
            bucket: lambda.bucket.clone(),
            package: lambda.package.clone(),
            code: STANDARD.encode(lambda.package_digest().unwrap_or_default()),
            slots: lambda.slots,
            log_days: super::plan::signed(lambda.log_days),
            memory_mib: lambda.memory_mib,
            log: std::env::var("MILLRACE_LOG").unwrap_or_else(|_| "info".to_owned()),
            pace: Pace {
                settled: Duration::from_secs(15),
                unsettled: Duration::from_secs(2),
            },
        }
    }

    /// The name of an inference's function: 64 characters at most.
    pub(super) fn function_name(&self, id: Uuid) -> String {
        format!("{}-{}", self.prefix, id.simple())
    }
}

/// Where a function logs to.
pub(super) fn log_group(function: &str) -> String {
    format!("/aws/lambda/{function}")
}
