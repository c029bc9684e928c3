//! When events go, and which records wait for them no more.

use super::super::event::tests::item;
use super::*;

fn mapping(batch_size: usize, window: Duration) -> Mapping {
    Mapping {
        batch_size,
        window,
        ..Mapping::default()
    }
}

#[test]
fn an_event_goes_when_it_is_full_or_its_window_is_over() {
    let window = Duration::from_hours(1);
    let mapping = mapping(3, window);
    let mut pending = Pending::default();
    let now = Instant::now();
    assert_eq!(pending.take(&mapping, now), None);
    pending.add(vec![item(0, 1), item(1, 1)]);
    let since = pending.since.expect("two wait");
    assert_eq!(pending.take(&mapping, since), None);
    pending.add(vec![item(0, 2), item(0, 3)]);
    let full = pending.take(&mapping, since).expect("three are there");
    assert_eq!(full, [item(0, 1), item(1, 1), item(0, 2)]);
    assert_eq!(pending.take(&mapping, since), None);
    let rest = pending
        .take(&mapping, since + window)
        .expect("the window is over");
    assert_eq!(rest, [item(0, 3)]);
    assert_eq!(pending.take(&mapping, since + window * 3), None);
}

#[test]
fn records_of_partitions_that_have_gone_are_forgotten() {
    let mapping = mapping(10, Duration::ZERO);
    let mut pending = Pending::default();
    pending.add(vec![item(0, 1), item(1, 1), item(0, 2)]);
    pending.forget(&[TopicPartition::new("input", 0)]);
    let left = pending.take(&mapping, Instant::now() + LOOK);
    assert_eq!(left, Some(vec![item(1, 1)]));
}

/// Time stamps need not rise: a commit behind an old record would pass over the fresh one before it.
#[test]
fn a_record_behind_a_fresh_one_is_not_given_up_before_that_is_answered() {
    let items = vec![item(0, 1), item(0, 2), item(1, 1), item(0, 3), item(1, 2)];
    let is_old = |it: &Item| *it != item(0, 2);
    let (expired, rest) = expired(items, is_old);
    assert_eq!(expired, [item(0, 1), item(1, 1), item(1, 2)]);
    assert_eq!(rest, [item(0, 2), item(0, 3)]);
}
