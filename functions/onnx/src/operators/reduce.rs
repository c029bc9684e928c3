//! Reductions over axes: `ReduceSum`, `ReduceMean`, `ReduceMax`, `ReduceMin`, `ReduceProd`, `ReduceL1`, `ReduceL2`,
//! `ReduceSumSquare`, `ReduceLogSum`, `ReduceLogSumExp`.
//!
//! The axes stand in an attribute or in the second input, as the operator set has it: all are meant where none are named,
//! or, with `noop_with_empty_axes`, each element by itself. In the formulas G is ∂L/∂y and, like y, has size 1 along the
//! reduced axes, from where it is broadcast; Σ and Π are over these axes.

use super::{Backward, Call, Derivative, Family, Operator, Site, axis_of, resolve_axis};
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;
use crate::proto::{AttributeProto, NodeProto};
use crate::tensor::{indices, strides};
use crate::{ElementType, Tensor, Values};

pub(super) const OPERATORS: Family = &[
    ("ReduceL1", &L1),
    ("ReduceL2", &L2),
    ("ReduceLogSum", &LOG_SUM),
    ("ReduceLogSumExp", &LOG_SUM_EXP),
    ("ReduceMax", &MAX),
    ("ReduceMean", &MEAN),
    ("ReduceMin", &MIN),
    ("ReduceProd", &PRODUCT),
    ("ReduceSum", &SUM),
    ("ReduceSumSquare", &SUM_SQUARE),
];

