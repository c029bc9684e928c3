//! The whole product as a user has it: `millrace up` as a process, asked over HTTP.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Kafka, Process, binary, free_port, onnxruntime, unique, wait_until};

/// How long the product may take to be ready.
const START: Duration = Duration::from_mins(1);

/// A running Millrace with a database, a folder and a prefix of its own.
pub struct Millrace {
    process: Process,
    environment: Vec<(&'static str, String)>,
    url: String,
    prefix: String,
    folder: TempDir,
    http: reqwest::Client,
}

impl Millrace {
    /// Starts it on a cluster, with `environment` on top of what every test needs, and waits until
    /// it is ready.
    pub async fn start(kafka: &Kafka, environment: &[(&'static str, String)]) -> Self {
        let mut millrace = Self::launch(kafka, environment);
        millrace.ready().await;
        millrace
    }

    /// [`Millrace::start`] without the wait.
    pub fn launch(kafka: &Kafka, environment: &[(&'static str, String)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let address = format!("127.0.0.1:{}", free_port());
        let prefix = unique("test");
        let mut all = vec![
            (
                "MILLRACE_KAFKA__BOOTSTRAP_SERVERS",
                kafka.bootstrap_servers().to_owned(),
            ),
            ("MILLRACE_KAFKA__PREFIX", prefix.clone()),
            ("MILLRACE_HTTP__LISTEN", address.clone()),
            ("MILLRACE_DATA__FOLDER", folder.path().display().to_string()),
            (
                "MILLRACE_ONNXRUNTIME__LIBRARY",
                onnxruntime().display().to_string(),
            ),
        ];
        all.extend_from_slice(environment);
        Self {
            process: Process::start("millrace", ["up"], all.clone()),
            environment: all,
            url: format!("http://{address}"),
            prefix,
            folder,
            http: reqwest::Client::new(),
        }
    }

    /// The API's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What the names of its topics and groups begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Its data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Starts it again after it was killed or has ended, on the same data.
    pub async fn start_again(&mut self) {
        self.process = Process::start("millrace", ["up"], self.environment.clone());
        self.ready().await;
    }

    /// Runs an operation and returns `data`; panics where the API answers errors.
    pub async fn execute(&self, operation: &str, variables: Value) -> Value {
        let mut answer = self.answer(operation, variables).await;
        assert!(
            answer["errors"].is_null(),
            "{operation}\nanswered {}",
            answer["errors"]
        );
        answer["data"].take()
    }

    /// Runs an operation that must fail and returns the first error's code and message.
    pub async fn refuse(&self, operation: &str, variables: Value) -> (String, String) {
        let answer = self.answer(operation, variables).await;
        let error = &answer["errors"][0];
        assert!(!error.is_null(), "{operation}\nwas not refused: {answer}");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&error["extensions"]["code"]), text(&error["message"]))
    }

    /// Runs an operation and returns the whole answer, errors and all.
    pub async fn answer(&self, operation: &str, variables: Value) -> Value {
        let request = self
            .http
            .post(format!("{}/graphql", self.url))
            .json(&json!({"query": operation, "variables": variables}));
        let answer = request.send().await.expect("the API answers");
        answer.json().await.expect("the API answers JSON")
    }

    /// Waits until an operation answers what `wanted` accepts, and returns that `data`.
    pub async fn wait_for(
        &self,
        what: &str,
        limit: Duration,
        operation: &str,
        variables: Value,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        wait_until(what, limit, async || {
            let data = self.execute(operation, variables.clone()).await;
            if wanted(&data) { Ok(data) } else { Err(data) }
        })
        .await
    }

    /// Runs the `millrace` command against this API, in the environment that the API has, and returns
    /// what it printed; panics where it fails.
    pub fn command(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "millrace {arguments:?}: {errors}");
        text
    }

    /// The same of a command that has to fail; returns what it said of that.
    pub fn failing_command(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "millrace {arguments:?} succeeded");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// The `millrace` command as [`Millrace::command`] runs it, for those who want more of it.
    pub fn call(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(binary("millrace"));
        command
            .args(arguments)
            .envs(self.environment.iter().cloned())
            .env("MILLRACE_URL", &self.url);
        command
    }

    fn run(&self, arguments: &[&str]) -> std::process::Output {
        let output = self.call(arguments).output();
        output.expect("the command can be run")
    }

    /// Writes a file into its folder, for commands that take one.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::write(&file, content).expect("a temporary file can be written");
        file
    }

    /// Waits until it says that it is ready.
    pub async fn ready(&mut self) {
        let url = format!("{}/readyz", self.url);
        let address = self.url.trim_start_matches("http://").to_owned();
        let http = self.http.clone();
        let process = &mut self.process;
        wait_until("Millrace is ready", START, async || {
            let said = process.lines().join("\n");
            assert!(process.running(), "millrace up has ended:\n{said}");
            if TcpStream::connect(&address).is_err() {
                return Err(said);
            }
            match http.get(&url).send().await {
                Ok(answer) if answer.status().is_success() => Ok(()),
                Ok(answer) => Err(answer.text().await.unwrap_or_default()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
    }
}
