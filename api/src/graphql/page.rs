//! Relay cursor connections over tables, in the order of creation: ids grow with time, so a cursor
//! is an id and a page costs the same however far down it is.

use async_graphql::connection::{Connection, Edge, EmptyFields};
use async_graphql::{Context, OutputType, SimpleObject};
use sea_orm::{
    ConnectionTrait, EntityTrait, FromQueryResult, Iterable as _, ModelTrait as _,
    PaginatorTrait as _, PrimaryKeyToColumn as _, Select,
};
use uuid::Uuid;

use super::context::Find as _;
use super::long::Long;
use super::report;
use crate::app::{Code, Error, Result};

/// Most rows of one page.
const LARGEST: u64 = 500;
/// Rows of a page whose size is not given.
const USUAL: u64 = 100;

/// A page of nodes, with the number of all.
pub type Page<T> = Connection<String, T, Total, EmptyFields>;

/// What a connection says besides its page.
#[derive(SimpleObject)]
pub struct Total {
    /// All nodes, on every page.
    pub total_count: Long,
}

/// The Relay arguments of a connection field.
#[derive(Debug, Clone, Default)]
pub struct PageArguments {
    /// At most so many from the beginning.
    pub first: Option<i32>,
    /// Behind this cursor.
    pub after: Option<String>,
    /// At most so many from the end.
    pub last: Option<i32>,
    /// Before this cursor.
    pub before: Option<String>,
}

impl PageArguments {
    /// The arguments in the order in which fields take them.
    #[must_use]
    pub fn new(
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Self {
        Self {
            first,
            after,
            last,
            before,
        }
    }

    /// Resolves a field to one page of `select`.
    ///
    /// # Errors
    /// `INVALID_INPUT` for arguments that contradict each other, for cursors that are none.
    pub async fn page<E, T>(
        &self,
        context: &Context<'_>,
        select: Select<E>,
        node: impl Fn(E::Model) -> T,
    ) -> async_graphql::Result<Page<T>>
    where
        E: EntityTrait,
        E::Model: FromQueryResult + Send + Sync,
        T: OutputType,
    {
        self.read(&context.app().database, select, node)
            .await
            .map_err(report)
    }

    /// Reads one page of `select`, ordered by its table's id.
    async fn read<E, T>(
        &self,
        database: &impl ConnectionTrait,
        select: Select<E>,
        node: impl Fn(E::Model) -> T,
    ) -> Result<Page<T>>
    where
        E: EntityTrait,
        E::Model: FromQueryResult + Send + Sync,
        T: OutputType,
    {
        let id = E::PrimaryKey::iter()
            .next()
            .expect("every table that is listed has an id")
            .into_column();
        let backwards = self.last.is_some();
        if backwards && self.first.is_some() {
            return Err(invalid("give `first` or `last`, not both"));
        }
        let limit = match self.first.or(self.last) {
            Some(limit) => u64::try_from(limit)
                .ok()
                .filter(|limit| *limit <= LARGEST)
                .ok_or_else(|| invalid(format!("a page has 0 to {LARGEST} nodes")))?,
            None => USUAL,
        };
        let total = select.clone().count(database).await?;
        let mut cursor = select.cursor_by(id);
        if let Some(after) = &self.after {
            cursor.after(position(after)?);
        }
        if let Some(before) = &self.before {
            cursor.before(position(before)?);
        }
        // One row more than asked for tells whether there is another page.
        if backwards {
            cursor.last(limit + 1);
        } else {
            cursor.first(limit + 1);
        }
        let mut rows = cursor.all(database).await?;
        let more = rows.len() as u64 > limit;
        if more && backwards {
            rows.remove(0);
        } else if more {
            rows.pop();
        }
        let (previous, next) = if backwards {
            (more, self.before.is_some())
        } else {
            (self.after.is_some(), more)
        };
        let total_count = Total {
            total_count: total.into(),
        };
        let mut page = Connection::with_additional_fields(previous, next, total_count);
        page.edges.extend(
            rows.into_iter()
                .map(|row| Edge::new(row.get(id).unwrap::<Uuid>().to_string(), node(row))),
        );
        Ok(page)
    }
}

fn position(cursor: &str) -> Result<Uuid> {
    cursor
        .parse()
        .map_err(|_| invalid(format!("{cursor:?} is not a cursor")))
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Code::InvalidInput, message)
}
