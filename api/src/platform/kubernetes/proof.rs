//! How a connection proves itself to its brokers, for those who reach them beside the functions: they read a Secret of their
//! own, not the references of the connection.

use millrace_wire::function::Connection;

/// The keys of that Secret, as Knative's own examples name them.
pub(in crate::platform) const USER: &str = "user";
pub(in crate::platform) const PASSWORD: &str = "password";
pub(in crate::platform) const MECHANISM: &str = "sasl.mechanism";
pub(in crate::platform) const AUTHORITY: &str = "ca.crt";
pub(in crate::platform) const CERTIFICATE: &str = "user.crt";
pub(in crate::platform) const KEY: &str = "user.key";

/// What brokers ask for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::platform) struct Proof<'a> {
    /// The mechanism of a name and a password.
    pub(in crate::platform) mechanism: Option<&'a str>,
    /// Whether they are reached by TLS.
    pub(in crate::platform) tls: bool,
    /// Whether they are signed by somebody whom not everybody trusts.
    pub(in crate::platform) authority: bool,
    /// Whether they ask for a certificate.
    pub(in crate::platform) certificate: bool,
}

impl<'a> Proof<'a> {
    /// What the properties of a connection say. `who` reads the Secret that `key` of the configuration names.
    ///
    /// # Errors
    /// What `who` cannot be told.
    pub(in crate::platform) fn of(
        connection: &'a Connection,
        secret: Option<&str>,
        who: &str,
        key: &str,
    ) -> Result<Self, String> {
        let property = |name: &str| connection.get(name).map(String::as_str);
        let protocol = property("security.protocol")
            .unwrap_or("plaintext")
            .to_ascii_lowercase();
        let (by_password, tls) = match protocol.as_str() {
            "plaintext" => return Ok(Self::default()),
            "ssl" => (false, true),
            "sasl_plaintext" => (true, false),
            "sasl_ssl" => (true, true),
            other => return Err(format!("knows no security.protocol {other:?}")),
        };
        let has = |prefix: &str| tls && connection.keys().any(|name| name.starts_with(prefix));
        let (authority, certificate) = (has("ssl.ca"), has("ssl.certificate") || has("ssl.key"));
        if (by_password || certificate || authority) && secret.is_none() {
            return Err(format!(
                "cannot read references to secrets for its {who}: make a Secret with the keys {USER}, {PASSWORD}, {MECHANISM}, {AUTHORITY}, {CERTIFICATE} and {KEY}, those that the connection needs, and name it as {key}"
            ));
        }
        let mechanism = property("sasl.mechanism")
            .or(property("sasl.mechanisms"))
            .unwrap_or("GSSAPI");
        if by_password && !["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"].contains(&mechanism) {
            return Err(format!(
                "has no sasl.mechanism {mechanism} for a {who}: use PLAIN or SCRAM, or do without it"
            ));
        }
        Ok(Self {
            mechanism: by_password.then_some(mechanism),
            tls,
            authority,
            certificate,
        })
    }

    /// Whether there is something to read from the Secret.
    pub(in crate::platform) fn needs_secret(&self) -> bool {
        self.mechanism.is_some() || self.authority || self.certificate
    }
}

/// The addresses of the brokers.
pub(in crate::platform) fn brokers(connection: &Connection) -> Vec<&str> {
    let servers = connection.get("bootstrap.servers");
    servers.map_or_else(Vec::new, |servers| {
        servers.split(',').map(str::trim).collect()
    })
}
