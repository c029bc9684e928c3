//! What the replicas of inferences report, and what follows for their inference's state.
//!
//! What each replica last said is kept in memory only: it is about processes that end with the API,
//! and new ones say it again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use millrace_entity::inference::{self, State};
use millrace_wire::event::{Body, Event};
use millrace_wire::progress::Progress;
use sea_orm::ActiveValue::Set;
use sea_orm::{ActiveModelTrait as _, ConnectionTrait, IntoActiveModel as _};
use uuid::Uuid;

use super::activity::{Activity, Recent};
use super::state::{Step, next};
use super::{locked, note};
use crate::app::{App, Change, Result};

/// How long a replica that works may say nothing: several of its heartbeats, which come every five
/// seconds at least.
const SILENCE: Duration = Duration::from_secs(20);

/// What is known of the replicas of all inferences.
#[derive(Debug)]
pub struct Replicas {
    /// Since when this process counts. The topic of events may still hold what was said to an earlier one.
    started: DateTime<Utc>,
    known: Mutex<HashMap<Uuid, Known>>,
}

/// What is known of the replicas of one inference.
#[derive(Debug, Default, Clone)]
struct Known {
    replicas: BTreeMap<u32, Replica>,
    /// What each process counted, by its replica and its start.
    counts: BTreeMap<(u32, DateTime<Utc>), Counts>,
    /// The last heartbeats of each replica's last process.
    recent: BTreeMap<u32, Recent>,
    /// What its platform says to be wrong around replicas that work.
    remark: Option<String>,
}

#[derive(Debug, Default, Clone)]
struct Replica {
    /// It answers records.
    works: bool,
    /// What it says to be wrong.
    trouble: Option<String>,
    /// What its platform says to be wrong with it.
    platform_trouble: Option<String>,
    /// When it last said anything.
    heard: Option<Instant>,
}

impl Replica {
    /// What is wrong with it, as it says or as its silence does.
    fn trouble(&self, now: Instant) -> Option<String> {
        if let Some(trouble) = self.platform_trouble.as_ref().or(self.trouble.as_ref()) {
            return Some(trouble.clone());
        }
        let heard = self.heard.filter(|_| self.works)?;
        (now.saturating_duration_since(heard) > SILENCE).then(|| {
            format!(
                "it has not reported for more than {} s: Kafka, which carries its reports, may be away, or its process hangs; it goes on by itself when they are back",
                SILENCE.as_secs()
            )
        })
    }
}

/// Records that processes which were started since the API was are done with.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counts {
    /// By a prediction.
    pub predicted: u64,
    /// By handing them on.
    pub handed_on: u64,
    /// By a dead letter.
    pub dead_lettered: u64,
    /// Dead letters by the code of what is wrong with them.
    pub errors: BTreeMap<String, u64>,
}

impl Counts {
    fn of(progress: &Progress) -> Self {
        Self {
            predicted: progress.predicted,
            handed_on: progress.handed_on,
            dead_lettered: progress.dead_lettered,
            errors: progress.errors.clone(),
        }
    }

    fn add(&mut self, other: &Self) {
        self.predicted += other.predicted;
        self.handed_on += other.handed_on;
        self.dead_lettered += other.dead_lettered;
        for (code, count) in &other.errors {
            *self.errors.entry(code.clone()).or_default() += count;
        }
    }
}

impl Replicas {
    /// Of functions that are started from now on.
    #[must_use]
    pub fn new(started: DateTime<Utc>) -> Self {
        Self {
            started,
            known: Mutex::default(),
        }
    }

    /// What all replicas of an inference have done.
    #[must_use]
    pub fn counts(&self, id: Uuid) -> Counts {
        self.with(id, |known| {
            let mut sum = Counts::default();
            for counts in known.counts.values() {
                sum.add(counts);
            }
            sum
        })
    }

    /// What the replicas of an inference did lately. One that has fallen silent does nothing that anybody knows of.
    #[must_use]
    pub fn activity(&self, id: Uuid, now: Instant) -> Activity {
        self.with(id, |known| {
            let mut activity = Activity::default();
            for recent in known.recent.values() {
                if now.saturating_duration_since(recent.heard) <= SILENCE {
                    recent.add_to(&mut activity);
                }
            }
            activity
        })
    }

