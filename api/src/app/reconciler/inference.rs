//! One inference: one step towards what its row wants.

use millrace_entity::inference::{self, Desired, Guarantee, Model, OutputFormat, State};
use millrace_entity::{function_event, version};
use millrace_wire::function::{
    self, Batching, FunctionSpec, HandOn, InferenceSpec, NotFinite, Role,
};
use millrace_wire::prediction::{self, Choice};
use sea_orm::ActiveValue::Set;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};
use serde::{Deserialize, Serialize};

use super::super::inference::{
    Destination, Position, Span, Step, arrive, begins_with, next, note, refresh,
};
use super::super::{
    App, Change, Code, Error, Result, connection, datasource as datasources, model, project,
    version as versions,
};
use super::groups;
use super::owned::{self, made_before, owned_topics};
use super::pool::control_of;
use super::presence::{self, Presence};
use super::refill;
use super::span;
use super::topics::needs;
use super::update;
use crate::platform::{self, Deployment, Options, Owner, Platform};

/// What a row keeps in `settings`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::app) struct Settings {
    /// How batches form.
    pub(in crate::app) batching: Batching,
    /// Which outputs of the model are written, and how; all of them where none is named.
    #[serde(default)]
    pub(in crate::app) outputs: Vec<Choice>,
    /// Whether the record is written beside its prediction.
    #[serde(default)]
    pub(in crate::app) echo_input: bool,
    /// What becomes of outputs with numbers that are not finite.
    #[serde(default)]
    pub(in crate::app) not_finite: NotFinite,
    /// Which records are handed on in place of an answer.
    #[serde(default)]
    pub(in crate::app) hand_on: Option<HandOn>,
    /// Partitions of the input, as last seen.
    pub(in crate::app) partitions: i32,
    /// The largest record of the input.
    pub(in crate::app) max_message_bytes: i64,
    /// Topics that were missing when the inference was made and that Millrace has not made yet.
    pub(in crate::app) planned: Vec<String>,
    /// Whether its functions read the topic of redriven records, which inferences from before there
    /// was one do not have until they are started again.
    #[serde(default)]
    pub(in crate::app) has_redrive: bool,
    /// Whether the records of a pinned segment that it answers have been brought back into that topic.
    #[serde(default)]
    pub(in crate::app) is_brought_back: bool,
    /// Where a stopped inference goes on in that topic.
    #[serde(default)]
    pub(in crate::app) redrive_offsets: Vec<Position>,
    /// What its platform alone has to be told.
    #[serde(default)]
    pub(in crate::app) platform: Options,
    /// Where it goes on as soon as it has ended where it is.
    #[serde(default)]
    pub(in crate::app) moves_to: Option<Destination>,
    /// What its platform may have of it.
    #[serde(default)]
    pub(in crate::app) presence: Presence,
}

impl Settings {
    pub(in crate::app) fn of(row: &Model) -> Result<Self> {
        serde_json::from_value(row.settings.clone()).map_err(Error::internal)
    }
}

/// Takes the next step, or says in the row why it cannot.
pub(super) async fn drive(app: &App, row: Model) {
    let result = match (row.desired, row.state) {
        (Desired::Running, State::Pending) => prepare(app, &row).await,
        (Desired::Running, State::Deploying | State::Running | State::Degraded) => {
            let deployed = deploy(app, &row).await;
            if deployed.is_ok() {
                span::advance(app, &row).await;
            }
            deployed
        }
        (Desired::Stopped, State::Stopping) => stop(app, &row).await,
        (Desired::Deleted, _) => delete(app, &row).await,
        // Failed, finished or stopped: nothing of it runs.
        (Desired::Running | Desired::Stopped, _) => end(app, &row).await,
    };
    if let Err(error) = result
        && let Err(error) = explain(app, &row, error).await
    {
        tracing::error!(inference.name = %row.name, %error, "cannot say why an inference waits");
    }
}

