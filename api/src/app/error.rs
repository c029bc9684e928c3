//! The error of every operation: a code for programs and a sentence for people.

use sea_orm::{DbErr, RuntimeErr, SqlErr};

/// What went wrong, for programs: `extensions.code` in GraphQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// There is no such thing.
    NotFound,
    /// The name is taken.
    AlreadyExists,
    /// Something else needs it.
    InUse,
    /// The request itself is wrong.
    InvalidInput,
    /// Two things do not fit each other, a model and a datasource for instance.
    Incompatible,
    /// Not in its present state.
    IllegalState,
    /// A model could not be run to see what it answers.
    NotTried,
    /// The model has an operator that cannot be differentiated.
    NotTrainable,
    /// Kafka no longer has the segment's records.
    SegmentExpired,
    /// Kafka does not have the segment's records yet.
    SegmentInFuture,
    /// The segment has no record.
    SegmentEmpty,
    /// The topic does not exist.
    TopicNotFound,
    /// The topic is compacted: its records disappear one by one.
    TopicCompacted,
    /// Kafka does not answer.
    KafkaUnreachable,
    /// Kafka does not allow it.
    KafkaForbidden,
    /// The platform that runs functions cannot do it now.
    PlatformUnavailable,
    /// A file or message is too large.
    TooLarge,
    /// The artifact store, or the database, has no room.
    DiskFull,
    /// No valid token was given.
    Unauthenticated,
    /// A fault of Millrace's own. Its text stays in the log.
    Internal,
}

impl Code {
    /// The code as it travels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::InUse => "IN_USE",
            Self::InvalidInput => "INVALID_INPUT",
            Self::Incompatible => "INCOMPATIBLE",
            Self::IllegalState => "ILLEGAL_STATE",
            Self::NotTried => "NOT_TRIED",
            Self::NotTrainable => "NOT_TRAINABLE",
            Self::SegmentExpired => "SEGMENT_EXPIRED",
            Self::SegmentInFuture => "SEGMENT_IN_FUTURE",
            Self::SegmentEmpty => "SEGMENT_EMPTY",
            Self::TopicNotFound => "TOPIC_NOT_FOUND",
            Self::TopicCompacted => "TOPIC_COMPACTED",
            Self::KafkaUnreachable => "KAFKA_UNREACHABLE",
            Self::KafkaForbidden => "KAFKA_FORBIDDEN",
            Self::PlatformUnavailable => "PLATFORM_UNAVAILABLE",
            Self::TooLarge => "TOO_LARGE",
            Self::DiskFull => "DISK_FULL",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Internal => "INTERNAL",
        }
    }
}

/// A failed operation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A fault that the caller can understand: the message says what to do.
    #[error("{message}")]
    Domain {
        /// For programs.
        code: Code,
        /// For people.
        message: String,
    },
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[source] DbErr),
    /// The database has no room. Not the caller's fault, and over as soon as somebody makes some.
    #[error(
        "no space is left where the database lies; nothing was changed: free some space and try again"
    )]
    DatabaseFull,
    /// Anything else that is not the caller's fault.
    #[error("{0}")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The result of an operation.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A fault that the caller can understand.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self::Domain {
            code,
            message: message.into(),
        }
    }

    /// There is no `what` of this name.
    #[must_use]
    pub fn not_found(what: &str, name: &str) -> Self {
        Self::new(Code::NotFound, format!("there is no {what} {name:?}"))
    }

    /// The `what` of this name is used by others.
    #[must_use]
    pub fn in_use(what: &str, name: &str, users: &[String]) -> Self {
        Self::new(
            Code::InUse,
            format!(
                "the {what} {name:?} is used by {}; delete what uses it first",
                users.join(", ")
            ),
        )
    }

    /// Why a row could not be inserted: `ALREADY_EXISTS` where its name is taken.
    #[must_use]
    pub fn unless_taken(error: DbErr, what: &str, name: &str) -> Self {
        match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => Self::new(
                Code::AlreadyExists,
                format!("there is a {what} {name:?} already; choose another name"),
            ),
            _ => error.into(),
        }
    }

    /// A fault of Millrace's own.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(source.into())
    }

    /// The code for programs.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Domain { code, .. } => *code,
            Self::DatabaseFull => Code::DiskFull,
            Self::Database(_) | Self::Internal(_) => Code::Internal,
        }
    }
}

