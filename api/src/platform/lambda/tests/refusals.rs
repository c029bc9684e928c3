//! What AWS refuses, in words. moto refuses next to nothing, so that the stand-in speaks here as AWS documents it.

use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::super::super::{Owner, Platform as _};
use super::super::LambdaOptions;
use super::super::plan::Plan;
use super::super::settings::{Pace, Settings};
use super::answers::{Account, function, mappings, platform};
use super::{deployment, spec};
use crate::config::complete_lambda;

const ID: Uuid = Uuid::from_u128(9);
const ALWAYS: Pace = Pace {
    settled: Duration::ZERO,
    unsettled: Duration::ZERO,
};

/// What a person reads who deploys to an account that refuses this.
async fn words(account: Account, options: LambdaOptions) -> String {
    let (platform, shared) = platform(ALWAYS).await;
    *shared.lock().unwrap() = account;
    let wanted = deployment(spec(ID), options);
    let refused = platform.deploy(Owner::Inference(ID), wanted).await;
    refused.unwrap_err().to_string()
}

fn refusing(call: &'static str, status: u16, code: &'static str, words: &'static str) -> Account {
    Account {
        refused: Some((call, status, code, words)),
        ..Account::default()
    }
}

#[tokio::test]
async fn a_missing_right_is_named_with_what_grants_it() {
    for (call, action, statement) in [
        (
            "Logs_20140328.CreateLogGroup",
            "logs:CreateLogGroup",
            "LogGroupsOfFunctions",
        ),
        (
            "Logs_20140328.PutRetentionPolicy",
            "logs:PutRetentionPolicy",
            "LogGroupsOfFunctions",
        ),
        (
            "GET /2015-03-31/functions/",
            "lambda:GetFunction",
            "LookAtFunctions",
        ),
        (
            "POST /2015-03-31/functions",
            "lambda:CreateFunction",
            "MakeFunctions",
        ),
    ] {
        let account = refusing(call, 403, "AccessDeniedException", "no policy allows it");
        let words = words(account, LambdaOptions::default()).await;
        let beginning = format!("the platform lambda may not {action} on ");
        assert!(words.starts_with(&beginning), "{words}");
        assert!(words.contains("no policy allows it"), "{words}");
        assert!(
            words.ends_with(&format!(
                "(output api_role_arn) by the statement {statement}"
            )),
            "{words}"
        );
    }
}

#[tokio::test]
async fn a_missing_right_on_mappings_is_named_too() {
    let (platform, shared) = platform(ALWAYS).await;
    let owner = Owner::Inference(ID);
    for (call, action) in [
        (
            "GET /2015-03-31/event-source-mappings",
            "lambda:ListEventSourceMappings",
        ),
        (
            "POST /2015-03-31/event-source-mappings",
            "lambda:CreateEventSourceMapping",
        ),
    ] {
        shared.lock().unwrap().function = Some(function(&platform, ID, "Active"));
        shared.lock().unwrap().refused = Some((call, 403, "AccessDeniedException", "no"));
        let wanted = deployment(spec(ID), LambdaOptions::default());
        let words = platform
            .deploy(owner, wanted)
            .await
            .unwrap_err()
            .to_string();
        assert!(words.contains(&format!("may not {action} on ")), "{words}");
    }
    shared.lock().unwrap().mappings = mappings(&platform, ID, "Enabled");
    for (call, action, options) in [
        (
            "PUT /2015-03-31/event-source-mappings",
            "lambda:UpdateEventSourceMapping",
            LambdaOptions {
                batch_size: Some(1),
                ..LambdaOptions::default()
            },
        ),
        (
            "PUT /2015-03-31/functions",
            "lambda:UpdateFunctionConfiguration",
            LambdaOptions {
                memory_mib: Some(2048),
                ..LambdaOptions::default()
            },
        ),
        (
            "PUT /2017-10-31/functions",
            "lambda:PutFunctionConcurrency",
            LambdaOptions {
                maximum_concurrency: Some(2),
                ..LambdaOptions::default()
            },
        ),
    ] {
        shared.lock().unwrap().refused = Some((call, 403, "AccessDeniedException", "no"));
        let wanted = deployment(spec(ID), options);
        let words = platform
            .deploy(owner, wanted)
            .await
            .unwrap_err()
            .to_string();
        assert!(words.contains(&format!("may not {action} on ")), "{words}");
    }
}

