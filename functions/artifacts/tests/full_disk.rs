//! A full disk while an artifact is written, on a real one of 4 MiB.
//!
//! The test starts itself again in a mount namespace of its own, where it may
//! mount a small tmpfs that goes away with it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::io;
use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use futures::stream;
use millrace_artifacts::{Error, Store, digest_of};

const INSIDE: &str = "MILLRACE_TEST_FULL_DISK";

#[test]
fn a_full_disk_is_told_apart_and_leaves_nothing_behind() {
    if let Ok(folder) = std::env::var(INSIDE) {
        return inside(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size=4m none "$0" && exec "$1" --exact a_full_disk_is_told_apart_and_leaves_nothing_behind"#;
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .env(INSIDE, folder.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
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
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        match store.put_bytes(Bytes::from(fits.clone())).await {
            Ok(stored) => break assert_eq!(stored.digest, digest_of(&fits)),
            // Unlinking runs on a thread of its own.
            Err(Error::DiskFull { .. }) if std::time::Instant::now() < deadline => {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}
