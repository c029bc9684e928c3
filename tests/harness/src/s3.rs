//! A real S3 of a test's own: Versity's gateway over a folder, which checks signatures, dates and conditions as S3 does.

use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use crate::paths::cache;
use crate::port::free_port;
use crate::process::tail;
use crate::tied::Tied;
use crate::unique::unique;
use crate::wait::block_until;

const START: Duration = Duration::from_mins(1);
const REGION: &str = "eu-central-1";
const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// An S3 that answers; dropping it ends it.
pub struct S3 {
    port: u16,
    folder: PathBuf,
    process: Option<Tied>,
}

impl S3 {
    /// Starts one.
    pub fn start() -> Self {
        let program = cache().join("s3/versitygw");
        assert!(
            program.is_file(),
            "no S3 in the cache folder: run `infra/setup/run test`"
        );
        let folder = tempfile::Builder::new()
            .prefix("millrace-s3-")
            .tempdir()
            .expect("a temporary folder")
            .keep();
        let port = free_port();
        // What belongs to an object beside its bytes lies in files, since not every file system has extended attributes.
        for name in ["buckets", "attributes"] {
            std::fs::create_dir(folder.join(name)).expect("a folder of ours");
        }
        let address = format!("{}:{port}", Ipv4Addr::LOCALHOST);
        let mut command: Vec<OsString> = vec![program.into()];
        for argument in ["--access", KEY, "--secret", SECRET, "--region", REGION] {
            command.push(argument.into());
        }
        for argument in [
            "--port",
            &address,
            "--quiet",
            "--keep-alive",
            "posix",
            "--sidecar",
        ] {
            command.push(argument.into());
        }
        command.push(folder.join("attributes").into());
        command.push(folder.join("buckets").into());
        let log = folder.join("output.log");
        let process = Tied::start("KILL", &folder, command, &log);
        block_until("S3 answers", START, || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                .map(drop)
                .map_err(|error| format!("{error}\n{}", tail(&log)))
        });
        Self {
            port,
            folder,
            process: Some(process),
        }
    }

    /// Makes a bucket and returns its name.
    pub fn bucket(&self) -> String {
        let name = unique("bucket");
        std::fs::create_dir(self.folder.join("buckets").join(&name)).expect("a folder of ours");
        name
    }

    /// Where the objects of a bucket lie on this machine, each in a file of its name.
    pub fn folder(&self, bucket: &str) -> PathBuf {
        self.folder.join("buckets").join(bucket)
    }

    /// The variables by which a client finds it and may use it.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            (
                "AWS_ENDPOINT_URL_S3",
                format!("http://{}:{}", Ipv4Addr::LOCALHOST, self.port),
            ),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
        ]
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.process = None;
    }
}
