//! A server of its own for each test.

use millrace_api::app::{self, App, token};
use millrace_api::config::Config;
use millrace_api::http::{Guard, Server};
use millrace_harness::Postgres;
use reqwest::{RequestBuilder, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// A running API; it ends with the test.
pub struct TestApp {
    pub app: App,
    pub url: String,
    pub token: Option<SecretString>,
    pub folder: TempDir,
    http: reqwest::Client,
    _database: Option<Postgres>,
    _ending: app::Ending,
}

/// Which database.
#[derive(Clone, Copy)]
pub enum On {
    Sqlite,
    Postgres,
}

pub const BOTH: [On; 2] = [On::Sqlite, On::Postgres];

impl TestApp {
    pub async fn start(on: On) -> Self {
        Self::with(on, |_| ()).await
    }

    pub async fn with(on: On, configure: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.data.folder = folder.path().to_owned();
        // Nothing listens there.
        config.kafka.bootstrap_servers = "127.0.0.1:1".into();
        let database = match on {
            On::Sqlite => None,
            On::Postgres => Some(tokio::task::spawn_blocking(Postgres::start).await.unwrap()),
        };
        config.database.url = database.as_ref().map(|database| database.url().into());
        configure(&mut config);
        let needs_token = config.http.needs_token();
        let app = App::open(config).await.unwrap();
        let (guard, token) = if needs_token {
            let (verifier, token) = token::obtain(&app).await.unwrap();
            (Guard::with_token(verifier), token)
        } else {
            (Guard::on_loopback(None), None)
        };
        let (ending, shutdown) = app::shutdown();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Server::new(app.clone(), guard, shutdown).unwrap();
        tokio::spawn(server.serve(listener));
        Self {
            app,
            url,
            token,
            folder,
            http: reqwest::Client::new(),
            _database: database,
            _ending: ending,
        }
    }

    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let request = self
            .http
            .request(method.parse().unwrap(), format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        }
    }

    /// Runs an operation that must succeed, and gives back its data.
    pub async fn run(&self, query: &str) -> Value {
        let (status, answer) = self.ask(query).await;
        assert!(
            status == StatusCode::OK && answer.get("errors").is_none(),
            "{query}: {answer:#}"
        );
        answer["data"].clone()
    }

    /// Runs an operation that must be refused, and gives back the code and the sentence.
    pub async fn refused(&self, query: &str) -> String {
        let (_, answer) = self.ask(query).await;
        let error = &answer["errors"][0];
        format!(
            "{}: {}",
            error["extensions"]["code"].as_str().unwrap_or("no code"),
            error["message"].as_str().unwrap_or("no error")
        )
    }

    pub async fn ask(&self, query: &str) -> (StatusCode, Value) {
        let answer = self
            .request("POST", "/graphql")
            .header("accept", "application/graphql-response+json")
            .json(&json!({ "query": query }))
            .send()
            .await
            .unwrap();
        (answer.status(), answer.json().await.unwrap())
    }
}
