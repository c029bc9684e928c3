//! How answers are produced: what the client that writes them is told beside the connection's own properties.

use millrace_kafka::Connection;
use millrace_wire::function::InferenceSpec;

/// What the client lets through to the broker. Dead letters are larger than the records they hold,
/// so the topics' own limits must decide, not the client's default of 1 MB.
const MAX_MESSAGE_BYTES: &str = "67108864";
/// What the client keeps of records that no broker has taken yet: as much as its largest record, and not the 1 GiB of its own. Where
/// it is full, nothing more is read.
const QUEUE_KBYTES: &str = "65536";
/// The client's own limit of what it sends at once to a partition.
pub(crate) const BATCH_BYTES: usize = 1_000_000;

/// The connection of a producer of answers. The topics take no more than `limit` bytes at once, which counts for batches
/// as for single records. What the specification's connection says itself stays.
pub(crate) fn producing(
    connection: &Connection,
    spec: &InferenceSpec,
    limit: usize,
    more: &[(&str, &str)],
) -> Connection {
    let batch = limit.clamp(1, BATCH_BYTES).to_string();
    let properties = [
        ("message.max.bytes", MAX_MESSAGE_BYTES),
        ("queue.buffering.max.kbytes", QUEUE_KBYTES),
        ("batch.size", batch.as_str()),
    ];
    let mut connection = connection.clone();
    for (name, value) in properties.iter().chain(more) {
        if !spec.connection.contains_key(*name) {
            connection = connection.with(name, value);
        }
    }
    connection
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn what_waits_for_a_slow_broker_is_bounded_and_holds_the_largest_record() {
        let queue: usize = QUEUE_KBYTES.parse().unwrap();
        let largest: usize = MAX_MESSAGE_BYTES.parse().unwrap();
        assert_eq!(
            queue << 10,
            largest,
            "a record that never fits would wait for ever"
        );
    }
}
