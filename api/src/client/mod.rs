//! The commands that are clients of an API, and what they share: where it is, the token, and one
//! GraphQL call.

pub mod dead_letters;
mod estimate;
pub mod inference;
pub mod model;
pub mod send;
pub mod why;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

/// Where the API is and how to be let in.
#[derive(Debug, Args)]
pub struct Server {
    /// Address of the API
    #[arg(long, env = "MILLRACE_URL", default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// The admin token, where the API asks for one
    #[arg(long, env = "MILLRACE_TOKEN", hide_env_values = true)]
    token: Option<SecretString>,
}

/// A client of the API.
pub struct Client {
    http: reqwest::Client,
    url: String,
    token: Option<SecretString>,
}

impl Server {
    /// The client for this server.
    #[must_use]
    pub fn client(self) -> Client {
        Client {
            http: reqwest::Client::new(),
            url: self.url.trim_end_matches('/').to_owned(),
            token: self.token,
        }
    }
}

impl Client {
    /// Runs an operation and returns `data`.
    ///
    /// # Errors
    /// Where the API cannot be reached, and the API's own errors with their codes.
    pub async fn execute(&self, operation: &str, variables: Value) -> Result<Value> {
        let request = self
            .request(reqwest::Method::POST, "/graphql")
            .header("Accept", "application/graphql-response+json")
            .json(&json!({"query": operation, "variables": variables}));
        let answer = request.send().await.with_context(|| {
            format!(
                "the API at {} does not answer; is `millrace up` running there?",
                self.url
            )
        })?;
        let status = answer.status();
        let text = answer.text().await?;
        let Ok(mut answer) = serde_json::from_str::<Value>(&text) else {
            bail!("{} answered {status}, which is not GraphQL", self.url);
        };
        if let Some(error) = answer["errors"].get(0) {
            let message = error["message"]
                .as_str()
                .unwrap_or("an error without a message");
            return Err(match error["extensions"]["code"].as_str() {
                Some(code) => anyhow!("{message} ({code})"),
                None => anyhow!("{message}"),
            });
        }
        Ok(answer["data"].take())
    }

    /// A request to a path of the API, with the token.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        }
    }
}

/// Bytes that the API answered: their text, or else base64.
fn bytes(value: &Value) -> String {
    match (value["text"].as_str(), value["base64"].as_str()) {
        (Some(text), _) => text.to_owned(),
        (None, Some(base64)) => format!("{base64} (base64, {} bytes)", value["length"]),
        (None, None) => "null".to_owned(),
    }
}

/// The features of a decoded record, and which of them are texts.
fn features(decoded: &Value) -> String {
    let numbers = &decoded["features"];
    match decoded["texts"].as_array() {
        Some(texts) if !texts.is_empty() => {
            format!("{numbers}, with the texts {}", decoded["texts"])
        }
        _ => numbers.to_string(),
    }
}

/// A text that the API answered, or a dash in its place.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}
