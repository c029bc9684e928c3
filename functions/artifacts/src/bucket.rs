//! A store in a bucket of S3, or of a storage that speaks its protocol.
//!
//! Invariant: a name is given by the request that makes the object whole, so that no reader sees a part of it. Who may do
//! what comes from the environment, where AWS puts it: no secret passes through an address.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, TryStreamExt as _};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStoreExt as _, PutPayload, RetryConfig};
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use url::Url;

use crate::desk::Desk;
use crate::parts::{self, PART};
use crate::staging::{Finished, Upload};
use crate::{Error, refusal};

/// How long a connection may take, and how long the storage may be silent in a request: the time to send a part.
const CONNECT: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_mins(1);
/// How often, and for how long, a request is repeated that failed by no fault of ours.
const RETRIES: usize = 4;
const RETRYING: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Bucket {
    /// What errors call it.
    name: String,
    pub(crate) storage: PrefixStore<AmazonS3>,
    pub(crate) desk: Desk,
}

impl Bucket {
    /// The bucket at `url`, `s3://bucket/prefix`. Nothing is asked of it yet.
    pub(crate) fn new(
        url: &Url,
        environment: impl IntoIterator<Item = (String, String)>,
        desk: PathBuf,
    ) -> Result<Self, String> {
        let name = url.host_str().filter(|name| !name.is_empty());
        let name = name.ok_or("it names no bucket; write it as `s3://bucket/prefix`")?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("credentials do not belong into it: they come from the environment".into());
        }
        if url.port().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err("it has more than a bucket and a prefix; write it as `s3://bucket/prefix`, and name the address of another S3 in AWS_ENDPOINT_URL_S3".into());
        }
        let prefix = Path::parse(url.path()).map_err(|error| error.to_string())?;
        let storage = client(name, environment)?;
        Ok(Self {
            name: name.to_owned(),
            storage: PrefixStore::new(storage, prefix),
            desk: Desk::new(desk),
        })
    }

    /// Sorts an error of the storage while `action` was done to `name`.
    pub(crate) fn failed(&self, action: &str, name: &str, source: object_store::Error) -> Error {
        match refusal::of(&self.name, &source) {
            Some(reason) => Error::Refused {
                action: format!("{action} `{name}`"),
                reason,
            },
            None => Error::storage(action, name, source),
        }
    }

    /// Makes an object of a file on this machine, which afterwards is kept as a copy of it. Returns whether the name is new.
    pub(crate) async fn publish(
        &self,
        file: Finished<'_>,
        size: u64,
        name: &Path,
    ) -> Result<bool, Error> {
        let opened = File::open(file.path()).await.map_err(read)?;
        let created = self
            .create(name, size, parts::of_file(opened, size))
            .await?;
        // It stands in the bucket: whether there is room for a copy here as well does not matter.
        drop(self.desk.keep(file, name).await);
        Ok(created)
    }

    /// A copy of the artifact on this machine: one that is there already, or else fetched.
    pub(crate) async fn local_file(&self, name: &Path, digest: &str) -> Result<PathBuf, Error> {
        if let Some(copy) = self.desk.find(name, digest).await? {
            return Ok(copy);
        }
        let failed = |error| self.failed("reading", digest, error);
        let mut upload = Upload::start(self.desk.storage().await?).await?;
        let mut hash = Sha256::new();
        let found = self.storage.get(name).await.map_err(failed)?;
        let mut pieces = found.into_stream();
        while let Some(piece) = pieces.try_next().await.map_err(failed)? {
            hash.update(&piece);
            upload.write(&piece).await?;
        }
        let found = hex::encode(hash.finalize());
        if found != digest {
            return Err(Error::Corrupt {
                expected: digest.to_owned(),
                found,
            });
        }
        let file = upload.finish(self.desk.storage().await?).await?;
        self.desk.keep(file, name).await
    }

    /// Makes an object that has one content for ever. Returns whether the name is new; of several who make it at the same
    /// moment more than one may be told so.
    pub(crate) async fn create(
        &self,
        name: &Path,
        size: u64,
        parts: impl Stream<Item = io::Result<Bytes>> + Send,
    ) -> Result<bool, Error> {
        let is_new = match self.storage.head(name).await {
            Ok(_) => false,
            Err(object_store::Error::NotFound { .. }) => true,
            // An answer to a look has no words: those to the put do.
            Err(error) if refusal::of(&self.name, &error).is_some() => true,
            Err(error) => return Err(self.failed("looking for", name.as_ref(), error)),
        };
        // What stands there may have been damaged since, and its time shall be that of the last put. A put without a
        // condition can be repeated, too, where its connection breaks.
        self.replace(name, size, parts).await?;
        Ok(is_new)
    }

    /// Makes an object, or puts it in another one's place.
    pub(crate) async fn replace(
        &self,
        name: &Path,
        size: u64,
        parts: impl Stream<Item = io::Result<Bytes>> + Send,
    ) -> Result<(), Error> {
        let failed = |error| self.failed("writing", name.as_ref(), error);
        if size > PART {
            let upload = self.storage.put_multipart(name).await.map_err(failed)?;
            return parts::send(upload, parts).await.map_err(failed);
        }
        let bytes = parts::whole(parts).await.map_err(read)?;
        let payload = PutPayload::from_bytes(bytes);
        self.storage.put(name, payload).await.map_err(failed)?;
        Ok(())
    }
}

fn read(error: io::Error) -> Error {
    Error::file("reading a file that waits for its upload", error)
}

/// The client, as the variables say that AWS gives to functions, tasks and pods, and that its own clients read.
fn client(
    bucket: &str,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<AmazonS3, String> {
    let mut builder = AmazonS3Builder::new();
    for (variable, value) in environment {
        if variable.starts_with("AWS_")
            && let Ok(key) = variable.to_ascii_lowercase().parse()
        {
            builder = builder.with_config(key, value);
        }
    }
    let endpoint = builder
        .get_config_value(&AmazonS3ConfigKey::S3Endpoint)
        .or_else(|| builder.get_config_value(&AmazonS3ConfigKey::Endpoint));
    // Other storages seldom have a host name for each bucket, and a dot in one fits no certificate of AWS.
    let has_host = endpoint.is_none() && !bucket.contains('.');
    let is_plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    let options = ClientOptions::new()
        .with_allow_http(is_plain)
        .with_connect_timeout(CONNECT)
        .with_read_timeout(SILENCE)
        // A file may take as long as it likes, as long as it moves.
        .with_timeout_disabled();
    let retry = RetryConfig {
        backoff: BackoffConfig {
            max_backoff: Duration::from_secs(3),
            ..BackoffConfig::default()
        },
        max_retries: RETRIES,
        retry_timeout: RETRYING,
    };
    builder
        .with_bucket_name(bucket)
        .with_virtual_hosted_style_request(has_host)
        .with_client_options(options)
        .with_retry(retry)
        .build()
        .map_err(|error| error.to_string())
}
