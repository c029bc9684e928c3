//! AWS Lambda: each inference is a function that event source mappings on MSK bring records to.
//!
//! Invariant: what is in AWS says how far it is, and nothing else, so that whoever goes on after a crash at any point
//! takes the next step. What was seen last is kept for no longer than the pace of looking again.

mod aws;
mod estimate;
mod figures;
mod function;
mod login;
mod look;
mod mapping;
mod options;
mod plan;
mod settings;
#[cfg(test)]
mod tests;
mod trouble;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::Utc;
use millrace_entity::inference::Guarantee;
use millrace_wire::function::FunctionSpec;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::Instant;
use uuid::Uuid;

use super::work::work;
use super::{Changes, Deployment, Error, Figures, Owner, Platform, State, Status};
use crate::config::Lambda;
use aws::Aws;
pub use estimate::{Estimate, Load, SOURCE, reckon};
use look::Look;
pub use options::{LambdaOptions, Pollers};
use plan::Plan;
pub(super) use plan::redrive_group;
use settings::Settings;
use trouble::Trouble;

/// Its name in the API.
pub(super) const NAME: &str = "lambda";

/// Functions on AWS Lambda.
pub struct LambdaPlatform {
    settings: Settings,
    aws: OnceCell<Aws>,
    inferences: StdMutex<BTreeMap<Uuid, Arc<Mutex<Seen>>>>,
    /// What readers see, who need not wait for AWS.
    visible: StdMutex<BTreeMap<Uuid, Status>>,
    /// What `CloudWatch` said last, and when.
    counted: StdMutex<BTreeMap<Uuid, Counted>>,
    changes: Changes,
}

/// What `CloudWatch` said of a function, and when.
type Counted = (Instant, Result<Figures, String>);

/// What was seen of an inference last.
#[derive(Default)]
struct Seen {
    /// What was asked for, and what came of it.
    last: Option<(Deployment, Result<(), String>)>,
    /// When AWS is to be looked at again though the same is asked for; never where nothing is left to end.
    again: Option<Instant>,
    has_log_group: bool,
    /// Whether what was asked for stood at the last look.
    stands: bool,
    /// Why AWS could not be asked, and when it may be again.
    unreached: Option<(Instant, String)>,
}

impl LambdaPlatform {
    /// The platform of a section that was checked. AWS is not spoken to before something is asked for.
    #[must_use]
    pub fn new(lambda: &Lambda, changes: Changes) -> Self {
        Self::with(Settings::configured(lambda), OnceCell::new(), changes)
    }

    fn with(settings: Settings, aws: OnceCell<Aws>, changes: Changes) -> Self {
        Self {
            settings,
            aws,
            inferences: StdMutex::default(),
            visible: StdMutex::default(),
            counted: StdMutex::default(),
            changes,
        }
    }

    async fn aws(&self) -> &Aws {
        self.aws
            .get_or_init(|| Aws::connect(&self.settings.region))
            .await
    }

    fn seen(&self, id: Uuid) -> Arc<Mutex<Seen>> {
        Arc::clone(lock(&self.inferences).entry(id).or_default())
    }

    /// Takes the next step towards what is asked for, and says how the function is.
    async fn bring(
        &self,
        id: Uuid,
        spec: FunctionSpec,
        deployment: &Deployment,
        seen: &mut Seen,
    ) -> Result<Look, Trouble> {
        let options = deployment.options.lambda.clone().unwrap_or_default();
        let plan = Plan::new(&self.settings, id, spec, &options)?;
        let (aws, name) = (self.aws().await, &plan.function.name);
        if !seen.has_log_group {
            aws.create_log_group(name, self.settings.log_days).await?;
            seen.has_log_group = true;
        }
        match function::bring(aws, &self.settings, &plan.function).await? {
            function::Stage::Stands => {}
            function::Stage::Begun(words) => return Ok(Look::begun(words)),
            function::Stage::Changing(words) => return Ok(Look::at(State::Starting, words)),
            function::Stage::Unchanged(words) => return Ok(Look::at(State::BackingOff, words)),
            function::Stage::Failed(words) => return Ok(Look::at(State::Stopped, words)),
        }
        let stages = mapping::bring(aws, &self.settings.cluster, name, &plan.mappings).await?;
        Ok(Look::worst(stages))
    }

