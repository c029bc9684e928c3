//! What the parts of Millrace agree on: function specifications, commands, events, the registry,
//! segments and record formats. Pure data and arithmetic; nothing here does I/O.
//!
//! Every message that travels carries `format`, the version of its layout; a reader refuses a
//! layout that it does not know instead of guessing.

pub mod command;
pub mod event;
pub mod function;
pub mod goal;
pub mod header;
pub mod metric;
pub mod name;
pub mod pinned;
pub mod prediction;
pub mod preprocessing;
pub mod progress;
pub mod record;
pub mod registry;
pub mod samples;
pub mod segment;
pub mod signature;
pub mod split;
pub mod training;
pub mod trial;
pub mod tuning;

/// The layout version of every message in this crate.
pub const FORMAT: u32 = 1;

/// A message that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// The bytes are not the JSON of this message.
    #[error("not a valid {message}: {source}")]
    Malformed {
        /// Which message was expected.
        message: &'static str,
        /// What serde found.
        source: serde_json::Error,
    },
    /// A newer Millrace wrote it.
    #[error(
        "the {message} has format {found}, which a newer Millrace wrote; this one reads format {FORMAT}: upgrade it"
    )]
    Format {
        /// Which message was expected.
        message: &'static str,
        /// The format found.
        found: u64,
    },
}

/// Reads one JSON message and checks its `format` first, so that a message of another layout
/// is reported as such and not as a missing field.
fn read<T: serde::de::DeserializeOwned>(
    message: &'static str,
    bytes: &[u8],
) -> Result<T, MessageError> {
    #[derive(serde::Deserialize)]
    struct Head {
        format: u64,
    }
    let malformed = |source| MessageError::Malformed { message, source };
    let head: Head = serde_json::from_slice(bytes).map_err(malformed)?;
    if head.format != u64::from(FORMAT) {
        return Err(MessageError::Format {
            message,
            found: head.format,
        });
    }
    serde_json::from_slice(bytes).map_err(malformed)
}

/// Writes one message as JSON.
///
/// # Panics
/// Never for the types of this crate: their maps have string keys and their numbers are finite
/// or optional.
fn write<T: serde::Serialize>(message: &T) -> Vec<u8> {
    serde_json::to_vec(message).expect("a wire type always serialises")
}