/// Makes sure of the topics, and of the group's offsets, before anything runs.
async fn prepare(app: &App, row: &Model) -> Result<()> {
    let cluster = app.cluster(row.connection_id).await?;
    let mut settings = Settings::of(row)?;
    let mut owned = owned_topics(row)?;
    let hand_on = settings.hand_on.as_ref();
    for need in needs(
        row,
        hand_on,
        settings.partitions,
        settings.max_message_bytes,
    ) {
        let topic = need.topic.clone();
        let found = cluster.ensure_topic(need).await?;
        if found.created {
            owned::take(&mut owned, found.description);
        } else if let Some(found) = made_before(&cluster, &settings, &topic).await? {
            owned::take(&mut owned, found);
        }
    }
    if let Some(digest) = Span::of(row)?.and_then(|span| span.pinned)
        && !settings.is_brought_back
    {
        if !refill::bring_back(app, &cluster, row, &digest).await? {
            return Ok(());
        }
        settings.is_brought_back = true;
    }
    settings.planned.clear();
    settings.partitions = groups::put(
        app,
        &cluster,
        row,
        &settings.redrive_offsets,
        settings.partitions,
    )
    .await?;
    settings.redrive_offsets.clear();
    settings.has_redrive = true;
    let settings = serde_json::to_value(settings).map_err(Error::internal)?;
    app.replicas.begin(row.id);
    update(app, row, |row| {
        Ok(inference::ActiveModel {
            state: Set(next(row.state, Step::Deploy)?),
            message: Set(note(row)),
            // From here on the group's own offsets are what counts.
            saved_offsets: Set(None),
            owned_topics: Set(serde_json::to_value(owned).map_err(Error::internal)?),
            settings: Set(settings),
            ..Default::default()
        })
    })
    .await?;
    Ok(())
}

/// Hands the functions to the platform, and looks at how they are.
async fn deploy(app: &App, row: &Model) -> Result<()> {
    let platform = platform_of(app, row)?;
    let owner = Owner::Inference(row.id);
    if !presence::note(app, row, platform).await? {
        return Ok(());
    }
    let deployment = Deployment {
        functions: specs(app, row).await?,
        options: Settings::of(row)?.platform,
    };
    platform.deploy(owner, deployment).await?;
    let mut starts = None;
    for status in platform.functions().await {
        if status.owner != owner {
            continue;
        }
        let next = match status.state {
            platform::State::Starting => {
                starts = starts.or(status.last_exit);
                continue;
            }
            platform::State::Running => {
                if platform.is_pushed() {
                    app.replicas.awaits_records(row.id, status.ordinal);
                }
                continue;
            }
            platform::State::BackingOff => "and is started again",
            platform::State::Stopped => "and is not started again",
        };
        let exit = status.last_exit.unwrap_or_else(|| "ended".to_owned());
        app.replicas
            .not_run(row.id, status.ordinal, &format!("it {exit} {next}"));
    }
    app.replicas.remark(row.id, platform.remark(owner));
    let transaction = app.begin().await?;
    let changed = refresh(app, &transaction, row.id).await?;
    transaction.commit().await?;
    if changed {
        app.changes.send(Change::Inference(row.id));
    }
    match starts {
        Some(words) if row.state == State::Deploying => tell(app, row, format!("it {words}")).await,
        _ => Ok(()),
    }
}

/// Says in the row what an inference waits for whose functions start.
async fn tell(app: &App, row: &Model, message: String) -> Result<()> {
    if row.message.as_ref() == Some(&message) {
        return Ok(());
    }
    update(app, row, |_| {
        Ok(inference::ActiveModel {
            message: Set(Some(message)),
            ..Default::default()
        })
    })
    .await?;
    Ok(())
}

/// Ends the functions, then keeps where they got to.
async fn stop(app: &App, row: &Model) -> Result<()> {
    end(app, row).await?;
    rest(app, row, Step::Rest).await
}

