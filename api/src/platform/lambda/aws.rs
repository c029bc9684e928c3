//! The calls of AWS that the driver makes, and no others: `terraform/modules/access/api.tf` grants these.
//!
//! Invariant: each may be made again after a crash. What is there already, or is gone already, is no trouble.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_lambda::operation::get_function::GetFunctionOutput;
use aws_sdk_lambda::types::{
    AmazonManagedKafkaEventSourceConfig, Architecture, DestinationConfig, Environment,
    EventSourceMappingConfiguration, EventSourcePosition, Filter, FilterCriteria, FunctionCode,
    FunctionResponseType, OnFailure, ProvisionedPollerConfig, Runtime, VpcConfig,
};

use super::plan::{FunctionPlan, MappingPlan, signed};
use super::settings::{Settings, log_group};
use super::trouble::{Trouble, is};

/// What the SDK tries by itself before it gives up: throttling, connections, faults of AWS.
const ATTEMPTS: u32 = 4;
const CONNECT: Duration = Duration::from_secs(5);
const ATTEMPT: Duration = Duration::from_secs(15);
/// Tries and ages without a limit, as AWS writes it.
const ENDLESS: i32 = -1;
const OPERATION: Duration = Duration::from_secs(45);

/// An account, in one region.
pub(super) struct Aws {
    lambda: aws_sdk_lambda::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
}

