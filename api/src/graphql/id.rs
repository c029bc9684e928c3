//! Relay global ids: base64 of `Type:uuid`, opaque to clients.

use async_graphql::ID;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::app::{Code, Error};

/// A node's type and row id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalId {
    /// The GraphQL type's name.
    pub kind: String,
    /// The row.
    pub id: Uuid,
}

impl GlobalId {
    /// The id that clients see.
    #[must_use]
    pub fn encode(kind: &str, id: Uuid) -> ID {
        ID(URL_SAFE_NO_PAD.encode(format!("{kind}:{id}")))
    }

    /// Reads an id of any type.
    ///
    /// # Errors
    /// `INVALID_INPUT` for what is not an id of ours.
    pub fn decode(id: &ID) -> Result<Self, Error> {
        URL_SAFE_NO_PAD
            .decode(id.as_str())
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .and_then(|text| {
                let (kind, id) = text.split_once(':')?;
                Some(Self {
                    kind: kind.to_owned(),
                    id: id.parse().ok()?,
                })
            })
            .ok_or_else(|| {
                Error::new(
                    Code::InvalidInput,
                    format!("{:?} is not an id", id.as_str()),
                )
            })
    }

    /// Reads an id of one type.
    ///
    /// # Errors
    /// `INVALID_INPUT` for what is not an id, or the id of another type.
    pub fn expect(id: &ID, kind: &str) -> Result<Uuid, Error> {
        let found = Self::decode(id)?;
        if found.kind == kind {
            Ok(found.id)
        } else {
            Err(Error::new(
                Code::InvalidInput,
                format!(
                    "{:?} is the id of a {}, a {kind} is expected",
                    id.as_str(),
                    found.kind
                ),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn ids_carry_their_type() {
        let row = Uuid::from_u128(7);
        let id = GlobalId::encode("Model", row);
        assert_eq!(GlobalId::expect(&id, "Model").unwrap(), row);
        assert_eq!(
            GlobalId::expect(&id, "Version").unwrap_err().code(),
            Code::InvalidInput
        );
        assert_eq!(
            GlobalId::decode(&ID("rubbish!".into())).unwrap_err().code(),
            Code::InvalidInput
        );
    }
}
