//! Certificates for a broker on 127.0.0.1, made by openssl for two days.

use std::path::{Path, PathBuf};
use std::process::Command;

/// An authority, and one server certificate that it signed.
pub(crate) struct Certificates {
    /// The authority's certificate in PEM: what a client trusts.
    pub(crate) authority: PathBuf,
    /// The server's key and its certificate in one PEM file, as Kafka wants them.
    pub(crate) server: PathBuf,
}

impl Certificates {
    pub(crate) fn make(folder: &Path) -> Self {
        let path = |name: &str| folder.join(name);
        let (authority, authority_key) = (path("authority.pem"), path("authority.key"));
        let (certificate, key, server) =
            (path("server.crt"), path("server.key"), path("server.pem"));

        openssl(&mut new_certificate(
            "millrace test authority",
            &authority,
            &authority_key,
        ));
        openssl(
            new_certificate("127.0.0.1", &certificate, &key)
                .args(["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"])
                .args(["-addext", "basicConstraints=critical,CA:FALSE"])
                .arg("-CA")
                .arg(&authority)
                .arg("-CAkey")
                .arg(&authority_key),
        );
        let read = |file: &Path| std::fs::read_to_string(file).expect("openssl has written it");
        std::fs::write(&server, read(&key) + &read(&certificate)).expect("a folder of our own");
        Self { authority, server }
    }
}

fn new_certificate(name: &str, certificate: &Path, key: &Path) -> Command {
    let mut command = Command::new("openssl");
    command
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
        ])
        .arg(format!("/CN={name}"))
        .arg("-out")
        .arg(certificate)
        .arg("-keyout")
        .arg(key);
    command
}

fn openssl(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot run openssl: {error}"));
    assert!(
        output.status.success(),
        "openssl failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
