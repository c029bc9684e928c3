//! A broker that lets clients in by IAM as Amazon MSK does, with `MskIam.java` in MSK's place.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::paths::{cache, root};

/// Who is let in, as variables of the client's process.
pub const ENVIRONMENT: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
    (
        "AWS_SECRET_ACCESS_KEY",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    ),
    ("AWS_REGION", "eu-central-1"),
];

const ADMIN: &str = "admin";
const PASSWORD: &str = "test-password";

/// Compiles what checks tokens, and returns the folder of its classes.
pub(super) fn compile(folder: &Path) -> PathBuf {
    let classes = folder.join("classes");
    let output = Command::new("javac")
        .arg("-cp")
        .arg(cache().join("kafka/*"))
        .arg("-d")
        .arg(&classes)
        .arg(root().join("tests/harness/src/kafka/MskIam.java"))
        .output()
        .expect("`infra/setup/tools test` brings javac");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    classes
}

/// The broker's properties. It logs in to itself, and the harness to it, by PLAIN.
pub(super) fn broker() -> BTreeMap<String, String> {
    let [(_, key), (_, secret), (_, region)] = ENVIRONMENT;
    let plain = format!(
        "org.apache.kafka.common.security.plain.PlainLoginModule required \
         username=\"{ADMIN}\" password=\"{PASSWORD}\" user_{ADMIN}=\"{PASSWORD}\";"
    );
    // What checks tokens reads its settings from where a broker's listener keeps those of the login module.
    let bearer = format!(
        "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
         key=\"{key}\" secret=\"{secret}\" region=\"{region}\";"
    );
    [
        (
            "listener.security.protocol.map",
            "CLIENT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned(),
        ),
        ("sasl.enabled.mechanisms", "PLAIN,OAUTHBEARER".to_owned()),
        ("sasl.mechanism.inter.broker.protocol", "PLAIN".to_owned()),
        ("listener.name.client.plain.sasl.jaas.config", plain),
        ("listener.name.client.oauthbearer.sasl.jaas.config", bearer),
        (
            "listener.name.client.oauthbearer.sasl.server.callback.handler.class",
            "MskIam".to_owned(),
        ),
        // The broker asks for a token of its own as well, and goes on without one.
        (
            "listener.name.client.oauthbearer.sasl.login.callback.handler.class",
            "MskIam".to_owned(),
        ),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// How a client logs in.
pub(super) fn login() -> BTreeMap<String, String> {
    properties(&[
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "AWS_MSK_IAM"),
    ])
}

/// How the harness logs in.
pub(super) fn administrator() -> BTreeMap<String, String> {
    properties(&[
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.username", ADMIN),
        ("sasl.password", PASSWORD),
    ])
}

fn properties(properties: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    properties.iter().map(owned).collect()
}
