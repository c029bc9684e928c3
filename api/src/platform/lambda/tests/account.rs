//! An account of moto's server, as Terraform left it there: `tests/terraform/run` starts it, and holds the calls that are
//! recorded here against the policies that Terraform wrote for the API.

use std::fs::{OpenOptions, read_to_string};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_sdk_cloudwatchlogs::types::LogGroup;
use aws_sdk_lambda::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_lambda::config::{
    BehaviorVersion, ConfigBag, Intercept, Region, RuntimeComponents, retry::RetryConfig,
};
use aws_sdk_lambda::error::BoxError;
use aws_sdk_lambda::types::{Concurrency, FilterCriteria, ProvisionedPollerConfig};
use serde_json::{Value, json};
use tokio::sync::{Notify, OnceCell};
use uuid::Uuid;

use super::super::super::{Changes, Deployment, Owner, Platform as _, State};
use super::super::LambdaPlatform;
use super::super::aws::Aws;
use super::super::settings::{Pace, Settings, log_group};
use crate::config::Config;

/// The file with what `terraform output -json` said.
const TOLD: &str = "MILLRACE_TEST_AWS";
/// The file that the calls are recorded in, one a line.
const CALLS: &str = "MILLRACE_TEST_AWS_CALLS";
/// Looks that no plan needs.
const LOOKS: usize = 50;

/// Records each call, and lets only so many through.
#[derive(Debug, Clone)]
pub(super) struct Recorder(Arc<Calls>);

#[derive(Debug)]
struct Calls {
    left: AtomicUsize,
    made: AtomicUsize,
    spent: Notify,
}

impl Recorder {
    pub(super) fn of(calls: usize) -> Self {
        Self(Arc::new(Calls {
            left: AtomicUsize::new(calls),
            made: AtomicUsize::new(0),
            spent: Notify::new(),
        }))
    }

    pub(super) fn made(&self) -> usize {
        self.0.made.swap(0, Ordering::SeqCst)
    }

    /// Drops what works when it is about to make a call too many. Whether it came to that.
    pub(super) async fn kills(&self, work: impl Future<Output = ()>) -> bool {
        tokio::select! {
            biased;
            () = self.0.spent.notified() => true,
            () = work => false,
        }
    }
}

impl Intercept for Recorder {
    fn name(&self) -> &'static str {
        "recorder"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let fewer = |left: usize| left.checked_sub(1);
        let calls = &self.0;
        if calls
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, fewer)
            .is_err()
        {
            calls.spent.notify_one();
            return Err("killed".into());
        }
        calls.made.fetch_add(1, Ordering::SeqCst);
        let request = context.request();
        let body = request.body().bytes().unwrap_or_default();
        let call = json!({
            "method": request.method(),
            "uri": request.uri(),
            "target": request.headers().get("x-amz-target"),
            "body": serde_json::from_slice::<Value>(body).unwrap_or_default(),
        });
        let path = std::env::var(CALLS)?;
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        file.write_all(format!("{call}\n").as_bytes())?;
        Ok(())
    }
}

/// The account, seen by clients whose calls nobody records.
pub(super) struct Account {
    pub(super) settings: Settings,
    pub(super) lambda: aws_sdk_lambda::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
}

async fn config(settings: &Settings) -> aws_config::SdkConfig {
    let region = Region::new(settings.region.clone());
    let config = aws_config::defaults(BehaviorVersion::latest()).region(region);
    config.retry_config(RetryConfig::disabled()).load().await
}

impl Account {
    /// The one that Terraform applied `minimal` to.
    pub(super) async fn terraformed() -> Self {
        let path = std::env::var(TOLD).expect("tests/terraform/run names the file");
        let told: Value = serde_json::from_str(&read_to_string(path).unwrap()).unwrap();
        let variables = told["millrace"]["value"]["settings"].as_object().unwrap();
        let variables = variables
            .iter()
            .filter(|(variable, _)| variable.starts_with("MILLRACE_PLATFORM__LAMBDA__"))
            .map(|(variable, value)| (variable.clone(), value.as_str().unwrap().to_owned()));
        let config = Config::of(variables).unwrap();
        let settings = Settings {
            pace: Pace {
                settled: Duration::ZERO,
                unsettled: Duration::ZERO,
            },
            ..Settings::configured(&config.platform.lambda.unwrap())
        };
        let config = self::config(&settings).await;
        Self {
            lambda: aws_sdk_lambda::Client::new(&config),
            logs: aws_sdk_cloudwatchlogs::Client::new(&config),
            settings,
        }
    }

    /// A driver that knows nothing yet, as after a start of the API.
    pub(super) async fn driver(&self, recorder: &Recorder) -> LambdaPlatform {
        let config = config(&self.settings).await;
        let lambda = aws_sdk_lambda::config::Builder::from(&config).interceptor(recorder.clone());
        let logs =
            aws_sdk_cloudwatchlogs::config::Builder::from(&config).interceptor(recorder.clone());
        let aws = Aws::new(
            aws_sdk_lambda::Client::from_conf(lambda.build()),
            aws_sdk_cloudwatchlogs::Client::from_conf(logs.build()),
        );
        let aws = OnceCell::new_with(Some(aws));
        LambdaPlatform::with(self.settings.clone(), aws, Changes::default())
    }

