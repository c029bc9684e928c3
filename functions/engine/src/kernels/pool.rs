//! Windows side by side of which the largest element counts.
//!
//! Windows of two by two elements, the usual ones, have loops of their own, which the compiler can turn into vectors.

/// What is done to an element before it counts.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    pub(super) bias: f32,
    /// What is not larger becomes this.
    pub(super) floor: f32,
}

impl Cut {
    /// The value that is left, and whether the element is on. Written so that a NaN is on, and stays one.
    #[inline(always)]
    pub(super) fn apply(self, value: f32) -> (f32, bool) {
        let value = value + self.bias;
        let is_off = value <= self.floor;
        (if is_off { self.floor } else { value }, !is_off)
    }
}

/// Finds the largest elements of one row of windows, and where in its window each stands; the number of elements in a window
/// says that none is on.
///
/// `rows` are the rows that the windows see, each `distance` from the one before.
#[inline(always)]
pub(super) fn find(
    rows: &[f32],
    distance: usize,
    [high, wide]: [usize; 2],
    cut: Cut,
    (largest, index): (&mut [f32], &mut [u8]),
) {
    if [high, wide] == [2, 2] {
        let (first, second) = rows.split_at(distance);
        let (pairs, below) = (first.as_chunks::<2>().0, second.as_chunks::<2>().0);
        let windows = largest.iter_mut().zip(index).zip(pairs.iter().zip(below));
        for ((largest, index), (&[a, b], &[c, d])) in windows {
            let is_right = b > a;
            let above = if is_right { b } else { a };
            let is_right_below = d > c;
            let under = if is_right_below { d } else { c };
            let is_below = under > above;
            let place = if is_below {
                2 + u32::from(is_right_below)
            } else {
                u32::from(is_right)
            };
            let (value, is_on) = cut.apply(if is_below { under } else { above });
            *largest = value;
            #[expect(clippy::cast_possible_truncation, reason = "it is at most 4")]
            let place = (if is_on { place } else { 4 }) as u8;
            *index = place;
        }
        return;
    }
    for (window, (largest, index)) in largest.iter_mut().zip(index).enumerate() {
        let mut found = (rows[window * wide], 0);
        for tap in 0..high * wide {
            let value = rows[tap / wide * distance + window * wide + tap % wide];
            if value > found.0 {
                found = (value, tap);
            }
        }
        let (value, is_on) = cut.apply(found.0);
        *largest = value;
        let place = if is_on { found.1 } else { high * wide };
        *index = u8::try_from(place).unwrap_or(u8::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::{Cut, find};

    /// Windows of each size over 7 columns: the largest elements, and where they were.
    #[test]
    fn the_largest_element_counts() {
        for [high, wide] in [[2, 2], [3, 2], [1, 3]] {
            let values: Vec<f32> = (0..high * 7)
                .map(|at| f32::from(u8::try_from(at * 37 % 19).unwrap_or_default()) - 12.0)
                .collect();
            let width = 7 / wide;
            let (mut largest, mut index) = (vec![0.0; width], vec![0; width]);
            let cut = Cut {
                bias: 0.5,
                floor: 0.0,
            };
            find(&values, 7, [high, wide], cut, (&mut largest, &mut index));
            for window in 0..width {
                let elements: Vec<f32> = (0..high * wide)
                    .map(|tap| values[tap / wide * 7 + window * wide + tap % wide] + 0.5)
                    .collect();
                let expected = elements.iter().copied().fold(f32::MIN, f32::max);
                assert!((largest[window] - expected.max(0.0)).abs() < 1e-6);
                let place = elements.iter().position(|value| *value >= expected);
                let place = place.filter(|_| expected > 0.0).unwrap_or(high * wide);
                assert_eq!(usize::from(index[window]), place);
            }
        }
    }
}
