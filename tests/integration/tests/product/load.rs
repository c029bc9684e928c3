//! Records that come in all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use millrace_harness::Kafka;
use millrace_kafka::{OutRecord, Producer};

use crate::{LIMIT, connection};

/// Records that come in all the time.
pub struct Load {
    sent: Arc<AtomicU32>,
    shall_end: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Load {
    /// Begins to send to the partitions in turns: four bytes each, the count of those before.
    pub fn start(kafka: &'static Kafka, topic: &str, partitions: i32) -> Self {
        let (sent, shall_end) = (
            Arc::new(AtomicU32::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let thread = thread::spawn({
            let (sent, shall_end, topic) =
                (Arc::clone(&sent), Arc::clone(&shall_end), topic.to_owned());
            move || {
                let producer = Producer::new(&connection(kafka)).unwrap();
                let mut number = 0_u32;
                while !shall_end.load(Ordering::Relaxed) {
                    // The beginning comes at once, then some hundreds a second.
                    let some = if number < 5_000 { 500 } else { 30 };
                    for _ in 0..some {
                        let partition = i32::try_from(number).unwrap() % partitions;
                        let value = number.to_le_bytes();
                        let record = OutRecord::to(&topic).partition(partition).value(&value);
                        producer.send(&record).unwrap();
                        number += 1;
                    }
                    producer.flush(LIMIT).unwrap();
                    sent.store(number, Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(50));
                }
            }
        });
        Self {
            sent,
            shall_end,
            thread,
        }
    }

    /// How many there are.
    pub fn sent(&self) -> u32 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Waits until so many records are there.
    pub fn wait_for(&self, records: u32) {
        millrace_harness::block_until("the records are there", LIMIT, || {
            let sent = self.sent();
            if sent >= records { Ok(()) } else { Err(sent) }
        });
    }

    /// Ends it.
    pub fn stop(self) {
        self.shall_end.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}