    /// Ends the mappings, then the function. It is called again until both are gone.
    async fn end(&self, id: Uuid) -> Result<(), Trouble> {
        let (aws, name) = (self.aws().await, self.settings.function_name(id));
        let function = aws.function(&name).await?;
        if let Some(found) = &function
            && !function::is_ours(&self.settings, &name, found)?
        {
            // One of ours that has lost its tag is still at work as long as records are brought to it.
            let topics = mapping::brought(aws, &name).await?;
            if topics.is_empty() {
                return Ok(()); // Ours is gone.
            }
            let (key, value) = (&self.settings.tag_key, &self.settings.prefix);
            return Err(Trouble::refused(format!(
                "finds event source mappings of {topics:?} on the function {name:?}, which lacks the tag {key}={value}: put the tag back, and both are ended; or delete the mappings"
            )));
        }
        // Mappings outlive their function, and would bring records to a new one of its name.
        let left = mapping::end(aws, &name, function.is_some()).await?;
        if !left.is_empty() {
            return Err(Trouble::Busy(format!(
                "waits until Lambda has deleted the event source mappings of {left:?}"
            )));
        }
        if function.is_some() {
            aws.delete_function(&name).await?;
            tracing::info!(function.name = %name, "function deleted on Lambda");
        }
        Ok(())
    }

    async fn counted(&self, id: Uuid) -> Result<Figures, Trouble> {
        let service = figures::service(&self.settings.region)?;
        figures::look(&service, &self.settings.function_name(id), Utc::now()).await
    }

    /// Shows how a function is, and tells of it where that is new.
    fn show(&self, id: Uuid, state: State, last_exit: Option<String>) {
        let status = Status {
            platform: NAME,
            owner: Owner::Inference(id),
            ordinal: 0,
            state,
            process_id: None,
            address: None,
            restarts: 0,
            started_at: None,
            last_exit,
        };
        if lock(&self.visible).insert(id, status.clone()) != Some(status) {
            self.changes.send();
        }
    }

    fn hide(&self, id: Uuid) {
        if lock(&self.visible).remove(&id).is_some() {
            self.changes.send();
        }
    }
}

