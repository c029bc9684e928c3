//! Names of the Kafka record headers that Millrace writes, and which headers of an input pass
//! through to its output.

/// The model whose version made an output.
pub const MODEL: &str = "millrace-model";
/// The number of the version that made an output, or that could not.
pub const VERSION: &str = "millrace-version";
/// The record that an output answers: `topic/partition/offset`.
pub const SOURCE: &str = "millrace-source";
/// On records that were handed on, and on what follows from them: the record that came first.
pub const ORIGIN: &str = "millrace-origin";
/// On dead letters: a short stable code of the fault.
pub const ERROR: &str = "millrace-error";
/// On dead letters: what is wrong, as a sentence.
pub const ERROR_MESSAGE: &str = "millrace-error-message";
/// On dead letters: how often the record was tried. On redriven records: which try this is.
pub const ATTEMPT: &str = "millrace-attempt";
/// On redriven records: the dead letter that they were, as `partition/offset`.
pub const DEAD_LETTER: &str = "millrace-dead-letter";
/// On redriven records and on the answers of a replay: the time of the record, in milliseconds since 1970. They have a
/// time of their own, for their topic's retention.
pub const TIMESTAMP: &str = "millrace-timestamp";
/// On dead letters of trainings: the training's id.
pub const TRAINING: &str = "millrace-training";

/// Whether a header is one that Millrace writes anew on a dead letter.
#[must_use]
pub fn is_ours(name: &str) -> bool {
    [
        MODEL,
        VERSION,
        SOURCE,
        ERROR,
        ERROR_MESSAGE,
        ATTEMPT,
        DEAD_LETTER,
        TIMESTAMP,
    ]
    .contains(&name)
}

/// Whether a header of the input stays on the output.
///
/// Left out are those that describe the input's bytes, which the output no longer has (schema
/// ids, `content-type`, `CloudEvents` attributes), and Millrace's own, which are written anew. Only
/// where a chain of models has begun stays.
#[must_use]
pub fn passes_through(name: &str) -> bool {
    let describes_bytes = name.eq_ignore_ascii_case("content-type")
        || name.starts_with("ce_")
        || matches!(name, "__key_schema_id" | "__value_schema_id")
        || matches!(name, "key.schema.id" | "value.schema.id");
    !describes_bytes && (!name.starts_with("millrace-") || name == ORIGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_describe_the_input_stay_behind() {
        for kept in [
            "trace-id",
            "label",
            "Content-Length",
            "cell",
            "millrace-origin",
        ] {
            assert!(passes_through(kept), "{kept}");
        }
        for dropped in [
            "content-type",
            "Content-Type",
            "ce_id",
            "millrace-source",
            "__value_schema_id",
        ] {
            assert!(!passes_through(dropped), "{dropped}");
        }
    }
}
