//! What the driver makes of the states that AWS goes through, which moto does not have.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::super::super::{Deployment, Error, Owner, Platform as _, State, Status};
use super::super::settings::Pace;
use super::super::{LambdaOptions, LambdaPlatform};
use super::answers::{Account, Shared, function, mappings, platform};
use super::{deployment, moved, spec};

const ALWAYS: Pace = Pace {
    settled: Duration::ZERO,
    unsettled: Duration::ZERO,
};
const NEVER: Pace = Pace {
    settled: Duration::from_hours(1),
    unsettled: Duration::from_hours(1),
};
const ID: Uuid = Uuid::from_u128(7);
const OWNER: Owner = Owner::Inference(ID);

async fn deploy(platform: &LambdaPlatform) -> Result<Status, Error> {
    let wanted = deployment(spec(ID), LambdaOptions::default());
    platform.deploy(OWNER, wanted).await?;
    Ok(platform.functions().await.remove(0))
}

/// Changes the account, and gives the calls until then.
fn now(account: &Shared, change: impl FnOnce(&mut Account)) -> Vec<String> {
    let mut account = account.lock().unwrap();
    change(&mut account);
    std::mem::take(&mut account.calls)
}

fn count(calls: &[String], beginning: &str) -> usize {
    calls
        .iter()
        .filter(|call| call.starts_with(beginning))
        .count()
}

fn each(mut mappings: Vec<Value>, key: &str, value: &str) -> Vec<Value> {
    for mapping in &mut mappings {
        mapping[key] = json!(value);
    }
    mappings
}

#[tokio::test]
async fn a_function_starts_until_lambda_says_that_all_of_it_stands() {
    let (platform, account) = platform(ALWAYS).await;
    assert_eq!(deploy(&platform).await.unwrap().state, State::Starting);
    let calls = now(&account, |it| {
        it.function = Some(function(&platform, ID, "Pending"));
    });
    assert_eq!(
        count(&calls, "Logs_20140328.CreateLogGroup"),
        1,
        "{calls:?}"
    );
    assert_eq!(count(&calls, "POST /2015-03-31/functions"), 1, "{calls:?}");
    assert_eq!(deploy(&platform).await.unwrap().state, State::Starting);
    // No mapping before the function can be invoked.
    let calls = now(&account, |it| {
        it.function = Some(function(&platform, ID, "Active"));
    });
    assert_eq!(count(&calls, "POST"), 0, "{calls:?}");
    assert_eq!(deploy(&platform).await.unwrap().state, State::Starting);
    let calls = now(&account, |it| {
        it.mappings = mappings(&platform, ID, "Creating");
    });
    assert_eq!(
        count(&calls, "POST /2015-03-31/event-source-mappings"),
        2,
        "{calls:?}"
    );
    let status = deploy(&platform).await.unwrap();
    assert_eq!(status.state, State::Starting);
    assert!(status.last_exit.unwrap().contains("is Creating"));
    now(&account, |it| {
        it.mappings = mappings(&platform, ID, "Enabled");
    });
    let status = deploy(&platform).await.unwrap();
    assert_eq!((status.state, status.last_exit), (State::Running, None));
    let calls = now(&account, |_| {});
    assert_eq!(
        count(&calls, "GET"),
        calls.len(),
        "nothing is left to do: {calls:?}"
    );
}

#[tokio::test]
async fn what_ails_a_mapping_is_told_in_the_words_of_aws() {
    let (platform, account) = platform(ALWAYS).await;
    let problem = "PROBLEM: Connection error. Your VPC must be able to connect to Lambda and STS.";
    now(&account, |it| {
        it.function = Some(function(&platform, ID, "Active"));
        it.mappings = each(
            mappings(&platform, ID, "Enabled"),
            "LastProcessingResult",
            problem,
        );
    });
    let status = deploy(&platform).await.unwrap();
    assert_eq!(status.state, State::BackingOff);
    assert!(status.last_exit.unwrap().contains(problem));

    now(&account, |it| {
        it.mappings = mappings(&platform, ID, "Disabled");
    });
    let status = deploy(&platform).await.unwrap();
    assert_eq!(status.state, State::Stopped);
    assert!(status.last_exit.unwrap().contains("USER_INITIATED"));
    let calls = now(&account, |it| {
        it.function = Some(function(&platform, ID, "Failed"));
    });
    assert_eq!(
        count(&calls, "PUT"),
        0,
        "whoever switched it off is let be: {calls:?}"
    );
    let status = deploy(&platform).await.unwrap();
    assert_eq!(status.state, State::Stopped);
    assert!(status.last_exit.unwrap().contains("The role has no rights"));
}

