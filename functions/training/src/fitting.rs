//! What preprocessing learns from the training part, in one pass over its records.
//!
//! Sums run in float64 in the order of the records, so that the same segment always gives the same numbers.

use millrace_engine::Element;
use millrace_onnx::Model;
use millrace_onnx::preprocessing::{Becomes, Column};
use millrace_wire::preprocessing::{self, Fill, Preprocessing, Scaling};
use millrace_wire::record::{RecordFormat, ranges};

use crate::control::Control;
use crate::dataset::Dataset;
use crate::failure::{Failure, Stop};
use crate::inputs::{self, Inputs};
use crate::records::Records;

/// More different values than these are no categories.
const CATEGORIES: usize = 1_000;
/// After so many records it looks whether it shall stop.
const LOOK: usize = 10_000;

/// Fits the steps to the training part.
pub fn fit(
    steps: &[Preprocessing],
    dataset: &Dataset,
    control: &Control,
) -> Result<Vec<Column>, Stop> {
    let records = &dataset.records;
    let plan = preprocessing::plan(steps, records.width())
        .map_err(|reason| Failure::new("preprocessing", reason))?;
    let mut order = dataset.train.clone();
    order.sort_unstable();
    let mut columns: Vec<Seen> = plan.iter().map(|column| Seen::new(*column)).collect();
    look(records, &order, &mut columns, control)?;
    let columns = columns.into_iter().enumerate();
    let fitted: Result<_, Failure> = columns.map(|(index, seen)| seen.fitted(index)).collect();
    Ok(fitted?)
}

/// The same model behind what was fitted to the columns of a record.
pub fn before(model: &Model, columns: &[Column], format: &RecordFormat) -> Result<Model, Failure> {
    let refused = |reason: String| Failure::new("preprocessing", reason);
    let signature = model.signature();
    let parts = match signature.inputs.as_slice() {
        [input] => vec![(input.name.clone(), columns.to_vec())],
        several => {
            let lengths = several.iter().map(|input| {
                let length = inputs::row(input)?.iter().product();
                Some((input.name.as_str(), length))
            });
            let lengths: Option<Vec<(&str, usize)>> = lengths.collect();
            let widths: Vec<usize> = columns.iter().map(Column::width).collect();
            let found = lengths.and_then(|lengths| ranges(&lengths, &widths, format));
            let found = found.ok_or_else(|| {
                let takes = several.iter().map(|input| format!("{input} as `{}`", input.name));
                refused(format!(
                    "the model takes {}, and the columns of a record become {widths:?} numbers, which don't come out even: give each \
                     input a field of its name, or change the preprocessing",
                    takes.collect::<Vec<_>>().join(" and ")
                ))
            })?;
            let parts = several.iter().zip(found);
            parts
                .map(|(input, range)| (input.name.clone(), columns[range].to_vec()))
                .collect()
        }
    };
    model
        .with_preprocessing(&parts)
        .map_err(|error| refused(error.to_string()))
}

/// Checks that each input's type can hold the numbers of all records: where they go is known only once the steps are fitted.
pub fn check(inputs: &Inputs, dataset: &Dataset, control: &Control) -> Result<(), Stop> {
    if inputs.all.iter().all(|input| input.element == Element::F32) {
        return Ok(());
    }
    let parts = [&dataset.train, &dataset.validation, &dataset.test];
    let records = &dataset.records;
    let mut row = vec![0.0; records.width()];
    let mut bytes = Vec::new();
    for (count, &index) in parts.into_iter().flatten().enumerate() {
        if count % LOOK == 0 {
            control.check()?;
        }
        records.copy(index, &mut row, &mut bytes)?;
        inputs.check(&row).map_err(|error| {
            let reason = format!("a record can't be used: {error}");
            Failure::new("model-input", reason)
        })?;
    }
    Ok(())
}