    /// The same account as another installation sees it.
    pub(super) fn another(&self, prefix: &str) -> Self {
        let settings = Settings {
            prefix: prefix.to_owned(),
            ..self.settings.clone()
        };
        Self {
            settings,
            lambda: self.lambda.clone(),
            logs: self.logs.clone(),
        }
    }

    /// A driver whose calls are none that the policies are to allow.
    pub(super) async fn unrecorded(&self) -> LambdaPlatform {
        let config = config(&self.settings).await;
        let aws = Aws::new(
            aws_sdk_lambda::Client::new(&config),
            aws_sdk_cloudwatchlogs::Client::new(&config),
        );
        let aws = OnceCell::new_with(Some(aws));
        LambdaPlatform::with(self.settings.clone(), aws, Changes::default())
    }

    pub(super) fn name(&self, id: Uuid) -> String {
        self.settings.function_name(id)
    }

    /// What there is of an inference, with its id taken out.
    pub(super) async fn holds(&self, id: Uuid) -> Value {
        let name = self.name(id);
        let found = self.lambda.get_function().function_name(&name).send().await;
        let function = found.ok().map(|found| {
            let it = found.configuration().unwrap();
            let place = it.vpc_config().unwrap();
            let variables = it.environment().and_then(|it| it.variables()).unwrap();
            let concurrency = found.concurrency();
            json!({
                "role": it.role(),
                "handler": it.handler(),
                "memory": it.memory_size(),
                "timeout": it.timeout(),
                "code": it.code_sha256(),
                "place": [place.subnet_ids(), place.security_group_ids()],
                "variables": variables,
                "tags": found.tags(),
                "concurrency": concurrency.and_then(Concurrency::reserved_concurrent_executions),
            })
        });
        let listed = self.lambda.list_event_source_mappings();
        let listed = listed
            .event_source_arn(&self.settings.cluster)
            .send()
            .await
            .unwrap();
        let mut mappings: Vec<String> = Vec::new();
        for it in listed.event_source_mappings() {
            if !it.function_arn().unwrap().ends_with(&name) {
                continue;
            }
            let kafka = it.amazon_managed_kafka_event_source_config().unwrap();
            let pollers = it.provisioned_poller_config();
            let pollers = pollers.filter(|it| it.minimum_pollers().is_some());
            // AWS looks at these of pollers of their own only.
            let limit = |given: Option<i32>| given.filter(|given| pollers.is_some() && *given >= 0);
            let filters = it.filter_criteria().map(FilterCriteria::filters);
            let destination = it.destination_config().and_then(|it| it.on_failure());
            mappings.push(format!(
                "{:?} by {:?} from {:?}, {:?} a batch, {:?} s, {:?} to {:?} pollers, {:?}, failures to {:?}, given up after {:?} tries, {:?} s, cut: {:?}, filtered by {:?}",
                it.topics(),
                kafka.consumer_group_id(),
                it.starting_position(),
                it.batch_size(),
                it.maximum_batching_window_in_seconds(),
                pollers.and_then(ProvisionedPollerConfig::minimum_pollers),
                pollers.and_then(ProvisionedPollerConfig::maximum_pollers),
                it.function_response_types(),
                destination.and_then(|it| it.destination()),
                limit(it.maximum_retry_attempts()),
                limit(it.maximum_record_age_in_seconds()),
                pollers.is_some() && it.bisect_batch_on_function_error() == Some(true),
                filters.unwrap_or_default(),
            ));
        }
        mappings.sort();
        let groups = self.logs.describe_log_groups();
        let groups = groups
            .log_group_name_prefix(log_group(&name))
            .send()
            .await
            .unwrap();
        let days: Vec<_> = groups
            .log_groups()
            .iter()
            .map(LogGroup::retention_in_days)
            .collect();
        let all = json!({"function": function, "mappings": mappings, "logs": days});
        let text = all.to_string().replace(&id.simple().to_string(), "ID");
        serde_json::from_str(&text.replace(&id.to_string(), "ID")).unwrap()
    }
}

/// Deploys until all stands.
pub(super) async fn settle(platform: &LambdaPlatform, id: Uuid, wanted: Deployment) {
    for _ in 0..LOOKS {
        let deployed = platform.deploy(Owner::Inference(id), wanted.clone()).await;
        let functions = platform.functions().await;
        if deployed.is_ok() && functions.iter().any(|it| it.state == State::Running) {
            return;
        }
        // Whoever is being killed notices now.
        tokio::task::yield_now().await;
    }
    panic!("still not settled: {:?}", platform.functions().await);
}

/// Removes until nothing is left.
pub(super) async fn remove(platform: &LambdaPlatform, id: Uuid) {
    for _ in 0..LOOKS {
        if platform.remove(Owner::Inference(id)).await.is_ok() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("still not removed");
}

pub(super) fn nothing() -> Value {
    json!({"function": null, "mappings": [], "logs": []})
}
