//! How much is measured.

use std::time::Duration;

/// How much one run of the bench measures.
pub(crate) struct Effort {
    /// Rounds, in each of which everything has its turn.
    pub(crate) rounds: usize,
    /// How long one turn of a loop without Kafka takes.
    pub(crate) turn: Duration,
    /// Records of 32 bytes in one turn through Kafka.
    pub(crate) small_records: usize,
    /// Records of 3,136 bytes in one turn through Kafka.
    pub(crate) large_records: usize,
    /// Records in one turn at an even pace.
    pub(crate) paced_records: usize,
    /// Records after which memory is looked at.
    pub(crate) lasting_records: usize,
    /// Records of 784 bytes that a model is trained on.
    pub(crate) job_records: u32,
}

impl Effort {
    /// About eight minutes on two quiet cores.
    pub(crate) const FULL: Self = Self {
        rounds: 5,
        turn: Duration::from_millis(500),
        small_records: 600_000,
        large_records: 120_000,
        paced_records: 4_000,
        lasting_records: 1_000_000,
        job_records: 100_000,
    };
    /// So many records that their CPU time shows in hundredths of a second, and no more.
    pub(crate) const QUICK: Self = Self {
        rounds: 1,
        turn: Duration::from_millis(100),
        small_records: 60_000,
        large_records: 12_000,
        paced_records: 500,
        lasting_records: 20_000,
        job_records: 5_000,
    };
}