    /// Since when records of an inference's input wait, by partition, as far as its replicas have told.
    #[must_use]
    pub fn waiting_since(&self, id: Uuid) -> BTreeMap<i32, DateTime<Utc>> {
        self.with(id, |known| {
            let mut last: Vec<_> = known.recent.values().filter_map(Recent::last).collect();
            // A partition that has moved is told of by both for a moment.
            last.sort_by_key(|(time, _)| *time);
            let behind = last.iter().flat_map(|(_, progress)| &progress.partitions);
            behind
                .filter_map(|one| Some((one.partition, one.waiting_since?)))
                .collect()
        })
    }

    /// Forgets who works, because functions are about to be started; keeps what was counted.
    pub(in crate::app) fn begin(&self, id: Uuid) {
        self.with(id, |known| known.replicas.clear());
    }

    /// Forgets an inference that is gone.
    pub(in crate::app) fn forget(&self, id: Uuid) {
        self.lock().remove(&id);
    }

    fn works(&self, id: Uuid, ordinal: u32, now: Instant) {
        self.with(id, |known| {
            let replica = known.replicas.entry(ordinal).or_default();
            replica.heard = Some(now);
            replica.works = true;
            replica.trouble = None;
            replica.platform_trouble = None;
        });
    }

    /// Notes what a replica says to be wrong, until it says that it works.
    fn troubled(&self, id: Uuid, ordinal: u32, trouble: &str) {
        self.with(id, |known| {
            let replica = known.replicas.entry(ordinal).or_default();
            replica.works = false;
            replica.trouble = Some(trouble.to_owned());
        });
    }

    /// Notes what its platform says to be wrong with a replica, until this says that it works, or is ready for records
    /// that are brought to it.
    pub(in crate::app) fn not_run(&self, id: Uuid, ordinal: u32, trouble: &str) {
        self.with(id, |known| {
            let replica = known.replicas.entry(ordinal).or_default();
            replica.works = false;
            replica.platform_trouble = Some(trouble.to_owned());
        });
    }

    /// Notes what is wrong around the replicas, which may all work.
    pub(in crate::app) fn remark(&self, id: Uuid, remark: Option<String>) {
        self.with(id, |known| known.remark = remark);
    }

    /// Notes that a function to which records are brought stands ready. It may sleep until then, so its silence is no
    /// trouble; what it said to be wrong stays so until it says that it works.
    pub(in crate::app) fn awaits_records(&self, id: Uuid, ordinal: u32) {
        self.with(id, |known| {
            let replica = known.replicas.entry(ordinal).or_default();
            replica.heard = Some(Instant::now());
            replica.platform_trouble = None;
            replica.works = replica.trouble.is_none();
        });
    }

    /// Notes a heartbeat of a process that counts since a moment. One from before this process is passed over.
    fn progressed(&self, id: Uuid, time: DateTime<Utc>, progress: &Progress, now: Instant) {
        let (ordinal, since) = (progress.ordinal, progress.since);
        if since < self.started {
            return;
        }
        self.with(id, |known| {
            known.replicas.entry(ordinal).or_default().heard = Some(now);
            known.counts.insert((ordinal, since), Counts::of(progress));
            let recent = known
                .recent
                .entry(ordinal)
                .or_insert_with(|| Recent::since(since, now));
            if !recent.is_of(since) {
                *recent = Recent::since(since, now);
            }
            recent.note(time, progress.clone(), now);
        });
    }

    /// Whether the first `replicas` ordinals all work.
    fn all_work(&self, id: Uuid, replicas: u32) -> bool {
        self.with(id, |known| {
            (0..replicas).all(|ordinal| {
                let replica = known.replicas.get(&ordinal);
                replica.is_some_and(|replica| replica.works)
            })
        })
    }

