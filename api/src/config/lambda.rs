//! AWS Lambda: what Terraform made for the functions of inferences (`terraform/settings.tf` gives these keys).
//!
//! Invariant: every key stands in the tree that variables are typed by, so that a section that is off has typed keys, too.

use serde::{Deserialize, Serialize};

use super::Error;

/// For how many days `CloudWatch` can keep a log.
const LOG_DAYS: [u32; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
];

/// `[platform.lambda]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lambda {
    /// What functions' names begin with; also the value of their tag.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// The key of the tag by which this installation knows its functions.
    pub tag_key: String,
    /// The ARN of the functions' role.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub role: String,
    /// The functions' subnets, with commas between.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subnets: String,
    /// The functions' security groups, with commas between.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub groups: String,
    /// The ARN of the MSK cluster, which is that of the connection `default`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// The bucket of the functions' code.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub bucket: String,
    /// The key of the inference function's zip in it; the folder that it lies in is the zip's SHA-256.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub package: String,
    /// How many trainings may run at once, where trainings run there.
    pub slots: u32,
    /// For how many days logs are kept.
    pub log_days: u32,
    /// The memory of a function whose inference asks for no other.
    pub memory_mib: u32,
}

impl Default for Lambda {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            tag_key: "millrace:installation".to_owned(),
            role: String::new(),
            subnets: String::new(),
            groups: String::new(),
            cluster: String::new(),
            bucket: String::new(),
            package: String::new(),
            slots: 1,
            log_days: 30,
            memory_mib: 1024,
        }
    }
}

impl Lambda {
    pub(super) fn check(&self) -> Result<(), Error> {
        let plain = |text: &str| {
            text.chars()
                .all(|one| one.is_ascii_alphanumeric() || one == '-' || one == '_')
        };
        // A function's name has 64 characters at most, and ends with an inference's id.
        if !(1..=31).contains(&self.prefix.len()) || !plain(&self.prefix) {
            return Err(Error::invalid(
                "platform.lambda.prefix",
                "give 1 to 31 letters, digits, `-` and `_`: functions are called PREFIX-…",
            ));
        }
        if !(1..=128).contains(&self.tag_key.len()) || self.tag_key.starts_with("aws:") {
            return Err(Error::invalid(
                "platform.lambda.tag_key",
                "the key of a tag has 1 to 128 characters, and does not begin with `aws:`",
            ));
        }
        if !(self.role.starts_with("arn:") && self.role.contains(":role/")) {
            return Err(Error::invalid(
                "platform.lambda.role",
                "give the ARN of the functions' role, as arn:aws:iam::ACCOUNT:role/NAME",
            ));
        }
        for (key, list) in [
            ("platform.lambda.subnets", self.subnets()),
            ("platform.lambda.groups", self.groups()),
        ] {
            if list.is_empty() {
                return Err(Error::invalid(
                    key,
                    "name at least one, with commas between",
                ));
            }
        }
        if self.region().is_none() {
            return Err(Error::invalid(
                "platform.lambda.cluster",
                "give the cluster's ARN, as arn:aws:kafka:REGION:ACCOUNT:cluster/NAME/ID",
            ));
        }
        if self.bucket.is_empty() {
            return Err(Error::invalid(
                "platform.lambda.bucket",
                "name the bucket of the functions' code",
            ));
        }
        if self.package_digest().is_none() {
            return Err(Error::invalid(
                "platform.lambda.package",
                "the folder that the zip lies in is its SHA-256 in hexadecimal, as in functions/DIGEST/inference.zip: only so can a function be seen to run this code",
            ));
        }
        if !(1..=64).contains(&self.slots) {
            return Err(Error::invalid(
                "platform.lambda.slots",
                "between 1 and 64 trainings can run at once",
            ));
        }
        if !LOG_DAYS.contains(&self.log_days) {
            return Err(Error::invalid(
                "platform.lambda.log_days",
                format!("CloudWatch keeps logs for one of these numbers of days: {LOG_DAYS:?}"),
            ));
        }
        if !(128..=10_240).contains(&self.memory_mib) {
            return Err(Error::invalid(
                "platform.lambda.memory_mib",
                "a function has 128 to 10240 MiB of memory",
            ));
        }
        Ok(())
    }

    /// The functions' subnets.
    #[must_use]
    pub fn subnets(&self) -> Vec<String> {
        list(&self.subnets)
    }

    /// The functions' security groups.
    #[must_use]
    pub fn groups(&self) -> Vec<String> {
        list(&self.groups)
    }

    /// The cluster's region, where functions run, too.
    #[must_use]
    pub fn region(&self) -> Option<&str> {
        let mut parts = self.cluster.split(':');
        let (arn, service, region) = (parts.next()?, parts.nth(1)?, parts.next()?);
        let name = parts.nth(1)?;
        (arn == "arn" && service == "kafka" && !region.is_empty() && name.starts_with("cluster/"))
            .then_some(region)
    }

    /// The SHA-256 of the zip.
    #[must_use]
    pub fn package_digest(&self) -> Option<[u8; 32]> {
        let folder = self.package.rsplit('/').nth(1)?;
        hex::decode(folder).ok()?.try_into().ok()
    }
}

fn list(text: &str) -> Vec<String> {
    let parts = text.split(',').map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    pub(crate) fn complete() -> Lambda {
        Lambda {
            prefix: "millrace".to_owned(),
            role: "arn:aws:iam::123456789012:role/millrace-inference".to_owned(),
            subnets: "subnet-1, subnet-2".to_owned(),
            groups: "sg-1".to_owned(),
            cluster: "arn:aws:kafka:eu-west-1:123456789012:cluster/millrace/0-1".to_owned(),
            bucket: "code".to_owned(),
            package: format!("functions/{}/inference.zip", "0a".repeat(32)),
            ..Lambda::default()
        }
    }

    #[test]
    fn what_terraform_gives_is_taken_apart() {
        let lambda = complete();
        lambda.check().unwrap();
        assert_eq!(lambda.subnets(), ["subnet-1", "subnet-2"]);
        assert_eq!(lambda.region(), Some("eu-west-1"));
        assert_eq!(lambda.package_digest(), Some([10; 32]));
    }

    #[test]
    fn each_mistake_names_its_key() {
        type Edit = fn(&mut Lambda);
        let mistakes: [(&str, Edit); 11] = [
            ("prefix", |it| it.prefix = "a".repeat(32)),
            ("prefix", |it| it.prefix.clear()),
            ("tag_key", |it| it.tag_key = "aws:x".to_owned()),
            ("role", |it| it.role = "millrace-inference".to_owned()),
            ("subnets", |it| it.subnets = ",".to_owned()),
            ("groups", |it| it.groups.clear()),
            ("cluster", |it| it.cluster = it.role.clone()),
            ("package", |it| it.package = "inference.zip".to_owned()),
            ("slots", |it| it.slots = 0),
            ("log_days", |it| it.log_days = 2),
            ("memory_mib", |it| it.memory_mib = 64),
        ];
        for (key, edit) in mistakes {
            let mut lambda = complete();
            edit(&mut lambda);
            let error = lambda.check().unwrap_err().to_string();
            let beginning = format!("platform.lambda.{key} is wrong: ");
            assert!(error.starts_with(&beginning), "{error}");
        }
    }
}
