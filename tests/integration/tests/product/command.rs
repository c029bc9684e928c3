//! The `millrace` command where nobody reads what it prints.

use std::net::TcpStream;
use std::process::{Command, Stdio};

use millrace_harness::{Kafka, Millrace, block_until, free_port, unique};
use millrace_onnx::layers::{self, Activation, Layer};

/// Gives a command an output whose other end is closed, as `| head` does when it has seen enough.
fn unread(command: &mut Command) -> &mut Command {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(Stdio::piped())
}

#[tokio::test(flavor = "multi_thread")]
async fn output_that_nobody_reads_is_no_fault() {
    let millrace = Millrace::start(Kafka::shared(), &[]).await;
    crate::prepare(&millrace, &unique("training"), 1, 40).await;
    let points = millrace.folder().join("points.csv");
    let points = points.to_str().unwrap();
    let dense = Layer::Dense {
        units: 1,
        activation: Activation::None,
        bias: true,
    };
    let model = layers::build(&[2], &[dense], 1).unwrap();
    let model = millrace.file("model.onnx", model.encode());
    let model = model.to_str().unwrap();
    let step = millrace.folder().join("step.onnx");
    let step = step.to_str().unwrap();
    let calls: [&[&str]; 9] = [
        &["--help"],
        &["config"],
        &["config", "--json"],
        &["schema"],
        &["token"],
        &["model", "push", "m", model],
        &["onnx", "check", model],
        &[
            "onnx",
            "step",
            model,
            "--loss",
            "mse",
            "--optimizer",
            "sgd",
            "-o",
            step,
        ],
        &["send", "points", points],
    ];
    for arguments in calls {
        let output = unread(&mut millrace.call(arguments)).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
    }

    let other = millrace.folder().join("other");
    let address = format!("127.0.0.1:{}", free_port());
    let mut up = millrace.call(&["up"]);
    up.env("MILLRACE_HTTP__LISTEN", &address)
        .env("MILLRACE_DATA__FOLDER", &other);
    let mut up = unread(&mut up).spawn().unwrap();
    block_until("the API listens", crate::LIMIT, || {
        assert_eq!(up.try_wait().unwrap(), None, "it has ended");
        TcpStream::connect(&address)
    });
    up.kill().unwrap();
    up.wait().unwrap();
}
