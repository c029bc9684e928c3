//! Waiting for a condition. A condition answers `Ok` once it holds, else what it saw instead, so that a
//! test which waited in vain says what stood there at the end.

use std::fmt::Display;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(50);

/// Asks `condition` again and again until it answers `Ok`, whose value it returns.
///
/// Panics after `limit`, naming `what` was waited for and what was seen last.
pub async fn wait_until<T, E: Display>(
    what: &str,
    limit: Duration,
    mut condition: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let start = Instant::now();
    loop {
        match condition().await {
            Ok(value) => return value,
            Err(seen) => give_up_after(limit, start, what, &seen),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// [`wait_until`] for what is not asynchronous.
pub fn block_until<T, E: Display>(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> Result<T, E>,
) -> T {
    let start = Instant::now();
    loop {
        match condition() {
            Ok(value) => return value,
            Err(seen) => give_up_after(limit, start, what, &seen),
        }
        std::thread::sleep(PAUSE);
    }
}

fn give_up_after(limit: Duration, start: Instant, what: &str, seen: &dyn Display) {
    assert!(
        start.elapsed() < limit,
        "waited {} s in vain: {what}; seen last: {seen}",
        limit.as_secs_f32()
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_the_value_once_the_condition_holds() {
        let mut asked = 0;
        let value = block_until("the third answer", Duration::from_secs(5), || {
            asked += 1;
            if asked == 3 { Ok(asked) } else { Err(asked) }
        });
        assert_eq!(value, 3);
    }

    #[test]
    #[should_panic(expected = "in vain: the moon; seen last: a cloud")]
    fn says_what_was_seen_last() {
        block_until::<(), _>("the moon", Duration::from_millis(100), || Err("a cloud"));
    }
}
