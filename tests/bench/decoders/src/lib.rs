//! What decoding alone costs: records of Avro, JSON and Protobuf into rows of float32, beside a loop that was written for the one
//! schema, and beside Python's fastest decoders.
//!
//! Invariant: both ways make the same rows of the same records, in turns, in one process and on one thread.

#![allow(
    clippy::cast_precision_loss,
    reason = "counts of records are far below 2^52, and numbers in records below 2^24"
)]

mod avro;
mod bytes;
mod json;
mod peers;
mod protobuf;
mod workload;

use std::time::{Duration, Instant};

pub use self::peers::{PeerRate, peer_rates};
use self::workload::Workload;

/// How fast records are decoded, in records a second: one figure a round.
pub struct Rates {
    /// Which format, and which records.
    pub name: String,
    /// The product.
    pub ours: Vec<f64>,
    /// The loop that was written for them.
    pub by_hand: Vec<f64>,
}

/// Measures the workloads whose names contain this, with a turn of each way in each round.
///
/// # Panics
/// Where a decoder does not do what it was written for.
#[must_use]
pub fn rates(only: &str, rounds: usize, turn: Duration) -> Vec<Rates> {
    let mut rates = Vec::new();
    for workload in workload::all() {
        if !workload.name().contains(only) {
            continue;
        }
        let mut found = Rates {
            name: workload.name(),
            ours: Vec::new(),
            by_hand: Vec::new(),
        };
        let (mut ours, mut by_hand) = (workload.ours(), workload.by_hand());
        per_second(&workload, turn / 4, &mut ours);
        for _ in 0..rounds {
            found.ours.push(per_second(&workload, turn, &mut ours));
            found
                .by_hand
                .push(per_second(&workload, turn, &mut by_hand));
        }
        rates.push(found);
    }
    rates
}

/// Records a second, in batches as an inference has them.
fn per_second(
    workload: &Workload,
    turn: Duration,
    decode: &mut dyn FnMut(&[u8], &mut Vec<f32>),
) -> f64 {
    const BATCH: usize = 500;
    let mut rows = Vec::new();
    let (start, mut count) = (Instant::now(), 0);
    while count == 0 || start.elapsed() < turn {
        for batch in workload.records.chunks(BATCH) {
            rows.clear();
            for record in batch {
                decode(record, &mut rows);
            }
            std::hint::black_box(&rows);
            count += batch.len();
        }
    }
    count as f64 / start.elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_make_the_rows_that_were_written() {
        for workload in workload::all() {
            let (mut ours, mut by_hand) = (workload.ours(), workload.by_hand());
            for (record, row) in workload.records.iter().zip(&workload.rows) {
                let mut found = [Vec::new(), Vec::new()];
                ours(record, &mut found[0]);
                by_hand(record, &mut found[1]);
                assert_eq!(&found[0], row, "{}", workload.name());
                assert_eq!(&found[1], row, "{} by hand", workload.name());
            }
        }
    }

    #[test]
    fn every_workload_is_measured_in_every_round() {
        let rates = rates("", 2, Duration::from_millis(1));
        assert_eq!(rates.len(), 9);
        for rate in rates {
            assert!(
                rate.ours
                    .iter()
                    .chain(&rate.by_hand)
                    .all(|rate| *rate > 0.0)
            );
            assert_eq!((rate.ours.len(), rate.by_hand.len()), (2, 2));
        }
    }
}