fn look(
    records: &Records,
    order: &[u32],
    columns: &mut [Seen],
    control: &Control,
) -> Result<(), Stop> {
    let mut row = vec![0.0; records.width()];
    let mut bytes = Vec::new();
    for (count, &index) in order.iter().enumerate() {
        if count % LOOK == 0 {
            control.check()?;
        }
        records.copy(index, &mut row, &mut bytes)?;
        for (seen, number) in columns.iter_mut().zip(&row) {
            seen.add(*number);
        }
    }
    Ok(())
}

/// What was seen of one column.
struct Seen {
    plan: preprocessing::Column,
    missing: u64,
    moments: Moments,
    /// The different values in ascending order, one more than are allowed at the most.
    categories: Vec<f32>,
}

/// Count, mean, spread and range of numbers.
#[derive(Clone, Copy)]
struct Moments {
    count: f64,
    mean: f64,
    /// The sum of squared differences from the mean (Welford, 1962).
    squares: f64,
    least: f64,
    greatest: f64,
}

impl Moments {
    const NONE: Self = Self {
        count: 0.0,
        mean: 0.0,
        squares: 0.0,
        least: f64::INFINITY,
        greatest: f64::NEG_INFINITY,
    };

    /// With `count` more numbers, all of them `value` (Chan and others, 1979).
    fn with(self, value: f64, count: f64) -> Self {
        let total = self.count + count;
        let difference = value - self.mean;
        Self {
            count: total,
            mean: self.mean + difference * count / total,
            squares: self.squares + difference * difference * self.count * count / total,
            least: self.least.min(value),
            greatest: self.greatest.max(value),
        }
    }
}

impl Seen {
    fn new(plan: preprocessing::Column) -> Self {
        Self {
            plan,
            missing: 0,
            moments: Moments::NONE,
            categories: Vec::new(),
        }
    }

    fn add(&mut self, number: f32) {
        if number.is_nan() {
            self.missing += 1;
            return;
        }
        if self.plan.scaling == Some(Scaling::OneHot) {
            self.add_category(number);
        }
        self.moments = self.moments.with(number.into(), 1.0);
    }

    fn add_category(&mut self, number: f32) {
        // Both zeros are one category.
        let number = number + 0.0;
        if let Err(place) = self
            .categories
            .binary_search_by(|category| category.total_cmp(&number))
            && self.categories.len() <= CATEGORIES
        {
            self.categories.insert(place, number);
        }
    }

