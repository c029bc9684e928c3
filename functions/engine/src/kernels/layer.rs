//! A recurrent layer as its operators take it: sizes, weights and states, and how its tensors are taken apart.

use ort::operator::{ComputeContext, KernelContext};
use ort::value::ValueRef;
use ort::{Error, Result};

use super::cell::Cell;
use super::operator::{check_lengths, missing, tensor};

/// Sequences of one part: enough that what is laid out of W and R is read for several of them.
const SEQUENCES: usize = 8;

/// For each direction, whether it goes backwards.
pub(super) fn ways(node: &KernelContext<'_>) -> Vec<bool> {
    let ways = node.get::<Vec<i64>>("reverse").unwrap_or_else(|| vec![0]);
    ways.into_iter().map(|way| way != 0).collect()
}

/// Optional inputs from `first` on, as they are held.
pub(super) fn values<const N: usize>(
    context: &ComputeContext,
    first: usize,
) -> Result<[Option<ValueRef<'_>>; N]> {
    let mut found = [const { None }; N];
    for (at, value) in found.iter_mut().enumerate() {
        *value = context.input(first + at)?;
    }
    Ok(found)
}

/// The sizes and the elements of an input that may be left out.
pub(super) fn optional<'v>(
    value: Option<&'v ValueRef<'_>>,
) -> Result<Option<(&'v [i64], &'v [f32])>> {
    value.map(tensor::<f32>).transpose()
}

