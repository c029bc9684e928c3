//! Logging in by IAM as to Amazon MSK, on a real broker that checks the signature of each token. What AWS itself does beyond
//! that, only an account can show.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use millrace_harness::{IAM, Kafka, KafkaOptions, block_until, unique};
use millrace_kafka::{
    Admin, Connection, OutRecord, Producer, Range, RangeReader, TransactionalProducer,
};

const LIMIT: Duration = Duration::from_mins(1);
/// Tells the second run of a test where the broker is.
const INSIDE: &str = "MILLRACE_TEST_IAM";

/// Runs `inside` in a process of its own, the calling test's, which has these variables and nobody else's credentials.
fn as_somebody(
    test: &str,
    variables: &[(&str, &str)],
    broker: Option<fn() -> Kafka>,
    inside: impl FnOnce(Connection),
) {
    if let Ok(servers) = std::env::var(INSIDE) {
        let properties = [
            ("bootstrap.servers", servers.as_str()),
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanism", "AWS_MSK_IAM"),
        ];
        let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned()));
        return inside(Connection::new(&BTreeMap::from(properties)));
    }
    let kafka = broker.map(|start| start());
    let servers = kafka
        .as_ref()
        .map_or("127.0.0.1:1", Kafka::bootstrap_servers);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]);
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("AWS_") {
            command.env_remove(variable);
        }
    }
    let output = command
        .env(INSIDE, servers)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("HOME", "/nonexistent")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{errors}"
    );
    assert!(!said.contains("X-Amz-Signature") && !errors.contains("X-Amz-Signature"));
}

/// A broker whose connections have to show a token again after two seconds.
fn kafka() -> Kafka {
    let options = KafkaOptions::default().iam();
    Kafka::start(&options.property("connections.max.reauth.ms", "2000"))
}

#[test]
fn every_client_logs_in_and_stays() {
    as_somebody(
        "every_client_logs_in_and_stays",
        &IAM,
        Some(kafka),
        |connection| {
            let topic = unique("iam");
            let admin = Admin::new(&connection).unwrap();
            admin.create_topic(&topic, 1, 1, &BTreeMap::new()).unwrap();
            let producer = Producer::new(&connection).unwrap();
            let transactions =
                TransactionalProducer::new(&connection, &unique("iam"), Duration::from_secs(10))
                    .unwrap();
            transactions.init(LIMIT).unwrap();
            let began = Instant::now();
            let mut sent = 0;
            // Longer than a connection may live on one login.
            while began.elapsed() < Duration::from_secs(6) {
                let record = OutRecord::to(&topic).value(b"x");
                producer.send(&record).unwrap();
                producer.flush(LIMIT).unwrap();
                transactions.begin().unwrap();
                transactions.send(&record).unwrap();
                transactions.commit(LIMIT).unwrap();
                sent += 2;
                admin.watermarks(&topic).unwrap();
                // Asked by a consumer that nobody polls.
                admin.group("nobody").unwrap();
            }
            let marks = admin.watermarks(&topic).unwrap();
            let ranges: Vec<Range> = marks
                .iter()
                .map(millrace_kafka::Watermarks::committed)
                .collect();
            let mut reader = RangeReader::open(&connection, &topic, &ranges).unwrap();
            let mut read = 0;
            while !reader.is_done() {
                read += reader
                    .next_batch(1_000, Duration::from_millis(100))
                    .unwrap()
                    .len();
            }
            assert_eq!(read, sent);
        },
    );
}

#[test]
fn a_wrong_secret_is_refused_by_the_brokers() {
    let mut variables = IAM;
    variables[1].1 = "wrong";
    as_somebody(
        "a_wrong_secret_is_refused_by_the_brokers",
        &variables,
        Some(kafka),
        |connection| {
            let admin = Admin::new(&connection).unwrap();
            block_until("the health says so", LIMIT, || {
                drop(admin.probe(Duration::from_secs(1)));
                let health = connection.health().status();
                let said = health.last_error.unwrap_or_default();
                if !health.connected && said.contains("invalid_token") {
                    Ok(())
                } else {
                    Err(said)
                }
            });
        },
    );
}

#[test]
fn without_credentials_it_is_said_at_once() {
    let region = [IAM[2]];
    as_somebody(
        "without_credentials_it_is_said_at_once",
        &region,
        None,
        |connection| {
            // What the connection looks like can be checked by whoever is nobody in AWS.
            connection.check_properties().unwrap();
            let error = Admin::new(&connection).err().unwrap();
            assert!(error.is_retriable(), "{error}");
            assert!(
                error.to_string().contains("no credentials of AWS"),
                "{error}"
            );
        },
    );
}

#[test]
fn without_a_region_it_is_asked_for() {
    as_somebody(
        "without_a_region_it_is_asked_for",
        &IAM[..2],
        None,
        |connection| {
            let error = connection.check_properties().unwrap_err();
            assert!(error.to_string().contains("set AWS_REGION"), "{error}");
        },
    );
}