#[tokio::test]
async fn a_change_that_failed_is_tried_again() {
    let (platform, account) = platform(ALWAYS).await;
    now(&account, |it| {
        let mut changed = function(&platform, ID, "Active");
        changed["Configuration"]["LastUpdateStatus"] = json!("Failed");
        changed["Configuration"]["LastUpdateStatusReason"] = json!("no address is left");
        it.function = Some(changed);
    });
    let status = deploy(&platform).await.unwrap();
    assert_eq!(status.state, State::BackingOff);
    assert!(status.last_exit.unwrap().contains("no address is left"));
    let calls = now(&account, |_| {});
    assert_eq!(count(&calls, "PUT /2015-03-31/functions"), 1, "{calls:?}");
}

#[tokio::test]
async fn a_former_mapping_is_waited_for() {
    let (platform, account) = platform(ALWAYS).await;
    now(&account, |it| {
        it.function = Some(function(&platform, ID, "Active"));
        it.mappings = mappings(&platform, ID, "Deleting");
    });
    let status = deploy(&platform).await.unwrap();
    assert!(status.last_exit.unwrap().contains("former mapping"));
    let calls = now(&account, |it| {
        it.mappings = mappings(&platform, ID, "Enabled");
        it.mappings[0]["AmazonManagedKafkaEventSourceConfig"]["ConsumerGroupId"] = json!("other");
    });
    assert_eq!(count(&calls, "POST /2015"), 0, "{calls:?}");
    deploy(&platform).await.unwrap();
    let calls = now(&account, |_| {});
    let deleted = "DELETE /2015-03-31/event-source-mappings/orders-in";
    assert_eq!(count(&calls, deleted), 1, "{calls:?}");
}

/// A function tells records apart by their topic alone: those of two clusters would be answered into one.
#[tokio::test]
async fn a_mapping_of_a_former_cluster_ends_first_and_never_outlives_the_function() {
    let (platform, account) = platform(ALWAYS).await;
    let former = || {
        let mappings = mappings(&platform, ID, "Enabled");
        each(mappings, "EventSourceArn", "arn:aws:kafka:former")
    };
    now(&account, |it| {
        it.function = Some(function(&platform, ID, "Active"));
        it.mappings = former();
    });
    let status = deploy(&platform).await.unwrap();
    assert!(status.last_exit.unwrap().contains("former mapping"));
    let calls = now(&account, |_| {});
    let deleted = "DELETE /2015-03-31/event-source-mappings";
    assert_eq!(count(&calls, deleted), 2, "{calls:?}");
    assert_eq!(count(&calls, "POST /2015"), 0, "{calls:?}");

    for function in [Some(function(&platform, ID, "Active")), None] {
        now(&account, |it| it.function = function);
        let ended = platform.deploy(OWNER, Deployment::default()).await;
        assert!(ended.unwrap_err().to_string().contains("orders-in"));
        let calls = now(&account, |_| {});
        assert_eq!(count(&calls, deleted), 2, "{calls:?}");
    }
}

type Change = fn(&mut Account);

