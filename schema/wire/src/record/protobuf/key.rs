//! The keys of maps, as they are written.

use protox::prost_reflect::Kind;

/// A key that is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Key {
    Text(String),
    /// The number as it is written: as the bits of its wire type, with its sign drawn out to 64.
    Number(u64),
}

/// The key of an entry.
pub(super) enum Written<'e> {
    /// Nothing was written: the empty text, 0 or `false`.
    Nothing,
    Text(&'e [u8]),
    Number(u64),
}

impl Key {
    /// The key that a name of a pointer stands for; nothing where the map has no such key.
    pub(super) fn new(kind: &Kind, name: &str) -> Option<Self> {
        let signed = || name.parse::<i64>().ok().map(i64::cast_unsigned);
        let zigzag = || {
            let number = name.parse::<i64>().ok()?;
            Some(((number << 1) ^ (number >> 63)).cast_unsigned())
        };
        let bits = match kind {
            Kind::String => return Some(Self::Text(name.to_owned())),
            Kind::Bool => name.parse::<bool>().ok().map(u64::from),
            Kind::Int32 | Kind::Int64 | Kind::Sfixed64 => signed(),
            Kind::Sint32 | Kind::Sint64 => zigzag(),
            Kind::Uint32 | Kind::Uint64 | Kind::Fixed32 | Kind::Fixed64 => name.parse().ok(),
            Kind::Sfixed32 => name
                .parse::<i32>()
                .ok()
                .map(|number| number.cast_unsigned().into()),
            // No map has another key.
            _ => None,
        };
        bits.map(Self::Number)
    }

    pub(super) fn is(&self, written: &Written<'_>) -> bool {
        match (self, written) {
            (Self::Text(key), Written::Text(written)) => key.as_bytes() == *written,
            (Self::Number(key), Written::Number(written)) => key == written,
            (Self::Text(key), Written::Nothing) => key.is_empty(),
            (Self::Number(key), Written::Nothing) => *key == 0,
            (Self::Text(_), Written::Number(_)) | (Self::Number(_), Written::Text(_)) => false,
        }
    }
}
