//! Platforms: where functions run. Each brings the functions of an owner to what is wanted of them
//! and says how they are; none of them knows the database.
//!
//! Invariant: every call may be repeated at any time, after a crash at any point, and leads to the
//! same functions.

mod all;
mod knative;
mod kubernetes;
mod lambda;
mod lambda_local;
mod local;
mod work;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use millrace_entity::inference::Guarantee;
use millrace_wire::function::FunctionSpec;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use all::{Changes, Platforms, redrive_groups};
pub use knative::{KnativePlatform, Options as KnativeOptions};
pub use kubernetes::{KubernetesPlatform, Options as KubernetesOptions, Resources, Scaling};
pub use lambda::{
    Estimate, LambdaOptions, LambdaPlatform, Load, Pollers, SOURCE as PRICES, reckon,
};
pub use lambda_local::LambdaLocal;
pub use local::{LocalPlatform, Pauses, Settings as LocalSettings};

/// What functions are for. A replica is an owner and an ordinal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// The pool that all trainings of the platform share.
    TrainingPool,
    /// One inference.
    Inference(Uuid),
}

/// How a function is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It has been started and is not ready yet.
    Starting,
    /// It said that it is ready.
    Running,
    /// It ended by itself and is started again after a pause.
    BackingOff,
    /// It is not started again by itself.
    Stopped,
}

/// One function as its platform sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The platform's name.
    pub platform: &'static str,
    /// What it is for.
    pub owner: Owner,
    /// Which replica.
    pub ordinal: u32,
    /// How it is.
    pub state: State,
    /// Its process, where the platform knows it.
    pub process_id: Option<u32>,
    /// Where its probes and metrics are.
    pub address: Option<String>,
    /// How often it was started again since the platform has it.
    pub restarts: u32,
    /// When its present process was started.
    pub started_at: Option<DateTime<Utc>>,
    /// How its last process ended, for people.
    pub last_exit: Option<String>,
}

/// Why a platform did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is being shut down, and starts nothing any more.
    #[error("the platform {platform} is shutting down")]
    Closing {
        /// Its name.
        platform: &'static str,
    },
    /// It cannot do it now. The call is made again, so the message says what a person could mend meanwhile.
    #[error("the platform {platform} {message}")]
    Unavailable {
        /// Its name.
        platform: &'static str,
        /// What is wrong, in the words of what it stands on, and what to do.
        message: String,
    },
}

/// What others than Millrace counted of an inference's functions lately; nothing where they counted nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// Over how many minutes until now.
    pub minutes: u32,
    /// Records that wait, when that was last looked at.
    pub lag: Option<f64>,
    /// How many processes worked at once at most.
    pub concurrency: Option<f64>,
    /// How many events they were given.
    pub invocations: Option<f64>,
    /// How many of these failed.
    pub errors: Option<f64>,
    /// How many had to wait because no more processes were to be had.
    pub throttles: Option<f64>,
}

/// What is asked of a platform for one owner.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Deployment {
    /// Its functions, by ordinal. None where they shall end.
    pub functions: Vec<FunctionSpec>,
    /// What only some platforms have to be told.
    pub options: Options,
}

/// What only some platforms have to be told of an inference: each looks at its own part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Of `kubernetes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<KubernetesOptions>,
    /// Of `knative`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub knative: Option<KnativeOptions>,
    /// What is asked of AWS Lambda.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lambda: Option<LambdaOptions>,
}

impl Options {
    /// Whether the platform of this name would take them.
    ///
    /// # Errors
    /// What is wrong, for whoever asked.
    pub fn check(&self, platform: &str) -> Result<(), String> {
        let asked: [(&str, bool, &[&str]); 3] = [
            (
                "lambda",
                self.lambda.is_some(),
                &[lambda::NAME, lambda_local::NAME],
            ),
            ("kubernetes", self.kubernetes.is_some(), &[kubernetes::NAME]),
            ("knative", self.knative.is_some(), &[knative::NAME]),
        ];
        for (name, is_asked, homes) in asked {
            if is_asked && !homes.contains(&platform) {
                return Err(format!(
                    "`{name}` is for {homes:?}, and this inference runs on {platform:?}: leave it out"
                ));
            }
        }
        if let Some(lambda) = &self.lambda {
            lambda.check()?;
            if platform == lambda_local::NAME {
                lambda_local::check(lambda)?;
            }
        }
        let scaling = self
            .kubernetes
            .as_ref()
            .and_then(|own| own.scaling.as_ref());
        if let Some(scaling) = scaling {
            scaling
                .check()
                .map_err(|reason| format!("kubernetes: {reason}"))?;
        }
        match &self.knative {
            Some(knative) => knative
                .check()
                .map_err(|reason| format!("knative: {reason}")),
            None => Ok(()),
        }
    }
}