impl Aws {
    /// The account whose credentials are in the environment, as the SDK finds them.
    pub(super) async fn connect(region: &str) -> Self {
        let config = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(region.to_owned()))
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT)
                    .operation_attempt_timeout(ATTEMPT)
                    .operation_timeout(OPERATION)
                    .build(),
            );
        let config: SdkConfig = config.load().await;
        Self::new(
            aws_sdk_lambda::Client::new(&config),
            aws_sdk_cloudwatchlogs::Client::new(&config),
        )
    }

    /// The account that these clients speak to.
    pub(super) fn new(
        lambda: aws_sdk_lambda::Client,
        logs: aws_sdk_cloudwatchlogs::Client,
    ) -> Self {
        Self { lambda, logs }
    }

    /// The function of this name, with its tags, whoever made it.
    pub(super) async fn function(&self, name: &str) -> Result<Option<GetFunctionOutput>, Trouble> {
        match self.lambda.get_function().function_name(name).send().await {
            Ok(found) => Ok(Some(found)),
            Err(error) if is(&error, "ResourceNotFoundException") => Ok(None),
            Err(error) => Err(Trouble::of("lambda:GetFunction", name, &error)),
        }
    }

    /// Makes a function. Its tag comes with it: there is no moment in which it is nobody's.
    pub(super) async fn create_function(
        &self,
        settings: &Settings,
        plan: &FunctionPlan,
    ) -> Result<(), Trouble> {
        let code = FunctionCode::builder()
            .s3_bucket(&settings.bucket)
            .s3_key(&settings.package)
            .build();
        let mut call = self
            .lambda
            .create_function()
            .function_name(&plan.name)
            .description(&plan.description)
            .role(&settings.role)
            .runtime(Runtime::Providedal2023)
            .handler("bootstrap")
            .architectures(Architecture::X8664)
            .code(code)
            .vpc_config(place(settings))
            .environment(environment(plan))
            .memory_size(plan.memory_mib)
            .timeout(plan.timeout_seconds);
        for (key, value) in &plan.tags {
            call = call.tags(key, value);
        }
        let made = call.send().await;
        made.map_err(|error| Trouble::of("lambda:CreateFunction", &plan.name, &error))?;
        Ok(())
    }

    pub(super) async fn update_code(&self, settings: &Settings, name: &str) -> Result<(), Trouble> {
        let call = self.lambda.update_function_code().function_name(name);
        let call = call
            .s3_bucket(&settings.bucket)
            .s3_key(&settings.package)
            .architectures(Architecture::X8664);
        let changed = call.send().await;
        changed.map_err(|error| Trouble::of("lambda:UpdateFunctionCode", name, &error))?;
        Ok(())
    }

    pub(super) async fn update_configuration(
        &self,
        settings: &Settings,
        plan: &FunctionPlan,
    ) -> Result<(), Trouble> {
        let call = self
            .lambda
            .update_function_configuration()
            .function_name(&plan.name)
            .description(&plan.description)
            .role(&settings.role)
            .vpc_config(place(settings))
            .environment(environment(plan))
            .memory_size(plan.memory_mib)
            .timeout(plan.timeout_seconds);
        let changed = call.send().await;
        changed.map_err(|error| {
            Trouble::of("lambda:UpdateFunctionConfiguration", &plan.name, &error)
        })?;
        Ok(())
    }

    /// Reserves so many environments for a function, or none.
    pub(super) async fn reserve(
        &self,
        name: &str,
        concurrency: Option<i32>,
    ) -> Result<(), Trouble> {
        if let Some(concurrency) = concurrency {
            let call = self.lambda.put_function_concurrency().function_name(name);
            let put = call
                .reserved_concurrent_executions(concurrency)
                .send()
                .await;
            put.map_err(|error| Trouble::of("lambda:PutFunctionConcurrency", name, &error))?;
        } else {
            let call = self.lambda.delete_function_concurrency();
            let deleted = call.function_name(name).send().await;
            deleted
                .map_err(|error| Trouble::of("lambda:DeleteFunctionConcurrency", name, &error))?;
        }
        Ok(())
    }

    pub(super) async fn delete_function(&self, name: &str) -> Result<(), Trouble> {
        let call = self.lambda.delete_function().function_name(name);
        match call.send().await {
            Err(error) if !is(&error, "ResourceNotFoundException") => {
                Err(Trouble::of("lambda:DeleteFunction", name, &error))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// The mappings that bring records to a function, of whichever cluster. Of one that is gone AWS tells only among all.
    pub(super) async fn mappings(
        &self,
        function: &str,
        is_there: bool,
    ) -> Result<Vec<EventSourceMappingConfiguration>, Trouble> {
        let call = self.lambda.list_event_source_mappings();
        let call = call.set_function_name(is_there.then(|| function.to_owned()));
        let mut pages = call.into_paginator().items().send();
        let mut mappings = Vec::new();
        while let Some(found) = pages.next().await {
            let mapping = found
                .map_err(|error| Trouble::of("lambda:ListEventSourceMappings", function, &error))?;
            // arn:aws:lambda:REGION:ACCOUNT:function:NAME
            let name = mapping.function_arn().and_then(|arn| arn.split(':').nth(6));
            if name == Some(function) {
                mappings.push(mapping);
            }
        }
        Ok(mappings)
    }

    pub(super) async fn create_mapping(
        &self,
        cluster: &str,
        function: &str,
        plan: &MappingPlan,
    ) -> Result<(), Trouble> {
        let group = AmazonManagedKafkaEventSourceConfig::builder()
            .consumer_group_id(&plan.group)
            .build();
        let mut call = self
            .lambda
            .create_event_source_mapping()
            .event_source_arn(cluster)
            .function_name(function)
            .topics(&plan.topic)
            .amazon_managed_kafka_event_source_config(group)
            // Counts for nothing where the group has offsets, and those of the input were committed before. The
            // topic of redriven records is Millrace's own, and is answered from its first record.
            .starting_position(EventSourcePosition::TrimHorizon)
            .batch_size(plan.batch_size)
            .set_maximum_batching_window_in_seconds(plan.window_seconds)
            .set_destination_config(plan.on_failure.as_deref().map(destination))
            .set_source_access_configurations(
                Some(plan.login.access()).filter(|access| !access.is_empty()),
            );
        if plan.pollers.is_some() {
            call = call
                .provisioned_poller_config(pollers(plan))
                .set_maximum_retry_attempts(plan.retries)
                .set_maximum_record_age_in_seconds(plan.age_seconds)
                .bisect_batch_on_function_error(plan.bisects)
                .function_response_types(FunctionResponseType::ReportBatchItemFailures);
        }
        if !plan.filters.is_empty() {
            call = call.filter_criteria(criteria(plan));
        }
        for (key, value) in &plan.tags {
            call = call.tags(key, value);
        }
        let resource = format!("{function} for {}", plan.topic);
        let made = call.send().await;
        made.map_err(|error| Trouble::of("lambda:CreateEventSourceMapping", &resource, &error))?;
        Ok(())
    }

    pub(super) async fn update_mapping(&self, id: &str, plan: &MappingPlan) -> Result<(), Trouble> {
        let own = plan.pollers.map(|_| ());
        let partial = own.map(|()| FunctionResponseType::ReportBatchItemFailures);
        let call = self
            .lambda
            .update_event_source_mapping()
            .uuid(id)
            .batch_size(plan.batch_size)
            .set_maximum_batching_window_in_seconds(plan.window_seconds)
            // What is empty takes away what was there.
            .destination_config(destination(plan.on_failure.as_deref().unwrap_or_default()))
            .provisioned_poller_config(pollers(plan))
            .set_maximum_retry_attempts(own.map(|()| plan.retries.unwrap_or(ENDLESS)))
            .set_maximum_record_age_in_seconds(own.map(|()| plan.age_seconds.unwrap_or(ENDLESS)))
            .set_bisect_batch_on_function_error(own.map(|()| plan.bisects))
            .filter_criteria(criteria(plan))
            .set_function_response_types(Some(partial.into_iter().collect()))
            .set_source_access_configurations(Some(plan.login.access()));
        let changed = call.send().await;
        changed.map_err(|error| Trouble::of("lambda:UpdateEventSourceMapping", id, &error))?;
        Ok(())
    }

    pub(super) async fn delete_mapping(&self, id: &str) -> Result<(), Trouble> {
        let call = self.lambda.delete_event_source_mapping().uuid(id);
        match call.send().await {
            Err(error) if !is(&error, "ResourceNotFoundException") => {
                Err(Trouble::of("lambda:DeleteEventSourceMapping", id, &error))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Makes a function's log group: the function itself may not, and would keep its log for ever.
    pub(super) async fn create_log_group(&self, function: &str, days: i32) -> Result<(), Trouble> {
        let group = log_group(function);
        let call = self.logs.create_log_group().log_group_name(&group);
        match call.send().await {
            Err(error) if !is(&error, "ResourceAlreadyExistsException") => {
                return Err(Trouble::of("logs:CreateLogGroup", &group, &error));
            }
            Ok(_) | Err(_) => {}
        }
        let call = self.logs.put_retention_policy().log_group_name(&group);
        let put = call.retention_in_days(days).send().await;
        put.map_err(|error| Trouble::of("logs:PutRetentionPolicy", &group, &error))?;
        Ok(())
    }

    pub(super) async fn delete_log_group(&self, function: &str) -> Result<(), Trouble> {
        let group = log_group(function);
        let call = self.logs.delete_log_group().log_group_name(&group);
        match call.send().await {
            Err(error) if !is(&error, "ResourceNotFoundException") => {
                Err(Trouble::of("logs:DeleteLogGroup", &group, &error))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

fn place(settings: &Settings) -> VpcConfig {
    VpcConfig::builder()
        .set_subnet_ids(Some(settings.subnets.clone()))
        .set_security_group_ids(Some(settings.groups.clone()))
        .build()
}

fn environment(plan: &FunctionPlan) -> Environment {
    let variables = plan.variables().into_iter();
    let variables = variables.map(|(key, value)| (key.to_owned(), value));
    Environment::builder()
        .set_variables(Some(variables.collect()))
        .build()
}

fn destination(place: &str) -> DestinationConfig {
    let on_failure = (!place.is_empty()).then(|| OnFailure::builder().destination(place).build());
    DestinationConfig::builder()
        .set_on_failure(on_failure)
        .build()
}

/// None of them without pollers of its own.
fn pollers(plan: &MappingPlan) -> ProvisionedPollerConfig {
    let asked = plan.pollers;
    ProvisionedPollerConfig::builder()
        .set_minimum_pollers(asked.map(|it| signed(it.minimum)))
        .set_maximum_pollers(asked.map(|it| signed(it.maximum)))
        .set_poller_group_name(plan.poller_group.clone())
        .build()
}

fn criteria(plan: &MappingPlan) -> FilterCriteria {
    let filters = plan.filters.iter();
    let filters: Vec<Filter> = filters
        .map(|pattern| Filter::builder().pattern(pattern.to_string()).build())
        .collect();
    FilterCriteria::builder()
        .set_filters(Some(filters).filter(|filters| !filters.is_empty()))
        .build()
}
