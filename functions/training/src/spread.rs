//! How labels are spread, and whether that is alike in all blocks of a segment.
//!
//! A segment may be sorted: by its labels, or by time, along which they drift. Steps on one of its blocks after the other
//! would then unlearn each block on the next, so that the first epoch goes by blocks only where they are alike. That depends
//! on the labels alone.

use crate::records::Labels;

/// How far a block's shares of classes may be from those of all (total variation), beyond what chance makes of them.
const SHARES: f64 = 0.1;
/// How far a block's mean may be from that of all, in standard deviations, beyond what chance makes of it.
const MEANS: f64 = 0.1;
/// In standard errors: what chance makes of a mean, in all but one of 15,000 blocks.
const CHANCE: f64 = 4.0;

/// What the labels for one prediction are like.
pub enum Spread {
    /// How often each class is there.
    Classes(Vec<f64>),
    /// How many numbers each column has.
    Values(Vec<Moments>),
}

/// What a column's numbers are like.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moments {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Spread {
    /// The spread of the labels of records that can be used.
    pub fn of(labels: &Labels, is_bad: &[bool]) -> Self {
        match labels {
            Labels::Classes(labels) => {
                let mut counts: Vec<f64> = Vec::new();
                for (class, _) in labels.iter().zip(is_bad).filter(|(_, is_bad)| !**is_bad) {
                    let class = usize::try_from(*class).unwrap_or_default();
                    if counts.len() <= class {
                        counts.resize(class + 1, 0.0);
                    }
                    counts[class] += 1.0;
                }
                Self::Classes(counts)
            }
            Labels::Values { width, values } => {
                let mut columns = vec![Moments::default(); *width];
                let rows = values.chunks_exact((*width).max(1)).zip(is_bad);
                for (row, _) in rows.filter(|(_, is_bad)| !**is_bad) {
                    for (column, number) in columns.iter_mut().zip(row) {
                        column.add(f64::from(*number));
                    }
                }
                Self::Values(columns)
            }
        }
    }
}

impl Moments {
    fn add(&mut self, number: f64) {
        self.count += 1.0;
        self.sum += number;
        self.squares += number * number;
    }

    fn join(&mut self, other: Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.squares += other.squares;
    }

    fn mean(self) -> f64 {
        self.sum / self.count.max(1.0)
    }

    fn deviation(self) -> f64 {
        let variance = self.squares / self.count.max(1.0) - self.mean() * self.mean();
        variance.max(0.0).sqrt()
    }
}

/// Whether these blocks, of each of which the spreads are given by prediction, are alike.
pub fn are_alike(blocks: &[Vec<Spread>]) -> bool {
    let predictions = blocks.first().map_or(0, Vec::len);
    (0..predictions).all(|prediction| {
        let spreads: Vec<&Spread> = blocks.iter().map(|block| &block[prediction]).collect();
        are_classes_alike(&spreads) && are_values_alike(&spreads)
    })
}

fn are_classes_alike(spreads: &[&Spread]) -> bool {
    let blocks: Vec<&[f64]> = spreads
        .iter()
        .filter_map(|spread| match spread {
            Spread::Classes(counts) => Some(counts.as_slice()),
            Spread::Values(_) => None,
        })
        .collect();
    let classes = blocks.iter().map(|counts| counts.len()).max().unwrap_or(0);
    let mut all = vec![0.0; classes];
    for (class, count) in blocks.iter().flat_map(|counts| counts.iter().enumerate()) {
        all[class] += count;
    }
    let total: f64 = all.iter().sum();
    blocks.iter().all(|counts| {
        let records: f64 = counts.iter().sum();
        if records == 0.0 {
            return true;
        }
        let of_class = |class: usize| counts.get(class).copied().unwrap_or_default();
        let apart: f64 = (0..classes)
            .map(|class| (of_class(class) / records - all[class] / total).abs() / 2.0)
            .sum();
        // The mean of |p̂ − p| is √(2p(1−p)/πn) or less, and the sum of √p over the classes at most the root of their number.
        let chance = (2.0 * number(classes) / (std::f64::consts::PI * records)).sqrt() / 2.0;
        apart <= SHARES + chance
    })
}

fn are_values_alike(spreads: &[&Spread]) -> bool {
    let blocks: Vec<&[Moments]> = spreads
        .iter()
        .filter_map(|spread| match spread {
            Spread::Values(columns) => Some(columns.as_slice()),
            Spread::Classes(_) => None,
        })
        .collect();
    let width = blocks.first().map_or(0, |columns| columns.len());
    (0..width).all(|column| {
        let mut all = Moments::default();
        for columns in &blocks {
            all.join(columns[column]);
        }
        blocks.iter().all(|columns| {
            let own = columns[column];
            let chance = CHANCE / own.count.max(1.0).sqrt();
            let apart = (own.mean() - all.mean()).abs();
            // A number that is not finite is far from all others.
            apart.is_finite() && (own.count == 0.0 || apart <= (MEANS + chance) * all.deviation())
        })
    })
}

#[allow(clippy::cast_precision_loss, reason = "classes are few")]
fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(blocks: &[&[i64]]) -> bool {
        let spread = |labels: &&[i64]| {
            let is_bad = vec![false; labels.len()];
            vec![Spread::of(&Labels::Classes(labels.to_vec()), &is_bad)]
        };
        are_alike(&blocks.iter().map(spread).collect::<Vec<_>>())
    }

    fn values(blocks: &[&[f32]]) -> bool {
        let spread = |numbers: &&[f32]| {
            let values = numbers.to_vec();
            let is_bad = vec![false; values.len()];
            vec![Spread::of(&Labels::Values { width: 1, values }, &is_bad)]
        };
        are_alike(&blocks.iter().map(spread).collect::<Vec<_>>())
    }

    #[test]
    fn sorted_classes_are_not_alike() {
        let mixed: Vec<i64> = (0..1_000).map(|number| number * 7 % 3).collect();
        assert!(classes(&[&mixed, &mixed[1..]]));
        assert!(!classes(&[&[0; 500], &[1; 500], &[2; 500]]));
        // A class that comes late.
        let mut late = mixed.clone();
        late[..200].fill(3);
        assert!(!classes(&[&mixed, &mixed, &mixed, &late]));
    }

    #[test]
    fn what_chance_does_is_alike() {
        let few: Vec<i64> = vec![0, 1, 1, 0, 1, 1, 0, 1];
        let others: Vec<i64> = vec![1, 0, 0, 1, 0, 0, 1, 1];
        assert!(classes(&[&few, &others]));
    }

    #[test]
    fn drifting_numbers_are_not_alike() {
        let wave: Vec<f32> = (0_u16..2_000).map(|at| f32::from(at % 17)).collect();
        let shifted: Vec<f32> = wave.iter().map(|number| number + 6.0).collect();
        assert!(values(&[&wave, &wave[3..]]));
        assert!(!values(&[&wave, &shifted]));
        assert!(values(&[&[3.0; 10], &[3.0; 10]]), "a constant");
        assert!(!values(&[&wave, &[f32::INFINITY; 10]]));
    }

    #[test]
    fn records_that_can_not_be_used_do_not_count() {
        let labels = Labels::Classes(vec![1, 1, 0, 0]);
        let good = Spread::of(&labels, &[false, false, true, true]);
        assert!(matches!(good, Spread::Classes(counts) if counts == [0.0, 2.0]));
    }
}
