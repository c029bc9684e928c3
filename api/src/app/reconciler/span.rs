//! Inferences that end: a replay when it has answered its span, one that rescores when it takes another's place.
//!
//! Invariant: one that rescores answers only what the other one has answered, until that one has stopped for good; so
//! no answer of the other one follows one of its own to the same record.

use chrono::TimeDelta;
use millrace_entity::inference::{self, Desired, Entity, Model, State};
use millrace_wire::function::{self, End, Ends};
use sea_orm::ActiveValue::Set;
use sea_orm::{ActiveModelTrait as _, EntityTrait as _};

use super::super::inference::{Handover, Position, Span, Step, locked, next, reached};
use super::super::{App, Change, Cluster, Error, Result};
use super::groups::redrive_group;
use super::inference::{Settings, end, rest};
use super::update;

/// How near one that rescores has to come to the inference whose place it takes: it has answered what that one had
/// answered so long ago at most. What is left is answered while nobody else answers.
const NEAR: TimeDelta = TimeDelta::seconds(10);

/// The span that a replica gets, with its share of the rate.
pub(super) async fn wire(
    app: &App,
    row: &Model,
    partitions: i32,
) -> Result<Option<function::Span>> {
    let Some(span) = Span::of(row)? else {
        return Ok(None);
    };
    let live = match row.takes_over_id {
        Some(id) => Entity::find_by_id(id).one(&app.database).await?,
        None => None,
    };
    let (ends, partitions) = if let Some(live) = live {
        (Ends::Behind(live.group_id), partitions)
    } else {
        let ends = span.ends.iter().map(|end| End {
            partition: end.partition,
            offset: end.offset,
        });
        let partitions = i32::try_from(span.ends.len()).map_err(Error::internal)?;
        (Ends::At(ends.collect()), partitions)
    };
    // Replicas without a partition read nothing.
    let sharing = row.replicas.min(partitions).max(1);
    Ok(Some(function::Span {
        ends,
        records_per_second: span
            .records_per_second
            .map(|rate| f64::from(rate) / f64::from(sharing)),
    }))
}

/// Takes the next step of one that ends. What keeps it from that is only noted: its functions say what is wrong.
pub(super) async fn advance(app: &App, row: &Model) {
    if row.span.is_none() {
        return;
    }
    if let Err(error) = step(app, row).await {
        tracing::debug!(inference.name = %row.name, %error, "cannot see how far a span is answered");
    }
}

async fn step(app: &App, seen: &Model) -> Result<()> {
    // Its functions may have reported meanwhile.
    let Some(row) = Entity::find_by_id(seen.id).one(&app.database).await? else {
        return Ok(());
    };
    let (Some(span), Desired::Running) = (Span::of(&row)?, row.desired) else {
        return Ok(());
    };
    let cluster = app.cluster(row.connection_id).await?;
    let (group, topic) = (row.group_id.clone(), row.input_topic.clone());
    let committed = cluster
        .run(move |admin| admin.committed(&group, &topic))
        .await?;
    if !span.is_answered(&committed) || !is_drained(app, &cluster, &row).await? {
        return Ok(());
    }
    let Some(live) = row.takes_over_id else {
        end(app, &row).await?;
        tracing::info!(inference.name = %row.name, "a replay is finished");
        return rest(app, &row, Step::Finish).await;
    };
    let Some(live) = Entity::find_by_id(live).one(&app.database).await? else {
        return Err(Error::internal("the inference to be taken over is gone"));
    };
    match live.state {
        State::Stopped => take_over(app, &row, &live).await,
        State::Stopping | State::Deleting => Ok(()),
        State::Pending
        | State::Deploying
        | State::Running
        | State::Degraded
        | State::Finished
        | State::Failed => approach(app, &cluster, &row, span, &live).await,
    }
}

