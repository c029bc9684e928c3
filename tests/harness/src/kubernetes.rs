//! A real API server of Kubernetes with its etcd, and nothing else: no controller makes pods of what is applied, and no node
//! runs them. A test says what these would say.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Certificate, Method, StatusCode};
use serde_json::{Value, json};

use crate::paths::cache;
use crate::port::free_port;
use crate::process::tail;
use crate::tied::Tied;
use crate::wait::wait_until;

/// It starts within seconds, on a machine that compiles at the same time within more.
const START: Duration = Duration::from_mins(2);
/// Who may do everything.
const ADMINISTRATOR: &str = "administrator";

/// A cluster that is an API server alone.
pub struct KubernetesApi {
    folder: PathBuf,
    port: u16,
    etcd_port: u16,
    client: reqwest::Client,
    server: Option<Tied>,
    _etcd: Tied,
}

impl KubernetesApi {
    /// Starts one.
    pub async fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("millrace-kubernetes-")
            .tempdir()
            .expect("a temporary folder")
            .keep();
        let etcd_folder = tempfile::Builder::new()
            .prefix("millrace-etcd-")
            .tempdir()
            .expect("a temporary folder")
            .keep();
        let [port, etcd_port, peers] = [free_port(), free_port(), free_port()];
        let key = std::process::Command::new("openssl")
            .args(["genrsa", "-out"])
            .arg(folder.join("accounts.pem"))
            .arg("2048")
            .output()
            .expect("the tests have openssl");
        assert!(
            key.status.success(),
            "{}",
            String::from_utf8_lossy(&key.stderr)
        );
        let tokens = format!("{ADMINISTRATOR},{ADMINISTRATOR},1,system:masters\n");
        std::fs::write(folder.join("tokens.csv"), tokens).expect("a folder of ours");
        let url = format!("http://127.0.0.1:{etcd_port}");
        let command = [
            program("etcd").into_os_string(),
            "--data-dir".into(),
            etcd_folder.join("data").into_os_string(),
            format!("--listen-client-urls={url}").into(),
            format!("--advertise-client-urls={url}").into(),
            format!("--listen-peer-urls=http://127.0.0.1:{peers}").into(),
            // It is thrown away, so nothing has to reach the disk.
            "--unsafe-no-fsync".into(),
        ];
        let etcd = Tied::start("KILL", &etcd_folder, command, &folder.join("etcd.log"));
        let mut cluster = Self {
            folder,
            port,
            etcd_port,
            client: reqwest::Client::new(),
            server: None,
            _etcd: etcd,
        };
        cluster.restart().await;
        cluster
    }

    /// Starts the API server again after [`Self::stop`].
    pub async fn restart(&mut self) {
        // Each run has a folder that is removed with it; certificates and keys stay.
        let run = tempfile::Builder::new()
            .prefix("millrace-kubernetes-run-")
            .tempdir()
            .expect("a temporary folder")
            .keep();
        let log = self.folder.join("server.log");
        let file = |name: &str| self.folder.join(name).display().to_string();
        let options = [
            (
                "etcd-servers",
                format!("http://127.0.0.1:{}", self.etcd_port),
            ),
            ("bind-address", "127.0.0.1".to_owned()),
            ("secure-port", self.port.to_string()),
            ("cert-dir", file("certificates")),
            (
                "service-account-issuer",
                "https://kubernetes.default.svc".to_owned(),
            ),
            ("service-account-key-file", file("accounts.pem")),
            ("service-account-signing-key-file", file("accounts.pem")),
            ("service-cluster-ip-range", "10.0.0.0/24".to_owned()),
            ("authorization-mode", "RBAC".to_owned()),
            ("token-auth-file", file("tokens.csv")),
        ];
        let server = program("kube-apiserver").display().to_string();
        let command = std::iter::once(server)
            .chain(options.map(|(option, value)| format!("--{option}={value}")));
        self.server = Some(Tied::start("KILL", &run, command, &log));
        let certificate = self.certificate();
        wait_until("Kubernetes' API server is ready", START, async || {
            let pem =
                std::fs::read(&certificate).map_err(|error| format!("{error}\n{}", tail(&log)))?;
            let certificates =
                Certificate::from_pem_bundle(&pem).map_err(|error| error.to_string())?;
            self.client = reqwest::Client::builder()
                .tls_certs_only(certificates)
                .build()
                .map_err(|error| error.to_string())?;
            let (status, answer) = self
                .ask(Method::GET, "/readyz", None)
                .await
                .map_err(|error| format!("{error}\n{}", tail(&log)))?;
            if status.is_success() {
                Ok(())
            } else {
                Err(answer.to_string())
            }
        })
        .await;
    }

    /// Ends the API server at once; what it holds stays.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// A kubeconfig file for whoever has this token.
    pub fn kubeconfig(&self, token: &str, namespace: &str) -> PathBuf {
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}],
            "clusters": [{"name": "test", "cluster": {
                "server": format!("https://127.0.0.1:{}", self.port),
                "certificate-authority": self.certificate(),
            }}],
            "users": [{"name": "test", "user": {"token": token}}],
        });
        let path = self
            .folder
            .join(format!("kubeconfig-{}", crate::unique("")));
        std::fs::write(&path, config.to_string()).expect("a folder of ours");
        path
    }

    /// A token of a service account, as its pods would be given.
    pub async fn token(&self, namespace: &str, account: &str) -> String {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let request =
            json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
        let answer = self
            .send(
                Method::POST,
                &path,
                Some(("application/json", request.to_string())),
            )
            .await;
        answer["status"]["token"]
            .as_str()
            .expect("a token")
            .to_owned()
    }

    /// Applies all documents of a file of manifests, in `namespace` where they say `millrace`.
    pub async fn apply_file(&self, path: &Path, namespace: &str) {
        let text = std::fs::read_to_string(path)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
        let text = text.replace(
            "namespace: millrace\n",
            &format!("namespace: {namespace}\n"),
        );
        for document in text.split("\n---\n") {
            let path = place(document, namespace);
            self.apply(&path, document).await;
        }
    }

    /// Applies one manifest, YAML or JSON, by another hand than Millrace's.
    pub async fn apply(&self, path: &str, manifest: &str) -> Value {
        let path = format!("{path}?fieldManager=test&force=true");
        let body = ("application/apply-patch+yaml", manifest.to_owned());
        self.send(Method::PATCH, &path, Some(body)).await
    }

    /// Changes parts of an object, or of its status where the path ends in it, as a controller does.
    pub async fn merge(&self, path: &str, change: &Value) -> Value {
        let body = ("application/merge-patch+json", change.to_string());
        self.send(Method::PATCH, path, Some(body)).await
    }

    /// Puts an object in the place of what stands there.
    pub async fn replace(&self, path: &str, object: &Value) -> Value {
        self.send(
            Method::PUT,
            path,
            Some(("application/json", object.to_string())),
        )
        .await
    }

    /// Creates an object in a collection.
    pub async fn create(&self, path: &str, object: &Value) -> Value {
        self.send(
            Method::POST,
            path,
            Some(("application/json", object.to_string())),
        )
        .await
    }

    /// An object, where there is one.
    pub async fn get(&self, path: &str) -> Option<Value> {
        let (status, answer) = self
            .ask(Method::GET, path, None)
            .await
            .expect("the server answers");
        if status == StatusCode::NOT_FOUND {
            return None;
        }
        assert!(status.is_success(), "GET {path}: {answer}");
        Some(answer)
    }

    /// Deletes an object at once.
    pub async fn delete(&self, path: &str) {
        let path = format!("{path}?gracePeriodSeconds=0");
        self.send(Method::DELETE, &path, None).await;
    }

    async fn send(&self, method: Method, path: &str, body: Option<(&str, String)>) -> Value {
        let (status, answer) = self
            .ask(method.clone(), path, body)
            .await
            .expect("the server answers");
        assert!(status.is_success(), "{method} {path}: {answer}");
        answer
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, String)>,
    ) -> Result<(StatusCode, Value), String> {
        let url = format!("https://127.0.0.1:{}{path}", self.port);
        let mut request = self.client.request(method, url).bearer_auth(ADMINISTRATOR);
        if let Some((kind, body)) = body {
            request = request.header(CONTENT_TYPE, kind).body(body);
        }
        let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| error.to_string())?;
        Ok((
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        ))
    }

    fn certificate(&self) -> PathBuf {
        self.folder.join("certificates/apiserver.crt")
    }
}

impl Drop for KubernetesApi {
    fn drop(&mut self) {
        self.server = None;
        // What is left of it does no harm.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn program(name: &str) -> PathBuf {
    let program = cache().join("kubernetes-api").join(name);
    assert!(
        program.is_file(),
        "no {}: run `infra/setup/kubernetes-api`",
        program.display()
    );
    program
}

/// Where the object of a manifest lies. Its kind and its name stand on lines of their own.
fn place(manifest: &str, namespace: &str) -> String {
    let line = |key: &str| {
        let found = manifest.lines().find_map(|line| line.strip_prefix(key));
        found
            .unwrap_or_else(|| panic!("no {key:?} in {manifest}"))
            .trim()
    };
    let name = line("  name:");
    match line("kind:") {
        "Namespace" => format!("/api/v1/namespaces/{name}"),
        "ServiceAccount" => format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}"),
        "Role" => format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles/{name}"),
        "RoleBinding" => {
            format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/rolebindings/{name}")
        }
        "CustomResourceDefinition" => {
            format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")
        }
        kind => panic!("the harness does not know where a {kind} lies"),
    }
}
