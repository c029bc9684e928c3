//! Rows of results: as a table for people, as JSON for programs.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

/// What a run has measured, and where.
#[derive(Serialize)]
pub(crate) struct Report {
    machine: String,
    pub(crate) rows: Vec<Row>,
}

/// A value beside its floor.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    /// The limit, measured in the same run.
    pub(crate) floor: f64,
    /// The value as a multiple of the floor.
    pub(crate) ratio: f64,
    /// What the ratio shall reach, where that is decided.
    pub(crate) target: Option<f64>,
    /// By how much the value may be above the floor, in its unit, where that is decided instead.
    pub(crate) margin: Option<f64>,
    pub(crate) better: Better,
}

/// In which direction a value improves.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    Higher,
    Lower,
}

impl Row {
    /// A row of the medians of these rounds.
    pub(crate) fn new(
        name: String,
        unit: &'static str,
        better: Better,
        values: &[f64],
        floors: &[f64],
    ) -> Self {
        let (value, floor) = (median(values), median(floors));
        Self {
            name,
            value,
            unit,
            floor,
            ratio: value / floor,
            target: None,
            margin: None,
            better,
        }
    }

    fn is_reached(&self) -> Option<bool> {
        if let Some(margin) = self.margin {
            return Some(self.value <= self.floor + margin);
        }
        let target = self.target?;
        Some(match self.better {
            Better::Higher => self.ratio >= target,
            Better::Lower => self.ratio <= target,
        })
    }

    /// What is to be reached, in words, and whether it is.
    fn verdict(&self) -> String {
        let wanted = match (self.margin, self.target, self.better) {
            (Some(margin), _, _) => format!("≤ {margin} {} more", self.unit),
            (None, Some(target), Better::Higher) => format!("≥ {target}"),
            (None, Some(target), Better::Lower) => format!("≤ {target}"),
            (None, None, _) => return String::new(),
        };
        let verdict = if self.is_reached() == Some(true) {
            "reached"
        } else {
            "missed"
        };
        format!("{wanted} {verdict}")
    }
}

impl Report {
    /// An empty one for this machine.
    pub(crate) fn new() -> Self {
        Self {
            machine: machine(),
            rows: Vec::new(),
        }
    }

    /// Writes it as JSON; the file's folder is made where it is missing.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(fs::write(path, json)?)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .rows
            .iter()
            .map(|row| row.name.chars().count())
            .max()
            .unwrap_or_default();
        writeln!(formatter, "{}", self.machine)?;
        writeln!(
            formatter,
            "{:width$}  {:>12} {:>12}  {:13} {:>7}  target",
            "", "value", "floor", "unit", "ratio"
        )?;
        for row in &self.rows {
            writeln!(
                formatter,
                "{:width$}  {:>12} {:>12}  {:13} {:>7.3}  {}",
                row.name,
                number(row.value),
                number(row.floor),
                row.unit,
                row.ratio,
                row.verdict()
            )?;
        }
        Ok(())
    }
}

/// With as many digits as a person reads.
fn number(value: f64) -> String {
    if value >= 1000.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.3}")
    }
}

/// The middle value; of an even number of values the mean of the two in the middle.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    }
}

/// What one has to know of the machine to judge its figures, its load at the start included.
fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or(std::env::consts::ARCH, |(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    let profile = if cfg!(debug_assertions) {
        "dev"
    } else {
        "release"
    };
    format!(
        "{processor}, {cores} cores, {}, load {load} at the start, {profile} build",
        std::env::consts::OS
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_value_in_the_middle() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
    }

    #[test]
    fn a_target_is_reached_in_its_own_direction() {
        let row = |better, values: &[f64]| Row {
            target: Some(1.0),
            ..Row::new("x".to_owned(), "unit", better, values, &[2.0])
        };
        assert_eq!(row(Better::Higher, &[3.0]).is_reached(), Some(true));
        assert_eq!(row(Better::Lower, &[3.0]).is_reached(), Some(false));
        assert_eq!(row(Better::Lower, &[2.0]).is_reached(), Some(true));
    }

    #[test]
    fn a_margin_counts_from_the_floor() {
        let row = |value: f64| Row {
            margin: Some(0.5),
            ..Row::new("x".to_owned(), "ms", Better::Lower, &[value], &[2.0])
        };
        assert_eq!(row(2.5).verdict(), "≤ 0.5 ms more reached");
        assert_eq!(row(2.6).verdict(), "≤ 0.5 ms more missed");
    }
}