/// Stops the other one where it is near, and looks again where it is now otherwise.
async fn approach(
    app: &App,
    cluster: &Cluster,
    row: &Model,
    span: Span,
    live: &Model,
) -> Result<()> {
    let is_near = app.now() - span.since <= NEAR;
    if is_near && row.state == State::Running && is_drained(app, cluster, live).await? {
        tracing::info!(inference.name = %live.name, successor = %row.name, "an inference is stopped where its successor takes its place");
        update(app, live, |live| {
            let mut settings = Settings::of(live)?;
            settings.moves_to = None;
            Ok(inference::ActiveModel {
                desired: Set(Desired::Stopped),
                state: Set(next(live.state, Step::Stop)?),
                message: Set(Some(format!("{:?} is about to take its place", row.name))),
                settings: Set(serde_json::to_value(settings).map_err(Error::internal)?),
                ..Default::default()
            })
        })
        .await?;
        return Ok(());
    }
    let ends = ahead(&span.ends, reached(cluster, live).await?);
    let left: i64 = ends
        .iter()
        .map(|end| end.offset - offset(&span.ends, end))
        .sum();
    let note = (left > 0).then(|| {
        format!(
            "{left} offsets behind {:?}, whose place it takes when it has got as far; where that does not become less, it needs more replicas, or a larger recordsPerSecond where that is set",
            live.name
        )
    });
    let span = Span {
        ends,
        since: app.now(),
        note: note.clone(),
        ..span
    };
    let span = serde_json::to_value(span).map_err(Error::internal)?;
    update(app, row, |row| {
        Ok(inference::ActiveModel {
            span: Set(Some(span)),
            message: Set(match row.state {
                State::Running => note,
                _ => row.message.clone(),
            }),
            ..Default::default()
        })
    })
    .await?;
    Ok(())
}

/// These ends, or where the other one is now, whatever lies further on.
fn ahead(ends: &[Position], reached: Vec<Position>) -> Vec<Position> {
    let mut ahead = reached;
    for end in &mut ahead {
        end.offset = end.offset.max(offset(ends, end));
    }
    let known = |end: &&Position| ahead.iter().all(|one| one.partition != end.partition);
    let gone: Vec<Position> = ends.iter().filter(known).cloned().collect();
    ahead.extend(gone);
    ahead
}

/// Where a partition ends among these.
fn offset(ends: &[Position], of: &Position) -> i64 {
    let end = ends.iter().find(|end| end.partition == of.partition);
    end.map_or(0, |end| end.offset)
}

/// Takes the place of the other one, which rests: it is followed no longer.
async fn take_over(app: &App, row: &Model, live: &Model) -> Result<()> {
    let transaction = app.begin().await?;
    let live = locked(&transaction, live.id).await?;
    let row = locked(&transaction, row.id).await?;
    let (Some(live), Some(row)) = (live, row) else {
        return Ok(());
    };
    let is_still = live.state == State::Stopped
        && live.desired == Desired::Stopped
        && row.desired == Desired::Running
        && row.takes_over_id == Some(live.id);
    let (Some(saved), true) = (&live.saved_offsets, is_still) else {
        return Ok(());
    };
    let handover = Handover {
        inference: live.name.clone(),
        offsets: serde_json::from_value(saved.clone()).map_err(Error::internal)?,
    };
    inference::ActiveModel {
        id: Set(live.id),
        message: Set(Some(format!("{:?} has taken its place", row.name))),
        updated_at: Set(app.now()),
        ..Default::default()
    }
    .update(&transaction)
    .await?;
    inference::ActiveModel {
        id: Set(row.id),
        state: Set(next(row.state, Step::Deploy)?),
        message: Set(None),
        span: Set(None),
        takes_over_id: Set(None),
        handover: Set(Some(
            serde_json::to_value(handover).map_err(Error::internal)?,
        )),
        updated_at: Set(app.now()),
        ..Default::default()
    }
    .update(&transaction)
    .await?;
    transaction.commit().await?;
    app.replicas.begin(row.id);
    tracing::info!(inference.name = %row.name, predecessor = %live.name, "an inference has taken another's place");
    for id in [live.id, row.id] {
        app.changes.send(Change::Inference(id));
    }
    Ok(())
}

/// Whether no dead letter that was sent back waits for its answer.
async fn is_drained(app: &App, cluster: &Cluster, row: &Model) -> Result<bool> {
    let (group, topic) = (redrive_group(app, row)?, row.redrive_topic.clone());
    let lags = cluster.run(move |admin| admin.lag(&group, &topic)).await?;
    Ok(lags.iter().all(|lag| lag.lag == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(given: &[(i32, i64)]) -> Vec<Position> {
        let position = |&(partition, offset)| Position {
            partition,
            offset,
            metadata: String::new(),
        };
        given.iter().map(position).collect()
    }

    #[test]
    fn ends_only_move_on() {
        let ends = positions(&[(0, 5), (1, 9)]);
        let moved = ahead(&ends, positions(&[(0, 7), (1, 4), (2, 1)]));
        assert_eq!(moved, positions(&[(0, 7), (1, 9), (2, 1)]));
        let kept = ahead(&ends, positions(&[(1, 10)]));
        assert_eq!(kept, positions(&[(1, 10), (0, 5)]));
    }
}
