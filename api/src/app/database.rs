//! Opening the database, and the transactions in which it is written.

use std::time::Duration;

use millrace_entity::event_position;
use millrace_migration::Migrator;
use sea_orm::{
    ActiveModelTrait as _, ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection,
    DatabaseTransaction, DbBackend, DbErr, IntoActiveModel as _, ModelTrait as _,
    SqliteTransactionMode, TransactionOptions, TransactionTrait as _,
};
use sea_orm_migration::MigratorTrait as _;
use sqlx::Connection as _;

/// How long a writer waits for another one, or for a free connection.
const PATIENCE: Duration = Duration::from_secs(30);

/// The name of the writer's lock: the letters `millrace` as a number.
const WRITER: u64 = u64::from_be_bytes(*b"millrace");

/// Opens the database at `url` and brings its schema up to date.
///
/// A connection that still counts a transaction when it is given back is closed. Where the disk is full, SQLite ends
/// a transaction by itself; sqlx cannot roll it back then, counts it for ever, and would keep what comes later inside
/// of a transaction that nobody commits: acknowledged, and gone with the connection.
///
/// # Errors
/// It cannot be reached, or it is newer than this Millrace.
pub async fn open(url: &str) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url);
    options
        .sqlx_logging(false)
        .acquire_timeout(PATIENCE)
        .max_connections(16)
        .map_sqlx_sqlite_opts(|options| {
            use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
            options
                .journal_mode(SqliteJournalMode::Wal)
                // What was committed must survive a power cut, as PostgreSQL has it.
                .synchronous(SqliteSynchronous::Full)
                .busy_timeout(PATIENCE)
                .foreign_keys(true)
        })
        .map_sqlx_sqlite_pool_opts(|options| {
            options.after_release(|connection, _| {
                Box::pin(async move {
                    // A rollback that is on its way comes first.
                    connection.ping().await?;
                    Ok(!connection.is_in_transaction())
                })
            })
        });
    let database = Database::connect(options).await?;
    let pending = Migrator::get_pending_migrations(&database).await?.len();
    Migrator::up(&database, None).await?;
    if pending > 0 {
        tracing::info!(database.migrations = pending, "migrations applied");
    }
    Ok(database)
}

/// Writes, and changes nothing: a database that answers questions may have no room left, or be a
/// copy that only reads.
///
/// # Errors
/// The database's own.
pub async fn probe(database: &DatabaseConnection) -> Result<(), DbErr> {
    let transaction = begin(database).await?;
    // No topic has this name.
    let row = event_position::Model {
        topic: String::new(),
        partition: 0,
        next_offset: 0,
    };
    row.clone().into_active_model().insert(&transaction).await?;
    row.delete(&transaction).await?;
    transaction.commit().await
}

/// Begins a transaction that writes. There is one at a time, in either database: what one has read stays true until it has
/// written. SQLite has one writer anyway, whose lock is taken at once; PostgreSQL is asked for a lock that only we know.
///
/// # Errors
/// The database's own.
pub async fn begin(database: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let immediate = (database.get_database_backend() == DbBackend::Sqlite)
        .then_some(SqliteTransactionMode::Immediate);
    let transaction = database
        .begin_with_options(TransactionOptions {
            sqlite_transaction_mode: immediate,
            ..TransactionOptions::default()
        })
        .await?;
    if database.get_database_backend() == DbBackend::Postgres {
        let lock = format!("SELECT pg_advisory_xact_lock({WRITER})");
        transaction.execute_unprepared(&lock).await?;
    }
    Ok(transaction)
}
