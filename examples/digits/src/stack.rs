//! Kafka and `millrace up` as child processes, started and ended in order.
//!
//! Both are in process groups of their own: Ctrl-C at the terminal reaches the demo alone, which
//! ends Millrace first and Kafka when nobody needs it any more.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use tempfile::TempDir;
use tokio::process::{Child, ChildStdin, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::cluster::Cluster;

/// How long a server may take to answer.
const START: Duration = Duration::from_mins(1);
/// How long a server may take to end.
const END: Duration = Duration::from_secs(30);
/// The variable that names somebody's own broker.
const BOOTSTRAP: &str = "MILLRACE_KAFKA__BOOTSTRAP_SERVERS";

/// The variable that names what Millrace's own topics begin with.
const PREFIX: &str = "MILLRACE_KAFKA__PREFIX";

/// Everything that the demo needs, running.
pub struct Stack {
    millrace: Child,
    kafka: Option<Kafka>,
    place: Place,
    folder: PathBuf,
    // Two brokers on one folder would destroy each other's log.
    _lock: File,
    // Removed with all data at the end; none where the data stay.
    temporary: Option<TempDir>,
}

/// A broker of our own. It ends when its standard input does, so that none is left behind.
struct Kafka {
    child: Child,
    _stdin: ChildStdin,
}

/// Where everything is.
#[derive(Clone)]
pub struct Place {
    /// The API's address.
    pub url: String,
    /// The broker's address.
    pub bootstrap: String,
    /// What the names of this run have in them, where the broker is somebody's own: other runs may be there too.
    pub run: Option<String>,
}

impl Stack {
    /// Starts Kafka, unless the environment names a broker, and Millrace.
    pub async fn start(keep: bool) -> Result<Self> {
        let temporary = if keep {
            None
        } else {
            Some(
                tempfile::Builder::new()
                    .prefix("millrace-demo-")
                    .tempdir()?,
            )
        };
        let folder = match &temporary {
            Some(folder) => folder.path().to_owned(),
            None => std::env::current_dir()?.join(".millrace"),
        };
        std::fs::create_dir_all(&folder)?;
        let lock = File::create(folder.join("in-use"))?;
        if lock.try_lock().is_err() {
            bail!(
                "another one runs here already, with its data in {}: end it first",
                folder.display()
            );
        }
        let own = std::env::var(BOOTSTRAP).ok();
        let (kafka, bootstrap) = if let Some(bootstrap) = own {
            (None, bootstrap)
        } else {
            let (child, bootstrap) = step("Kafka", start_kafka(&folder)).await?;
            (Some(child), bootstrap)
        };
        let run = (kafka.is_none() && !keep).then(|| format!("demo-{}", std::process::id()));
        let started = start_millrace(&folder, &bootstrap, run.as_deref());
        let (millrace, url) = step("Millrace", started).await?;
        let place = Place {
            url,
            bootstrap,
            run,
        };
        Ok(Self {
            millrace,
            kafka,
            place,
            folder,
            _lock: lock,
            temporary,
        })
    }

    /// Where everything is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Waits for a server to end by itself, which is always an error.
    pub async fn ended(&mut self) -> anyhow::Error {
        let kafka = async {
            match &mut self.kafka {
                Some(kafka) => kafka.child.wait().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            status = self.millrace.wait() => anyhow!("millrace up has ended: {status:?}"),
            status = kafka => anyhow!("Kafka has ended: {status:?}"),
        }
    }

    /// The last lines of Millrace's log, for an error report.
    pub fn logs(&self) -> String {
        last_lines(&self.folder.join("millrace.log"), 40)
    }

    /// Ends Millrace, then Kafka, and removes the data, on somebody's own broker too.
    pub async fn stop(mut self) -> Result<()> {
        let cluster = match &self.place.run {
            Some(_) => Some(Cluster::of(&self.place.url).await),
            None => None,
        };
        end("Millrace", &mut self.millrace).await?;
        if let (Some(cluster), Some(run)) = (cluster, self.place.run.take()) {
            let cluster = cluster.context("its topics stay on the broker")?;
            tokio::task::spawn_blocking(move || cluster.clean(&run))
                .await?
                .context("some of its topics stay on the broker")?;
        }
        if let Some(kafka) = &mut self.kafka {
            end("Kafka", &mut kafka.child).await?;
        }
        if let Some(temporary) = self.temporary.take() {
            temporary.close()?;
        }
        Ok(())
    }
}

/// Ctrl-C, SIGTERM, or the terminal's end: from now on they end this future alone.
pub fn interrupted() -> Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

async fn start_kafka(folder: &Path) -> Result<(Kafka, String)> {
    let port = free_port()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/kafka/broker");
    let mut child = Command::new(script)
        .arg(folder.join("kafka"))
        .arg(port.to_string())
        .stdin(Stdio::piped())
        .stdout(File::create(folder.join("kafka.log"))?)
        .stderr(File::create(folder.join("kafka.err"))?)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .context("the broker's script cannot be run")?;
    let begun = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if let Some(status) = child.try_wait()? {
            bail!(
                "Kafka did not start ({status}):\n{}",
                last_lines(&folder.join("kafka.err"), 20)
            );
        }
        if begun.elapsed() > START {
            bail!("Kafka did not open its port within {} s", START.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Taken out, because waiting for a child closes the input that it still holds.
    let stdin = child.stdin.take().context("the broker's input is a pipe")?;
    let kafka = Kafka {
        child,
        _stdin: stdin,
    };
    Ok((kafka, format!("127.0.0.1:{port}")))
}

async fn start_millrace(
    folder: &Path,
    bootstrap: &str,
    run: Option<&str>,
) -> Result<(Child, String)> {
    let binary = std::env::current_exe()?.with_file_name("millrace");
    // The usual port, so that the playground is where the README says, unless it is taken.
    let port = match TcpListener::bind((Ipv4Addr::LOCALHOST, 8080)) {
        Ok(_) => 8080,
        Err(_) => free_port()?,
    };
    let address = format!("127.0.0.1:{port}");
    let log = File::create(folder.join("millrace.log"))?;
    let mut command = Command::new(&binary);
    if cfg!(target_os = "linux") {
        // Where the demo is killed, nothing of it stays behind.
        command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--"]).arg(&binary);
    }
    if let Some(run) = run {
        let prefix = std::env::var(PREFIX).unwrap_or_else(|_| "millrace".to_owned());
        command.env(PREFIX, format!("{prefix}-{run}"));
    }
    let mut child = command
        .arg("up")
        .env(BOOTSTRAP, bootstrap)
        .env("MILLRACE_HTTP__LISTEN", &address)
        .env("MILLRACE_DATA__FOLDER", folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("{} cannot be run", binary.display()))?;
    let url = format!("http://{address}");
    let begun = Instant::now();
    while !is_ready(&url).await {
        if let Some(status) = child.try_wait()? {
            bail!(
                "Millrace did not start ({status}):\n{}",
                last_lines(&folder.join("millrace.log"), 20)
            );
        }
        if begun.elapsed() > START {
            bail!(
                "Millrace was not ready within {} s:\n{}",
                START.as_secs(),
                last_lines(&folder.join("millrace.log"), 20)
            );
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok((child, url))
}

async fn is_ready(url: &str) -> bool {
    let answer = reqwest::get(format!("{url}/readyz")).await;
    answer.is_ok_and(|answer| answer.status().is_success())
}

/// SIGTERM, then SIGKILL for what does not end.
async fn end(name: &str, child: &mut Child) -> Result<()> {
    if let Some(id) = child.id() {
        let asked = Command::new("kill").arg(id.to_string()).status().await?;
        if !asked.success() {
            // It has ended in this moment, which wait() below finds.
            eprintln!("{name} was gone already");
        }
    }
    if tokio::time::timeout(END, child.wait()).await.is_err() {
        child.kill().await?;
        bail!(
            "{name} did not end within {} s and was killed",
            END.as_secs()
        );
    }
    Ok(())
}

async fn step<T>(name: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let begun = Instant::now();
    let result = work.await?;
    println!("{name:<12} up in {:.1} s", begun.elapsed().as_secs_f64());
    Ok(result)
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

fn last_lines(file: &Path, count: usize) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
