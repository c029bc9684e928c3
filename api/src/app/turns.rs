//! Work that takes a Kafka client and a thread of its own: a few at once, the others wait. It goes on
//! to its end even where nobody waits for it any more, and keeps its turn as long.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Error, Result};

/// How many work at once: more would only share the same network.
const MOST: usize = 4;

/// Where work waits for its turn.
#[derive(Debug, Clone)]
pub struct Turns(Arc<Semaphore>);

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

impl Turns {
    /// Waits for a turn, which lasts until it is dropped: take it along to where the work is done.
    ///
    /// # Errors
    /// None: turns are always given.
    pub async fn take(&self) -> Result<OwnedSemaphorePermit> {
        let turn = Arc::clone(&self.0).acquire_owned().await;
        turn.map_err(Error::internal)
    }

    /// Does work on a thread where it may block, when it is its turn.
    ///
    /// # Errors
    /// It panicked.
    pub async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let turn = self.take().await?;
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
        let turns = Turns::default();
        let (started, starts) = mpsc::channel();
        let (end, ends) = crossing();
        let all: Vec<_> = (0..3 * MOST)
            .map(|_| {
                let (turns, started, ends) = (turns.clone(), started.clone(), Arc::clone(&ends));
                tokio::spawn(async move {
                    let work = move || {
                        started.send(()).unwrap();
                        ends.lock().unwrap().recv().unwrap();
                    };
                    turns.run(work).await
                })
            })
            .collect();
        // Each that ends lets one more begin, and no other.
        for _ in 0..MOST {
            starts.recv().unwrap();
        }
        for _ in 0..2 * MOST {
            assert!(starts.try_recv().is_err());
            assert_eq!(turns.0.available_permits(), 0);
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
