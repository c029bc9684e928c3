//! Matrix products: `MatMul` and `Gemm`.

use super::matrix::Matrix;
use super::{Backward, Call, Derivative, Family, Operator, Site, broadcast};
use crate::Tensor;
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;
use crate::proto::{AttributeProto, NodeProto};

pub(super) const OPERATORS: Family = &[("Gemm", &Gemm), ("MatMul", &MatMul)];

/// Y = α A' B' + β C, where A' is A or, with `transA`, its transpose, B' likewise, and C is broadcast.
///
/// With G = ∂L/∂Y: ∂L/∂A' = α G B'ᵀ, ∂L/∂B' = α A'ᵀ G, ∂L/∂C = β Σ G, each a `Gemm` again, and transposed as A and B are.
struct Gemm;

/// A factor of a `Gemm`, and whether it is transposed.
type Factor<'a> = (&'a str, bool);

impl Gemm {
    fn transposes(node: &NodeProto) -> [bool; 2] {
        ["transA", "transB"].map(|name| node.int(name, 0) != 0)
    }

    /// α · left · right
    fn product(backward: &mut Backward<'_>, left: Factor<'_>, right: Factor<'_>) -> String {
        let alpha = backward.node.float("alpha", 1.0);
        let mut attributes = vec![
            AttributeProto::from_int("transA", i64::from(left.1)),
            AttributeProto::from_int("transB", i64::from(right.1)),
        ];
        #[expect(
            clippy::float_cmp,
            reason = "1 is the default, which needs no attribute"
        )]
        if alpha != 1.0 {
            attributes.push(AttributeProto::from_float("alpha", alpha));
        }
        backward
            .emit
            .node_with("Gemm", &[left.0, right.0], attributes)
    }

    fn bias_gradient(backward: &mut Backward<'_>, gradient: &str) -> String {
        let sum = backward.unbroadcast(gradient, 2);
        let beta = backward.node.float("beta", 1.0);
        #[expect(clippy::float_cmp, reason = "a factor of 1 changes nothing")]
        if beta == 1.0 {
            return sum;
        }
        let beta = backward.float(f64::from(beta));
        backward.node("Mul", &[&sum, &beta])
    }
}

impl Operator for Gemm {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        let [transpose_a, transpose_b] = Self::transposes(site.node);
        let shape = site.shape(0).zip(site.shape(1)).and_then(|(a, b)| {
            let rows = a.get(usize::from(transpose_a))?;
            let columns = b.get(usize::from(!transpose_b))?;
            Some(vec![rows.clone(), columns.clone()])
        });
        vec![Fact::new(site.element(), shape)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let [transpose_a, transpose_b] = Self::transposes(call.node);
        let a = Matrix::of(call.tensor(0)?, call.floats(0)?, transpose_a)?;
        let b = Matrix::of(call.tensor(1)?, call.floats(1)?, transpose_b)?;
        let alpha = f64::from(call.node.float("alpha", 1.0));
        let mut values = a.times(&b)?;
        for value in &mut values {
            *value *= alpha;
        }
        let dims = [a.rows, b.columns];
        if let Some(bias) = call.optional(2) {
            let beta = f64::from(call.node.float("beta", 1.0));
            let bias = broadcast::stretch(bias, &broadcast::shape(bias.dims(), &dims)?);
            let bias = bias.as_floats().ok_or("the bias is not floating-point")?;
            if bias.len() != values.len() {
                return Err("the bias is larger than the product".to_owned());
            }
            for (value, bias) in values.iter_mut().zip(bias) {
                *value += beta * bias;
            }
        }
        Ok(vec![Tensor::floats(&dims, values)])
    }

    fn least_inputs(&self) -> usize {
        2
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Known
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        let [transpose_a, transpose_b] = Self::transposes(backward.node);
        let (a, b) = (backward.input(0), backward.input(1));
        if backward.wants(0) {
            let found = if transpose_a {
                Self::product(backward, (b, transpose_b), (&gradient, true))
            } else {
                Self::product(backward, (&gradient, false), (b, !transpose_b))
            };
            backward.give(0, found);
        }
        if backward.wants(1) {
            let found = if transpose_b {
                Self::product(backward, (&gradient, true), (a, transpose_a))
            } else {
                Self::product(backward, (a, !transpose_a), (&gradient, false))
            };
            backward.give(1, found);
        }
        if backward.wants(2) {
            let found = Self::bias_gradient(backward, &gradient);
            backward.give(2, found);
        }
    }
}

