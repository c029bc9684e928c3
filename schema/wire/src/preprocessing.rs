//! What is done to the numbers of a record before the model sees them. It is fitted on the training part and becomes the
//! first nodes of the new version.
//!
//! A column is one number of a record, counted from 0 in C order.

use serde::{Deserialize, Serialize};

/// One step of preprocessing. Missing values are filled first, whatever the order of the steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE", deny_unknown_fields)]
pub enum Preprocessing {
    /// Another value stands in for those that are not a number (NaN).
    FillMissing {
        /// The columns; all that no other step of this kind names where they are left out.
        columns: Option<Vec<u32>>,
        /// The value; the mean of the training part where it is left out.
        value: Option<f32>,
    },
    /// The mean becomes 0, the standard deviation of the population 1.
    Standardize {
        /// The columns; all that no other step scales where they are left out.
        columns: Option<Vec<u32>>,
    },
    /// The least value becomes 0, the greatest 1.
    MinMax {
        /// The columns; all that no other step scales where they are left out.
        columns: Option<Vec<u32>>,
    },
    /// Each of the training part's values becomes a column, 1 where it is the value and else 0. Other values become zeros.
    OneHot {
        /// The columns.
        columns: Vec<u32>,
    },
}

/// What is done to one column.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Column {
    /// What stands in for missing values.
    pub fill: Option<Fill>,
    /// What becomes of the number.
    pub scaling: Option<Scaling>,
}

/// What stands in for missing values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fill {
    /// The mean of those that are there.
    Mean,
    /// A value.
    Value(f32),
}

/// What becomes of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scaling {
    /// Mean 0, standard deviation 1.
    Standardize,
    /// From 0 to 1.
    MinMax,
    /// A column for each value.
    OneHot,
}

/// What the steps do to each of so many columns.
///
/// # Errors
/// The rule that is broken, in the words of the API.
pub fn plan(steps: &[Preprocessing], columns: usize) -> Result<Vec<Column>, String> {
    let mut plan = vec![Column::default(); columns];
    let fills = steps.iter().filter_map(|step| match step {
        Preprocessing::FillMissing { columns, value } => {
            Some((columns.as_deref(), value.map_or(Fill::Mean, Fill::Value)))
        }
        _ => None,
    });
    place(&mut plan, fills, "fillMissing", |column| &mut column.fill)?;
    let scalings = steps.iter().filter_map(|step| match step {
        Preprocessing::FillMissing { .. } => None,
        Preprocessing::Standardize { columns } => Some((columns.as_deref(), Scaling::Standardize)),
        Preprocessing::MinMax { columns } => Some((columns.as_deref(), Scaling::MinMax)),
        Preprocessing::OneHot { columns } => Some((Some(columns.as_slice()), Scaling::OneHot)),
    });
    let what = "one of standardize, minMax and oneHot";
    place(&mut plan, scalings, what, |column| &mut column.scaling)?;
    let is_finite = plan.iter().all(|column| match column.fill {
        Some(Fill::Value(value)) => value.is_finite(),
        Some(Fill::Mean) | None => true,
    });
    if is_finite {
        return Ok(plan);
    }
    Err("preprocessing: what fillMissing puts in must be a finite number".to_owned())
}

/// Places what was asked for: where columns are named first, then in all that are left.
fn place<'a, T: Copy>(
    plan: &mut [Column],
    steps: impl Iterator<Item = (Option<&'a [u32]>, T)>,
    what: &str,
    field: impl Fn(&mut Column) -> &mut Option<T>,
) -> Result<(), String> {
    let mut rest = None;
    let count = plan.len();
    for (columns, wish) in steps {
        let Some(columns) = columns else {
            if rest.replace(wish).is_some() {
                return Err(format!(
                    "preprocessing: {what} for all columns is there twice"
                ));
            }
            continue;
        };
        if columns.is_empty() {
            return Err(format!("preprocessing: {what} names no column"));
        }
        for &index in columns {
            let Some(column) = plan.get_mut(index as usize) else {
                return Err(format!(
                    "preprocessing names the column {index}, and a record has {count} columns, counted from 0"
                ));
            };
            if field(column).replace(wish).is_some() {
                return Err(format!(
                    "preprocessing names the column {index} twice: a column takes {what} once"
                ));
            }
        }
    }
    for column in plan {
        let field = field(column);
        *field = field.or(rest);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn columns_that_no_step_names_are_the_rest() {
        let steps: Vec<Preprocessing> = serde_json::from_str(
            r#"[{"type": "STANDARDIZE"}, {"type": "ONE_HOT", "columns": [1]},
                {"type": "FILL_MISSING", "columns": [2], "value": 7}, {"type": "FILL_MISSING"}]"#,
        )
        .unwrap();
        let column = |fill, scaling| Column {
            fill: Some(fill),
            scaling: Some(scaling),
        };
        let expected = [
            column(Fill::Mean, Scaling::Standardize),
            column(Fill::Mean, Scaling::OneHot),
            column(Fill::Value(7.0), Scaling::Standardize),
        ];
        assert_eq!(plan(&steps, 3).unwrap(), expected);
        assert_eq!(plan(&[], 2).unwrap(), [Column::default(); 2]);
    }

    #[test]
    fn steps_that_contradict_each_other_are_told() {
        let standardize = |columns: &[u32]| Preprocessing::Standardize {
            columns: Some(columns.to_vec()),
        };
        let one_hot = |columns: &[u32]| Preprocessing::OneHot {
            columns: columns.to_vec(),
        };
        let all = Preprocessing::MinMax { columns: None };
        let infinite = Preprocessing::FillMissing {
            columns: None,
            value: Some(f32::INFINITY),
        };
        for (steps, word) in [
            (vec![standardize(&[0, 3])], "the column 3"),
            (vec![standardize(&[1]), one_hot(&[1])], "column 1 twice"),
            (vec![standardize(&[])], "names no column"),
            (vec![all.clone(), all], "there twice"),
            (vec![infinite], "finite"),
        ] {
            let error = plan(&steps, 3).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }
}