/// Keeps where an inference got to, whose functions have ended.
pub(super) async fn rest(app: &App, row: &Model, step: Step) -> Result<()> {
    // Offsets that were never handed to the group are still the ones to start at.
    if row.saved_offsets.is_none() {
        let [committed, redriven] = groups::reached(app, row).await?;
        let committed = serde_json::to_value(committed).map_err(Error::internal)?;
        let is_kept = update(app, row, |row| {
            let settings = Settings {
                redrive_offsets: redriven,
                ..Settings::of(row)?
            };
            Ok(inference::ActiveModel {
                saved_offsets: Set(Some(committed)),
                settings: Set(serde_json::to_value(settings).map_err(Error::internal)?),
                ..Default::default()
            })
        });
        if !is_kept.await? {
            return Ok(());
        }
    }
    // Only now, and before it may go on anywhere: the group's offsets may go with it.
    if presence::is_possible(row)? {
        let owner = Owner::Inference(row.id);
        platform_of(app, row)?.forget(owner).await?;
    }
    update(app, row, |row| {
        let rests = next(row.state, step)?;
        let settings = Settings::of(row)?;
        // Looked at now: somebody may have taken it back, or sent it elsewhere, since.
        if let Some(destination) = settings.moves_to.clone() {
            tracing::info!(inference.name = %row.name, platform = destination.platform, "an inference goes on elsewhere");
            return Ok(inference::ActiveModel {
                desired: Set(Desired::Running),
                state: Set(next(rests, Step::Start)?),
                ..arrive(row, settings, destination)?
            });
        }
        Ok(inference::ActiveModel {
            state: Set(rests),
            message: Set(None),
            ..Default::default()
        })
    })
    .await?;
    Ok(())
}

/// Removes what Millrace made for the inference, and its row at last.
async fn delete(app: &App, row: &Model) -> Result<()> {
    let settings = Settings::of(row)?;
    if presence::is_possible(row)? {
        let owner = Owner::Inference(row.id);
        platform_of(app, row)?.remove(owner).await?;
    }
    let cluster = app.cluster(row.connection_id).await?;
    let mut topics = owned_topics(row)?;
    for planned in &settings.planned {
        if let Some(found) = made_before(&cluster, &settings, planned).await? {
            owned::take(&mut topics, found);
        }
    }
    let topics = owned::unshared(&app.database, row, topics).await?;
    let groups = groups::all(row);
    let is_empty = cluster
        .run(move |admin| {
            if !groups::are_empty(admin, &groups)? {
                return Ok(false);
            }
            for group in &groups {
                admin.delete_group(group)?;
            }
            owned::remove(admin, &topics)?;
            Ok(true)
        })
        .await?;
    if !is_empty {
        return Err(Error::new(
            Code::InUse,
            "its functions have ended, and Kafka has yet to notice; its consumer group is removed then",
        ));
    }
    let transaction = app.begin().await?;
    function_event::Entity::delete_many()
        .filter(function_event::Column::OwnerId.eq(row.id))
        .exec(&transaction)
        .await?;
    inference::Entity::delete_by_id(row.id)
        .exec(&transaction)
        .await?;
    transaction.commit().await?;
    app.replicas.forget(row.id);
    app.changes.send(Change::Inference(row.id));
    tracing::info!(inference.name = %row.name, "inference deleted");
    Ok(())
}

/// Ends its functions, of which there is none where nobody was asked for any.
pub(super) async fn end(app: &App, row: &Model) -> Result<()> {
    if !presence::is_possible(row)? {
        return Ok(());
    }
    let platform = platform_of(app, row)?;
    let owner = Owner::Inference(row.id);
    Ok(platform.deploy(owner, Deployment::default()).await?)
}

/// Where its functions run.
pub(super) fn platform_of<'a>(app: &'a App, row: &Model) -> Result<&'a dyn Platform> {
    app.platforms.named(&row.platform).ok_or_else(|| {
        Error::new(
            Code::PlatformUnavailable,
            format!(
                "the platform {:?} is not configured any more; configure it again",
                row.platform
            ),
        )
    })
}

