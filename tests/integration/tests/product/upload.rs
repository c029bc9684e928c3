//! A large model on its way in: no part of Millrace holds it whole in memory.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use millrace_harness::{Kafka, Millrace};
use serde_json::json;

/// Rows and columns of one weight: 64 MB.
const SIDE: u64 = 4_000;
/// Weights of the large model: 512 MB.
const WEIGHTS: usize = 8;
/// The SHA-256 of the large model: found once, since hashing takes a test, which is not optimised, as long as the upload.
const DIGEST: &str = "a740dd1f1b3fb97a9028dee9e33a1cb6a78040278677b907a623eeee6bf0481a";
/// What the large model may add to the memory of the API: staging, buffers, what the allocator keeps.
const BOUND: u64 = 64 << 20;

/// A chain of products of matrices as an ONNX file, which is made while it is written: the values would fill the memory of
/// the test as well.
struct Chain {
    weights: usize,
    side: u64,
}

impl Chain {
    /// Writes the file in pieces.
    fn write(&self, out: &mut dyn FnMut(&[u8])) {
        let block = vec![0x3c; 1 << 20];
        let values = self.side * self.side * 4;
        let mut nodes = Vec::new();
        for number in 0..self.weights {
            let (from, to) = (format!("x{number}"), format!("x{}", number + 1));
            let node = [
                field(1, from.as_bytes()),
                field(1, format!("w{number}").as_bytes()),
                field(2, to.as_bytes()),
                field(4, b"MatMul"),
            ];
            nodes.extend(field(1, &node.concat()));
        }
        // All of a tensor but its values, and how long it is with them.
        let heads: Vec<(Vec<u8>, u64)> = (0..self.weights)
            .map(|number| {
                let mut head = [number_field(1, self.side), number_field(1, self.side)].concat();
                head.extend(number_field(2, 1));
                head.extend(field(8, format!("w{number}").as_bytes()));
                head.extend(begun(9, values));
                let length = head.len() as u64 + values;
                ([begun(5, length), head].concat(), values)
            })
            .collect();
        let last = format!("x{}", self.weights);
        let ends = [
            field(2, b"chain"),
            field(11, &self.info("x0")),
            field(12, &self.info(&last)),
        ];
        let ends = ends.concat();
        let tensors: u64 = heads
            .iter()
            .map(|(head, values)| head.len() as u64 + values)
            .sum();
        let length = (nodes.len() + ends.len()) as u64 + tensors;

        let opset = field(8, &[field(1, b""), number_field(2, 17)].concat());
        out(&[number_field(1, 8), opset, begun(7, length), nodes].concat());
        for (head, values) in heads {
            out(&head);
            let mut left = values;
            while left > 0 {
                let piece = left.min(block.len() as u64);
                out(&block[..usize::try_from(piece).unwrap()]);
                left -= piece;
            }
        }
        out(&ends);
    }

    /// `float32 [batch, side]` under a name.
    fn info(&self, name: &str) -> Vec<u8> {
        let batch = field(1, &field(2, b"batch"));
        let side = field(1, &number_field(1, self.side));
        let shape = field(2, &[batch, side].concat());
        let tensor = field(1, &[number_field(1, 1), shape].concat());
        [field(1, name.as_bytes()), field(2, &tensor)].concat()
    }
}

/// A number as Protocol Buffers write it: seven bits a byte, the lowest first.
fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap());
    bytes
}

fn number_field(tag: u64, number: u64) -> Vec<u8> {
    [varint(tag << 3), varint(number)].concat()
}

/// The beginning of a field of so many bytes.
fn begun(tag: u64, length: u64) -> Vec<u8> {
    [varint(tag << 3 | 2), varint(length)].concat()
}

fn field(tag: u64, bytes: &[u8]) -> Vec<u8> {
    [begun(tag, bytes.len() as u64), bytes.to_vec()].concat()
}

/// Sends the file as its pieces are made, and returns the status line.
fn put(address: &str, digest: &str, size: u64, chain: &Chain) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    let head = format!(
        "PUT /artifacts/{digest} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).unwrap();
    chain.write(&mut |piece| connection.write_all(piece).unwrap());
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap().to_owned()
}

/// The most memory that a process has ever had, in bytes. Files that it reads don't count: the store reads them without maps.
fn peak(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<u64>().unwrap() << 10
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_of_500_mb_takes_little_memory() {
    let mut millrace = Millrace::start(Kafka::shared(), &[]).await;
    let address = millrace.url().trim_start_matches("http://").to_owned();
    let process = millrace.process().id();
    let large = Chain {
        weights: WEIGHTS,
        side: SIDE,
    };
    let mut size = 0;
    large.write(&mut |piece| size += piece.len() as u64);
    assert!(size > 500_000_000, "{size}");

    let before = peak(process);
    let status = put(&address, DIGEST, size, &large);
    assert_eq!(status, "HTTP/1.1 201 Created");
    let create = r#"mutation Create($digest: String!) { createModel(input: {name: "large", artifact: $digest}) {
      version { number size signature { inputs { text } outputs { text } } trainable { parameters } }
    } }"#;
    let made = millrace.execute(create, json!({"digest": DIGEST})).await;
    let grown = peak(process) - before;
    assert!(grown < BOUND, "{size} bytes took {grown} bytes of memory");

    let version = &made["createModel"]["version"];
    assert_eq!(version["number"], 1);
    assert_eq!(version["size"], size);
    let text = |side: &str| version["signature"][side][0]["text"].clone();
    assert_eq!(text("inputs"), "x0: float32 [batch, 4000]");
    assert_eq!(text("outputs"), "x8: float32 [batch, 4000]");
    let parameters = version["trainable"]["parameters"].clone();
    assert_eq!(parameters, SIDE * SIDE * WEIGHTS as u64);
}
