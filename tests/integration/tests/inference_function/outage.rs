//! A broker that goes away and comes back.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt as _;

use std::time::{Duration, Instant};

use millrace_harness::{Kafka, KafkaOptions, block_until, free_port};
use millrace_wire::event::Body;

use crate::answers::assert_each_once;
use crate::fixture::{Fixture, LIMIT, end};
use crate::models;
use crate::protocol;
use crate::proxy::Proxy;

/// How long a replica's transaction may last, less what Kafka's client needs to find the broker again.
const TRANSACTION: Duration = Duration::from_secs(20);

/// The client that a proxy may keep coordinators from.
const CHOSEN: &str = "chosen";

/// The status line and the body of a GET.
pub fn get(address: &str, path: &str) -> Result<(String, String), String> {
    let mut stream = TcpStream::connect(address).map_err(|error| error.to_string())?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.lines().next().unwrap();
    Ok((status.to_owned(), body.to_owned()))
}

pub fn wait_for_readiness(address: &str, status: &str) -> String {
    block_until(&format!("/readyz answers {status}"), LIMIT, || {
        let (found, body) = get(address, "/readyz")?;
        if found.contains(status) {
            Ok(body)
        } else {
            Err(format!("{found}: {body}"))
        }
    })
}

/// A broker, and before it a proxy that can keep the coordinators of groups from [`CHOSEN`].
fn behind_a_proxy() -> (Proxy, Kafka) {
    let port = free_port();
    let proxy = Proxy::before(port, CHOSEN);
    let options = KafkaOptions::default()
        .port(port)
        .property("advertised.listeners", &proxy.advertised());
    (proxy, Kafka::start(&options))
}

#[tokio::test]
async fn a_broker_that_restarts_under_load_costs_no_record() {
    let kafka = Kafka::start(&KafkaOptions::default());
    let fixture = Fixture::new(&kafka, 2, 2).await;
    let version = fixture.version(1, models::dense(1)).await;
    let address = format!("127.0.0.1:{}", free_port());
    let mut process = fixture.start_at(0, &fixture.spec(0, &version), &address);
    fixture.send(0..10_000);
    let mut outputs = fixture.outputs();
    outputs.count(1_000, LIMIT);
    wait_for_readiness(&address, "200");
    kafka.stop();
    let lacking = wait_for_readiness(&address, "503");
    assert!(lacking.contains("Kafka is unreachable"), "{lacking}");
    process.wait_for("no broker of the cluster answers", LIMIT);
    assert!(get(&address, "/livez").unwrap().0.contains("200"));
    kafka.start_again();
    fixture.send(10_000..12_000);
    wait_for_readiness(&address, "200");
    fixture.wait_until_done();
    fixture.wait_for_problem("kafka-unreachable");
    let (_, metrics) = get(&address, "/metrics").unwrap();
    let predicted: u64 = metrics
        .lines()
        .find_map(|line| line.strip_prefix("millrace_records_predicted_total "))
        .unwrap()
        .parse()
        .unwrap();
    // A broker may lose the end of a transaction that it has called committed: what is answered anew is counted anew.
    assert!(predicted >= 12_000, "{predicted}");
    end(process);
    assert_each_once(&outputs.drain(), &fixture.ends());
}

#[tokio::test]
async fn a_killed_broker_and_one_that_is_away_at_the_start_are_waited_for() {
    let kafka = Kafka::start(&KafkaOptions::default());
    let fixture = Fixture::new(&kafka, 1, 1).await;
    let version = fixture.version(1, models::dense(1)).await;
    let spec = fixture.spec(0, &version);
    fixture.send(0..20_000);
    kafka.kill();
    let mut process = fixture.start(0, &spec);
    process.wait_for("no broker of the cluster answers", LIMIT);
    kafka.start_again();
    let mut outputs = fixture.outputs();
    outputs.count(100, LIMIT);
    let killed = Instant::now();
    kafka.kill();
    kafka.start_again();
    let away = killed.elapsed();
    let restarts = fixture.wait_until_done_with(&mut process, &spec);
    // On a slow machine the broker may need longer than a transaction may last: it has ended the transaction by itself
    // then, and Kafka's client may take that for a fault that only a new process mends.
    assert!(
        restarts == 0 || away > TRANSACTION,
        "{restarts} restarts after {away:?}"
    );
    fixture.wait_for_event("running", |body| {
        matches!(body, Body::InferenceRunning { version: 1, .. })
    });
    end(process);
    assert_each_once(&outputs.drain(), &fixture.ends());
}

