//! The store as its callers see it, in a real folder and in a bucket of a real S3.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod ground;

use std::fs::File;
use std::io;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::stream::{self, Stream};
use futures::{StreamExt, TryStreamExt};
use millrace_artifacts::{Error, digest_of};
use tempfile::TempDir;

use crate::ground::{Ground, files, open};

const MIB: usize = 1 << 20;

/// Runs each case on both kinds of store.
macro_rules! on_both {
    ($($case:ident,)*) => {
        mod folder {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case(super::Ground::folder().await).await;
            })*
        }
        mod bucket {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case(super::Ground::bucket().await).await;
            })*
        }
    };
}

on_both! {
    what_was_put_is_read_back_whole_and_in_part,
    an_empty_file_is_a_file,
    what_is_refused_leaves_nothing_behind,
    an_abandoned_upload_leaves_nothing_behind,
    concurrent_uploads_of_one_file_make_one,
    a_damaged_artifact_is_noticed_and_can_be_put_again,
    objects_are_replaced_as_a_whole,
    artifacts_are_listed_with_the_time_of_their_last_put,
    an_object_that_did_not_change_is_not_read_again,
}

/// `count` pieces of a MiB each, all different.
fn pieces(count: u8) -> impl Stream<Item = Result<Bytes, io::Error>> + Send {
    stream::iter((0..count).map(|byte| Ok(Bytes::from(vec![byte; MIB]))))
}

fn whole(count: u8) -> Vec<u8> {
    (0..count).flat_map(|byte| vec![byte; MIB]).collect()
}

async fn what_was_put_is_read_back_whole_and_in_part(ground: Ground) {
    let store = &ground.store;
    let bytes = whole(3);
    let digest = digest_of(&bytes);

    let stored = store.put(pieces(3), Some(&digest), u64::MAX).await.unwrap();
    assert_eq!(
        (stored.digest.as_str(), stored.size),
        (digest.as_str(), 3 << 20)
    );
    assert!(stored.created);
    let again = store.put(pieces(3), None, 3 << 20).await.unwrap();
    assert!(!again.created);

    assert_eq!(store.get_bytes(&digest).await.unwrap(), bytes);
    assert_eq!(store.size(&digest).await.unwrap(), 3 << 20);
    let range = 1_048_570..1_048_580;
    let part: Vec<Bytes> = store
        .reader(&digest, Some(range))
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(part.concat(), [[0; 6].as_slice(), &[1; 4]].concat());
    let path = store.local_file(&digest).await.unwrap();
    assert_eq!(std::fs::read(path).unwrap(), bytes);

    store.delete(&digest).await.unwrap();
    store.delete(&digest).await.unwrap();
    assert!(!store.exists(&digest).await.unwrap());
    assert!(matches!(
        store.get_bytes(&digest).await,
        Err(Error::NotFound(_))
    ));
}

async fn an_empty_file_is_a_file(ground: Ground) {
    let store = &ground.store;
    let stored = store.put_bytes(Bytes::new()).await.unwrap();
    assert_eq!(stored.digest, digest_of(b""));
    assert!(store.get_bytes(&stored.digest).await.unwrap().is_empty());
}

async fn what_is_refused_leaves_nothing_behind(ground: Ground) {
    let store = &ground.store;
    let other = digest_of(b"something else");

    let error = store
        .put(pieces(2), Some(&other), u64::MAX)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Mismatch { .. }), "{error}");
    let error = store.put(pieces(2), None, (2 << 20) - 1).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
    let broken = pieces(2).chain(stream::iter([Err(io::Error::other("connection reset"))]));
    let error = store.put(broken, None, u64::MAX).await.unwrap_err();
    assert!(matches!(error, Error::Source(_)), "{error}");
    let error = store
        .put(pieces(1), Some("SHA"), u64::MAX)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NotADigest(_)), "{error}");

    ground.until_empty().await;
}

async fn an_abandoned_upload_leaves_nothing_behind(ground: Ground) {
    let store = &ground.store;
    let (started, has_started) = tokio::sync::oneshot::channel::<()>();
    let mut started = Some(started);
    let never_ends = pieces(3)
        .inspect(move |_| drop(started.take()))
        .chain(stream::pending());
    let upload = tokio::spawn({
        let store = store.clone();
        async move { store.put(never_ends, None, u64::MAX).await }
    });
    has_started.await.unwrap_err();
    assert!(!ground.files().is_empty());
    upload.abort();
    assert!(upload.await.unwrap_err().is_cancelled());
    ground.until_empty().await;
}

