//! Sends a file to a bucket in parts.
//!
//! Invariant: the name stands for all parts or for what it stood for before, and what was sent of an upload that does not
//! come to its end is removed, unless this process dies: the bucket's own rule for incomplete uploads takes these.

use std::{io, mem};

use bytes::Bytes;
use futures::stream::FuturesUnordered;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use object_store::{MultipartUpload, PutPayload, UploadPart};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio::runtime::Handle;

/// What is sent by one request; files up to this size need no parts. S3 takes parts from 5 MiB on.
pub(crate) const PART: u64 = 8 << 20;
/// The most parts that S3 takes.
const MOST: u64 = 10_000;
/// How many are under way at once, each in memory meanwhile.
const AT_ONCE: usize = 3;

/// The size of the parts of so many bytes.
pub(crate) fn part_size(size: u64) -> usize {
    usize::try_from(PART.max(size.div_ceil(MOST))).unwrap_or(usize::MAX)
}

/// Bytes in memory, in parts.
pub(crate) fn of_bytes(bytes: Bytes) -> impl Stream<Item = io::Result<Bytes>> + Send + Unpin {
    let size = part_size(bytes.len() as u64);
    let starts = (0..bytes.len()).step_by(size);
    futures::stream::iter(starts.map(move |start| {
        let end = bytes.len().min(start.saturating_add(size));
        Ok(bytes.slice(start..end))
    }))
}

/// A file on this machine, in parts.
pub(crate) fn of_file(file: File, size: u64) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let part = size.min(part_size(size) as u64);
    futures::stream::try_unfold(file, move |mut file| async move {
        // Read to its end, a vector would grow beyond the part.
        let mut bytes = Vec::with_capacity(usize::try_from(part).unwrap_or_default());
        (&mut file).take(part).read_to_end(&mut bytes).await?;
        Ok((!bytes.is_empty()).then(|| (bytes.into(), file)))
    })
}

/// All parts, which are few, as one.
pub(crate) async fn whole(
    parts: impl Stream<Item = io::Result<Bytes>> + Send,
) -> io::Result<Bytes> {
    let mut parts = std::pin::pin!(parts);
    let mut whole = Bytes::new();
    while let Some(part) = parts.try_next().await? {
        // There is one, but for an empty file.
        whole = if whole.is_empty() {
            part
        } else {
            [whole, part].concat().into()
        };
    }
    Ok(whole)
}

/// Sends all parts and has the storage make one object of them.
pub(crate) async fn send(
    upload: Box<dyn MultipartUpload>,
    parts: impl Stream<Item = io::Result<Bytes>> + Send,
) -> object_store::Result<()> {
    let mut unfinished = Unfinished {
        upload: Some(upload),
        under_way: FuturesUnordered::new(),
    };
    let sent = unfinished.send(parts).await;
    match sent {
        Ok(()) => unfinished.upload = None,
        // Why it could not be sent matters more than why that could not be undone.
        Err(_) => unfinished.abort().await,
    }
    sent
}

/// An upload that is aborted when it is dropped.
struct Unfinished {
    /// Nothing once it has come to an end.
    upload: Option<Box<dyn MultipartUpload>>,
    under_way: FuturesUnordered<UploadPart>,
}

impl Unfinished {
    async fn send(
        &mut self,
        parts: impl Stream<Item = io::Result<Bytes>> + Send,
    ) -> object_store::Result<()> {
        let Some(upload) = &mut self.upload else {
            return Ok(());
        };
        let mut parts = std::pin::pin!(parts);
        while let Some(part) = parts.next().await {
            let part = part.map_err(|error| object_store::Error::Generic {
                store: "local",
                source: error.into(),
            })?;
            let part = upload.put_part(PutPayload::from_bytes(part));
            self.under_way.push(part);
            if self.under_way.len() == AT_ONCE {
                self.under_way.try_next().await?;
            }
        }
        while self.under_way.try_next().await?.is_some() {}
        upload.complete().await?;
        Ok(())
    }

    /// Has the storage forget all parts. One that arrived after that would stay, so they are waited for.
    async fn abort(&mut self) {
        while self.under_way.next().await.is_some() {}
        if let Some(mut upload) = self.upload.take() {
            drop(upload.abort().await);
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.upload.is_some()
            && let Ok(runtime) = Handle::try_current()
        {
            let mut left = Self {
                upload: self.upload.take(),
                under_way: mem::take(&mut self.under_way),
            };
            runtime.spawn(async move { left.abort().await });
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn no_file_has_more_parts_than_the_storage_takes() {
        assert_eq!(part_size(1), 8 << 20);
        let huge = 1 << 40;
        assert!(huge / (part_size(huge) as u64) <= MOST);
    }

    #[tokio::test]
    async fn parts_are_the_bytes_in_order() {
        let bytes: Vec<u8> = (0..20 << 20)
            .map(|index: u32| index.to_le_bytes()[1])
            .collect();
        let parts: Vec<Bytes> = of_bytes(bytes.clone().into()).try_collect().await.unwrap();
        assert_eq!(parts.iter().map(Bytes::len).max(), Some(8 << 20));
        assert_eq!(parts.concat(), bytes);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        let opened = File::open(file.path()).await.unwrap();
        let parts: Vec<Bytes> = of_file(opened, bytes.len() as u64)
            .try_collect()
            .await
            .unwrap();
        assert_eq!(parts.len(), 3);
        assert_eq!(parts.concat(), bytes);
    }
}
