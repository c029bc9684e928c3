//! What would be made in AWS for an inference, and what AWS would charge for its work in a month.
//!
//! Invariant: the plan is the one that is deployed, so what cannot be deployed cannot be estimated either; what has no price here
//! has none in the sum, and says so.

use uuid::Uuid;

use millrace_wire::function::FunctionSpec;

use super::options::{LambdaOptions, Pollers};
use super::plan::Plan;
use super::settings::{Settings, log_group};
use super::trouble::Trouble;
use crate::config::Lambda;

/// Where the prices come from, where they hold, and when.
pub const SOURCE: &str = "AWS's public price list for us-east-1 and x86-64 as others quoted it in September 2026; AWS's free tier and your discounts are not in it: check yours";
/// Dollars for a request.
const REQUEST: f64 = 0.20 / 1e6;
/// Dollars for a second of one GB of memory.
const GB_SECOND: f64 = 0.000_016_666_7;
/// Dollars for an hour of an event poller unit, in which AWS runs pollers of one group: ten where they have little to do,
/// fewer where they bring more, up to 20 MB a second. The price is that of AWS's price list of 19 September 2026.
const UNIT_HOUR: f64 = 0.185;
const POLLERS_OF_A_UNIT: u32 = 10;
/// A month has 730 hours on AWS's bills.
const MONTH_HOURS: f64 = 730.0;
/// What AWS gathers records for where nobody asks for a time.
const WINDOW_SECONDS: f64 = 0.5;

/// How much an inference has to do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    /// Records that come in a second, day and night.
    pub records_per_second: f64,
    /// How long one event takes.
    pub milliseconds: u32,
    /// Records of an event; as many as come within the window without.
    pub records_per_event: Option<u32>,
}

/// What would be made, and what its work costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// The function's name.
    pub function: String,
    /// Where it logs to.
    pub log_group: String,
    /// Its memory.
    pub memory_mib: u32,
    /// How long one event may take.
    pub timeout_seconds: u32,
    /// What brings it records.
    pub mappings: Vec<Brought>,
    /// Records of an event.
    pub records_per_event: f64,
    /// How many of the function's processes work at once.
    pub concurrency: f64,
    /// What AWS counts.
    pub items: Vec<Item>,
    /// Dollars a month for all that has a price here.
    pub dollars: f64,
}

/// An event source mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    /// The topic that it reads.
    pub topic: String,
    /// The consumer group by which it does.
    pub group: String,
    /// Records of an event at most.
    pub batch_size: u32,
    /// Pollers of its own.
    pub pollers: Option<Pollers>,
}

/// What AWS counts in a month.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// What it is.
    pub what: &'static str,
    /// How much of it.
    pub quantity: f64,
    /// Dollars for one; nothing where none could be had.
    pub price: Option<f64>,
}

impl Item {
    /// Dollars for all of it.
    #[must_use]
    pub fn dollars(&self) -> Option<f64> {
        self.price.map(|price| price * self.quantity)
    }
}

/// What would be made of this specification on the platform of a section that was checked.
///
/// # Errors
/// Why it cannot be deployed, as the rest of a sentence that begins with the platform.
pub fn reckon(
    lambda: &Lambda,
    id: Uuid,
    spec: FunctionSpec,
    options: &LambdaOptions,
    load: &Load,
) -> Result<Estimate, String> {
    let settings = Settings::configured(lambda);
    match Plan::new(&settings, id, spec, options) {
        Ok(plan) => Ok(of(&plan, options, load)),
        Err(Trouble::Busy(reason) | Trouble::Refused(reason)) => Err(reason),
    }
}

