//! One service of AWS in one region, spoken to by AWS's JSON protocol.

use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Error;

const VERSION_1_1: &str = "application/x-amz-json-1.1";
const VERSION_1_0: &str = "application/x-amz-json-1.0";
/// Where AWS's own clients look for another address, for one service or for all.
const ENDPOINT: &str = "AWS_ENDPOINT_URL";

/// A service of a region.
pub struct Service {
    client: Client,
    /// What AWS calls it in addresses and signatures.
    name: &'static str,
    /// What the names of its actions begin with.
    target: &'static str,
    /// The protocol's version.
    content_type: &'static str,
    region: String,
    url: String,
    /// Who asks, where it is not whoever the process is.
    credentials: Option<Credentials>,
}

/// What AWS says when it refuses.
#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(rename = "__type", default)]
    kind: String,
    #[serde(alias = "Message", default)]
    message: String,
}

impl Service {
    /// A service by the name in its address, with what the names of its actions begin with. An answer may take `limit`. Nothing is asked yet.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where no client can be made.
    pub fn new(
        name: &'static str,
        target: &'static str,
        region: &str,
        limit: Duration,
    ) -> Result<Self, Error> {
        let client = Client::builder().timeout(limit).build().map_err(|error| {
            Error::Unavailable(format!("no client of AWS can be made: {error}"))
        })?;
        let environment = |variable: String| std::env::var(variable).ok();
        let given = environment(format!(
            "{ENDPOINT}_{}",
            name.to_uppercase().replace('-', "_")
        ))
        .or_else(|| environment(ENDPOINT.to_owned()))
        .filter(|url| !url.is_empty());
        Ok(Self {
            client,
            name,
            target,
            content_type: VERSION_1_1,
            url: given.map_or_else(|| address(name, region), |url| with_path(&url)),
            region: region.to_owned(),
            credentials: None,
        })
    }

    /// The same by version 1.0 of the protocol, for services that speak that one.
    #[must_use]
    pub fn speaking_1_0(mut self) -> Self {
        self.content_type = VERSION_1_0;
        self
    }

    /// The same at another address, asked by somebody else: for tests, and for whoever speaks AWS's protocol.
    #[must_use]
    pub fn at(mut self, url: &str, id: &str, secret: &str) -> Self {
        self.url = with_path(url);
        self.credentials = Some(Credentials::from_keys(id, secret, None));
        self
    }

    /// The region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Asks for an action once.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn ask<T: DeserializeOwned>(&self, action: &str, asked: &Value) -> Result<T, Error> {
        let unavailable = |reason: &str| {
            Error::Unavailable(format!("{} of AWS in {} {reason}", self.name, self.region))
        };
        let request = self.signed(action, asked.to_string()).await?;
        let answer = request.send().await.map_err(|error| {
            unavailable(&if error.is_timeout() {
                "does not answer in time: is there an endpoint of it in the network?".to_owned()
            } else {
                format!("cannot be reached: {}", root_of(&error.without_url()))
            })
        })?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| {
            unavailable(&format!(
                "ends in the middle of its answer: {}",
                error.without_url()
            ))
        })?;
        if status == StatusCode::OK {
            return serde_json::from_slice(&body)
                .map_err(|_| unavailable("answers something else than it was asked for"));
        }
        if status.is_server_error() {
            return Err(unavailable(&format!("answers {status}")));
        }
        let refusal: Refusal = serde_json::from_slice(&body).unwrap_or_default();
        // AWS may put a namespace in front, and an address behind.
        let code = refusal.kind.rsplit('#').next().unwrap_or_default();
        let code = code.split(':').next().unwrap_or_default();
        Err(Error::Refused {
            service: self.name,
            action: action.to_owned(),
            code: if code.is_empty() {
                status.to_string()
            } else {
                code.to_owned()
            },
            message: refusal.message,
        })
    }

    /// The request, signed by version 4 of AWS's way.
    async fn signed(&self, action: &str, body: String) -> Result<reqwest::RequestBuilder, Error> {
        let failed = |reason: &dyn std::error::Error| {
            Error::Unavailable(format!(
                "a request to AWS cannot be signed: {}",
                root_of(reason)
            ))
        };
        let identity = self.credentials().await?.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.name)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| failed(&error))?
            .into();
        let action = format!("{}.{action}", self.target);
        let headers = [
            ("content-type", self.content_type),
            ("x-amz-target", &action),
        ];
        let signable = SignableRequest::new(
            "POST",
            &self.url,
            headers.into_iter(),
            SignableBody::Bytes(body.as_bytes()),
        )
        .map_err(|error| failed(&error))?;
        let (instructions, _) = sign(signable, &parameters)
            .map_err(|error| failed(&error))?
            .into_parts();
        let mut request = self.client.post(&self.url);
        for (name, value) in headers.into_iter().chain(instructions.headers()) {
            request = request.header(name, value);
        }
        Ok(request.body(body))
    }

    async fn credentials(&self) -> Result<Credentials, Error> {
        if let Some(credentials) = &self.credentials {
            return Ok(credentials.clone());
        }
        let nobody = |reason: &str| {
            Error::Unavailable(format!(
                "this process has no credentials of AWS: give it a role, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY ({reason})"
            ))
        };
        let config = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .load()
            .await;
        let provider = config
            .credentials_provider()
            .ok_or_else(|| nobody("none are configured"))?;
        let found = provider.provide_credentials().await;
        found.map_err(|error| nobody(&root_of(&error)))
    }
}

/// Where AWS has a service.
fn address(name: &str, region: &str) -> String {
    let domain = if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    };
    format!("https://{name}.{region}.{domain}/")
}

fn with_path(url: &str) -> String {
    format!("{}/", url.trim_end_matches('/'))
}

/// The innermost reason.
fn root_of(error: &dyn std::error::Error) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_stand_where_their_region_is() {
        assert_eq!(
            address("glue", "eu-central-1"),
            "https://glue.eu-central-1.amazonaws.com/"
        );
        assert_eq!(
            address("secretsmanager", "cn-north-1"),
            "https://secretsmanager.cn-north-1.amazonaws.com.cn/"
        );
    }
}