/// What a broker that is killed may leave: offsets of a transaction that has ended for all but the broker that holds
/// them. They are pending for ever, and no reader of the group is told where to go on.
#[tokio::test]
async fn offsets_that_a_broker_holds_back_for_ever_are_freed() {
    let kafka = Kafka::start(
        &KafkaOptions::default().property("transaction.partition.verification.enable", "false"),
    );
    let fixture = Fixture::new(&kafka, 1, 2).await;
    let version = fixture.version(1, models::dense(1)).await;
    let spec = fixture.spec(0, &version);
    fixture.send(0..1_000);
    protocol::leave_offset_pending(
        &kafka,
        &spec.transactional_id,
        &fixture.group,
        &fixture.input,
    );
    let mut process = fixture.start(0, &spec);
    process.wait_for("does not tell the offsets of the group", LIMIT);
    let outputs = fixture.outputs();
    fixture.wait_until_done();
    fixture.wait_for_problem("offsets-unreadable");
    end(process);
    assert_each_once(&outputs.drain(), &fixture.ends());
}

#[tokio::test]
async fn coordinators_that_a_broker_does_not_know_at_first_are_found() {
    let (proxy, kafka) = behind_a_proxy();
    let fixture = Fixture::new(&kafka, 2, 2).await;
    let version = fixture.version(1, models::dense(1)).await;
    let mut spec = fixture.spec(0, &version);
    spec.connection
        .insert("client.id".to_owned(), CHOSEN.to_owned());
    let mut process = fixture.start(0, &spec);
    process.wait_for("partitions assigned", LIMIT);
    proxy.hide_coordinators(true);
    fixture.send(0..1_000);
    // After these librdkafka asks no more, unless a connection comes or goes.
    proxy.wait_for_hidden(3);
    proxy.hide_coordinators(false);
    let outputs = fixture.outputs();
    fixture.wait_until_done();
    end(process);
    assert_each_once(&outputs.drain(), &fixture.ends());
}

#[tokio::test]
async fn a_replica_that_kafkas_client_never_returns_to_ends_and_is_started_again() {
    let (proxy, kafka) = behind_a_proxy();
    let fixture = Fixture::new(&kafka, 2, 2).await;
    let version = fixture.version(1, models::dense(1)).await;
    let mut spec = fixture.spec(0, &version);
    spec.connection
        .insert("client.id".to_owned(), CHOSEN.to_owned());
    let address = format!("127.0.0.1:{}", free_port());
    let mut process = fixture.start_at(0, &spec, &address);
    process.wait_for("partitions assigned", LIMIT);
    wait_for_readiness(&address, "200");
    // The consumer has found its coordinator, and the producer has not looked for it yet. What it waits
    // for then has no time limit in librdkafka, though the step has one.
    proxy.hide_coordinators(true);
    fixture.send(0..1_000);
    let lacking = wait_for_readiness(&address, "503");
    assert!(lacking.contains("stands still"), "{lacking}");
    fixture.wait_for_problem("stands-still");
    let line = process.wait_for("and never will", LIMIT);
    assert!(line.contains("put offsets into the transaction"), "{line}");
    assert_eq!(process.wait(LIMIT).signal(), Some(9));
    proxy.hide_coordinators(false);
    let outputs = fixture.outputs();
    let process = fixture.start(0, &spec);
    fixture.wait_until_done();
    end(process);
    assert_each_once(&outputs.drain(), &fixture.ends());
}