/// Y = A B over the last two dimensions, the others broadcast; a vector is a row on the left and a column on the right.
///
/// With G = ∂L/∂Y: ∂L/∂A = Σ G Bᵀ, ∂L/∂B = Σ Aᵀ G. Where B is a plain matrix the dimensions of A before the last are one
/// long dimension, and both are a `Gemm`.
pub(super) struct MatMul;

impl MatMul {
    fn transposed(backward: &mut Backward<'_>, matrices: &str, rank: usize) -> String {
        let mut order: Vec<i64> = (0..rank as i64).collect();
        order.swap(rank - 2, rank - 1);
        let order = vec![AttributeProto::from_ints("perm", &order)];
        backward.emit.node_with("Transpose", &[matrices], order)
    }

    fn unsqueezed(backward: &mut Backward<'_>, tensor: &str, axis: i64) -> String {
        let axes = backward.emit.integers(&[axis]);
        backward.node("Unsqueeze", &[tensor, &axes])
    }

    /// `B` is a plain matrix of this size, whatever the rank of `A`.
    fn backward_matrix(backward: &mut Backward<'_>, gradient: &str, [inner, width]: [i64; 2]) {
        let (a, b) = (backward.input(0), backward.input(1));
        let transposed = |name| vec![AttributeProto::from_int(name, 1)];
        let is_matrix = backward.input_fact(0).rank() == Some(2);
        let flatten = |backward: &mut Backward<'_>, tensor: &str, width: i64| {
            if is_matrix {
                return tensor.to_owned();
            }
            let shape = backward.emit.integers(&[-1, width]);
            backward.node("Reshape", &[tensor, &shape])
        };
        let gradient = flatten(backward, gradient, width);
        if backward.wants(0) {
            let mut found = backward
                .emit
                .node_with("Gemm", &[&gradient, b], transposed("transB"));
            if !is_matrix {
                found = backward.reshape_to_input(&found, 0);
            }
            backward.give(0, found);
        }
        if backward.wants(1) {
            let a = flatten(backward, a, inner);
            let found = backward
                .emit
                .node_with("Gemm", &[&a, &gradient], transposed("transA"));
            backward.give(1, found);
        }
    }

    /// Both are stacks of matrices, of these ranks, or vectors.
    fn backward_stack(backward: &mut Backward<'_>, gradient: &str, ranks: [usize; 2]) {
        let mut gradient = gradient.to_owned();
        let mut a = backward.input(0).to_owned();
        let mut b = backward.input(1).to_owned();
        let [is_row, is_column] = ranks.map(|rank| rank == 1);
        if is_column {
            b = Self::unsqueezed(backward, &b, 1);
            gradient = Self::unsqueezed(backward, &gradient, -1);
        }
        if is_row {
            a = Self::unsqueezed(backward, &a, 0);
            gradient = Self::unsqueezed(backward, &gradient, -2);
        }
        let [rank_a, rank_b] = ranks.map(|rank| rank.max(2));
        for input in 0..2 {
            if !backward.wants(input) {
                continue;
            }
            let product = if input == 0 {
                let b = Self::transposed(backward, &b, rank_b);
                backward.node("MatMul", &[&gradient, &b])
            } else {
                let a = Self::transposed(backward, &a, rank_a);
                backward.node("MatMul", &[&a, &gradient])
            };
            let found = Self::fit(backward, &product, input, ranks);
            backward.give(input, found);
        }
    }

    /// Sums a product over the broadcast dimensions in front and gives it the shape of its input.
    pub(super) fn fit(
        backward: &mut Backward<'_>,
        product: &str,
        input: usize,
        ranks: [usize; 2],
    ) -> String {
        let (own, other) = (ranks[input], ranks[1 - input]);
        let stacked = own.max(other).max(2);
        let full: Vec<i64> = (0..(stacked - own.max(2)) as i64).collect();
        let mut found = product.to_owned();
        if !full.is_empty() {
            found = backward.emit.reduce("ReduceSum", &found, &full, false);
        }
        let known = |input| backward.input_fact(input).shape.as_deref();
        let is_known = known(0).zip(known(1));
        if !is_known.is_some_and(|(left, right)| stacks_are_known(left, right)) {
            return backward.unbroadcast_at_run_time(product, input);
        }
        let own_shape = backward
            .input_fact(input)
            .shape
            .as_deref()
            .unwrap_or_default();
        let other_shape = backward
            .input_fact(1 - input)
            .shape
            .as_deref()
            .unwrap_or_default();
        let stretched = stretched_stacks(own_shape, other_shape);
        if !stretched.is_empty() {
            found = backward.emit.reduce("ReduceSum", &found, &stretched, true);
        }
        if own == 1 {
            backward.reshape_to_input(&found, input)
        } else {
            found
        }
    }
}

