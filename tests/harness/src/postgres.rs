//! A real PostgreSQL, of which each test gets a database of its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::port::free_port;
use crate::process::tail;
use crate::tied::Tied;
use crate::unique::unique;
use crate::wait::block_until;

const START: Duration = Duration::from_mins(1);
/// The unprivileged user as whom PostgreSQL runs where the tests run as root, which it refuses.
const NOBODY: &str = "65534";

/// One empty database. It goes with the server, at the end of the test process.
pub struct Postgres {
    url: String,
}

impl Postgres {
    /// Makes a fresh database, on a server that this process starts once.
    pub fn start() -> Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        let server = SERVER.get_or_init(Server::start);
        let name = unique("test").replace('-', "_");
        server.execute(&format!("create database {name}"));
        Self {
            url: format!("postgres://postgres@127.0.0.1:{}/{name}", server.port),
        }
    }

    /// The database's URL.
    pub fn url(&self) -> &str {
        &self.url
    }
}

struct Server {
    port: u16,
    psql: PathBuf,
    _process: Tied,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("millrace-postgres-")
            .tempdir()
            .expect("a temporary folder")
            .keep();
        let data = folder.join("data");
        if is_root() {
            run(Command::new("chown").arg(NOBODY).arg(&folder));
        }
        run(unprivileged(&program("initdb"))
            .args([
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
                "--no-sync",
                "-D",
            ])
            .arg(&data)
            .current_dir(&folder));

        let port = free_port();
        let log = folder.join("output.log");
        let mut command = unprivileged(&program("postgres"));
        command.arg("-D").arg(&data);
        command.args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        // Nothing here has to survive a power cut.
        command.args(["-c", "unix_socket_directories=", "-c", "fsync=off"]);
        let words: Vec<OsString> = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(ToOwned::to_owned)
            .collect();
        let server = Self {
            port,
            psql: program("psql"),
            _process: Tied::start("QUIT", &folder, words, &log),
        };
        block_until("PostgreSQL answers", START, || {
            server
                .try_execute("select 1")
                .map_err(|error| error + &tail(&log))
        });
        server
    }

    fn execute(&self, statement: &str) {
        if let Err(error) = self.try_execute(statement) {
            panic!("{statement}: {error}");
        }
    }

    fn try_execute(&self, statement: &str) -> Result<(), String> {
        let output = Command::new(&self.psql)
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                &self.port.to_string(),
                "-U",
                "postgres",
                "-X",
                "-c",
                statement,
            ])
            .output()
            .expect("psql was found above");
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// A program of PostgreSQL's: on the PATH, or where Debian keeps it, the newest version first.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut debian: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    debian.sort();
    debian.reverse();
    std::env::split_paths(&path)
        .chain(debian)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
        .unwrap_or_else(|| {
            panic!("no {name} on this machine: `apt-get install postgresql` brings it")
        })
}

/// A command as root's unprivileged user, or as whoever runs the tests.
fn unprivileged(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"])
        .arg(program);
    command
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    // Who runs this process owns its folder in /proc; without one (macOS) nobody tests as root.
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
