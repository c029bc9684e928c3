//! Inferences on moto's server, from their making to their end, with what happens between.

use aws_sdk_lambda::types::{Architecture, FunctionCode, Runtime};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::super::{Deployment, Owner, Platform as _};
use super::super::options::Pollers;
use super::super::{LambdaOptions, figures};
use super::account::{Account, Recorder, nothing, remove, settle};
use super::{deployment, into_topic, moved, of_json, spec};

#[tokio::test]
#[ignore = "needs the account of tests/terraform/run"]
async fn an_inference_is_a_function_with_two_mappings() {
    let account = Account::terraformed().await;
    let (recorder, id) = (Recorder::of(usize::MAX), Uuid::now_v7());
    let platform = account.driver(&recorder).await;
    let plain = deployment(spec(id), LambdaOptions::default());
    settle(&platform, id, plain.clone()).await;
    let first = account.holds(id).await;
    let settings = &account.settings;
    let function = &first["function"];
    assert_eq!(function["role"], settings.role);
    assert_eq!(function["code"], settings.code);
    assert_eq!(function["memory"], settings.memory_mib);
    assert_eq!(function["tags"]["millrace:installation"], "millrace");
    assert_eq!(function["tags"]["millrace:inference"], "default/orders-ID");
    assert_eq!(
        function["place"],
        json!([settings.subnets, settings.groups])
    );
    let variables = function["variables"]["MILLRACE_FUNCTION"].as_str().unwrap();
    assert!(
        variables.contains(r#""trigger":{"lambda":{"partial":false}}"#),
        "{variables}"
    );
    assert_eq!(first["logs"], json!([settings.log_days]));
    let mapping = |topic: &str, group: &str| {
        format!(
            "[\"{topic}\"] by Some(\"{group}\") from Some(TrimHorizon), Some(256) a batch, Some(0) s, None to None pollers, [], failures to None, given up after None tries, None s, cut: false, filtered by []"
        )
    };
    let group = "millrace.inference.ID";
    let redrive = mapping("millrace.redrive.orders", &format!("{group}:redrive"));
    assert_eq!(
        first["mappings"],
        json!([redrive, mapping("orders-in", group)])
    );

    // What stands is only looked at, also by a driver that knows nothing, and after the alias was moved.
    recorder.made();
    let fresh = account.driver(&recorder).await;
    let looks = [(&platform, plain.clone(), 2), (&fresh, plain.clone(), 4)];
    let after = deployment(moved(spec(id)), LambdaOptions::default());
    for (platform, wanted, calls) in looks.into_iter().chain([(&platform, after, 2)]) {
        settle(platform, id, wanted).await;
        assert_eq!(recorder.made(), calls);
        assert_eq!(account.holds(id).await, first);
    }
    remove(&fresh, id).await;
    remove(&platform, id).await;
    assert_eq!(account.holds(id).await, nothing());
}

#[tokio::test]
#[ignore = "needs the account of tests/terraform/run"]
async fn what_is_asked_for_is_changed_and_changed_back() {
    let account = Account::terraformed().await;
    let (recorder, id) = (Recorder::of(usize::MAX), Uuid::now_v7());
    let platform = account.driver(&recorder).await;
    let plain = deployment(spec(id), LambdaOptions::default());
    settle(&platform, id, plain).await;
    let first = account.holds(id).await;

    let other = LambdaOptions {
        memory_mib: Some(2048),
        timeout_seconds: Some(300),
        batch_size: Some(1000),
        window_seconds: Some(2),
        maximum_concurrency: Some(5),
        pollers: Some(Pollers {
            minimum: 1,
            maximum: 3,
        }),
        retries: Some(4),
        record_age_seconds: Some(3600),
        bisect: true,
        on_failure: Some("kafka://given-up".to_owned()),
        filters: vec![json!({"value": {"amount": [{"numeric": [">", 100]}]}})],
    };
    let json = of_json(into_topic(spec(id), "other-out"));
    settle(&platform, id, deployment(json, other)).await;
    let changed = account.holds(id).await;
    let function = &changed["function"];
    assert_eq!(
        (&function["memory"], &function["timeout"]),
        (&json!(2048), &json!(300))
    );
    assert_eq!(function["concurrency"], 5);
    let variables = function["variables"]["MILLRACE_FUNCTION"].as_str().unwrap();
    assert!(
        variables.contains("other-out") && variables.contains(r#""partial":true"#),
        "{variables}"
    );
    let ends = "Some(1000) a batch, Some(2) s, Some(1) to Some(3) pollers, [ReportBatchItemFailures], failures to Some(\"kafka://given-up\"), given up after Some(4) tries, Some(3600) s, cut: true";
    for mapping in changed["mappings"].as_array().unwrap() {
        let mapping = mapping.as_str().unwrap();
        assert!(mapping.contains(ends), "{mapping}");
        // What was sent back has passed them once.
        let is_filtered = mapping.contains("amount");
        assert_eq!(is_filtered, mapping.contains("orders-in"), "{mapping}");
    }
    let zero = LambdaOptions {
        window_seconds: Some(0),
        ..LambdaOptions::default()
    };
    settle(&platform, id, deployment(spec(id), zero)).await;
    assert_eq!(account.holds(id).await, first);
    remove(&platform, id).await;
    assert_eq!(account.holds(id).await, nothing());
}

#[tokio::test]
#[ignore = "needs the account of tests/terraform/run"]
async fn a_function_gets_the_code_that_the_settings_name() {
    let mut account = Account::terraformed().await;
    let (recorder, id) = (Recorder::of(usize::MAX), Uuid::now_v7());
    let plain = deployment(spec(id), LambdaOptions::default());
    let wanted = account.settings.clone();
    // Another zip that lies there.
    let training = account.lambda.get_function();
    let training = training.function_name("millrace-training").send().await;
    let training = training.unwrap().configuration.unwrap();
    let code = training.code_sha256.unwrap();
    let folder = hex::encode(STANDARD.decode(&code).unwrap());
    account.settings.package = format!("functions/{folder}/training.zip");
    account.settings.code = code;
    let former = account.driver(&recorder).await;
    settle(&former, id, plain.clone()).await;
    assert_eq!(
        account.holds(id).await["function"]["code"],
        account.settings.code
    );

    account.settings = wanted;
    let platform = account.driver(&recorder).await;
    settle(&platform, id, plain).await;
    assert_eq!(
        account.holds(id).await["function"]["code"],
        account.settings.code
    );
    remove(&platform, id).await;
    assert_eq!(account.holds(id).await, nothing());
}

#[tokio::test]
#[ignore = "needs the account of tests/terraform/run"]
async fn what_somebody_deletes_by_hand_is_made_again() {
    let account = Account::terraformed().await;
    let (recorder, id) = (Recorder::of(usize::MAX), Uuid::now_v7());
    let platform = account.driver(&recorder).await;
    let plain = deployment(spec(id), LambdaOptions::default());
    settle(&platform, id, plain.clone()).await;
    let first = account.holds(id).await;

    let name = account.name(id);
    account
        .lambda
        .delete_function()
        .function_name(&name)
        .send()
        .await
        .unwrap();
    settle(&platform, id, plain.clone()).await;
    assert_eq!(account.holds(id).await, first);
    let listed = account
        .lambda
        .list_event_source_mappings()
        .function_name(&name);
    for mapping in listed.send().await.unwrap().event_source_mappings() {
        let call = account.lambda.delete_event_source_mapping();
        call.uuid(mapping.uuid().unwrap()).send().await.unwrap();
    }
    settle(&platform, id, plain.clone()).await;
    assert_eq!(account.holds(id).await, first);
    remove(&platform, id).await;
    assert_eq!(account.holds(id).await, nothing());
}

#[tokio::test]
#[ignore = "needs the account of tests/terraform/run"]
async fn one_that_stops_keeps_its_log_and_one_that_is_deleted_does_not() {
    let account = Account::terraformed().await;
    let (recorder, id) = (Recorder::of(usize::MAX), Uuid::now_v7());
    let platform = account.driver(&recorder).await;
    let plain = deployment(spec(id), LambdaOptions::default());
    settle(&platform, id, plain.clone()).await;
    let first = account.holds(id).await;

    let owner = Owner::Inference(id);
    platform.deploy(owner, Deployment::default()).await.unwrap();
    assert!(platform.functions().await.is_empty());
    let stopped = account.holds(id).await;
    assert_eq!(
        stopped,
        json!({"function": null, "mappings": [], "logs": first["logs"]})
    );
    recorder.made();
    platform.deploy(owner, Deployment::default()).await.unwrap();
    assert_eq!(recorder.made(), 0, "what has ended is not looked at again");
    settle(&platform, id, plain).await;
    assert_eq!(account.holds(id).await, first);
    remove(&platform, id).await;
    assert_eq!(account.holds(id).await, nothing());
}

#[tokio::test]
#[ignore = "needs the account of tests/terraform/run"]
async fn a_function_of_somebody_else_is_left_alone() {
    let account = Account::terraformed().await;
    let (recorder, id) = (Recorder::of(usize::MAX), Uuid::now_v7());
    let (name, settings) = (account.name(id), &account.settings);
    let code = FunctionCode::builder()
        .s3_bucket(&settings.bucket)
        .s3_key(&settings.package);
    let made = account
        .lambda
        .create_function()
        .function_name(&name)
        .code(code.build());
    let made = made
        .role(&settings.role)
        .runtime(Runtime::Providedal2023)
        .handler("theirs");
    made.architectures(Architecture::X8664)
        .send()
        .await
        .unwrap();
    let before = account
        .lambda
        .get_function()
        .function_name(&name)
        .send()
        .await
        .unwrap();

    let platform = account.driver(&recorder).await;
    let wanted = deployment(spec(id), LambdaOptions::default());
    let refused = platform
        .deploy(Owner::Inference(id), wanted)
        .await
        .unwrap_err();
    let words = refused.to_string();
    assert!(
        words.contains("without the tag millrace:installation=millrace"),
        "{words}"
    );
    remove(&platform, id).await;
    let after = account
        .lambda
        .get_function()
        .function_name(&name)
        .send()
        .await
        .unwrap();
    assert_eq!(before.configuration(), after.configuration());
    account
        .lambda
        .delete_function()
        .function_name(&name)
        .send()
        .await
        .unwrap();
    assert_eq!(account.holds(id).await, nothing());
}

#[tokio::test]
#[ignore = "needs the account of tests/terraform/run"]
async fn whoever_is_killed_between_two_calls_finds_the_way_on() {
    let account = Account::terraformed().await;
    let all = Recorder::of(usize::MAX);
    let wanted = |id| {
        let options = LambdaOptions {
            maximum_concurrency: Some(3),
            ..LambdaOptions::default()
        };
        deployment(spec(id), options)
    };
    let whole = Uuid::now_v7();
    let platform = account.driver(&all).await;
    settle(&platform, whole, wanted(whole)).await;
    let expected = account.holds(whole).await;
    remove(&platform, whole).await;

    let mut killed = [0; 2];
    for calls in 0.. {
        let id = Uuid::now_v7();
        let recorder = Recorder::of(calls);
        let first = account.driver(&recorder).await;
        let was_made = !recorder.kills(settle(&first, id, wanted(id))).await;
        let second = account.driver(&all).await;
        settle(&second, id, wanted(id)).await;
        assert_eq!(
            account.holds(id).await,
            expected,
            "killed after {calls} calls"
        );

        let recorder = Recorder::of(calls);
        let first = account.driver(&recorder).await;
        let was_removed = !recorder.kills(remove(&first, id)).await;
        remove(&account.driver(&all).await, id).await;
        assert_eq!(
            account.holds(id).await,
            nothing(),
            "killed after {calls} calls"
        );
        killed = [
            killed[0] + usize::from(!was_made),
            killed[1] + usize::from(!was_removed),
        ];
        if was_made && was_removed {
            break;
        }
    }
    // Two of the log group, one of the function, two of the mappings, one of the reservation, and the looks between.
    assert!(
        killed[0] >= 8 && killed[1] >= 6,
        "killed only {killed:?} times"
    );
}

#[tokio::test]
#[ignore = "needs the account of tests/terraform/run"]
async fn what_cloudwatch_counted_is_shown() {
    let account = Account::terraformed().await;
    let (recorder, id) = (Recorder::of(usize::MAX), Uuid::now_v7());
    let platform = account.driver(&recorder).await;
    let owner = Owner::Inference(id);
    let idle = platform.figures(owner).await.unwrap().unwrap();
    assert_eq!((idle.lag, idle.errors), (None, None));

    let function = account.name(id);
    let now = Utc::now().timestamp();
    let data: Vec<Value> = [
        ("OffsetLag", 40, 180),
        ("OffsetLag", 12, 60),
        ("ConcurrentExecutions", 3, 180),
        ("ConcurrentExecutions", 2, 60),
        ("Errors", 1, 180),
        ("Errors", 4, 60),
    ]
    .map(|(metric, value, ago)| {
        json!({
            "MetricName": metric,
            "Dimensions": [{"Name": "FunctionName", "Value": function}],
            "Value": value,
            "Timestamp": now - ago,
        })
    })
    .into();
    let service = figures::service(&account.settings.region).unwrap();
    let given = json!({"Namespace": "AWS/Lambda", "MetricData": data});
    let _: Value = service.ask("PutMetricData", &given).await.unwrap();
    // Asked again within a minute, AWS is left alone.
    assert_eq!(platform.figures(owner).await.unwrap().unwrap(), idle);
    let fresh = account.driver(&recorder).await;
    let counted = fresh.figures(owner).await.unwrap().unwrap();
    assert_eq!(counted.lag, Some(12.0));
    assert_eq!(counted.concurrency, Some(3.0));
    assert_eq!(counted.errors, Some(5.0));
    assert_eq!(counted.throttles, None);
}

/// Even where one database was copied for the other, and so their inferences have the same ids.
#[tokio::test]
#[ignore = "needs the account of tests/terraform/run"]
async fn two_installations_on_one_account_never_meet() {
    let account = Account::terraformed().await;
    let (recorder, id) = (Recorder::of(usize::MAX), Uuid::now_v7());
    let other = account.another("millrace-2");
    let [first, second] = [account.driver(&recorder).await, other.unrecorded().await];
    let wanted = deployment(spec(id), LambdaOptions::default());
    let in_other = deployment(into_topic(spec(id), "other-out"), LambdaOptions::default());
    settle(&first, id, wanted).await;
    let made = account.holds(id).await;
    settle(&second, id, in_other).await;
    assert_eq!(account.holds(id).await, made);
    let of_other = other.holds(id).await;
    let tag = &of_other["function"]["tags"]["millrace:installation"];
    assert_eq!(tag, "millrace-2");
    assert_ne!(account.name(id), other.name(id));

    remove(&first, id).await;
    assert_eq!(account.holds(id).await, nothing());
    assert_eq!(other.holds(id).await, of_other);
    remove(&second, id).await;
    assert_eq!(other.holds(id).await, nothing());
}
