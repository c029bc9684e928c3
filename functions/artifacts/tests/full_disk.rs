//! A full disk while an artifact is written, on a real one of 4 MiB.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use millrace_artifacts::{Error, Store, digest_of};
use millrace_harness::{on_small_disk, wait_until};

#[test]
fn a_full_disk_is_told_apart_and_leaves_nothing_behind() {
    on_small_disk(
        4,
        "a_full_disk_is_told_apart_and_leaves_nothing_behind",
        inside,
    );
}

#[tokio::main(flavor = "current_thread")]
async fn inside(folder: &Path) {
    let store = Store::open(&format!("file://{}", folder.display()))
        .await
        .unwrap();
    store
        .put_object("checkpoints/a", Bytes::from_static(b"old"))
        .await
        .unwrap();

    let pieces = (0..8).map(|_| Ok::<_, io::Error>(Bytes::from(vec![7; 1 << 20])));
    let error = store
        .put(stream::iter(pieces), None, u64::MAX)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::DiskFull { .. }), "{error}");
    assert!(error.is_retryable());
    let error = store
        .put_object("checkpoints/a", Bytes::from(vec![7; 5 << 20]))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::DiskFull { .. }), "{error}");

    // The room is free again, and the old object is still there.
    assert_eq!(store.get_object("checkpoints/a").await.unwrap(), "old");
    let fits = vec![7; 3 << 20];
    // Unlinking runs on a thread of its own.
    let stored = wait_until(
        "room for the new object",
        Duration::from_secs(10),
        async || store.put_bytes(Bytes::from(fits.clone())).await,
    )
    .await;
    assert_eq!(stored.digest, digest_of(&fits));
}