    fn fitted(mut self, index: usize) -> Result<Column, Failure> {
        let fail =
            |reason: String| Failure::new("preprocessing", format!("column {index} {reason}"));
        if self.moments.count == 0.0 && self.plan != preprocessing::Column::default() {
            return Err(fail(
                "has no value in the training part: leave it out of the records".to_owned(),
            ));
        }
        let fill = match self.plan.fill {
            None => None,
            Some(Fill::Mean) => Some(self.moments.mean),
            Some(Fill::Value(value)) => Some(value.into()),
        };
        match (fill, self.plan.scaling) {
            (Some(value), scaling) if self.missing > 0 => {
                #[allow(clippy::cast_precision_loss, reason = "fewer than 2^32 records")]
                let missing = self.missing as f64;
                self.moments = self.moments.with(value, missing);
                if scaling == Some(Scaling::OneHot) {
                    #[allow(
                        clippy::cast_possible_truncation,
                        reason = "the model sees it in single precision too"
                    )]
                    self.add_category(value as f32);
                }
            }
            (None, Some(Scaling::Standardize | Scaling::MinMax)) if self.missing > 0 => {
                return Err(fail(format!(
                    "has {} missing values (NaN) in the training part: fill them with fillMissing",
                    self.missing
                )));
            }
            _ => {}
        }
        let Moments {
            count,
            mean,
            squares,
            least,
            greatest,
        } = self.moments;
        let (shift, scale) = match self.plan.scaling {
            None => (0.0, 1.0),
            Some(Scaling::Standardize) => (mean, (squares / count).sqrt()),
            Some(Scaling::MinMax) => (least, greatest - least),
            Some(Scaling::OneHot) => {
                if self.categories.len() > CATEGORIES {
                    return Err(fail(format!(
                        "has more than {CATEGORIES} different values: one-hot is for categories"
                    )));
                }
                let categories = self.categories.into_iter().map(f64::from);
                return Ok(Column {
                    fill,
                    becomes: Becomes::OneHot(categories.collect()),
                });
            }
        };
        if !shift.is_finite() || !scale.is_finite() {
            return Err(fail(
                "holds an infinite number in the training part, which can't be scaled".to_owned(),
            ));
        }
        Ok(Column {
            fill,
            becomes: Becomes::Number {
                shift,
                // A column that never changes says nothing, and stays 0.
                scale: if scale == 0.0 { 1.0 } else { scale },
            },
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn fitted(
        numbers: &[f32],
        fill: Option<Fill>,
        scaling: Option<Scaling>,
    ) -> Result<Column, Failure> {
        let mut seen = Seen::new(preprocessing::Column { fill, scaling });
        for number in numbers {
            seen.add(*number);
        }
        seen.fitted(3)
    }

    fn number(column: &Column) -> (f64, f64) {
        match column.becomes {
            Becomes::Number { shift, scale } => (shift, scale),
            Becomes::OneHot(_) => panic!("{column:?}"),
        }
    }

    #[test]
    fn scales_are_those_of_the_textbook() {
        let numbers = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        let column = fitted(&numbers, None, Some(Scaling::Standardize)).unwrap();
        assert_eq!(number(&column), (5.0, 2.0));
        let column = fitted(&numbers, None, Some(Scaling::MinMax)).unwrap();
        assert_eq!(number(&column), (2.0, 7.0));
        // Large numbers with a small spread, where a sum of squares would lose it.
        let far = [1e7, 1e7 + 2.0];
        let column = fitted(&far, None, Some(Scaling::Standardize)).unwrap();
        assert_eq!(number(&column), (1e7 + 1.0, 1.0));
        let column = fitted(&[3.0, 3.0], None, Some(Scaling::Standardize)).unwrap();
        assert_eq!(number(&column), (3.0, 1.0), "a constant becomes 0");
    }

    #[test]
    fn what_is_filled_in_counts() {
        let numbers = [1.0, f32::NAN, 3.0, f32::NAN];
        let column = fitted(&numbers, Some(Fill::Mean), Some(Scaling::Standardize)).unwrap();
        assert_eq!(column.fill, Some(2.0));
        assert_eq!(number(&column), (2.0, 0.5_f64.sqrt()));
        let column = fitted(&numbers, Some(Fill::Value(-1.0)), Some(Scaling::MinMax)).unwrap();
        assert_eq!((column.fill, number(&column)), (Some(-1.0), (-1.0, 4.0)));
        let column = fitted(&numbers, Some(Fill::Value(9.0)), Some(Scaling::OneHot)).unwrap();
        assert_eq!(column.becomes, Becomes::OneHot(vec![1.0, 3.0, 9.0]));
        let column = fitted(&[0.0, -0.0, f32::NAN], None, Some(Scaling::OneHot)).unwrap();
        assert_eq!(column.becomes, Becomes::OneHot(vec![0.0]));
    }

    #[test]
    fn columns_that_cannot_be_fitted_are_told() {
        let different: Vec<f32> = (0_u16..1_001).map(f32::from).collect();
        for (numbers, scaling, word) in [
            (&[1.0, f32::NAN][..], Scaling::MinMax, "1 missing values"),
            (&[1.0, f32::INFINITY], Scaling::Standardize, "infinite"),
            (&[f32::NAN], Scaling::OneHot, "no value"),
            (&different, Scaling::OneHot, "more than 1000"),
        ] {
            let failure = fitted(numbers, None, Some(scaling)).unwrap_err();
            assert_eq!(failure.code, "preprocessing");
            assert!(failure.message.starts_with("column 3 "), "{failure}");
            assert!(failure.message.contains(word), "{failure}");
        }
    }
}