/// A reduction that is described by its function and its derivative.
struct Reduction {
    floats: fn(&[f64]) -> f64,
    /// Nothing where there is no whole number.
    integers: fn(&[i64]) -> Option<i64>,
    /// Emits the gradient of the input, in its shape.
    gradient: fn(&mut Backward<'_>, &Kept) -> String,
}

/// Tensors in which the reduced axes are kept, with size 1.
struct Kept {
    /// G.
    gradient: String,
    /// y.
    output: String,
}

/// y = Σ x; ∂L/∂x = G.
static SUM: Reduction = Reduction {
    floats: |values| values.iter().sum(),
    integers: |values| {
        values
            .iter()
            .try_fold(0_i64, |sum, &value| sum.checked_add(value))
    },
    gradient: |backward, kept| expanded(backward, &kept.gradient),
};

/// y = Σ x / n; ∂L/∂x = G / n.
static MEAN: Reduction = Reduction {
    floats: |values| values.iter().sum::<f64>() / values.len() as f64,
    integers: |_| None,
    gradient: |backward, kept| {
        let count = reduced_count(backward);
        let share = backward.node("Div", &[&kept.gradient, &count]);
        expanded(backward, &share)
    },
};

/// y = max x; ∂L/∂x = G / n for each of the n elements that equal y, else 0.
static MAX: Reduction = Reduction {
    floats: |values| values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    integers: |values| values.iter().copied().max(),
    gradient: shared,
};

/// y = min x; ∂L/∂x = G / n for each of the n elements that equal y, else 0.
static MIN: Reduction = Reduction {
    floats: |values| values.iter().copied().fold(f64::INFINITY, f64::min),
    integers: |values| values.iter().copied().min(),
    gradient: shared,
};

/// y = Π x; ∂L/∂x = G · p / x where no other element is 0, else 0. Here p is the product of all elements but those that are
/// 0, and a division by such a one is left out: so where one element is 0 it alone has a gradient.
static PRODUCT: Reduction = Reduction {
    floats: |values| values.iter().product(),
    integers: |values| {
        values
            .iter()
            .try_fold(1_i64, |product, &value| product.checked_mul(value))
    },
    gradient: |backward, kept| {
        let (zero, one) = (backward.float(0.0), backward.float(1.0));
        let is_zero = backward.node("Equal", &[backward.input(0), &zero]);
        let divisor = backward.node("Where", &[&is_zero, &one, backward.input(0)]);
        let product = reduced(backward, "ReduceProd", &divisor);
        let zeros = as_numbers(backward, &is_zero);
        let all_zeros = reduced(backward, "ReduceSum", &zeros);
        let other_zeros = backward.node("Sub", &[&all_zeros, &zeros]);
        let has_others = backward.node("Greater", &[&other_zeros, &zero]);
        let quotient = backward.node("Div", &[&product, &divisor]);
        let slope = backward.node("Where", &[&has_others, &zero, &quotient]);
        backward.node("Mul", &[&kept.gradient, &slope])
    },
};

/// y = Σ |x|; ∂L/∂x = G · sign x.
static L1: Reduction = Reduction {
    floats: |values| values.iter().map(|value| value.abs()).sum(),
    integers: |_| None,
    gradient: |backward, kept| {
        let sign = backward.node("Sign", &[backward.input(0)]);
        backward.node("Mul", &[&kept.gradient, &sign])
    },
};

/// y = √Σ x²; ∂L/∂x = G · x / y, and 0 where y is 0.
static L2: Reduction = Reduction {
    floats: |values| square_sum(values).sqrt(),
    integers: |_| None,
    gradient: |backward, kept| {
        let zero = backward.float(0.0);
        let is_zero = backward.node("Equal", &[&kept.output, &zero]);
        let ratio = backward.node("Div", &[&kept.gradient, &kept.output]);
        let ratio = backward.node("Where", &[&is_zero, &zero, &ratio]);
        backward.node("Mul", &[&ratio, backward.input(0)])
    },
};

/// y = Σ x²; ∂L/∂x = G · 2x.
static SUM_SQUARE: Reduction = Reduction {
    floats: square_sum,
    integers: |_| None,
    gradient: |backward, kept| {
        let double = backward.node("Add", &[&kept.gradient, &kept.gradient]);
        backward.node("Mul", &[&double, backward.input(0)])
    },
};

/// y = ln Σ x; ∂L/∂x = G · exp(−y).
static LOG_SUM: Reduction = Reduction {
    floats: |values| values.iter().sum::<f64>().ln(),
    integers: |_| None,
    gradient: |backward, kept| {
        let negative = backward.node("Neg", &[&kept.output]);
        let reciprocal = backward.node("Exp", &[&negative]);
        let share = backward.node("Mul", &[&kept.gradient, &reciprocal]);
        expanded(backward, &share)
    },
};

/// y = ln Σ exp x; ∂L/∂x = G · exp(x − y).
static LOG_SUM_EXP: Reduction = Reduction {
    floats: |values| {
        let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let terms = values.iter().map(|value| (value - largest).exp());
        largest + terms.sum::<f64>().ln()
    },
    integers: |_| None,
    gradient: |backward, kept| {
        let difference = backward.node("Sub", &[backward.input(0), &kept.output]);
        let softmax = backward.node("Exp", &[&difference]);
        backward.node("Mul", &[&kept.gradient, &softmax])
    },
};

fn square_sum(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum()
}

fn shared(backward: &mut Backward<'_>, kept: &Kept) -> String {
    let zero = backward.float(0.0);
    let is_extreme = backward.node("Equal", &[backward.input(0), &kept.output]);
    let counted = as_numbers(backward, &is_extreme);
    let count = reduced(backward, "ReduceSum", &counted);
    let share = backward.node("Div", &[&kept.gradient, &count]);
    backward.node("Where", &[&is_extreme, &share, &zero])
}

fn expanded(backward: &mut Backward<'_>, tensor: &str) -> String {
    let shape = backward.shape_of(backward.input(0));
    backward.node("Expand", &[tensor, &shape])
}

/// Truth values as 0 and 1.
fn as_numbers(backward: &mut Backward<'_>, truths: &str) -> String {
    let element = backward.output_fact().element;
    let code = element.unwrap_or(ElementType::Float32).code();
    let to = vec![AttributeProto::from_int("to", i64::from(code))];
    backward.emit.node_with("Cast", &[truths], to)
}

/// How many elements are reduced to one: a constant where it is known, else found while the graph runs.
fn reduced_count(backward: &mut Backward<'_>) -> String {
    let sizes = [backward.input_fact(0), backward.output_fact()]
        .map(|fact| fact.shape.as_deref().map(Extent::product));
    if let [Some(all), Some(left)] = &sizes
        && let Some(count) = all.divided_by(left).and_then(|count| count.as_fixed())
    {
        return backward.float(count as f64);
    }
    let all = backward.node("Size", &[backward.input(0)]);
    let left = backward.node("Size", &[backward.output()]);
    let count = backward.node("Div", &[&all, &left]);
    as_numbers(backward, &count)
}

/// Another reduction over the node's axes, which are kept.
fn reduced(backward: &mut Backward<'_>, operator: &str, tensor: &str) -> String {
    match Axes::of(backward) {
        Axes::Listed(axes) => backward.emit.reduce(operator, tensor, &axes, true),
        Axes::Input(axes) => {
            let options = options(backward.node);
            backward.emit.node_with(operator, &[tensor, axes], options)
        }
        Axes::None => {
            let options = options(backward.node);
            backward.emit.node_with(operator, &[tensor], options)
        }
    }
}

fn options(node: &NodeProto) -> Vec<AttributeProto> {
    let mut options = vec![AttributeProto::from_int("keepdims", 1)];
    if is_noop_without_axes(node) {
        options.push(AttributeProto::from_int("noop_with_empty_axes", 1));
    }
    options
}

fn is_noop_without_axes(node: &NodeProto) -> bool {
    node.int("noop_with_empty_axes", 0) != 0
}

/// A tensor of y's shape with the reduced axes kept.
fn kept(backward: &mut Backward<'_>, tensor: &str) -> String {
    if backward.node.int("keepdims", 1) != 0 {
        return tensor.to_owned();
    }
    match Axes::of(backward) {
        Axes::Listed(axes) => {
            let axes = backward.emit.integers(&axes);
            backward.node("Unsqueeze", &[tensor, &axes])
        }
        Axes::Input(axes) => backward.node("Unsqueeze", &[tensor, axes]),
        // A single number is broadcast as it is.
        Axes::None => tensor.to_owned(),
    }
}

/// The axes of a node in the backward pass.
enum Axes<'a> {
    None,
    Listed(Vec<i64>),
    /// An input that is only known when the graph runs.
    Input(&'a str),
}

impl<'a> Axes<'a> {
    fn of(backward: &Backward<'a>) -> Self {
        let node = backward.node;
        let listed = match node.input.get(1).filter(|name| !name.is_empty()) {
            Some(name) => {
                let constant = backward.input_fact(1).constant.as_ref();
                match constant.and_then(|constant| constant.as_integers()) {
                    Some(axes) => axes,
                    None => return Self::Input(name),
                }
            }
            None => node.ints("axes").unwrap_or_default(),
        };
        if listed.is_empty() {
            Self::None
        } else {
            Self::Listed(listed.to_vec())
        }
    }
}

impl Operator for Reduction {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        vec![Fact::new(site.element(), reduced_shape(site))]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let tensor = call.tensor(0)?;
        let is_reduced = is_reduced(call, tensor.rank())?;
        let sizes = tensor.dims().iter().zip(&is_reduced);
        let kept: Vec<usize> = sizes
            .map(|(&size, &is_reduced)| if is_reduced { 1 } else { size })
            .collect();
        let strides = strides(&kept);
        let mut groups = vec![Vec::new(); kept.iter().product()];
        for (position, index) in indices(tensor.dims()).enumerate() {
            let terms = index.iter().zip(&strides).zip(&is_reduced);
            let terms = terms.filter(|(_, is_reduced)| !**is_reduced);
            let group: usize = terms.map(|((at, stride), _)| at * stride).sum();
            groups[group].push(position);
        }
        let values = self.reduce_groups(tensor.values(), &groups)?;
        let dims = if call.node.int("keepdims", 1) == 0 {
            let left = kept.into_iter().zip(is_reduced);
            left.filter(|(_, is_reduced)| !is_reduced)
                .map(|(size, _)| size)
                .collect()
        } else {
            kept
        };
        Ok(vec![Tensor::new(dims, values)])
    }