#[tokio::test]
async fn a_tag_that_may_not_be_seen_is_no_foreign_function() {
    let (platform, shared) = platform(ALWAYS).await;
    let mut hidden = function(&platform, ID, "Active");
    hidden["Tags"] = json!(null);
    hidden["TagsError"] =
        json!({"ErrorCode": "AccessDeniedException", "Message": "no lambda:ListTags"});
    shared.lock().unwrap().function = Some(hidden);
    let wanted = deployment(spec(ID), LambdaOptions::default());
    let words = platform
        .deploy(Owner::Inference(ID), wanted)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        words.contains("lambda:ListTags") && words.contains("LookAtFunctions"),
        "{words}"
    );
}

#[tokio::test]
async fn what_else_aws_refuses_is_said_with_what_to_do() {
    let create = "POST /2015-03-31/functions";
    for (status, code, said, advice) in [
        (
            429,
            "TooManyRequestsException",
            "Rate exceeded",
            "is slowed down by AWS",
        ),
        (
            400,
            "CodeStorageExceededException",
            "Code storage limit exceeded",
            "quota of the account",
        ),
        (
            413,
            "RequestEntityTooLargeException",
            "too large",
            "250 MiB of code at most",
        ),
        (
            400,
            "InvalidParameterValueException",
            "Unzipped size must be smaller than 262144000 bytes",
            "250 MiB of code at most",
        ),
        (
            400,
            "InvalidParameterValueException",
            "The role defined for the function cannot be assumed by Lambda.",
            "is to trust lambda.amazonaws.com",
        ),
        (
            400,
            "InvalidParameterValueException",
            "Error occurred while GetObject. S3 Error Code: NoSuchKey.",
            "platform.lambda.package",
        ),
        (
            403,
            "ExpiredTokenException",
            "The security token included in the request is expired",
            "renew those of the API",
        ),
        (
            409,
            "ResourceConflictException",
            "The function is being changed",
            "waits with lambda:CreateFunction",
        ),
        (
            500,
            "ServiceException",
            "An error occurred",
            "is refused lambda:CreateFunction",
        ),
    ] {
        let words = words(
            refusing(create, status, code, said),
            LambdaOptions::default(),
        )
        .await;
        assert!(
            words.contains(advice) && words.contains(said),
            "{code}: {words}"
        );
    }
}

#[tokio::test]
async fn an_account_that_cannot_be_reached_is_said() {
    let (platform, shared) = platform(ALWAYS).await;
    // Not HTTP as the SDK knows it.
    shared.lock().unwrap().refused = Some(("Logs", 503, "", ""));
    let wanted = deployment(spec(ID), LambdaOptions::default());
    let words = platform
        .deploy(Owner::Inference(ID), wanted)
        .await
        .unwrap_err()
        .to_string();
    assert!(words.contains("logs:CreateLogGroup"), "{words}");
}

#[test]
fn what_aws_would_refuse_for_good_is_refused_before() {
    let settings = Settings::configured(&complete_lambda());
    let plan = |spec| Plan::new(&settings, ID, spec, &LambdaOptions::default());
    let small = plan(spec(ID)).unwrap();
    assert!(small.function.name.len() <= 64);
    let groups: Vec<&str> = small.mappings.iter().map(|it| it.group.as_str()).collect();
    assert_eq!(groups[1], format!("{}:redrive", groups[0]));

    let long = super::into_topic(spec(ID), &"x".repeat(4000));
    let words = plan(long).unwrap_err();
    assert!(words.message().contains("4096 bytes"), "{words:?}");

    let mut elsewhere = spec(ID);
    let other = "other:9092".to_owned();
    let control = elsewhere.control.as_mut().unwrap();
    control
        .connection
        .insert("bootstrap.servers".to_owned(), other);
    let words = plan(elsewhere).unwrap_err();
    assert!(words.message().contains("other:9092"), "{words:?}");
}

/// What is told before anything is asked for, or ends for it.
#[tokio::test]
async fn what_would_be_refused_for_good_is_known_beforehand() {
    let (platform, shared) = platform(ALWAYS).await;
    let owner = Owner::Inference(ID);
    let check = |spec| platform.check(owner, &deployment(spec, LambdaOptions::default()));
    assert_eq!(check(spec(ID)), Ok(()));
    let filtered = LambdaOptions {
        filters: vec![json!({"value": {"amount": [1]}})],
        ..LambdaOptions::default()
    };
    let raw = platform
        .check(owner, &deployment(spec(ID), filtered))
        .unwrap_err();
    assert!(raw.contains("JSON document"), "{raw}");
    let long = check(super::into_topic(spec(ID), &"x".repeat(5000))).unwrap_err();
    assert!(long.contains("4096 bytes"), "{long}");
    assert!(shared.lock().unwrap().calls.is_empty());
}