/// Where functions run.
#[async_trait]
pub trait Platform: Send + Sync {
    /// Its name in the API.
    fn name(&self) -> &'static str;

    /// What it can promise about each record.
    fn guarantees(&self) -> &'static [Guarantee];

    /// Whether records are brought to its functions, which may sleep until then and scale by themselves: each inference
    /// is one function to Millrace, whose silence is no fault.
    fn is_pushed(&self) -> bool;

    /// Whether its functions cannot go on without the API, so that none runs when that starts.
    fn ends_with_the_api(&self) -> bool {
        false
    }

    /// The consumer group by which redriven records are brought to an inference with this group: the same, unless the
    /// platform reads each topic by itself.
    fn redrive_group(&self, group: &str) -> String {
        group.to_owned()
    }

    /// How many trainings may run on it at once.
    fn training_slots(&self) -> u32;

    /// Whether [`deploy`](Self::deploy) would refuse this for good, as far as nobody need be asked.
    ///
    /// # Errors
    /// What is wrong and what to do, as the rest of a sentence that begins with the platform.
    fn check(&self, _owner: Owner, _deployment: &Deployment) -> Result<(), String> {
        Ok(())
    }

    /// Whether it can be asked for functions at all. Nothing is made.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    async fn reach(&self, _owner: Owner) -> Result<(), Error> {
        Ok(())
    }

    /// Asks for exactly these functions of `owner`. Where none are wanted it returns only when all have ended; otherwise it may
    /// return while they are still brought there, and those that are wanted no more end in order. What their group has
    /// committed stays. One that is wanted otherwise starts anew; what runs as it should is left
    /// alone. The platform chooses where each one listens, and what brings records to it.
    ///
    /// # Errors
    /// [`Error::Closing`], [`Error::Unavailable`].
    async fn deploy(&self, owner: Owner, deployment: Deployment) -> Result<(), Error>;

    /// Gives up what it keeps of `owner`, whose functions have ended and whose offsets are saved elsewhere: what its group
    /// has committed may go with it.
    ///
    /// # Errors
    /// [`Error::Closing`], [`Error::Unavailable`].
    async fn forget(&self, _owner: Owner) -> Result<(), Error> {
        Ok(())
    }

    /// Ends the functions of `owner` in order, returns when they have ended, and forgets their logs.
    ///
    /// # Errors
    /// [`Error::Closing`], [`Error::Unavailable`].
    async fn remove(&self, owner: Owner) -> Result<(), Error>;

    /// All its functions, by owner and ordinal, as they were seen last.
    async fn functions(&self) -> Vec<Status>;

    /// What is wrong around the functions of `owner`, whether or not they run; as a sentence.
    fn remark(&self, _owner: Owner) -> Option<String> {
        None
    }

    /// What others count of the functions of `owner`, where anybody does.
    async fn figures(&self, _owner: Owner) -> Option<Result<Figures, Error>> {
        None
    }

    /// The last lines that a replica said, oldest first.
    async fn log(&self, owner: Owner, ordinal: u32, last: usize) -> Vec<String>;

    /// Ends in order what cannot go on without the API, which ends. Nothing is started afterwards.
    async fn shutdown(&self);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_for_their_own_platform() {
        let on = |platform: &str, options: &Options| options.check(platform).err();
        let lambda = Options {
            lambda: Some(LambdaOptions::default()),
            ..Options::default()
        };
        assert_eq!(on("lambda", &lambda), None);
        assert_eq!(on("lambda-local", &lambda), None);
        let elsewhere = on("local", &lambda).unwrap_or_default();
        assert!(elsewhere.starts_with("`lambda` is for"), "{elsewhere}");
        let knative = |min_scale| Options {
            knative: Some(KnativeOptions {
                min_scale: Some(min_scale),
                max_scale: Some(2),
                ..KnativeOptions::default()
            }),
            ..Options::default()
        };
        assert_eq!(on("knative", &knative(2)), None);
        let wrong = on("knative", &knative(3)).unwrap_or_default();
        assert_eq!(wrong, "knative: minScale 3 is more than maxScale 2");
        let elsewhere = on("kubernetes", &knative(1)).unwrap_or_default();
        assert!(elsewhere.starts_with("`knative` is for"), "{elsewhere}");
    }
}
