//! The HTTP server.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::Error;

/// `[http]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// The host name under which browsers reach a server that listens on loopback, where a proxy
    /// stands before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public: Option<String>,
    /// Whether callers must show the administrator's token.
    pub authentication: Authentication,
    /// Whether clients may ask for the schema.
    pub introspection: bool,
}

/// Whether callers must show the administrator's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Authentication {
    /// Unless the server listens on loopback.
    Auto,
    /// Always.
    Required,
    /// Never: only on loopback.
    None,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public: None,
            authentication: Authentication::Auto,
            introspection: true,
        }
    }
}

impl Http {
    /// Whether callers must show the administrator's token.
    #[must_use]
    pub fn needs_token(&self) -> bool {
        match self.authentication {
            Authentication::Auto => !self.listen.ip().is_loopback(),
            Authentication::Required => true,
            Authentication::None => false,
        }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        if self.authentication == Authentication::None && !self.listen.ip().is_loopback() {
            return Err(Error::invalid(
                "http.authentication",
                format!(
                    "`none` is for loopback only: {} can be reached from other machines; leave it at `auto`, or listen on 127.0.0.1",
                    self.listen
                ),
            ));
        }
        Ok(())
    }
}