/// Says in the row why the step was not taken. What waiting cannot mend is left to a person.
async fn explain(app: &App, row: &Model, error: Error) -> Result<()> {
    let waits = matches!(
        error.code(),
        Code::KafkaUnreachable
            | Code::PlatformUnavailable
            | Code::InUse
            | Code::DiskFull
            | Code::Internal
    );
    let message = if error.code() == Code::Internal {
        tracing::error!(inference.name = %row.name, %error, "a step of an inference failed");
        "an internal error occurred; the API's log has the details".to_owned()
    } else {
        error.to_string()
    };
    let stays = waits || row.desired == Desired::Deleted;
    if stays && row.message.as_ref() == Some(&message) {
        return Ok(());
    }
    tracing::warn!(inference.name = %row.name, "an inference waits: {message}");
    update(app, row, |row| {
        let state = if stays {
            row.state
        } else {
            next(row.state, Step::Fail)?
        };
        Ok(inference::ActiveModel {
            state: Set(state),
            message: Set(Some(message)),
            ..Default::default()
        })
    })
    .await?;
    Ok(())
}

/// The specifications of all replicas.
pub(in crate::app) async fn specs(app: &App, row: &Model) -> Result<Vec<FunctionSpec>> {
    let version = begins_with(&app.database, row).await?;
    let inference = specification(app, row, &version).await?;
    let connection = connection::get(&app.database, row.connection_id).await?;
    let names = connection::names_of(&connection)?;
    let control = control_of(app).await?;
    let replicas = u32::try_from(row.replicas).map_err(Error::internal)?;
    let specs = (0..replicas).map(|ordinal| {
        let inference = InferenceSpec {
            transactional_id: names.transactional_id(&inference.project, &row.name),
            ..inference.clone()
        };
        FunctionSpec::new(
            control.clone(),
            app.config.artifacts_url(),
            String::new(),
            ordinal,
            Role::Inference(Box::new(inference)),
        )
    });
    Ok(specs.collect())
}

/// What all replicas have in common, beginning with this version.
pub(in crate::app) async fn specification(
    app: &App,
    row: &Model,
    version: &version::Model,
) -> Result<InferenceSpec> {
    let database = &app.database;
    let project = project::get(database, row.project_id).await?;
    let model = model::get(database, row.model_id).await?;
    let datasource = datasources::get(database, row.datasource_id).await?;
    let connection = connection::get(database, row.connection_id).await?;
    let settings = Settings::of(row)?;
    Ok(InferenceSpec {
        id: row.id,
        project: project.name,
        name: row.name.clone(),
        connection: connection::properties_of(&connection)?,
        model: model.name,
        version: Some(versions::wire(version)?),
        alias: row.alias.clone(),
        input_topic: row.input_topic.clone(),
        input_topic_id: Some(row.input_topic_id.clone()),
        input_format: datasources::format(&datasource)?,
        output_topic: row.output_topic.clone(),
        output_format: match row.output_format {
            OutputFormat::Json => prediction::OutputFormat::Json,
            OutputFormat::KafkaMl => prediction::OutputFormat::KafkaMl,
            OutputFormat::Avro => prediction::OutputFormat::Avro,
            OutputFormat::Raw => prediction::OutputFormat::Raw,
        },
        dead_letter_topic: row.dead_letter_topic.clone(),
        redrive_topic: settings.has_redrive.then(|| row.redrive_topic.clone()),
        not_finite: settings.not_finite,
        hand_on: settings.hand_on,
        outputs: settings.outputs,
        echo_input: settings.echo_input,
        group: row.group_id.clone(),
        guarantee: match row.guarantee {
            Guarantee::ExactlyOnce => function::Guarantee::ExactlyOnce,
            Guarantee::AtLeastOnce => function::Guarantee::AtLeastOnce,
        },
        transactional_id: String::new(),
        batching: settings.batching,
        span: span::wire(app, row, settings.partitions).await?,
    })
}
