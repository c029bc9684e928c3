//! Keys between tables and within them, under names that are the same on every database.
//!
//! A row that another one refers to cannot be deleted, unless the other is a part of it.

use sea_orm_migration::prelude::*;

/// The rows of `table` refer to rows of `parent`, which can't be deleted meanwhile.
pub(crate) fn refers_to(
    table: &'static str,
    column: &'static str,
    parent: &'static str,
    key: &'static str,
) -> ForeignKeyCreateStatement {
    foreign_key(table, column, parent, key, ForeignKeyAction::Restrict)
}

/// The rows of `table` are parts of rows of `parent`, and go with them.
pub(crate) fn owned_by(
    table: &'static str,
    column: &'static str,
    parent: &'static str,
    key: &'static str,
) -> ForeignKeyCreateStatement {
    foreign_key(table, column, parent, key, ForeignKeyAction::Cascade)
}

/// No two rows of `table` have the same values in all of `columns`.
pub(crate) fn unique(table: &str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create()
        .unique()
        .name(format!("unique_{table}_{}", columns.join("_")))
        .to_owned();
    for column in columns {
        index.col(*column);
    }
    index
}

fn foreign_key(
    table: &'static str,
    column: &'static str,
    parent: &'static str,
    key: &'static str,
    on_delete: ForeignKeyAction,
) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(format!("foreign_key_{table}_{column}"))
        .from(table, column)
        .to(parent, key)
        .on_delete(on_delete)
        .to_owned()
}