/// Somebody else deletes what stood, or changes it: it is put back, and told.
#[tokio::test]
async fn what_somebody_else_changes_is_put_back_and_told() {
    let (platform, account) = platform(ALWAYS).await;
    let all = |it: &mut Account| {
        it.function = Some(function(&platform, ID, "Active"));
        it.mappings = mappings(&platform, ID, "Enabled");
    };
    let told = "was changed or deleted by somebody else";
    let changes: [(&str, Change); 4] = [
        ("is being made by Lambda", |it| it.function = None),
        ("is being changed by Lambda", |it| {
            let function = it.function.as_mut().unwrap();
            function["Configuration"]["MemorySize"] = json!(128);
        }),
        ("is being given \"orders-in\"", |it| {
            it.mappings.remove(0);
        }),
        ("in another way", |it| {
            it.mappings[0]["BatchSize"] = json!(1);
        }),
    ];
    for (words, change) in changes {
        now(&account, all);
        assert_eq!(deploy(&platform).await.unwrap().state, State::Running);
        now(&account, change);
        let status = deploy(&platform).await.unwrap();
        assert_eq!(status.state, State::BackingOff, "{words}");
        let exit = status.last_exit.unwrap();
        assert!(exit.contains(told) && exit.contains(words), "{exit}");
    }
    // What AWS does with it by itself is nobody else's.
    now(&account, all);
    assert_eq!(deploy(&platform).await.unwrap().state, State::Running);
    now(&account, |it| {
        it.function = Some(function(&platform, ID, "Pending"));
    });
    assert_eq!(deploy(&platform).await.unwrap().state, State::Starting);
}

#[tokio::test]
async fn a_function_that_lost_its_tag_has_not_ended_while_records_are_brought_to_it() {
    let (platform, account) = platform(ALWAYS).await;
    now(&account, |it| {
        let mut untagged = function(&platform, ID, "Active");
        untagged["Tags"] = json!({});
        it.function = Some(untagged);
        it.mappings = mappings(&platform, ID, "Enabled");
    });
    let refused = platform.deploy(OWNER, Deployment::default()).await;
    let words = refused.unwrap_err().to_string();
    let (key, value) = (&platform.settings.tag_key, &platform.settings.prefix);
    assert!(words.contains(&format!("the tag {key}={value}")), "{words}");
    let calls = now(&account, |it| it.mappings.clear());
    assert_eq!(count(&calls, "DELETE"), 0, "{calls:?}");
    platform.deploy(OWNER, Deployment::default()).await.unwrap();
    let calls = now(&account, |_| {});
    assert_eq!(count(&calls, "DELETE"), 0, "{calls:?}");
}

#[tokio::test]
async fn the_end_waits_until_lambda_has_let_go() {
    let (platform, account) = platform(ALWAYS).await;
    now(&account, |it| {
        it.function = Some(function(&platform, ID, "Active"));
        it.mappings = mappings(&platform, ID, "Enabled");
    });
    deploy(&platform).await.unwrap();
    now(&account, |it| {
        it.mappings = mappings(&platform, ID, "Deleting");
    });
    let error = platform
        .deploy(OWNER, Deployment::default())
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the event source mappings of [\"orders-in\""),
        "{error}"
    );
    let calls = now(&account, |it| it.mappings.clear());
    assert_eq!(count(&calls, "DELETE"), 0, "{calls:?}");
    assert_eq!(platform.functions().await.len(), 1);
    platform.deploy(OWNER, Deployment::default()).await.unwrap();
    assert!(platform.functions().await.is_empty());
    let calls = now(&account, |_| {});
    assert_eq!(
        count(&calls, "DELETE /2015-03-31/functions"),
        1,
        "{calls:?}"
    );
    platform.deploy(OWNER, Deployment::default()).await.unwrap();
    assert!(
        now(&account, |_| {}).is_empty(),
        "what has ended is not looked at again"
    );
}

#[tokio::test]
async fn aws_is_left_alone_until_something_changes() {
    let (platform, account) = platform(NEVER).await;
    now(&account, |it| {
        it.function = Some(function(&platform, ID, "Active"));
        it.mappings = mappings(&platform, ID, "Enabled");
    });
    assert_eq!(deploy(&platform).await.unwrap().state, State::Running);
    assert!(!now(&account, |_| {}).is_empty());
    deploy(&platform).await.unwrap();
    let other_version = deployment(moved(spec(ID)), LambdaOptions::default());
    platform.deploy(OWNER, other_version).await.unwrap();
    assert!(
        now(&account, |_| {}).is_empty(),
        "an alias that moves changes nothing here"
    );
    let other_work = deployment(
        super::into_topic(spec(ID), "other"),
        LambdaOptions::default(),
    );
    platform.deploy(OWNER, other_work).await.unwrap();
    let calls = now(&account, |_| {});
    assert_eq!(count(&calls, "PUT /2015-03-31/functions"), 1, "{calls:?}");
}
