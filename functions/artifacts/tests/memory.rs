//! A large artifact on its way to a bucket and back is never held whole in memory. A process of its own, whose peak nobody
//! else adds to.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod ground;

use std::io;

use bytes::Bytes;
use futures::stream;
use tempfile::TempDir;

use crate::ground::{Ground, open_bucket, s3};

const MIB: u64 = 1 << 20;

#[tokio::test]
async fn a_hundred_mebibytes_pass_through_a_third_of_them() {
    let ground = Ground::bucket().await;
    ground.store.check().await.unwrap();
    let before = peak();
    let pieces = (0..100_u8).map(|byte| Ok::<_, io::Error>(Bytes::from(vec![byte; 1 << 20])));
    let stored = ground
        .store
        .put(stream::iter(pieces), None, u64::MAX)
        .await
        .unwrap();
    assert_eq!(stored.size, 100 * MIB);
    let elsewhere = TempDir::new().unwrap();
    let bucket = ground.name().unwrap();
    let address = format!("s3://{bucket}/some/prefix");
    let other = open_bucket(&address, elsewhere.path(), s3().environment()).await;
    let copy = other.local_file(&stored.digest).await.unwrap();
    assert_eq!(std::fs::metadata(copy).unwrap().len(), 100 * MIB);
    let grown = peak() - before;
    assert!(grown < 40 * MIB, "by {} MiB", grown / MIB);
}

/// The most memory that this process ever had, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() << 10
}