impl From<crate::platform::Error> for Error {
    fn from(error: crate::platform::Error) -> Self {
        Self::new(Code::PlatformUnavailable, error.to_string())
    }
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        if is_full(&error) {
            tracing::error!(%error, "no space is left where the database lies");
            return Self::DatabaseFull;
        }
        // What was looked at before the transaction may have changed until it wrote.
        let (code, message) = match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => (
                Code::AlreadyExists,
                "somebody else has made the same in this moment; look at it, and try again if it is not what you want",
            ),
            Some(SqlErr::ForeignKeyConstraintViolation(_)) => (
                Code::NotFound,
                "something that this needs was deleted in this moment; look what is there, and try again",
            ),
            _ => return Self::Database(error),
        };
        tracing::info!(%error, "two wrote at once");
        Self::new(code, message)
    }
}

/// Whether the database has no room left, by SQLite's and PostgreSQL's codes.
fn is_full(error: &DbErr) -> bool {
    /// The file, and the index of the log beside it, cannot grow.
    const SQLITE: [&str; 2] = ["13", "4874"];
    const POSTGRESQL: &str = "53100";
    let (DbErr::Conn(RuntimeErr::SqlxError(error))
    | DbErr::Exec(RuntimeErr::SqlxError(error))
    | DbErr::Query(RuntimeErr::SqlxError(error))) = error
    else {
        return false;
    };
    let sqlx::Error::Database(error) = error.as_ref() else {
        return false;
    };
    let code = error.code();
    code.is_some_and(|code| SQLITE.contains(&code.as_ref()) || code == POSTGRESQL)
}

impl From<millrace_artifacts::Error> for Error {
    fn from(error: millrace_artifacts::Error) -> Self {
        use millrace_artifacts::Error as Artifacts;
        let code = match &error {
            Artifacts::NotFound(_) => Code::NotFound,
            Artifacts::NotADigest(_) | Artifacts::Mismatch { .. } | Artifacts::Source(_) => {
                Code::InvalidInput
            }
            Artifacts::TooLarge { .. } => Code::TooLarge,
            Artifacts::DiskFull { .. } => Code::DiskFull,
            _ => return Self::internal(error),
        };
        Self::new(code, error.to_string())
    }
}

impl From<millrace_wire::samples::BadSamples> for Error {
    fn from(error: millrace_wire::samples::BadSamples) -> Self {
        use millrace_wire::samples::BadSamples;
        let code = match error {
            BadSamples::TooLarge => Code::TooLarge,
            BadSamples::NotNpz(_) | BadSamples::Array { .. } => Code::InvalidInput,
        };
        Self::new(code, error.to_string())
    }
}

impl From<millrace_wire::name::InvalidTopic> for Error {
    fn from(error: millrace_wire::name::InvalidTopic) -> Self {
        Self::new(Code::InvalidInput, error.to_string())
    }
}

impl From<millrace_wire::name::InvalidName> for Error {
    fn from(error: millrace_wire::name::InvalidName) -> Self {
        Self::new(Code::InvalidInput, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_code_is_explained() {
        let codes = include_str!("error.rs").lines().filter_map(|line| {
            let (_, code) = line.trim().strip_prefix("Self::")?.split_once(" => \"")?;
            code.strip_suffix("\",")
        });
        let codes: Vec<&str> = codes.collect();
        assert!(codes.contains(&"NOT_FOUND"), "{codes:?}");
        for code in codes {
            let row = format!("| `{code}` | ");
            let explained = include_str!("../../../docs/errors.md").contains(&row);
            assert!(explained, "docs/errors.md does not explain {code}");
        }
    }
}