fn of(plan: &Plan, options: &LambdaOptions, load: &Load) -> Estimate {
    let function = &plan.function;
    let mappings: Vec<Brought> = plan
        .mappings
        .iter()
        .map(|mapping| Brought {
            topic: mapping.topic.clone(),
            group: mapping.group.clone(),
            batch_size: mapping.batch_size.unsigned_abs(),
            pollers: mapping.pollers,
        })
        .collect();
    let batch = mappings.first().map_or(1, |mapping| mapping.batch_size);
    let window = options.window_seconds.map_or(WINDOW_SECONDS, f64::from);
    let records_per_event = load
        .records_per_event
        .map_or_else(|| load.records_per_second * window, f64::from);
    let records_per_event = records_per_event.clamp(1.0, f64::from(batch));
    let seconds = f64::from(load.milliseconds) / 1000.0;
    let events = load.records_per_second / records_per_event;
    let month = MONTH_HOURS * 3600.0;
    let memory_mib = function.memory_mib.unsigned_abs();
    let mut items = vec![
        Item {
            what: "requests",
            quantity: events * month,
            price: Some(REQUEST),
        },
        Item {
            what: "seconds of a GB",
            quantity: events * month * seconds * f64::from(memory_mib) / 1024.0,
            price: Some(GB_SECOND),
        },
    ];
    let pollers = mappings.iter().filter_map(|mapping| mapping.pollers);
    let pollers: u32 = pollers.map(|pollers| pollers.minimum).sum();
    if pollers > 0 {
        items.push(Item {
            what: "hours of an event poller unit at least",
            quantity: f64::from(pollers.div_ceil(POLLERS_OF_A_UNIT)) * MONTH_HOURS,
            price: Some(UNIT_HOUR),
        });
    }
    Estimate {
        function: function.name.clone(),
        log_group: log_group(&function.name),
        memory_mib,
        timeout_seconds: function.timeout_seconds.unsigned_abs(),
        mappings,
        records_per_event,
        concurrency: events * seconds,
        dollars: items.iter().filter_map(Item::dollars).sum(),
        items,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::super::tests::spec;
    use super::*;
    use crate::config::complete_lambda;

    fn at(options: &LambdaOptions, load: Load) -> Estimate {
        let id = Uuid::from_u128(7);
        reckon(&complete_lambda(), id, spec(id), options, &load).unwrap()
    }

    #[test]
    fn a_billion_records_cost_what_the_price_table_says() {
        let options = LambdaOptions {
            batch_size: Some(100),
            ..LambdaOptions::default()
        };
        let load = Load {
            records_per_second: 1e9 / (MONTH_HOURS * 3600.0),
            milliseconds: 20,
            records_per_event: None,
        };
        let found = at(&options, load);
        assert_eq!(found.function, "millrace-00000000000000000000000000000007");
        assert_eq!(found.memory_mib, 1024);
        let topics: Vec<&str> = found.mappings.iter().map(|it| it.topic.as_str()).collect();
        assert_eq!(topics, ["orders-in", "millrace.redrive.orders"]);
        assert!((found.records_per_event - 100.0).abs() < 1e-9);
        assert!((found.dollars - 5.33).abs() < 0.01, "{}", found.dollars);
        // 3.8 events a second that take 20 ms each.
        assert!(
            (found.concurrency - 0.076).abs() < 0.001,
            "{}",
            found.concurrency
        );
    }

    #[test]
    fn few_records_come_one_by_one_and_pollers_are_paid_by_the_hour() {
        let with = |minimum| LambdaOptions {
            pollers: Some(Pollers {
                minimum,
                maximum: 20,
            }),
            ..LambdaOptions::default()
        };
        let load = Load {
            records_per_second: 0.1,
            milliseconds: 20,
            records_per_event: None,
        };
        // Two mappings share them: with two pollers each one unit, with six each two.
        for (minimum, units) in [(2, 1.0), (6, 2.0)] {
            let found = at(&with(minimum), load);
            assert!((found.records_per_event - 1.0).abs() < 1e-9);
            let pollers = found.items.last().unwrap();
            assert!((pollers.quantity - units * MONTH_HOURS).abs() < 1e-6);
            let dollars = pollers.dollars().unwrap();
            assert!((dollars - units * 135.05).abs() < 1e-6, "{dollars}");
            assert!(found.dollars > dollars);
        }
    }

    #[test]
    fn what_cannot_be_deployed_cannot_be_estimated() {
        let id = Uuid::from_u128(7);
        let mut long = spec(id);
        let millrace_wire::function::Role::Inference(inference) = &mut long.role else {
            panic!("no inference");
        };
        inference.output_topic = "x".repeat(5000);
        let load = Load {
            records_per_second: 1.0,
            milliseconds: 20,
            records_per_event: None,
        };
        let options = LambdaOptions::default();
        let refused = reckon(&complete_lambda(), id, long, &options, &load).unwrap_err();
        assert!(refused.contains("4096 bytes"), "{refused}");
    }
}
