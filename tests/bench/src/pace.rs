//! Records at an even pace, and how long each takes until it has come out at the other end.
//!
//! Invariant: a record's time begins when it is handed to a producer that does not linger, and ends when a reader of
//! committed records has its answer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use millrace_kafka::{Connection, OutRecord, Producer, Record, Tail, TailEvent};

use crate::cpu;
use crate::subject::Subject;

/// Time between two records: 1,000 a second.
const PERIOD: Duration = Duration::from_millis(1);
/// Records that come before those that are measured.
const WARM_UP: usize = 500;
/// How long the reader waits before it looks after the process.
const LOOK: Duration = Duration::from_secs(1);

/// How soon records came out, and what they have cost.
pub(crate) struct Pace {
    /// Milliseconds that each record took, the shortest first.
    latencies: Vec<f64>,
    /// User and system time of the process, in µs.
    pub(crate) cpu_micros_per_record: f64,
}

impl Pace {
    /// Sends so many records through a process, after some to get warm.
    pub(crate) fn measure(
        subject: &mut Subject<'_>,
        records: &[Vec<u8>],
        count: usize,
    ) -> Result<Self> {
        let properties = subject.cluster.properties.clone();
        let connection = Connection::new(&properties).with("linger.ms", "0");
        let mut tail = Tail::open(&connection, &subject.route.output, &BTreeMap::new())?;
        let feeder = Feeder {
            producer: Producer::new(&connection)?,
            topic: subject.route.input.clone(),
            partitions: subject.cluster.admin.partitions(&subject.route.input)?,
            start: Instant::now(),
            sent: (0..WARM_UP + count).map(|_| AtomicU64::new(0)).collect(),
            process: subject.process.id(),
        };
        // The first one waits for the process to join its group, and is no measure of anything.
        feeder.send(0, records)?;
        let mut seen = Seen::new(feeder.sent.len());
        seen.wait(1, &mut tail, subject, &feeder)?;
        let cpu_seconds = thread::scope(|scope| {
            let feeding = scope.spawn(|| feeder.send_evenly(records));
            seen.wait(feeder.sent.len(), &mut tail, subject, &feeder)?;
            feeding.join().expect("a panic ends the bench")
        })?;
        let mut latencies = seen.micros.split_off(WARM_UP);
        latencies.sort_unstable();
        Ok(Self {
            latencies: latencies
                .into_iter()
                .map(|micros| micros as f64 / 1e3)
                .collect(),
            cpu_micros_per_record: cpu_seconds * 1e6 / count as f64,
        })
    }

    /// The milliseconds within which this share of all records came out.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.latencies.len() * percent).div_ceil(100);
        self.latencies[rank.max(1) - 1]
    }
}

/// Sends records whose keys are their numbers.
struct Feeder {
    producer: Producer,
    topic: String,
    partitions: i32,
    start: Instant,
    /// When each record was sent, in µs since the start.
    sent: Vec<AtomicU64>,
    process: u32,
}

impl Feeder {
    fn send(&self, number: usize, records: &[Vec<u8>]) -> Result<()> {
        let key = u32::try_from(number)?.to_le_bytes();
        let record = OutRecord::to(&self.topic)
            .partition(i32::try_from(number)? % self.partitions)
            .key(&key)
            .value(&records[number % records.len()]);
        self.sent[number].store(self.now(), Ordering::Relaxed);
        Ok(self.producer.send(&record)?)
    }

    /// Sends all records but the first one, and returns the CPU seconds that the process took while those were sent that
    /// are measured.
    fn send_evenly(&self, records: &[Vec<u8>]) -> Result<f64> {
        let begun = Instant::now();
        let mut cpu = 0.0;
        for number in 1..self.sent.len() {
            let due = begun + PERIOD * u32::try_from(number)?;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if number == WARM_UP {
                cpu = cpu::seconds_of_threads(self.process)?;
            }
            self.send(number, records)?;
        }
        Ok(cpu::seconds_of_threads(self.process)? - cpu)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// What has come out.
struct Seen {
    /// How long each record took, in µs; those that have not come yet have none.
    micros: Vec<u64>,
    count: usize,
}

impl Seen {
    fn new(records: usize) -> Self {
        Self {
            micros: vec![u64::MAX; records],
            count: 0,
        }
    }

    /// Reads until so many records have come out.
    fn wait(
        &mut self,
        count: usize,
        tail: &mut Tail,
        subject: &mut Subject<'_>,
        feeder: &Feeder,
    ) -> Result<()> {
        let start = Instant::now();
        while self.count < count {
            match tail.poll(LOOK)? {
                TailEvent::Record(record) => self.note(&record, feeder)?,
                TailEvent::CaughtUp => {}
                TailEvent::Idle => subject.check(start)?,
            }
        }
        Ok(())
    }

    fn note(&mut self, record: &Record, feeder: &Feeder) -> Result<()> {
        let now = feeder.now();
        let key = record.key.as_deref().unwrap_or_default();
        let number = u32::from_le_bytes(key.try_into().context("an output has another key")?);
        let place = &mut self.micros[number as usize];
        // What is written at least once may come twice.
        if *place == u64::MAX {
            *place = now - feeder.sent[number as usize].load(Ordering::Relaxed);
            self.count += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_value_below_which_that_share_lies() {
        let pace = Pace {
            latencies: (1..=200).map(f64::from).collect(),
            cpu_micros_per_record: 0.0,
        };
        for (percent, latency) in [(0, 1.0), (50, 100.0), (99, 198.0), (100, 200.0)] {
            assert!((pace.percentile(percent) - latency).abs() < f64::EPSILON);
        }
    }
}
