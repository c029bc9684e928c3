//! The CPU time of a process, as Linux counts it.

use std::fs;

use anyhow::{Context as _, Result};

/// The unit of times in `/proc`, which Linux promises to programs on every architecture that it still has.
const TICKS_PER_SECOND: f64 = 100.0;
/// Where the user's and the system's ticks stand, counted from the field behind the process's name.
const USER: usize = 11;
const SYSTEM: usize = 12;

/// Seconds of CPU time, user and system, of all threads of a process so far.
pub(crate) fn seconds(process: u32) -> Result<f64> {
    let path = format!("/proc/{process}/stat");
    let text = fs::read_to_string(&path)
        .with_context(|| format!("cannot read {path}: CPU time is measured on Linux only"))?;
    let ticks = ticks(&text).with_context(|| format!("cannot understand {path}: {text}"))?;
    Ok(ticks as f64 / TICKS_PER_SECOND)
}

/// Seconds of CPU time of the threads that a process has now, as the scheduler counts them: in nanoseconds, where a few of the
/// ticks above are all that is measured, or none. A thread that has ended is not in it.
pub(crate) fn seconds_of_threads(process: u32) -> Result<f64> {
    let folder = format!("/proc/{process}/task");
    let mut nanoseconds = 0;
    for thread in fs::read_dir(&folder).with_context(|| format!("cannot read {folder}"))? {
        let path = thread?.path().join("schedstat");
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let ran = text
            .split_whitespace()
            .next()
            .and_then(|field| field.parse::<u64>().ok());
        nanoseconds +=
            ran.with_context(|| format!("cannot understand {}: {text}", path.display()))?;
    }
    Ok(nanoseconds as f64 / 1e9)
}

fn ticks(stat: &str) -> Option<u64> {
    // The name stands in parentheses and may hold spaces, and parentheses too.
    let (_, behind_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    let field = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(field(USER)? + field(SYSTEM)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn the_ticks_of_user_and_system_are_added() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 3 0 250 50 9 9 20 0 1 0 5 6 7";
        assert_eq!(ticks(stat).unwrap(), 300);
        assert_eq!(ticks("7 (short) S 1"), None);
    }
}
