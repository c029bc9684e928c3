//! One Millrace a database: a second one on it would end the functions of the first, again and again.
//!
//! SQLite: a file beside the database is locked. PostgreSQL: a lock of a session that lives as long as this process; its server
//! lets go of it when the process ends, and within half a minute when the machine is gone.

use std::fs::{File, TryLockError};
use std::str::FromStr as _;
use std::time::Duration;

use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbBackend, DbErr, Statement,
};
use sqlx::sqlite::SqliteConnectOptions;
use tokio::time::{Instant, sleep};

use super::Error;
use crate::config::Config;

/// How long the start waits for another one to end: where a Millrace is replaced by its next release, both are there for a moment.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(500);
/// How often the session is looked after.
const INTERVAL: Duration = Duration::from_secs(5);

/// The lock is named by the letters `millrace` as two numbers. Asked again by the session that has it, it is granted again; by
/// a session that was made anew, it is taken anew if it is free.
const TAKE: &str =
    "SELECT pg_try_advisory_lock(1835625580, 1918985061) AS taken, pg_backend_pid() AS session";
/// Which session has it.
const HOLDER: &str = "SELECT pid AS session FROM pg_locks WHERE locktype = 'advisory' AND granted \
    AND classid = 1835625580 AND objid = 1918985061 \
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
/// A machine that vanished does not close its connections.
const NOTICE_THE_DEAD: &str =
    "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3";

/// The right to work on a database, held until it is dropped or the process ends.
pub enum Claim {
    /// A locked file.
    File(File),
    /// A PostgreSQL session.
    Session(DatabaseConnection),
}

impl Claim {
    /// Takes the configured database for this process.
    ///
    /// # Errors
    /// Another Millrace has it and does not end, or the database cannot be opened.
    pub async fn take(config: &Config) -> Result<Self, Error> {
        let address = config.database_address();
        let claim = Self::open(&config.database_url()).await.map_err(|error| {
            Error::internal(format!("the database {address} cannot be opened: {error}"))
        })?;
        let deadline = Instant::now() + PATIENCE;
        let mut told = false;
        while !claim.try_take().await? {
            if Instant::now() > deadline {
                return Err(Error::internal(format!(
                    "another Millrace works on the database {address}; end it, or name another database with \
                     MILLRACE_DATABASE__URL"
                )));
            }
            if !told {
                tracing::warn!(
                    database.url = address,
                    "another Millrace works on this database; waiting {} s for its end",
                    PATIENCE.as_secs()
                );
                told = true;
            }
            sleep(PAUSE).await;
        }
        Ok(claim)
    }

    async fn open(url: &str) -> Result<Self, String> {
        if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url).map_err(|error| error.to_string())?;
            let file = options.get_filename();
            // One file may have several names.
            let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
            let mut path = file.into_os_string();
            path.push(".lock");
            return File::create(&path)
                .map(Self::File)
                .map_err(|error| format!("{}: {error}", path.display()));
        }
        let mut options = ConnectOptions::new(url);
        options
            .sqlx_logging(false)
            .acquire_timeout(PATIENCE)
            .min_connections(1)
            .max_connections(1)
            .idle_timeout(None::<Duration>)
            .max_lifetime(None::<Duration>);
        let session = Database::connect(options)
            .await
            .map_err(|error| error.to_string())?;
        Ok(Self::Session(session))
    }

    async fn try_take(&self) -> Result<bool, Error> {
        match self {
            Self::File(file) => match file.try_lock() {
                Ok(()) => Ok(true),
                Err(TryLockError::WouldBlock) => Ok(false),
                Err(TryLockError::Error(error)) => Err(Error::internal(format!(
                    "the file beside the database cannot be locked: {error}"
                ))),
            },
            Self::Session(session) => Ok(ask(session).await?.is_ok()),
        }
    }

    /// Waits until another Millrace has taken the database, which happens only after its server lost the session: it was
    /// started anew, or not to be reached for longer than it waits.
    pub async fn lost(&self) -> Error {
        let Self::Session(session) = self else {
            return std::future::pending().await;
        };
        let mut ours = None;
        loop {
            match ask(session).await {
                Ok(Ok(session)) => ours = Some(session),
                // A session of ours that was cut off, which the server has not noticed yet.
                Ok(Err(holder)) if holder.is_none() || holder == ours => {}
                Ok(Err(_)) => {
                    return Error::internal(
                        "another Millrace has taken the database while this one could not reach it",
                    );
                }
                Err(error) => {
                    tracing::warn!(%error, "the database cannot be asked whether it is still ours");
                }
            }
            sleep(INTERVAL).await;
        }
    }
}

/// Takes the lock and gives this session's number, or that of the one that has it.
async fn ask(session: &DatabaseConnection) -> Result<Result<i32, Option<i32>>, DbErr> {
    session.execute_unprepared(NOTICE_THE_DEAD).await?;
    let query = |text: &str| Statement::from_string(DbBackend::Postgres, text);
    let row = session.query_one_raw(query(TAKE)).await?;
    let row =
        row.ok_or_else(|| DbErr::RecordNotFound("the answer to a question for a lock".to_owned()))?;
    if row.try_get("", "taken")? {
        return Ok(Ok(row.try_get("", "session")?));
    }
    let holder = session.query_one_raw(query(HOLDER)).await?;
    holder
        .map(|row| row.try_get("", "session"))
        .transpose()
        .map(Err)
}