    fn derivative(&self, _: &Site<'_>, input: usize) -> Derivative {
        if input == 0 {
            Derivative::Known
        } else {
            Derivative::Zero
        }
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        let kept = Kept {
            gradient: kept(backward, &gradient),
            output: kept(backward, backward.output()),
        };
        let found = (self.gradient)(backward, &kept);
        backward.give(0, found);
    }
}

impl Reduction {
    fn reduce_groups(&self, values: &Values, groups: &[Vec<usize>]) -> Result<Values, String> {
        let whole = |pick: &dyn Fn(usize) -> i64| {
            let reduce = |group: &Vec<usize>| {
                let values: Vec<i64> = group.iter().map(|&at| pick(at)).collect();
                (self.integers)(&values)
            };
            let values = groups.iter().map(reduce).collect::<Option<Vec<_>>>();
            values.ok_or("there is no such whole number".to_owned())
        };
        Ok(match values {
            Values::Float(values) => {
                let reduce = |group: &Vec<usize>| {
                    let values: Vec<f64> = group.iter().map(|&at| values[at]).collect();
                    (self.floats)(&values)
                };
                Values::Float(groups.iter().map(reduce).collect())
            }
            Values::Integer(values) => Values::Integer(whole(&|at| values[at])?),
            Values::Boolean(values) => {
                let values = whole(&|at| i64::from(values[at]))?;
                Values::Boolean(values.into_iter().map(|value| value != 0).collect())
            }
        })
    }
}

/// Which dimensions are reduced.
fn is_reduced(call: &Call<'_>, rank: usize) -> Result<Vec<bool>, String> {
    let named = match call.optional(1) {
        Some(_) => call.integers(1)?,
        None => call.node.ints("axes").unwrap_or_default(),
    };
    let axes = named
        .iter()
        .map(|&axis| axis_of(axis, rank))
        .collect::<Result<Vec<_>, _>>()?;
    let all = axes.is_empty() && !is_noop_without_axes(call.node);
    Ok((0..rank).map(|axis| all || axes.contains(&axis)).collect())
}

fn reduced_shape(site: &Site<'_>) -> Option<Vec<Extent>> {
    let shape = site.shape(0)?;
    let named = match site.input(1) {
        Some(axes) => axes.constant.as_ref()?.as_integers()?,
        None => site.node.ints("axes").unwrap_or_default(),
    };
    let axes = named
        .iter()
        .map(|&axis| resolve_axis(axis, shape.len()))
        .collect::<Option<Vec<_>>>()?;
    if axes.is_empty() && is_noop_without_axes(site.node) {
        return Some(shape.to_vec());
    }
    let keeps = site.node.int("keepdims", 1) != 0;
    let mut reduced = Vec::new();
    for (axis, extent) in shape.iter().enumerate() {
        if !axes.is_empty() && !axes.contains(&axis) {
            reduced.push(extent.clone());
        } else if keeps {
            reduced.push(Extent::fixed(1));
        }
    }
    Some(reduced)
}