#[async_trait]
impl Platform for LambdaPlatform {
    fn name(&self) -> &'static str {
        NAME
    }

    fn guarantees(&self) -> &'static [Guarantee] {
        &[Guarantee::AtLeastOnce]
    }

    fn is_pushed(&self) -> bool {
        true
    }

    fn redrive_group(&self, group: &str) -> String {
        redrive_group(group)
    }

    fn training_slots(&self) -> u32 {
        self.settings.slots
    }

    fn check(&self, owner: Owner, deployment: &Deployment) -> Result<(), String> {
        let (Owner::Inference(id), Some(spec)) = (owner, deployment.functions.first()) else {
            return Ok(());
        };
        let options = deployment.options.lambda.clone().unwrap_or_default();
        let planned = Plan::new(&self.settings, id, spec.clone(), &options);
        planned
            .map(|_| ())
            .map_err(|trouble| trouble.message().to_owned())
    }

    async fn reach(&self, owner: Owner) -> Result<(), Error> {
        let Owner::Inference(id) = owner else {
            return Ok(());
        };
        let seen = self.seen(id);
        let mut seen = seen.lock().await;
        if let Some((again, words)) = &seen.unreached
            && Instant::now() < *again
        {
            return unavailable(words.clone());
        }
        let name = self.settings.function_name(id);
        let found = self.aws().await.function(&name).await;
        seen.unreached = found.err().map(|trouble| {
            let again = Instant::now() + self.pause(&trouble);
            (again, trouble.message().to_owned())
        });
        match &seen.unreached {
            Some((_, words)) => unavailable(words.clone()),
            None => Ok(()),
        }
    }

    async fn deploy(&self, owner: Owner, deployment: Deployment) -> Result<(), Error> {
        let Owner::Inference(id) = owner else {
            return Ok(()); // Terraform makes the pool, whose function sleeps until there are commands.
        };
        let seen = self.seen(id);
        let mut seen = seen.lock().await;
        let asked = essence(&deployment);
        if let Some((last, result)) = &seen.last
            && *last == asked
            && seen.again.is_none_or(|again| Instant::now() < again)
        {
            return result.clone().or_else(unavailable);
        }
        let stood = seen.stands && matches!(&seen.last, Some((last, _)) if *last == asked);
        // Whoever is interrupted here has not seen anything.
        seen.last = None;
        seen.stands = false;
        let (result, pause) = if let Some(spec) = deployment.functions.first().cloned() {
            match self.bring(id, spec, &deployment, &mut seen).await {
                Ok(look) => {
                    let pace = self.settings.pace;
                    let is_changing = look.state == State::Starting;
                    seen.stands = look.state == State::Running;
                    let look = if stood && look.has_begun {
                        look.drifted()
                    } else {
                        look
                    };
                    self.show(id, look.state, look.words);
                    let pause = if is_changing {
                        pace.unsettled
                    } else {
                        pace.settled
                    };
                    (Ok(()), Some(pause))
                }
                Err(trouble) => (
                    Err(trouble.message().to_owned()),
                    Some(self.pause(&trouble)),
                ),
            }
        } else {
            seen.has_log_group = false;
            match self.end(id).await {
                Ok(()) => {
                    self.hide(id);
                    (Ok(()), None)
                }
                Err(trouble) => (
                    Err(trouble.message().to_owned()),
                    Some(self.pause(&trouble)),
                ),
            }
        };
        seen.again = pause.map(|pause| Instant::now() + pause);
        seen.last = Some((asked, result.clone()));
        result.or_else(unavailable)
    }

    async fn remove(&self, owner: Owner) -> Result<(), Error> {
        self.deploy(owner, Deployment::default()).await?;
        let Owner::Inference(id) = owner else {
            return Ok(());
        };
        let name = self.settings.function_name(id);
        let deleted = self.aws().await.delete_log_group(&name).await;
        deleted.or_else(|trouble| unavailable(trouble.message()))?;
        lock(&self.inferences).remove(&id);
        lock(&self.counted).remove(&id);
        Ok(())
    }

    async fn functions(&self) -> Vec<Status> {
        lock(&self.visible).values().cloned().collect()
    }

    async fn figures(&self, owner: Owner) -> Option<Result<Figures, Error>> {
        let Owner::Inference(id) = owner else {
            return None;
        };
        let last = lock(&self.counted).get(&id).cloned();
        let counted = match last {
            Some((when, counted)) if when.elapsed() < figures::FRESH => counted,
            _ => {
                let counted = self.counted(id).await;
                let counted = counted.map_err(|trouble| trouble.message().to_owned());
                lock(&self.counted).insert(id, (Instant::now(), counted.clone()));
                counted
            }
        };
        Some(counted.or_else(unavailable))
    }

    async fn log(&self, owner: Owner, _ordinal: u32, _last: usize) -> Vec<String> {
        let Owner::Inference(id) = owner else {
            return Vec::new();
        };
        let group = settings::log_group(&self.settings.function_name(id));
        let region = &self.settings.region;
        vec![format!(
            "the log is kept by CloudWatch in {region}, in the log group {group}, which the API may not read"
        )]
    }

    /// Functions there go on without the API.
    async fn shutdown(&self) {}
}

impl LambdaPlatform {
    fn pause(&self, trouble: &Trouble) -> std::time::Duration {
        match trouble {
            Trouble::Busy(_) => self.settings.pace.unsettled,
            Trouble::Refused(_) => self.settings.pace.settled,
        }
    }
}

/// What was asked for, without what its function learns by itself.
fn essence(deployment: &Deployment) -> Deployment {
    Deployment {
        functions: deployment.functions.iter().map(work).collect(),
        options: deployment.options.clone(),
    }
}

fn unavailable<T>(message: impl Into<String>) -> Result<T, Error> {
    Err(Error::Unavailable {
        platform: NAME,
        message: message.into(),
    })
}

/// A panic under one of these locks leaves nothing half done.
fn lock<T>(mutex: &StdMutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
