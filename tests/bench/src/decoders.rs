//! Decoding records into rows of float32, alone: beside a loop that was written for the one schema, and beside Python. What is
//! measured stands in [`millrace_bench_decoders`].

use std::path::Path;

use anyhow::Result;
use millrace_bench_decoders::{peer_rates, rates};

use crate::effort::Effort;
use crate::report::{Better, Row};

/// How the rows begin.
pub(crate) const NAME: &str = "decoding";
const UNIT: &str = "records/s";
/// Half as fast as the loop.
const TARGET: f64 = 0.5;
/// So many times as fast as the fastest peer.
const PEER_TARGET: f64 = 3.0;

/// A row for each format and kind of records.
pub(crate) fn rows(effort: &Effort) -> Vec<Row> {
    let rows = rates("", effort.rounds, effort.turn).into_iter();
    let rows = rows.map(|rates| Row {
        target: Some(TARGET),
        ..Row::new(
            format!("{NAME}, {} | a loop by hand", rates.name),
            UNIT,
            Better::Higher,
            &rates.ours,
            &rates.by_hand,
        )
    });
    rows.collect()
}

/// A row for each of them and each library of Python that reads them; the fastest has the target.
pub(crate) fn peer_rows(python: &Path, effort: &Effort) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    for rates in peer_rates(python, "", effort.rounds, effort.turn)? {
        let subject = format!("{NAME}, {} | ", rates.name);
        let mut row = Row {
            target: Some(PEER_TARGET),
            ..Row::new(
                format!("{subject}{}", rates.way),
                UNIT,
                Better::Higher,
                &rates.ours,
                &rates.theirs,
            )
        };
        for other in rows
            .iter_mut()
            .filter(|other| other.name.starts_with(&subject))
        {
            let slower = if other.floor < row.floor {
                &mut *other
            } else {
                &mut row
            };
            slower.target = None;
        }
        rows.push(row);
    }
    Ok(rows)
}
