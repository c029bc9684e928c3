//! What an inference would be, and would cost, on AWS Lambda.

use async_graphql::{InputObject, SimpleObject};

use crate::platform::{Estimate, Load, PRICES};

/// How much an inference has to do.
#[derive(InputObject)]
pub struct LambdaLoadInput {
    /// Records that come in a second, day and night.
    records_per_second: f64,
    /// How long one event takes: measure it on `lambda-local`, or on your account.
    milliseconds: u32,
    /// Records of an event; without, as many as come within the window, up to the batch size.
    records_per_event: Option<u32>,
}

/// What would be made, and what AWS would charge for its work. Brokers, logs, traffic and what is paid by the hour for all
/// inferences together are not in it.
#[derive(SimpleObject)]
pub struct LambdaEstimate {
    /// The function.
    function: String,
    /// Where it logs to.
    log_group: String,
    /// Its memory.
    memory_mib: u32,
    /// How long one event may take.
    timeout_seconds: u32,
    /// What brings it records.
    mappings: Vec<LambdaMappingEstimate>,
    /// Records of an event.
    records_per_event: f64,
    /// How many of the function's processes work at once.
    concurrency: f64,
    /// What AWS counts in a month.
    items: Vec<LambdaPriceItem>,
    /// Dollars a month for all items that have a price here.
    dollars: f64,
    /// Where the prices come from, where they hold, and when.
    prices: &'static str,
}

/// An event source mapping that would be made.
#[derive(SimpleObject)]
pub struct LambdaMappingEstimate {
    /// The topic that it reads.
    topic: String,
    /// The consumer group by which it does.
    group: String,
    /// Records of an event at most.
    batch_size: u32,
    /// Pollers of its own at least; null where AWS shares its own out.
    minimum_pollers: Option<u32>,
}

/// What AWS counts in a month.
#[derive(SimpleObject)]
pub struct LambdaPriceItem {
    /// What it is.
    what: &'static str,
    /// How much of it.
    quantity: f64,
    /// Dollars for one; null where no price could be had.
    price: Option<f64>,
    /// Dollars for all of it.
    dollars: Option<f64>,
}

impl From<LambdaLoadInput> for Load {
    fn from(input: LambdaLoadInput) -> Self {
        Self {
            records_per_second: input.records_per_second,
            milliseconds: input.milliseconds,
            records_per_event: input.records_per_event,
        }
    }
}

impl From<Estimate> for LambdaEstimate {
    fn from(estimate: Estimate) -> Self {
        let mappings = estimate.mappings.into_iter();
        let items = estimate.items.into_iter();
        Self {
            function: estimate.function,
            log_group: estimate.log_group,
            memory_mib: estimate.memory_mib,
            timeout_seconds: estimate.timeout_seconds,
            mappings: mappings
                .map(|mapping| LambdaMappingEstimate {
                    minimum_pollers: mapping.pollers.map(|pollers| pollers.minimum),
                    topic: mapping.topic,
                    group: mapping.group,
                    batch_size: mapping.batch_size,
                })
                .collect(),
            records_per_event: estimate.records_per_event,
            concurrency: estimate.concurrency,
            items: items
                .map(|item| LambdaPriceItem {
                    what: item.what,
                    quantity: item.quantity,
                    price: item.price,
                    dollars: item.dollars(),
                })
                .collect(),
            dollars: estimate.dollars,
            prices: PRICES,
        }
    }
}