    /// What is wrong with any of the first `replicas` ordinals.
    fn trouble(&self, id: Uuid, replicas: u32, now: Instant) -> Option<String> {
        self.with(id, |known| {
            let mut troubles = known
                .replicas
                .range(..replicas)
                .filter_map(|(ordinal, one)| {
                    let trouble = one.trouble(now)?;
                    Some(format!("replica {ordinal}: {trouble}"))
                });
            troubles.next()
        })
    }

    fn with<T>(&self, id: Uuid, work: impl FnOnce(&mut Known) -> T) -> T {
        work(self.lock().entry(id).or_default())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Applies what a replica reported, and says what has changed. A report about an inference that is
/// gone is passed over.
///
/// # Errors
/// The database's.
pub(in crate::app) async fn apply(
    app: &App,
    transaction: &impl ConnectionTrait,
    event: &Event,
) -> Result<Vec<Change>> {
    let (id, now) = (event.subject, Instant::now());
    let version = match &event.body {
        Body::InferenceRunning { ordinal, version } => {
            app.replicas.works(id, *ordinal, now);
            Some(*version)
        }
        Body::InferenceDegraded {
            ordinal, message, ..
        } => {
            app.replicas.troubled(id, *ordinal, message);
            None
        }
        Body::InferenceProgress(progress) => {
            app.replicas.progressed(id, event.time, progress, now);
            Some(progress.version)
        }
        _ => return Ok(Vec::new()),
    };
    if write(app, transaction, id, version).await? {
        return Ok(vec![Change::Inference(id)]);
    }
    Ok(vec![Change::Counts(id)])
}

/// Brings an inference's row to what is known of its replicas; says whether it has changed.
pub(in crate::app) async fn refresh(
    app: &App,
    transaction: &impl ConnectionTrait,
    id: Uuid,
) -> Result<bool> {
    write(app, transaction, id, None).await
}

async fn write(
    app: &App,
    transaction: &impl ConnectionTrait,
    id: Uuid,
    version: Option<u32>,
) -> Result<bool> {
    let Some(row) = locked(transaction, id).await? else {
        app.replicas.forget(id);
        return Ok(false);
    };
    if !matches!(
        row.state,
        State::Deploying | State::Running | State::Degraded
    ) {
        return Ok(false); // the last words of functions that end
    }
    let replicas = u32::try_from(row.replicas).unwrap_or(0);
    let (state, message) = if let Some(trouble) = app.replicas.trouble(id, replicas, Instant::now())
    {
        (next(row.state, Step::Degrade)?, Some(trouble))
    } else if app.replicas.all_work(id, replicas) {
        let remark = app.replicas.with(id, |known| known.remark.clone());
        (next(row.state, Step::Work)?, remark.or_else(|| note(&row)))
    } else {
        (row.state, row.message.clone())
    };
    let running_version = version
        .and_then(|version| i32::try_from(version).ok())
        .or(row.running_version);
    if (state, &message, running_version) == (row.state, &row.message, row.running_version) {
        return Ok(false);
    }
    if state != row.state {
        tracing::info!(inference.name = %row.name, inference.state = ?state, "inference changed");
    }
    inference::ActiveModel {
        state: Set(state),
        message: Set(message),
        running_version: Set(running_version),
        updated_at: Set(app.now()),
        ..row.into_active_model()
    }
    .update(transaction)
    .await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use millrace_wire::progress::Behind;

    use super::*;

    const ID: Uuid = Uuid::from_u128(1);

    fn counts(predicted: u64, dead_lettered: u64) -> Counts {
        Counts {
            predicted,
            dead_lettered,
            ..Counts::default()
        }
    }

    /// A heartbeat of a process of this replica that counts since so many seconds after the API's start.
    fn progress(ordinal: u32, since: i64, counts: &Counts) -> Progress {
        Progress {
            ordinal,
            since: at(since),
            predicted: counts.predicted,
            dead_lettered: counts.dead_lettered,
            ..Progress::default()
        }
    }

    /// So many seconds after the API's start.
    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_000 + seconds, 0).unwrap()
    }

