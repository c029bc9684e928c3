//! The wire format of schema registries that speak Confluent's interface: which schema a value has.
//!
//! In front of the value stand a zero byte and the schema's id, four bytes with the most significant first. Or a header
//! holds these (`__key_schema_id`, `__value_schema_id`), or a one and the schema's GUID, and the value follows no prefix.
//! <https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format>

use std::fmt;

use super::{DecodeError, Headers};

/// The header that holds the schema of a value.
const VALUE_HEADER: &str = "__value_schema_id";
/// The header that holds the schema of a key.
const KEY_HEADER: &str = "__key_schema_id";

/// What a record calls a schema of the registry by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SchemaKey {
    /// Its number.
    Id(u32),
    /// Its globally unique id.
    Guid(u128),
}

impl fmt::Display for SchemaKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(formatter, "{id}"),
            Self::Guid(guid) => uuid::Uuid::from_u128(*guid).fmt(formatter),
        }
    }
}

/// The part of a record that has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Key,
    Value,
    /// A header, which has no header of its own.
    Header,
}

/// The bytes of a part, and what stands around them.
pub(super) struct Framed<'a> {
    pub(super) schema: SchemaKey,
    /// What follows the schema's id: in a header as well as in front of the bytes.
    pub(super) rest: &'a [u8],
    /// The bytes themselves, where they stand behind no prefix.
    pub(super) bytes: Option<&'a [u8]>,
}

/// Reads which schema the bytes have.
pub(super) fn unframe<'a>(
    part: Part,
    bytes: &'a [u8],
    headers: &'a dyn Headers,
) -> Result<Framed<'a>, DecodeError> {
    let header = match part {
        Part::Key => headers.last(KEY_HEADER),
        Part::Value => headers.last(VALUE_HEADER),
        Part::Header => None,
    };
    let prefix = header.unwrap_or(bytes);
    let (schema, rest) = key(prefix).ok_or_else(|| fault(part, prefix, header.is_some()))?;
    Ok(Framed {
        schema,
        rest,
        bytes: header.is_some().then_some(bytes),
    })
}

impl<'a> Framed<'a> {
    /// The bytes of a format that puts nothing between the schema's id and them.
    pub(super) fn plain(self) -> (SchemaKey, &'a [u8]) {
        (self.schema, self.bytes.unwrap_or(self.rest))
    }
}

fn key(prefix: &[u8]) -> Option<(SchemaKey, &[u8])> {
    let (magic, rest) = prefix.split_first()?;
    match magic {
        0 => {
            let (id, rest) = rest.split_first_chunk::<4>()?;
            Some((SchemaKey::Id(u32::from_be_bytes(*id)), rest))
        }
        1 => {
            let (guid, rest) = rest.split_first_chunk::<16>()?;
            Some((SchemaKey::Guid(u128::from_be_bytes(*guid)), rest))
        }
        _ => None,
    }
}

fn fault(part: Part, prefix: &[u8], is_header: bool) -> DecodeError {
    let place = if is_header { "its header" } else { "it" };
    let reason = match prefix.first() {
        Some(0 | 1) => format!("{place} ends in the middle of the schema's id"),
        Some(other) => format!(
            "{place} begins with the byte {other} and not with 0, behind which a schema's id stands"
        ),
        None => format!("{place} is empty"),
    };
    let part = match part {
        Part::Key => "key",
        Part::Value => "value",
        Part::Header => "header",
    };
    DecodeError::Framing {
        part: part.to_owned(),
        reason,
    }
}

/// Puts a schema's id in front of bytes.
#[must_use]
pub fn framed(schema: u32, bytes: &[u8]) -> Vec<u8> {
    [&[0], &schema.to_be_bytes()[..], bytes].concat()
}
