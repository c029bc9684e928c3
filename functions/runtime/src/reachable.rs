//! Whether a cluster answers, as a replica's status tells it.

use millrace_kafka::Connection;

use crate::status::Status;

/// The code of a cluster that does not.
pub(crate) const UNREACHABLE: &str = "kafka-unreachable";

/// Reports that the brokers are gone, or that they are back.
pub(crate) fn note_health(connection: &Connection, status: &Status) {
    let health = connection.health();
    if health.is_connected() {
        status.recovered(UNREACHABLE);
        return;
    }
    // Said once: while a cluster is away, librdkafka's reason is another one every moment.
    if status.knows(UNREACHABLE) {
        return;
    }
    let reason = health
        .status()
        .last_error
        .unwrap_or_else(|| "no answer yet".to_owned());
    status.degraded(
        UNREACHABLE,
        format!(
            "no broker of the cluster answers ({reason}); the inference waits and goes on by itself"
        ),
    );
}
