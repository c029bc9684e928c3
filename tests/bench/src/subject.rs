//! A process that reads one topic and writes another, and what its records cost.
//!
//! Invariant: it is measured warm, from the moment when all records become visible to it at once, until its
//! group has committed the last of them.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, Utc};
use millrace_harness::Process;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::cluster::{Cluster, Ends};
use crate::cpu;
use crate::launch::Route;

/// Records that every process handles before it is measured.
const WARM_UP: usize = 2_000;
/// How often the group's offsets are looked at.
const LOOK: Duration = Duration::from_millis(5);
/// After so long nothing is to be expected any more.
pub(crate) const LIMIT: Duration = Duration::from_mins(10);
const REQUEST: Duration = Duration::from_secs(10);

/// What records have cost.
pub(crate) struct Cost {
    pub(crate) records: usize,
    /// Wall time.
    pub(crate) seconds: f64,
    /// User and system time of the process.
    pub(crate) cpu_seconds: f64,
}

impl Cost {
    pub(crate) fn records_per_second(&self) -> f64 {
        self.records as f64 / self.seconds
    }

    pub(crate) fn cpu_micros_per_record(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.records as f64
    }
}

/// A running process with its topics.
pub(crate) struct Subject<'a> {
    pub(crate) cluster: &'a Cluster,
    /// When the process was started.
    pub(crate) begun: DateTime<Utc>,
    pub(crate) process: Process,
    pub(crate) route: Route,
}

impl Subject<'_> {
    /// Has the process handle some records, then measures what `count` more of them cost.
    pub(crate) fn measure(&mut self, records: &[Vec<u8>], count: usize) -> Result<Cost> {
        self.handle(records, WARM_UP)?;
        self.handle(records, count)
    }

    /// Has the process handle so many records, which become visible to it at once.
    pub(crate) fn handle(&mut self, records: &[Vec<u8>], count: usize) -> Result<Cost> {
        let watch = watch(&self.cluster.properties, &self.route.group)?;
        let ends = self.cluster.fill(&self.route.input, records, count)?;
        let cpu = cpu::seconds(self.process.id())?;
        let start = Instant::now();
        self.cluster.release()?;
        self.wait_for(&watch, &ends)?;
        Ok(Cost {
            records: count,
            seconds: start.elapsed().as_secs_f64(),
            cpu_seconds: cpu::seconds(self.process.id())? - cpu,
        })
    }

    /// Ends the process, and removes its topics.
    pub(crate) fn end(mut self) -> Result<()> {
        self.process.terminate();
        self.process.wait(LIMIT);
        Ok(self.cluster.admin.delete_topics(&self.route.topics())?)
    }

    /// Fails where the process has ended, or nothing is to be expected of it since `start` any more.
    pub(crate) fn check(&mut self, start: Instant) -> Result<()> {
        let is_running = self.process.running();
        ensure!(
            is_running && start.elapsed() < LIMIT,
            "the records are not handled; the process {}, and said:\n{}",
            if is_running { "runs" } else { "has ended" },
            self.process.lines().join("\n")
        );
        Ok(())
    }

    /// Waits until the group has committed these offsets, or more: behind the last record stands the marker of
    /// its transaction.
    fn wait_for(&mut self, watch: &BaseConsumer, ends: &Ends) -> Result<()> {
        let start = Instant::now();
        let mut asked = TopicPartitionList::new();
        for partition in ends.keys() {
            asked.add_partition(&self.route.input, *partition);
        }
        loop {
            let committed = watch.committed_offsets(asked.clone(), REQUEST)?;
            let is_there = committed.elements().iter().all(|found| {
                matches!(found.offset(), Offset::Offset(offset) if offset >= ends[&found.partition()])
            });
            if is_there {
                return Ok(());
            }
            self.check(start)
                .with_context(|| format!("committed is {committed:?}, wanted is {ends:?}"))?;
            thread::sleep(LOOK);
        }
    }
}

/// A client that sees a group's offsets without waiting for transactions that are open.
fn watch(properties: &BTreeMap<String, String>, group: &str) -> Result<BaseConsumer> {
    let mut config: ClientConfig = properties.clone().into_iter().collect();
    config
        .set("group.id", group)
        .set("isolation.level", "read_uncommitted")
        .create()
        .context("cannot make a client to watch the group with")
}
