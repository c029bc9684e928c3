//! The wire format of schema registries that speak Confluent's interface: which schema a value has.
//!
//! In front of the value stand a zero byte and the schema's id, four bytes with the most significant first. Or a header
//! holds these (`__key_schema_id`, `__value_schema_id`), or a one and the schema's GUID, and the value follows no prefix.
//! <https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format>
//! What begins with a three was written for [AWS's registry](super::glue).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::{DecodeError, Headers, glue};

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
    /// The id of its version in the AWS Glue Schema Registry.
    Glue(u128),
}

impl SchemaKey {
    /// Whether AWS's registry has it, and not one with Confluent's interface.
    #[must_use]
    pub fn is_of_glue(self) -> bool {
        matches!(self, Self::Glue(_))
    }
}

impl From<u32> for SchemaKey {
    fn from(id: u32) -> Self {
        Self::Id(id)
    }
}

/// As people write it: a number of Confluent's interface, or the UUID of a version in AWS's registry.
impl FromStr for SchemaKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let id = text.parse().map(Self::Id).ok();
        let version = || uuid::Uuid::parse_str(text).ok();
        id.or_else(|| version().map(|version| Self::Glue(version.as_u128())))
            .ok_or_else(|| "neither a number nor the UUID of a schema's version".to_owned())
    }
}

impl fmt::Display for SchemaKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(formatter, "{id}"),
            Self::Guid(id) | Self::Glue(id) => uuid::Uuid::from_u128(*id).fmt(formatter),
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
    pub(super) rest: Cow<'a, [u8]>,
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
    if header.is_none() && bytes.first() == Some(&glue::VERSION) {
        let (schema, rest) = glue::split(bytes).map_err(|reason| DecodeError::Framing {
            part: part.name().to_owned(),
            reason,
        })?;
        return Ok(Framed {
            schema,
            rest,
            bytes: None,
        });
    }
    let prefix = header.unwrap_or(bytes);
    let (schema, rest) = key(prefix).ok_or_else(|| fault(part, prefix, header.is_some()))?;
    Ok(Framed {
        schema,
        rest: Cow::Borrowed(rest),
        bytes: header.is_some().then_some(bytes),
    })
}

impl<'a> Framed<'a> {
    /// The bytes of a format that puts nothing between the schema's id and them.
    pub(super) fn plain(self) -> (SchemaKey, Cow<'a, [u8]>) {
        let bytes = self.bytes.map_or(self.rest, Cow::Borrowed);
        (self.schema, bytes)
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
    DecodeError::Framing {
        part: part.name().to_owned(),
        reason,
    }
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Value => "value",
            Self::Header => "header",
        }
    }
}

/// Puts a schema's id in front of bytes.
#[must_use]
pub fn framed(schema: impl Into<SchemaKey>, bytes: &[u8]) -> Vec<u8> {
    match schema.into() {
        SchemaKey::Id(id) => [&[0], &id.to_be_bytes()[..], bytes].concat(),
        SchemaKey::Guid(guid) => [&[1], &guid.to_be_bytes()[..], bytes].concat(),
        SchemaKey::Glue(version) => glue::framed(version, bytes),
    }
}
