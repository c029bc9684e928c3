//! Requests in Kafka's own protocol (<https://kafka.apache.org/protocol>), for what no client does.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use millrace_harness::{Kafka, block_until};

use crate::fixture::LIMIT;

const FIND_COORDINATOR: i16 = 10;
const INIT_PRODUCER_ID: i16 = 22;
const TXN_OFFSET_COMMIT: i16 = 28;
const TRANSACTION: i8 = 1;

/// Commits an offset of partition 0 in a transaction that its coordinator knows nothing of. The broker must not ask
/// the coordinator (`transaction.partition.verification.enable`).
pub fn leave_offset_pending(kafka: &Kafka, transactional_id: &str, group: &str, topic: &str) {
    let mut broker = TcpStream::connect(kafka.bootstrap_servers()).unwrap();
    let producer = block_until("a producer id is given", LIMIT, || {
        let body = [string(transactional_id), TRANSACTION.to_be_bytes().to_vec()].concat();
        ask(&mut broker, FIND_COORDINATOR, 1, &body);
        let body = [string(transactional_id), 60_000_i32.to_be_bytes().to_vec()].concat();
        // A throttle time, an error, and the producer's number and epoch.
        let answer = ask(&mut broker, INIT_PRODUCER_ID, 1, &body);
        if answer[4..6] == [0; 2] {
            Ok(answer[6..16].to_vec())
        } else {
            Err(format!("{answer:?}"))
        }
    });
    let one = 1_i32.to_be_bytes().to_vec();
    let body = [
        string(transactional_id),
        string(group),
        producer,
        one.clone(),
        string(topic),
        one,
        0_i32.to_be_bytes().to_vec(),
        500_i64.to_be_bytes().to_vec(),
        (-1_i32).to_be_bytes().to_vec(),
        string(""),
    ]
    .concat();
    // A throttle time, one topic with its name, and one partition with its number and an error.
    let answer = ask(&mut broker, TXN_OFFSET_COMMIT, 2, &body);
    assert_eq!(answer[answer.len() - 2..], [0; 2], "{answer:?}");
}

fn string(text: &str) -> Vec<u8> {
    let length = i16::try_from(text.len()).unwrap();
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

/// The answer to a request, behind its number.
fn ask(broker: &mut TcpStream, request: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let head = [request.to_be_bytes(), version.to_be_bytes(), [0; 2], [0; 2]].concat();
    let frame = [head, string("test"), body.to_vec()].concat();
    let length = u32::try_from(frame.len()).unwrap();
    broker.write_all(&length.to_be_bytes()).unwrap();
    broker.write_all(&frame).unwrap();
    let mut length = [0; 4];
    broker.read_exact(&mut length).unwrap();
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    broker.read_exact(&mut answer).unwrap();
    answer.split_off(4)
}
