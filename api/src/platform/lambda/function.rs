//! One function of Lambda, brought to its plan by one step at a look.
//!
//! Invariant: a function that does not bear the installation's tag is never changed.

use std::collections::BTreeSet;

use aws_sdk_lambda::operation::get_function::GetFunctionOutput;
use aws_sdk_lambda::types::{Concurrency, FunctionConfiguration, LastUpdateStatus, State};
use millrace_wire::function::{FunctionSpec, VARIABLE};

use super::super::work::work;
use super::aws::Aws;
use super::plan::FunctionPlan;
use super::settings::Settings;
use super::trouble::Trouble;

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is as planned, and can be invoked.
    Stands,
    /// AWS was told now what it shall be.
    Begun(String),
    /// AWS is at work on it.
    Changing(String),
    /// AWS could not change it, which is tried again.
    Unchanged(String),
    /// AWS could not make it.
    Failed(String),
}

/// Takes the next step towards the plan.
pub(super) async fn bring(
    aws: &Aws,
    settings: &Settings,
    plan: &FunctionPlan,
) -> Result<Stage, Trouble> {
    let name = &plan.name;
    let Some(found) = aws.function(name).await? else {
        aws.create_function(settings, plan).await?;
        tracing::info!(function.name = %name, "function made on Lambda");
        return Ok(Stage::Begun("is being made by Lambda".to_owned()));
    };
    if !is_ours(settings, name, &found)? {
        return Err(Trouble::refused(format!(
            "finds a function {name:?} without the tag {}={}, which is therefore somebody else's and is left alone; remove it, and the inference gets its own",
            settings.tag_key, settings.prefix
        )));
    }
    let Some(function) = found.configuration() else {
        return Err(Trouble::refused(format!(
            "was told nothing about the function {name:?}"
        )));
    };
    match function.state() {
        Some(State::Failed) => {
            return Ok(Stage::Failed(format!(
                "could not be made by Lambda ({})",
                function.state_reason().unwrap_or("without a reason")
            )));
        }
        Some(State::Pending) => {
            return Ok(Stage::Changing("is being made by Lambda".to_owned()));
        }
        Some(State::Deleting) => {
            return Err(Trouble::Busy(format!(
                "waits until Lambda has deleted the former function {name:?}"
            )));
        }
        _ => {}
    }
    if function.last_update_status() == Some(&LastUpdateStatus::InProgress) {
        return Ok(Stage::Changing("is being changed by Lambda".to_owned()));
    }
    let failed = function.last_update_status() == Some(&LastUpdateStatus::Failed);
    if function.code_sha256() != Some(settings.code.as_str()) {
        aws.update_code(settings, name).await?;
        tracing::info!(function.name = %name, "function gets other code on Lambda");
    } else if failed || !is_configured(settings, plan, function)? {
        aws.update_configuration(settings, plan).await?;
        tracing::info!(function.name = %name, "function is configured anew on Lambda");
    } else {
        let reserved = found.concurrency();
        let reserved = reserved.and_then(Concurrency::reserved_concurrent_executions);
        if reserved != plan.concurrency {
            aws.reserve(name, plan.concurrency).await?;
        }
        return Ok(Stage::Stands);
    }
    if failed {
        let reason = function.last_update_status_reason();
        return Ok(Stage::Unchanged(format!(
            "could not be changed by Lambda ({})",
            reason.unwrap_or("without a reason")
        )));
    }
    Ok(Stage::Begun("is being changed by Lambda".to_owned()))
}

/// Whether it bears the installation's tag.
pub(super) fn is_ours(
    settings: &Settings,
    name: &str,
    found: &GetFunctionOutput,
) -> Result<bool, Trouble> {
    if let Some(error) = found.tags_error() {
        return Err(Trouble::refused(format!(
            "may not see the tags of {name:?}, and so not whether it is its own: AWS says {:?}; Terraform's module access grants lambda:ListTags to the API's role (output api_role_arn) by the statement LookAtFunctions",
            error.message()
        )));
    }
    let tag = found.tags().and_then(|tags| tags.get(&settings.tag_key));
    Ok(tag == Some(&settings.prefix))
}

/// Whether the function is configured as planned. Where its alias points by now is none of it.
fn is_configured(
    settings: &Settings,
    plan: &FunctionPlan,
    function: &FunctionConfiguration,
) -> Result<bool, Trouble> {
    let environment = function.environment();
    if let Some(error) = environment.and_then(|environment| environment.error()) {
        return Err(Trouble::refused(format!(
            "may not see the variables of {:?}: AWS says {:?}; the key that encrypts them is to let the API's role decrypt",
            plan.name,
            error.message().unwrap_or_default()
        )));
    }
    let variables = environment.and_then(|environment| environment.variables());
    let is_at_work = variables.is_some_and(|present| {
        let wanted = plan.variables();
        present.len() == wanted.len()
            && wanted
                .iter()
                .all(|(&variable, value)| match present.get(variable) {
                    Some(text) if variable == VARIABLE => FunctionSpec::from_json(text)
                        .is_ok_and(|present| work(&present) == work(&plan.spec)),
                    present => present == Some(value),
                })
    });
    let place = function.vpc_config();
    let is_in_place = place.is_some_and(|place| {
        same(place.subnet_ids(), &settings.subnets)
            && same(place.security_group_ids(), &settings.groups)
    });
    Ok(is_at_work
        && is_in_place
        && function.role() == Some(settings.role.as_str())
        && function.memory_size() == Some(plan.memory_mib)
        && function.timeout() == Some(plan.timeout_seconds))
}

fn same(present: &[String], wanted: &[String]) -> bool {
    present.iter().collect::<BTreeSet<_>>() == wanted.iter().collect()
}
