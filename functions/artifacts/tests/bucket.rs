//! What is particular to a store in a bucket: copies on this machine, uploads in parts, and a storage that refuses or dies.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod ground;

use std::fs::File;
use std::io;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::stream::{self, Stream};
use millrace_artifacts::{Error, Store, digest_of};
use millrace_harness::{S3, free_port, wait_until};
use tempfile::TempDir;

use crate::ground::{Ground, files, open_bucket, s3};

const MIB: usize = 1 << 20;

/// `count` pieces of a MiB each, all different.
fn pieces(count: u8) -> impl Stream<Item = Result<Bytes, io::Error>> + Send {
    stream::iter((0..count).map(|byte| Ok(Bytes::from(vec![byte; MIB]))))
}

#[tokio::test]
async fn a_file_of_several_parts_arrives_whole() {
    let ground = Ground::bucket().await;
    let stored = ground.store.put(pieces(20), None, u64::MAX).await.unwrap();
    assert!(stored.created);
    let again = ground.store.put(pieces(20), None, u64::MAX).await.unwrap();
    assert_eq!(
        (again.digest, again.created),
        (stored.digest.clone(), false)
    );
    assert_eq!(ground.stored().len(), 1);
    let bytes = ground.store.get_bytes(&stored.digest).await.unwrap();
    assert_eq!(bytes.len(), 20 * MIB);

    // Objects, and files that are in memory anyway, go the same way.
    ground
        .store
        .put_object("checkpoints/a", bytes.clone())
        .await
        .unwrap();
    assert_eq!(
        ground.store.get_object("checkpoints/a").await.unwrap(),
        bytes
    );
    let larger = [bytes, Bytes::from_static(b"end")].concat();
    let stored = ground.store.put_bytes(larger.clone().into()).await.unwrap();
    assert_eq!(stored.digest, digest_of(&larger));
    assert_eq!(
        ground.store.get_bytes(&stored.digest).await.unwrap(),
        larger
    );
}

#[tokio::test]
async fn a_copy_on_this_machine_is_used_while_it_is_right_and_goes_when_nobody_asks() {
    let ground = Ground::bucket().await;
    let store = &ground.store;
    let stored = store.put_bytes(Bytes::from_static(b"model")).await.unwrap();
    assert!(files(ground.folder.path()).is_empty(), "no disk is needed");
    let copy = store.local_file(&stored.digest).await.unwrap();
    assert!(copy.starts_with(ground.folder.path()));
    assert_eq!(std::fs::read(&copy).unwrap(), b"model");

    // It is the copy that is given out: the bucket's file is another by now.
    std::fs::write(ground.file(&stored.digest), b"medal").unwrap();
    assert_eq!(store.local_file(&stored.digest).await.unwrap(), copy);
    // A damaged copy is fetched again, and what is fetched is looked at.
    std::fs::write(&copy, b"metal").unwrap();
    let error = store.local_file(&stored.digest).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    std::fs::write(ground.file(&stored.digest), b"model").unwrap();
    store.local_file(&stored.digest).await.unwrap();
    assert_eq!(std::fs::read(&copy).unwrap(), b"model");

    let long_ago = SystemTime::now() - Duration::from_hours(2);
    let file = File::options().write(true).open(&copy).unwrap();
    file.set_modified(long_ago).unwrap();
    let other = store.put_bytes(Bytes::from_static(b"other")).await.unwrap();
    store.local_file(&other.digest).await.unwrap();
    assert!(!copy.exists());

    store.delete(&stored.digest).await.unwrap();
    let error = store.local_file(&stored.digest).await.unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error}");
}

#[tokio::test]
async fn a_file_that_was_uploaded_needs_not_be_fetched() {
    let ground = Ground::bucket().await;
    let store = &ground.store;
    let staged = store.stage(pieces(2), None, u64::MAX).await.unwrap();
    assert!(ground.stored().is_empty(), "it is not there for others yet");
    assert_eq!(std::fs::metadata(staged.path()).unwrap().len(), 2 << 20);
    let stored = staged.publish().await.unwrap();
    std::fs::write(ground.file(&stored.digest), b"of somebody else").unwrap();
    let copy = store.local_file(&stored.digest).await.unwrap();
    assert_eq!(std::fs::metadata(copy).unwrap().len(), 2 << 20);
}

#[tokio::test]
async fn what_the_storage_refuses_is_said_in_words() {
    let scratch = TempDir::new().unwrap();
    let bucket = s3().bucket();
    let address = format!("s3://{bucket}/prefix");
    let with = |variable: &'static str, value: &str| {
        let mut environment = s3().environment();
        environment.push((variable, value.to_owned()));
        environment
    };
    let absent = "s3://no-such-bucket/prefix".to_owned();
    for (address, environment, expected) in [
        (&absent, s3().environment(), "no bucket `no-such-bucket`"),
        (
            &address,
            with("AWS_SECRET_ACCESS_KEY", "wrong"),
            "AWS_SECRET_ACCESS_KEY",
        ),
        (&address, with("AWS_REGION", "us-west-1"), "AWS_REGION"),
    ] {
        let store = open_bucket(address, scratch.path(), environment).await;
        let error = store.check().await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!error.is_retryable());
        assert!(!error.to_string().contains("wrong"), "no secret: {error}");
        for error in [
            store.put(pieces(1), None, u64::MAX).await.unwrap_err(),
            store.get_bytes(&digest_of(b"x")).await.unwrap_err(),
            store.get_object("checkpoints/a").await.unwrap_err(),
        ] {
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
    assert!(files(scratch.path()).is_empty(), "nothing was kept");
}

#[tokio::test]
async fn a_storage_that_cannot_be_reached_may_come_back() {
    let scratch = TempDir::new().unwrap();
    let mut environment = s3().environment();
    let nobody = format!("http://127.0.0.1:{}", free_port());
    environment.push(("AWS_ENDPOINT_URL_S3", nobody.clone()));
    let store = open_bucket("s3://bucket", scratch.path(), environment).await;
    let error = store.check().await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(error.to_string().contains(&nobody), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_that_dies_in_the_middle_of_an_upload_leaves_nothing_on_this_machine() {
    let mut s3 = S3::start();
    let bucket = s3.bucket();
    let scratch = TempDir::new().unwrap();
    let address = format!("s3://{bucket}");
    let store = open_bucket(&address, scratch.path(), s3.environment()).await;
    let staged = store.stage(pieces(64), None, u64::MAX).await.unwrap();
    let behind = s3.folder(&bucket);
    let publish = staged.publish();
    let killer = async {
        wait_until("a part arrives", Duration::from_secs(30), async || {
            if files(&behind).is_empty() {
                Err("none")
            } else {
                Ok(())
            }
        })
        .await;
        s3.kill();
    };
    let (published, ()) = tokio::join!(publish, killer);
    let error = published.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(files(scratch.path()).is_empty());
}

/// An upload that its caller gives up takes its parts with it.
#[tokio::test(flavor = "multi_thread")]
async fn parts_of_an_upload_that_is_given_up_are_removed() {
    let ground = Ground::bucket().await;
    let store: Store = ground.store.clone();
    let bytes = vec![7; 64 * MIB];
    let upload = tokio::spawn(async move { store.put_object("checkpoints/a", bytes.into()).await });
    wait_until("a part arrives", Duration::from_secs(30), async || {
        if ground.stored().is_empty() {
            Err("none")
        } else {
            Ok(())
        }
    })
    .await;
    upload.abort();
    assert!(upload.await.unwrap_err().is_cancelled());
    ground.until_empty().await;
    let error = ground.store.get_object("checkpoints/a").await.unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error}");
}
