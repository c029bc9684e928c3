//! Uploaded files: models, and samples that models have to answer. One is taken in when it has arrived whole, is what its
//! digest says, and is a model that needs no other file or an npz file that can be read; else nothing of it stays.

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::Stream;
use millrace_entity::artifact;
use millrace_onnx::Inspection;
use millrace_wire::samples::Samples;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ConnectionTrait, EntityTrait as _, IntoActiveModel as _};

use super::{App, Code, Error, Result, samples};

/// A file that was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Its row.
    pub artifact: artifact::Model,
    /// False where it was there already.
    pub created: bool,
}

/// Takes a file in. It is never held whole in memory.
///
/// # Errors
/// `INVALID_INPUT` (not what its digest says, cut short, no ONNX model, data in other files, samples that cannot be read),
/// `TOO_LARGE`, `DISK_FULL`.
pub async fn accept<S, E>(app: &App, digest: &str, stream: S) -> Result<Accepted>
where
    S: Stream<Item = std::result::Result<Bytes, E>> + Send,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let limit = app.config.limits.max_artifact_bytes;
    let staged = app.artifacts.stage(stream, Some(digest), limit).await?;
    look(staged.path().to_owned()).await?;
    // Held until the row stands, so that a deletion of the same file comes before or after both; and
    // not before the file has arrived: who deletes would wait for a slow sender, and all behind him.
    let _guard = app.artifact_guard.read().await;
    let stored = staged.publish().await?;
    let artifact = record(app, &app.database, digest, stored.size).await?;
    tracing::info!(
        artifact.digest = digest,
        artifact.size_bytes = stored.size,
        artifact.created = stored.created,
        "artifact accepted"
    );
    Ok(Accepted {
        artifact,
        created: stored.created,
    })
}

/// Notes that the store holds a file, once.
///
/// # Errors
/// The database's.
pub async fn record(
    app: &App,
    database: &impl ConnectionTrait,
    digest: &str,
    size: u64,
) -> Result<artifact::Model> {
    let row = artifact::Model {
        digest: digest.to_owned(),
        size: i64::try_from(size).map_err(Error::internal)?,
        created_at: app.now(),
    };
    artifact::Entity::insert(row.into_active_model())
        .on_conflict(
            OnConflict::column(artifact::Column::Digest)
                .do_nothing()
                .to_owned(),
        )
        .exec_without_returning(database)
        .await?;
    find(database, digest).await
}

/// The uploaded file with this digest.
///
/// # Errors
/// `NOT_FOUND`, with how to upload it.
pub async fn find(database: &impl ConnectionTrait, digest: &str) -> Result<artifact::Model> {
    artifact::Entity::find_by_id(digest)
        .one(database)
        .await?
        .ok_or_else(|| {
            Error::new(
                Code::NotFound,
                format!("there is no artifact {digest:?}; upload the file first, with `PUT /artifacts/{digest}` or `millrace model push`"),
            )
        })
}

/// Says how to upload a file that the store does not hold.
pub(super) async fn check_there(app: &App, digest: &str) -> Result<()> {
    if app.artifacts.exists(digest).await? {
        return Ok(());
    }
    Err(Error::new(
        Code::NotFound,
        format!("there is no artifact {digest}; upload it by PUT /artifacts/{digest} first"),
    ))
}

/// Sees that a file is a model or samples.
async fn look(path: PathBuf) -> Result<()> {
    let found = {
        let path = path.clone();
        let read = move || is_npz(&path).map_err(Error::internal);
        tokio::task::spawn_blocking(read)
            .await
            .map_err(Error::internal)??
    };
    if found {
        samples::read(path).await.map(drop)
    } else {
        inspect(path).await.map(drop)
    }
}

fn is_npz(path: &Path) -> std::io::Result<bool> {
    let mut head = Vec::new();
    File::open(path)?.take(4).read_to_end(&mut head)?;
    Ok(Samples::is_npz(&head))
}

/// What a file says of its model. The bytes of its weights are skipped.
///
/// # Errors
/// `INVALID_INPUT` for what is no model that stands on its own.
pub async fn inspect(path: PathBuf) -> Result<Inspection> {
    tokio::task::spawn_blocking(move || {
        let file = File::open(path).map_err(Error::internal)?;
        millrace_onnx::inspect(BufReader::new(file)).map_err(Error::from)
    })
    .await
    .map_err(Error::internal)?
}