pub(super) fn to_size(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// What both passes read of a layer.
pub(super) struct Layer<'a> {
    pub(super) steps: usize,
    pub(super) batch: usize,
    pub(super) features: usize,
    pub(super) units: usize,
    /// For each direction, whether it goes backwards.
    pub(super) ways: &'a [bool],
    pub(super) x: &'a [f32],
    /// W, R and both biases.
    weights: [&'a [f32]; 2],
    biases: Option<&'a [f32]>,
    /// h and c before the first step.
    initial: [Option<&'a [f32]>; 2],
    /// What they are where they are not given, for the sequences of one part.
    zeros: Vec<f32>,
}

impl<'a> Layer<'a> {
    /// The layer of X, W, R, B, and the initial h and c.
    pub(super) fn of<C: Cell>(
        values: &'a [Option<ValueRef<'_>>; 6],
        ways: &'a [bool],
    ) -> Result<Self> {
        let [x, input, hidden] = [&values[0], &values[1], &values[2]]
            .map(|value| optional(value.as_ref())?.ok_or_else(missing));
        let ((x_shape, x), (_, input), (shape, hidden)) = (x?, input?, hidden?);
        let sizes = |shape: &[i64]| -> Option<[usize; 3]> {
            let sizes = shape.iter().map(|&size| usize::try_from(size).ok());
            sizes.collect::<Option<Vec<_>>>()?.try_into().ok()
        };
        let (Some([steps, batch, features]), Some([directions, _, units])) =
            (sizes(x_shape), sizes(shape))
        else {
            return Err(Error::new(format!(
                "expected a sequence of rows and weights of each direction, got {x_shape:?} and {shape:?}"
            )));
        };
        if [steps, batch, features, units].contains(&0) || directions != ways.len() {
            return Err(Error::new("expected steps, sequences, features and units"));
        }
        let mut found = [None; 3];
        for (found, value) in found.iter_mut().zip(&values[3..]) {
            *found = optional(value.as_ref())?.map(|(_, values)| values);
        }
        let [biases, h, c] = found;
        let rows = directions * C::OF_INPUT.len() * units;
        check_lengths(rows * features, &[input.len()])?;
        check_lengths(rows * units, &[hidden.len()])?;
        check_lengths(2 * rows, biases.map(<[f32]>::len).as_slice())?;
        let c = c.filter(|_| C::HAS_C);
        for state in [h, c] {
            let expected = directions * batch * units;
            check_lengths(expected, state.map(<[f32]>::len).as_slice())?;
        }
        Ok(Self {
            steps,
            batch,
            features,
            units,
            ways,
            x,
            weights: [input, hidden],
            biases,
            initial: [h, c],
            zeros: vec![0.0; SEQUENCES * units],
        })
    }

    /// Sums of one sequence in one step.
    pub(super) fn sums<C: Cell>(&self) -> usize {
        C::BLOCKS * self.units
    }

    /// Numbers of the c of one sequence.
    pub(super) fn of_c<C: Cell>(&self) -> usize {
        if C::HAS_C { self.units } else { 0 }
    }

    /// The step in which a direction is after so many.
    pub(super) fn at(&self, direction: usize, done: usize) -> usize {
        if self.ways[direction] {
            self.steps - 1 - done
        } else {
            done
        }
    }

    /// The rows that W has for the sums, empty where it has none.
    pub(super) fn rows_of_w<C: Cell>(&self, direction: usize) -> Vec<&'a [f32]> {
        self.rows::<C>(self.weights[0], self.features, direction, C::OF_INPUT)
    }

    /// The rows that R has for the sums, empty where it has none.
    pub(super) fn rows_of_r<C: Cell>(&self, direction: usize) -> Vec<&'a [f32]> {
        self.rows::<C>(self.weights[1], self.units, direction, C::OF_HIDDEN)
    }

    fn rows<C: Cell>(
        &self,
        matrix: &'a [f32],
        columns: usize,
        direction: usize,
        blocks: &[usize],
    ) -> Vec<&'a [f32]> {
        let mut rows: Vec<&[f32]> = vec![&[]; self.sums::<C>()];
        let own = matrix.chunks_exact(blocks.len() * self.units * columns);
        let own = own
            .skip(direction)
            .take(1)
            .flat_map(|own| own.chunks_exact(columns));
        for (number, row) in own.enumerate() {
            rows[blocks[number / self.units] * self.units + number % self.units] = row;
        }
        rows
    }

    pub(super) fn write_biases<C: Cell>(&self, direction: usize, sums: &mut [f32]) {
        sums.fill(0.0);
        let Some(biases) = self.biases else {
            return;
        };
        let count = C::OF_INPUT.len() * self.units;
        let own = &biases[direction * 2 * count..][..2 * count];
        let blocks = C::OF_INPUT.iter().chain(C::OF_HIDDEN);
        for (block, biases) in blocks.zip(own.chunks_exact(self.units)) {
            let sums = &mut sums[block * self.units..][..self.units];
            for (sum, bias) in sums.iter_mut().zip(biases) {
                *sum += bias;
            }
        }
    }

    /// h (0) or c (1) before the first step, from a sequence on.
    pub(super) fn initial(&self, state: usize, direction: usize, first: usize) -> &[f32] {
        match self.initial[state] {
            Some(initial) => &initial[(direction * self.batch + first) * self.units..],
            None => &self.zeros,
        }
    }

    /// The direction of a part, and its first sequence.
    pub(super) fn place(&self, part: usize) -> (usize, usize) {
        let parts = self.batch.div_ceil(SEQUENCES);
        (part / parts, part % parts * SEQUENCES)
    }

    /// A tensor with `[batch, width]` for each step and direction, taken apart: by part, then step by step in the order of the
    /// computation. `direction_of` tells the direction of the n-th of these matrices; those of one direction come step by step.
    pub(super) fn pieces<'v>(
        &self,
        values: &'v mut [f32],
        width: usize,
        direction_of: impl Fn(usize) -> usize,
    ) -> Vec<Vec<&'v mut [f32]>> {
        let parts = self.batch.div_ceil(SEQUENCES);
        let count = parts * self.ways.len();
        if width == 0 {
            let nothing = || (0..self.steps).map(|_| <&mut [f32]>::default()).collect();
            return (0..count).map(|_| nothing()).collect();
        }
        let mut found: Vec<Vec<&mut [f32]>> =
            (0..count).map(|_| Vec::with_capacity(self.steps)).collect();
        for (index, rows) in values.chunks_exact_mut(self.batch * width).enumerate() {
            let first = direction_of(index) * parts;
            let own = found[first..].iter_mut();
            for (part, piece) in own.zip(rows.chunks_mut(SEQUENCES * width)) {
                part.push(piece);
            }
        }
        for (part, pieces) in found.iter_mut().enumerate() {
            if self.ways[part / parts] {
                pieces.reverse();
            }
        }
        found
    }

    /// A state, `[directions, batch, width]`, taken apart by part.
    pub(super) fn last_pieces<'v>(
        &self,
        values: &'v mut [f32],
        width: usize,
    ) -> Vec<&'v mut [f32]> {
        if width == 0 {
            let parts = self.batch.div_ceil(SEQUENCES) * self.ways.len();
            return (0..parts).map(|_| Default::default()).collect();
        }
        let directions = values.chunks_exact_mut(self.batch * width);
        directions
            .flat_map(|rows| rows.chunks_mut(SEQUENCES * width))
            .collect()
    }
}
