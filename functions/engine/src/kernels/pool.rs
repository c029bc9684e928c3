//! Windows side by side of which the largest element counts.
//!
//! Windows of two by two elements, the usual ones, are taken in blocks, which the compiler can turn into vectors: behind a few
//! convolutions a row has fewer windows than a vector has numbers, and a loop over a row would go window by window.

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

/// Windows of two by two that are taken at once.
const BLOCK: usize = 16;

/// Finds the largest elements of one row of `count` windows, and where in its window each stands; the number of elements in a
/// window says that none is on.
///
/// `rows` are the rows that the windows see, each `distance` from the one before. What is found is written to the starts of
/// `largest` and `index`; there may be anything behind that afterwards.
#[inline(always)]
pub(super) fn find(
    rows: &[f32],
    distance: usize,
    pool: [usize; 2],
    cut: Cut,
    count: usize,
    (largest, index): (&mut [f32], &mut [u8]),
) {
    let mut done = 0;
    if pool == [2, 2] {
        while done < count {
            let (first, second) = (&rows[2 * done..], &rows[distance + 2 * done..]);
            let (first, second) = (first.as_chunks::<2>().0, second.as_chunks::<2>().0);
            let seen = (first.first_chunk(), second.first_chunk());
            let (largest, index) = (&mut largest[done..], &mut index[done..]);
            let found = (largest.first_chunk_mut(), index.first_chunk_mut());
            // Where a whole block does not fit, the rest is found window by window.
            let ((Some(first), Some(second)), (Some(largest), Some(index))) = (seen, found) else {
                break;
            };
            find_block([first, second], cut, largest, index);
            done += BLOCK;
        }
    }
    if done >= count {
        return;
    }
    let [high, wide] = pool;
    for window in done..count {
        let mut found = (rows[window * wide], 0);
        for tap in 0..high * wide {
            let value = rows[tap / wide * distance + window * wide + tap % wide];
            if value > found.0 {
                found = (value, tap);
            }
        }
        let (value, is_on) = cut.apply(found.0);
        largest[window] = value;
        let place = if is_on { found.1 } else { high * wide };
        index[window] = u8::try_from(place).unwrap_or(u8::MAX);
    }
}

/// Finds those of a block of windows, given by their rows.
#[inline(always)]
fn find_block(
    [first, second]: [&[[f32; 2]; BLOCK]; 2],
    cut: Cut,
    largest: &mut [f32; BLOCK],
    index: &mut [u8; BLOCK],
) {
    let found = largest.iter_mut().zip(index);
    for ((largest, index), (&[a, b], &[c, d])) in found.zip(first.iter().zip(second)) {
        let (mut most, mut place) = (a, 0);
        if b > most {
            (most, place) = (b, 1);
        }
        if c > most {
            (most, place) = (c, 2);
        }
        if d > most {
            (most, place) = (d, 3);
        }
        let (value, is_on) = cut.apply(most);
        *largest = value;
        *index = if is_on { place } else { 4 };
    }
}

#[cfg(test)]
mod tests {
    use super::{Cut, find};

    /// Windows of each size, in rows without and with whole blocks: the largest elements, and where they were.
    #[test]
    fn the_largest_element_counts() {
        for ([high, wide], columns) in [([2, 2], 7), ([2, 2], 75), ([3, 2], 7), ([1, 3], 40)] {
            let values: Vec<f32> = (0..high * columns)
                .map(|at| f32::from(u8::try_from(at * 37 % 19).unwrap_or_default()) - 12.0)
                .collect();
            let width = columns / wide;
            let (mut largest, mut index) = (vec![0.0; width], vec![0; width]);
            let cut = Cut {
                bias: 0.5,
                floor: 0.0,
            };
            let found = (&mut *largest, &mut *index);
            find(&values, columns, [high, wide], cut, width, found);
            for window in 0..width {
                let elements: Vec<f32> = (0..high * wide)
                    .map(|tap| values[tap / wide * columns + window * wide + tap % wide] + 0.5)
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