async fn concurrent_uploads_of_one_file_make_one(ground: Ground) {
    let store = &ground.store;
    let uploads: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.put(pieces(2), None, u64::MAX).await })
        })
        .collect();
    let mut created = 0;
    for upload in uploads {
        created += u32::from(upload.await.unwrap().unwrap().created);
    }
    // A bucket is looked into and then written to: several may be told so.
    assert!(
        created == 1 || (created > 1 && ground.is_bucket()),
        "{created}"
    );
    assert_eq!(
        store.get_bytes(&digest_of(&whole(2))).await.unwrap(),
        whole(2)
    );
    assert_eq!(ground.stored().len(), 1);
}

async fn a_damaged_artifact_is_noticed_and_can_be_put_again(ground: Ground) {
    let store = &ground.store;
    let stored = store
        .put_bytes(Bytes::from_static(b"weights"))
        .await
        .unwrap();
    std::fs::write(ground.file(&stored.digest), b"weightz").unwrap();

    let error = store.get_bytes(&stored.digest).await.unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    let again = store
        .put_bytes(Bytes::from_static(b"weights"))
        .await
        .unwrap();
    assert!(!again.created);
    assert_eq!(store.get_bytes(&stored.digest).await.unwrap(), "weights");
}

#[tokio::test]
async fn leftovers_of_a_killed_process_are_swept_but_not_a_running_upload() {
    let folder = TempDir::new().unwrap();
    let staging = folder.path().join("staging");
    std::fs::create_dir(&staging).unwrap();
    std::fs::write(staging.join("old#1"), b"half").unwrap();
    std::fs::write(staging.join("young#1"), b"half").unwrap();
    File::options()
        .write(true)
        .open(staging.join("old#1"))
        .unwrap()
        .set_modified(SystemTime::now() - Duration::from_hours(2))
        .unwrap();
    open(folder.path()).await;
    let left = files(folder.path());
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].ends_with("young#1"));
}

async fn objects_are_replaced_as_a_whole(ground: Ground) {
    let store = &ground.store;
    let name = "checkpoints/0192-a";
    assert!(matches!(
        store.get_object(name).await,
        Err(Error::NotFound(_))
    ));
    store
        .put_object(name, Bytes::from_static(b"one, longer"))
        .await
        .unwrap();
    store
        .put_object(name, Bytes::from_static(b"two"))
        .await
        .unwrap();
    assert_eq!(store.get_object(name).await.unwrap(), "two");
    store.delete_object(name).await.unwrap();
    store.delete_object(name).await.unwrap();
    assert!(ground.stored().is_empty());

    for name in [
        "",
        "a//b",
        "../a",
        "a/..",
        "/a",
        "sha256/ab",
        "staging/a",
        "a b",
        "a#1",
    ] {
        let error = store.put_object(name, Bytes::new()).await.unwrap_err();
        assert!(matches!(error, Error::NotAName(_)), "{name}: {error}");
    }
}

#[tokio::test]
async fn an_address_that_is_no_folder_and_no_bucket_is_refused() {
    for url in [
        "gs://bucket",
        "/var/lib",
        "file://host/folder",
        "nonsense",
        "s3://",
        "s3://key:secret@bucket/prefix",
        "s3://host:9000/bucket",
        "s3://bucket?region=x",
    ] {
        let error = millrace_artifacts::Store::open(url).await.unwrap_err();
        assert!(matches!(error, Error::Url { .. }), "{url}: {error}");
    }
}

async fn artifacts_are_listed_with_the_time_of_their_last_put(ground: Ground) {
    let store = &ground.store;
    assert_eq!(store.list().await.unwrap(), []);
    let first = store.put_bytes(Bytes::from_static(b"a")).await.unwrap();
    store
        .put_object("checkpoints/a", Bytes::from_static(b"old"))
        .await
        .unwrap();
    let file = ground.file(&first.digest);
    std::fs::write(file.with_file_name("note"), "of somebody else").unwrap();
    let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_hours(1);
    std::fs::File::open(&file)
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
    let listed = store.list().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (&listed[0].digest, listed[0].modified),
        (&first.digest, long_ago)
    );

    store.put_bytes(Bytes::from_static(b"a")).await.unwrap();
    assert!(store.list().await.unwrap()[0].modified > long_ago);
}

async fn an_object_that_did_not_change_is_not_read_again(ground: Ground) {
    let store = &ground.store;
    let name = "aliases/default/points/champion";
    let missing = store.get_changed_object(name, None).await.unwrap_err();
    assert!(matches!(missing, Error::NotFound(_)), "{missing}");
    let mut tag = None;
    for content in ["one", "two"] {
        store.put_object(name, content.into()).await.unwrap();
        let read = store.get_changed_object(name, tag.as_deref()).await;
        let read = read.unwrap().unwrap();
        assert_eq!(read.bytes, content);
        tag = read.tag;
        assert!(tag.is_some());
        let again = store.get_changed_object(name, tag.as_deref()).await;
        assert_eq!(again.unwrap(), None);
    }
}
