//! How answers are produced: what the client that writes them is told beside the connection's own properties.

use millrace_kafka::Connection;
use millrace_wire::function::InferenceSpec;

/// What the client lets through to the broker. Dead letters are larger than the records they hold,
/// so the topics' own limits must decide, not the client's default of 1 MB.
const MAX_MESSAGE_BYTES: &str = "67108864";
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