/// The dimensions in front of a stack's matrices that are 1 where the other stack's are not.
fn stretched_stacks(own: &[Extent], other: &[Extent]) -> Vec<i64> {
    let fronts = [own, other].map(|shape| &shape[..shape.len().saturating_sub(2)]);
    let [own, other] = fronts;
    let pairs = own.iter().enumerate().rev().zip(other.iter().rev());
    pairs
        .filter(|((_, own), other)| own.is_one() && !other.is_one())
        .map(|((axis, _), _)| axis as i64)
        .collect()
}

/// Whether it can be seen before anything runs which of the dimensions in front of the matrices are broadcast.
fn stacks_are_known(left: &[Extent], right: &[Extent]) -> bool {
    let fronts = [left, right].map(|shape| &shape[..shape.len().saturating_sub(2)]);
    let mut pairs = fronts[0].iter().rev().zip(fronts[1].iter().rev());
    pairs.all(|(left, right)| left == right || left.is_one() || right.is_one())
}

impl Operator for MatMul {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        let shape = site.shape(0).zip(site.shape(1)).and_then(|(a, b)| {
            let (front_a, front_b) = (front(a), front(b));
            let mut shape = broadcast::extents(front_a, front_b, unknowns);
            if a.len() > 1 {
                shape.push(a[a.len() - 2].clone());
            }
            if b.len() > 1 {
                shape.push(b.last()?.clone());
            }
            Some(shape)
        });
        vec![Fact::new(site.element(), shape)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let (a, b) = (call.tensor(0)?, call.tensor(1)?);
        let (values_a, values_b) = (call.floats(0)?, call.floats(1)?);
        let (mut dims_a, mut dims_b) = (a.dims().to_vec(), b.dims().to_vec());
        if dims_a.is_empty() || dims_b.is_empty() {
            return Err("a scalar is no matrix".to_owned());
        }
        if a.rank() == 1 {
            dims_a.insert(0, 1);
        }
        if b.rank() == 1 {
            dims_b.push(1);
        }
        let stack = broadcast::shape(front(&dims_a), front(&dims_b))?;
        let size_a = dims_a[dims_a.len() - 2..].to_vec();
        let size_b = dims_b[dims_b.len() - 2..].to_vec();
        let places_a = broadcast::positions(front(&dims_a), &stack);
        let places_b = broadcast::positions(front(&dims_b), &stack);
        let mut values = Vec::new();
        for (place_a, place_b) in places_a.into_iter().zip(places_b) {
            let left = Matrix::at(values_a, place_a, &size_a);
            let right = Matrix::at(values_b, place_b, &size_b);
            values.extend(left.times(&right)?);
        }
        let mut dims = stack;
        if a.rank() > 1 {
            dims.push(size_a[0]);
        }
        if b.rank() > 1 {
            dims.push(size_b[1]);
        }
        Ok(vec![Tensor::floats(&dims, values)])
    }

    fn least_inputs(&self) -> usize {
        2
    }

    fn derivative(&self, site: &Site<'_>, _: usize) -> Derivative {
        let stacks = site.shape(0).zip(site.shape(1));
        let is_known = site.shape(1).and_then(plain_matrix).is_some() || stacks.is_some();
        Derivative::known_if(
            is_known,
            "multiplies stacks of matrices whose numbers of dimensions are not known",
        )
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        if let Some(size) = backward
            .input_fact(1)
            .shape
            .as_deref()
            .and_then(plain_matrix)
        {
            return Self::backward_matrix(backward, &gradient, size);
        }
        let ranks = [0, 1].map(|input| backward.input_fact(input).rank().unwrap_or_default());
        Self::backward_stack(backward, &gradient, ranks);
    }
}

/// The size of a matrix whose rows and columns are known.
fn plain_matrix(shape: &[Extent]) -> Option<[i64; 2]> {
    match shape {
        [rows, columns] => Some([rows.as_fixed()?, columns.as_fixed()?]),
        _ => None,
    }
}

/// The dimensions in front of the matrices.
fn front<T>(shape: &[T]) -> &[T] {
    &shape[..shape.len().saturating_sub(2)]
}
