//! `millrace onnx check`

use std::io::{self, BufReader};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Error, Result};
use clap::Args;
use millrace_onnx::{Check, OpenDimension};
use serde_json::json;

use super::shape::ShapeArguments;
use super::whole;
use crate::output;

/// The exit code where a model is valid and cannot be trained as it is. 2 is that of wrong arguments.
const NOT_TRAINABLE: u8 = 3;

#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 the model can be trained, 3 it cannot be as it is, 1 it cannot be read, 2 wrong arguments.

Examples:
  millrace onnx check model.onnx
  millrace onnx check model.onnx --output logits
  millrace onnx check model.onnx --shape 3x224x224
  millrace onnx check model.onnx --json | jq -r '.obstacles[].help'")]
pub(in crate::cli) struct Arguments {
    /// The ONNX file
    model: PathBuf,
    /// The graph output or inner tensor that is the prediction; found where there is only one candidate
    #[arg(long, value_name = "TENSOR")]
    output: Option<String>,
    #[command(flatten)]
    shapes: ShapeArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let file = whole(&arguments.model)?;
    let inspection = millrace_onnx::inspect(BufReader::new(file.reopen()?));
    let check = inspection.map_err(Error::from).and_then(|found| {
        let shapes = arguments.shapes.of(&found.signature)?;
        let sized = found.with_shapes(&shapes)?;
        Ok(sized.check(arguments.output.as_deref())?)
    });
    let check =
        check.with_context(|| format!("{} cannot be checked", arguments.model.display()))?;
    if arguments.json {
        output::line(serde_json::to_string_pretty(&to_json(&check))?)?;
    } else {
        print(&check)?;
    }
    Ok(if check.trainable() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NOT_TRAINABLE)
    })
}

fn to_json(check: &Check) -> serde_json::Value {
    let sized = |tensors: &[(String, Vec<usize>)]| -> Vec<_> {
        let tensors = tensors.iter();
        tensors
            .map(|(name, dims)| json!({"name": name, "dims": dims}))
            .collect()
    };
    let frozen = check.constants.iter();
    let frozen = frozen.map(|(name, reason)| json!({"name": name, "reason": reason}));
    let obstacles = check.obstacles.iter().map(|obstacle| {
        json!({
            "node": obstacle.node,
            "operator": obstacle.operator,
            "reason": obstacle.reason,
            "help": obstacle.help,
        })
    });
    let open = check.open.iter();
    let open = open.map(|open| json!({"input": open.input, "axis": open.axis, "size": open.size}));
    let shared = check.shared.iter();
    let shared = shared.map(|(name, uses)| json!({"name": name, "uses": uses}));
    json!({
        "trainable": check.trainable(),
        "awaits_sizes": check.awaits_sizes(),
        "open": open.collect::<Vec<_>>(),
        "parameters": sized(&check.parameters),
        "shared": shared.collect::<Vec<_>>(),
        "statistics": sized(&check.statistics),
        "frozen": frozen.collect::<Vec<_>>(),
        "obstacles": obstacles.collect::<Vec<_>>(),
    })
}

fn print(check: &Check) -> io::Result<()> {
    let count: usize = check
        .parameters
        .iter()
        .map(|(_, dims)| dims.iter().product::<usize>())
        .sum();
    if check.trainable() {
        let tensors = check.parameters.len();
        output::line(format_args!(
            "it can be trained: {count} numbers in {tensors} parameters"
        ))?;
    } else if check.awaits_sizes() {
        output::line(
            "it can be trained on records of one shape, which is not known: give it by --shape",
        )?;
    } else {
        output::line("it cannot be trained as it is")?;
    }
    section("what is open", &check.open, OpenDimension::to_string)?;
    section("what stands in the way", &check.obstacles, |obstacle| {
        obstacle.to_string()
    })?;
    if check.obstacles.is_empty() && check.parameters.is_empty() {
        output::line("\nwhat stands in the way:")?;
        output::line("  no gradient of the prediction reaches a float32 initializer")?;
    }
    let sized = |(name, dims): &(String, Vec<usize>)| format!("{name} {dims:?}");
    section("what trains", &check.parameters, sized)?;
    section("what trains tied", &check.shared, |(name, uses)| {
        format!(
            "{name}: it is one weight in {uses} places, also where the exporter has merged equal ones"
        )
    })?;
    section("what follows the batches", &check.statistics, sized)?;
    section("what is frozen", &check.constants, |(name, reason)| {
        format!("{name}: {reason}")
    })
}

fn section<T>(title: &str, entries: &[T], line: impl Fn(&T) -> String) -> io::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    output::line(format_args!("\n{title}:"))?;
    for entry in entries {
        output::line(format_args!("  {}", line(entry)))?;
    }
    Ok(())
}
