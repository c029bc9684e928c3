//! `millrace inference plan`: what an inference would be on AWS Lambda, and what that would cost.

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};

use crate::output;

/// How much the inference has to do, and what would be asked of Lambda.
#[derive(Debug, Args)]
pub struct Load {
    /// Records that come in a second, day and night
    #[arg(long, value_name = "RECORDS")]
    records_per_second: f64,
    /// How long one event takes
    #[arg(long, value_name = "MILLISECONDS")]
    milliseconds: u32,
    /// Records of an event; as many as come within the window without
    #[arg(long, value_name = "RECORDS")]
    records_per_event: Option<u32>,
    /// The function's memory
    #[arg(long, value_name = "MIB")]
    memory_mib: Option<u32>,
    /// Records of an event at most
    #[arg(long, value_name = "RECORDS")]
    batch_size: Option<u32>,
}

/// What is asked for of an inference.
pub const FIELDS: &str = "lambdaEstimate(load: $load, lambda: $lambda) {
  function logGroup memoryMib timeoutSeconds mappings { topic group batchSize minimumPollers }
  recordsPerEvent concurrency items { what quantity price dollars } dollars prices
}";

impl Load {
    /// As variables, behind those that name the inference.
    pub fn variables(&self, project: &str, name: &str) -> Value {
        let asked = self.memory_mib.is_some() || self.batch_size.is_some();
        let lambda = json!({"memoryMib": self.memory_mib, "batchSize": self.batch_size});
        json!({
            "project": project, "name": name,
            "load": {
                "recordsPerSecond": self.records_per_second, "milliseconds": self.milliseconds,
                "recordsPerEvent": self.records_per_event,
            },
            "lambda": asked.then_some(lambda),
        })
    }
}

/// Prints it for people.
pub fn print(estimate: &Value) -> Result<()> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let number = |value: &Value| value.as_f64().unwrap_or_default();
    output::line(format_args!(
        "function {}: {} MiB, {} s an event at most, logs to {}",
        text(&estimate["function"]),
        estimate["memoryMib"],
        estimate["timeoutSeconds"],
        text(&estimate["logGroup"]),
    ))?;
    for mapping in estimate["mappings"].as_array().into_iter().flatten() {
        output::line(format_args!(
            "mapping of {} by the group {}: {} records an event at most",
            text(&mapping["topic"]),
            text(&mapping["group"]),
            mapping["batchSize"],
        ))?;
    }
    output::line(format_args!(
        "{:.1} records an event, {:.2} processes at once",
        number(&estimate["recordsPerEvent"]),
        number(&estimate["concurrency"]),
    ))?;
    for item in estimate["items"].as_array().into_iter().flatten() {
        let dollars = match item["dollars"].as_f64() {
            Some(dollars) => format!("{dollars:.2} USD"),
            None => "no price here".to_owned(),
        };
        output::line(format_args!(
            "  {:.0} {}: {dollars}",
            number(&item["quantity"]),
            text(&item["what"]),
        ))?;
    }
    output::line(format_args!(
        "{:.2} USD a month, by {}",
        number(&estimate["dollars"]),
        text(&estimate["prices"]),
    ))?;
    Ok(())
}
