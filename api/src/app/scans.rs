//! Long reads of topics: a few at once, the others wait. Each has a Kafka client and a thread of its
//! own for as long as it takes, even where nobody waits for it any more.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::{Error, Result};

/// How many are read at once: more would only share the same network.
const MOST: usize = 4;

/// Where reads wait for their turn.
#[derive(Debug, Clone)]
pub struct Scans(Arc<Semaphore>);

impl Default for Scans {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

impl Scans {
    /// Runs a read on a thread where it may block, when it is its turn.
    ///
    /// # Errors
    /// It panicked.
    pub async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let turn = Arc::clone(&self.0).acquire_owned().await;
        let turn = turn.map_err(Error::internal)?;
        tokio::task::spawn_blocking(move || {
            let result = work();
            drop(turn);
            result
        })
        .await
        .map_err(Error::internal)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use std::sync::mpsc;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn no_more_than_a_few_run_at_once() {
        let scans = Scans::default();
        let (started, starts) = mpsc::channel();
        let (end, ends) = crossing();
        let all: Vec<_> = (0..3 * MOST)
            .map(|_| {
                let (scans, started, ends) = (scans.clone(), started.clone(), Arc::clone(&ends));
                tokio::spawn(async move {
                    let work = move || {
                        started.send(()).unwrap();
                        ends.lock().unwrap().recv().unwrap();
                    };
                    scans.run(work).await
                })
            })
            .collect();
        // Each that ends lets one more begin, and no other.
        for _ in 0..MOST {
            starts.recv().unwrap();
        }
        for _ in 0..2 * MOST {
            assert!(starts.try_recv().is_err());
            assert_eq!(scans.0.available_permits(), 0);
            end.send(()).unwrap();
            starts.recv().unwrap();
        }
        for _ in 0..MOST {
            end.send(()).unwrap();
        }
        for one in all {
            one.await.unwrap().unwrap();
        }
    }

    type Ends = Arc<std::sync::Mutex<mpsc::Receiver<()>>>;

    fn crossing() -> (mpsc::Sender<()>, Ends) {
        let (end, ends) = mpsc::channel();
        (end, Arc::new(std::sync::Mutex::new(ends)))
    }
}