    #[test]
    fn what_earlier_processes_counted_is_kept() {
        let replicas = Replicas::new(at(0));
        let now = Instant::now();
        replicas.progressed(ID, at(10), &progress(0, 1, &counts(10, 1)), now);
        replicas.progressed(ID, at(10), &progress(1, 1, &counts(5, 0)), now);
        replicas.progressed(ID, at(10), &progress(0, 1, &counts(12, 1)), now);
        assert_eq!(replicas.counts(ID), counts(17, 1));
        // A new process that has done more by its first report than the one before it had.
        replicas.progressed(ID, at(10), &progress(0, 2, &counts(13, 1)), now);
        assert_eq!(replicas.counts(ID), counts(30, 2));
        replicas.begin(ID);
        assert_eq!(replicas.counts(ID), counts(30, 2));
    }

    #[test]
    fn what_was_reported_to_an_earlier_api_does_not_count() {
        let replicas = Replicas::new(at(0));
        let start = Instant::now();
        replicas.works(ID, 0, start);
        let later = start + SILENCE + Duration::from_secs(1);
        replicas.progressed(ID, at(10), &progress(0, -60, &counts(5_000, 3)), later);
        assert_eq!(replicas.counts(ID), counts(0, 0));
        assert!(replicas.trouble(ID, 1, later).is_some(), "nobody was heard");
        replicas.progressed(ID, at(10), &progress(0, 1, &counts(7, 0)), later);
        assert_eq!(replicas.counts(ID), counts(7, 0));
    }

    #[test]
    fn all_wanted_replicas_have_to_work() {
        let replicas = Replicas::new(at(0));
        let now = Instant::now();
        replicas.works(ID, 0, now);
        assert!(replicas.all_work(ID, 1));
        assert!(!replicas.all_work(ID, 2));
        replicas.troubled(ID, 1, "no model");
        assert_eq!(
            replicas.trouble(ID, 2, now).as_deref(),
            Some("replica 1: no model")
        );
        assert_eq!(replicas.trouble(ID, 1, now), None);
        replicas.works(ID, 1, now);
        assert!(replicas.all_work(ID, 2));
        replicas.begin(ID);
        assert!(!replicas.all_work(ID, 1));
    }

    #[test]
    fn silence_is_trouble_until_the_next_word() {
        let replicas = Replicas::new(at(0));
        let start = Instant::now();
        replicas.works(ID, 0, start);
        assert_eq!(replicas.trouble(ID, 1, start + SILENCE), None);
        let later = start + SILENCE + Duration::from_secs(1);
        let trouble = replicas.trouble(ID, 1, later).unwrap();
        assert!(trouble.contains("has not reported for more than 20 s"));
        replicas.progressed(ID, at(10), &progress(0, 1, &counts(1, 0)), later);
        assert_eq!(replicas.trouble(ID, 1, later), None);
    }

    #[test]
    fn activity_is_that_of_replicas_that_are_heard() {
        let replicas = Replicas::new(at(0));
        let now = Instant::now();
        for ordinal in 0..2 {
            let first = progress(ordinal, 1, &counts(180, 0));
            replicas.progressed(ID, at(10), &first, now);
        }
        let rate = |now| replicas.activity(ID, now).records_per_second;
        assert!((rate(now) - 40.0).abs() < 1e-9);
        let later = now + SILENCE + Duration::from_secs(1);
        // A new process counts anew.
        replicas.progressed(ID, at(20), &progress(1, 15, &counts(50, 0)), later);
        assert!((rate(later) - 10.0).abs() < 1e-9);
    }

    #[test]
    fn the_last_word_on_a_partition_counts() {
        let replicas = Replicas::new(at(0));
        let now = Instant::now();
        for (ordinal, time) in [(0, 30), (1, 20)] {
            let mut told = progress(ordinal, 1, &counts(0, 0));
            told.partitions.push(Behind {
                partition: 7,
                lag: 1,
                waiting_since: Some(at(time - 10)),
            });
            replicas.progressed(ID, at(time), &told, now);
        }
        assert_eq!(replicas.waiting_since(ID), BTreeMap::from([(7, at(20))]));
        replicas.progressed(ID, at(40), &progress(0, 1, &counts(0, 0)), now);
        assert_eq!(replicas.waiting_since(ID), BTreeMap::from([(7, at(10))]));
    }
}
