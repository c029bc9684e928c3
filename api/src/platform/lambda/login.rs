//! How Lambda's pollers log in to the brokers: as the inference's connection does.
//!
//! Invariant: AWS is told of secrets by their ARNs alone, and of a login that pollers cannot have nothing is made.

use aws_sdk_lambda::types::{SourceAccessConfiguration, SourceAccessType};
use millrace_kafka::Connection;

use super::trouble::Trouble;

/// Where a poller finds what it logs in with; nothing for the role of its function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Login {
    /// By IAM, or not at all.
    Role,
    /// A name and a password in a secret, by SCRAM-SHA-512.
    Scram(String),
    /// A certificate and its key in a secret.
    Certificate(String),
}

impl Login {
    /// The one of a connection.
    pub(super) fn of(properties: &millrace_wire::function::Connection) -> Result<Self, Trouble> {
        let secret = |property: &str, field: &str| {
            let connection = Connection::new(properties);
            let references = connection.references().unwrap_or_default();
            let mut found = references.iter().filter(|(of, _)| *of == property);
            let arn = found.find_map(|(_, reference)| reference.arn())?;
            // What pollers read of it is the secret's own field.
            let whole = format!("${{aws-secret:{arn}#{field}}}");
            (properties.get(property) == Some(&whole)).then(|| arn.to_owned())
        };
        let mechanism = ["sasl.mechanism", "sasl.mechanisms"];
        let mechanism = mechanism.iter().find_map(|name| properties.get(*name));
        match mechanism.map(String::as_str) {
            Some("AWS_MSK_IAM") => Ok(Self::Role),
            Some("SCRAM-SHA-512") => secret("sasl.password", "password")
                .map(Self::Scram)
                .ok_or_else(|| unreadable("sasl.password", "password")),
            Some(other) => Err(Trouble::refused(format!(
                "reads from Amazon MSK, whose pollers log in by AWS_MSK_IAM, by SCRAM-SHA-512 or by a certificate; this inference's connection has sasl.mechanism {other}"
            ))),
            None if properties.keys().any(|name| name.starts_with("ssl.key.")) => {
                secret("ssl.key.pem", "privateKey")
                    .map(Self::Certificate)
                    .ok_or_else(|| unreadable("ssl.key.pem", "privateKey"))
            }
            None => Ok(Self::Role),
        }
    }

    /// As AWS is told.
    pub(super) fn access(&self) -> Vec<SourceAccessConfiguration> {
        let (kind, arn) = match self {
            Self::Role => return Vec::new(),
            Self::Scram(arn) => (SourceAccessType::SaslScram512Auth, arn),
            Self::Certificate(arn) => (SourceAccessType::ClientCertificateTlsAuth, arn),
        };
        let access = SourceAccessConfiguration::builder();
        vec![access.r#type(kind).uri(arn).build()]
    }
}

fn unreadable(property: &str, field: &str) -> Trouble {
    Trouble::refused(format!(
        "gives its pollers a secret of AWS Secrets Manager: set the connection's property {property} to ${{aws-secret:ARN#{field}}}"
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:AmazonMSK_x";

    fn login(properties: &[(&str, &str)]) -> Result<Login, Trouble> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Login::of(&properties.iter().map(owned).collect())
    }

    #[test]
    fn pollers_log_in_as_the_connection_does() {
        let field = |field: &str| format!("${{aws-secret:{ARN}#{field}}}");
        assert_eq!(login(&[]).unwrap(), Login::Role);
        let iam = login(&[("sasl.mechanism", "AWS_MSK_IAM")]).unwrap();
        assert!(iam.access().is_empty());
        let scram = ("sasl.mechanism", "SCRAM-SHA-512");
        let scram = login(&[scram, ("sasl.password", &field("password"))]).unwrap();
        assert_eq!(scram, Login::Scram(ARN.to_owned()));
        let access = &scram.access()[0];
        assert_eq!(access.r#type(), Some(&SourceAccessType::SaslScram512Auth));
        assert_eq!(access.uri(), Some(ARN));
        let certificate = login(&[("ssl.key.pem", &field("privateKey"))]).unwrap();
        assert_eq!(certificate, Login::Certificate(ARN.to_owned()));
        let access = certificate.access();
        assert_eq!(
            access[0].r#type(),
            Some(&SourceAccessType::ClientCertificateTlsAuth)
        );
    }

    #[test]
    fn a_login_that_pollers_cannot_have_is_refused_with_what_helps() {
        let scram = ("sasl.mechanism", "SCRAM-SHA-512");
        let other_field = format!("${{aws-secret:{ARN}#pass}}");
        for (properties, said) in [
            (&[("sasl.mechanism", "PLAIN")][..], "PLAIN"),
            (
                &[scram, ("sasl.password", "${env:KAFKA_PASSWORD}")],
                "sasl.password to ${aws-secret:ARN#password}",
            ),
            (
                &[scram, ("sasl.password", &other_field)],
                "sasl.password to ${aws-secret:ARN#password}",
            ),
            (
                &[("ssl.key.location", "/run/key.pem")],
                "ssl.key.pem to ${aws-secret:ARN#privateKey}",
            ),
        ] {
            let trouble = format!("{:?}", login(properties).unwrap_err());
            assert!(trouble.contains(said), "{trouble}");
        }
    }
}
