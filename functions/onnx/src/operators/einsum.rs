//! `Einsum`: sums of products by an equation.

mod diagonal;
mod equation;

use equation::Equation;

use super::{Backward, Call, Derivative, Family, Operator, Site};
use crate::Tensor;
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;
use crate::proto::{AttributeProto, NodeProto};
use crate::tensor::{indices, strides};

pub(super) const OPERATORS: Family = &[("Einsum", &Einsum)];

/// y = Σ x₁ · x₂ ⋯, where the equation names the dimensions and the sum is over all that the output does not have.
///
/// ∂L/∂xᵢ is the `Einsum` of ∂L/∂y and all other inputs to the dimensions of xᵢ. What of these nothing else has is repeated,
/// and what xᵢ has with size 1 only, so that it was broadcast, is summed. Where a dimension stands twice in xᵢ, which takes a
/// diagonal, ∂L/∂xᵢ has its gradient on the diagonal and 0 beside it.
struct Einsum;

fn equation(node: &NodeProto, ranks: &[usize]) -> Result<Equation, String> {
    let text = node.string("equation").ok_or("has no equation")?;
    Equation::parse(text, ranks)
}

/// The shapes of all inputs, where they are known.
fn shapes<'a>(site: &'a Site<'_>) -> Option<Vec<&'a [Extent]>> {
    let inputs = 0..site.node.input.len();
    inputs.map(|input| site.shape(input)).collect()
}

fn ranks(shapes: &[&[Extent]]) -> Vec<usize> {
    shapes.iter().map(|shape| shape.len()).collect()
}

/// The size of a dimension: that of the inputs which is not 1, where there is one.
fn extent(equation: &Equation, shapes: &[&[Extent]], label: char) -> Extent {
    let all = equation.inputs.iter().flatten();
    let sizes = shapes.iter().copied().flatten();
    let mut own = all.zip(sizes).filter(|(other, _)| **other == label);
    let stretched = own.find(|(_, size)| !size.is_one());
    stretched.map_or(Extent::fixed(1), |(_, size)| size.clone())
}

impl Operator for Einsum {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        let shape = shapes(site).and_then(|shapes| {
            let equation = equation(site.node, &ranks(&shapes)).ok()?;
            let labels = equation.output.iter();
            Some(
                labels
                    .map(|&label| extent(&equation, &shapes, label))
                    .collect(),
            )
        });
        vec![Fact::new(site.element(), shape)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let inputs = 0..call.inputs.len();
        let tensors = inputs.clone().map(|input| call.tensor(input));
        let tensors = tensors.collect::<Result<Vec<_>, _>>()?;
        let values = inputs.map(|input| call.floats(input));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let ranks: Vec<usize> = tensors.iter().map(|tensor| tensor.rank()).collect();
        let equation = equation(call.node, &ranks)?;
        let labels = equation.labels();
        let mut dims = vec![1; labels.len()];
        let mut steps = Vec::new();
        for (tensor, own) in tensors.iter().zip(&equation.inputs) {
            let mut along = vec![0; labels.len()];
            for ((label, &size), stride) in
                own.iter().zip(tensor.dims()).zip(strides(tensor.dims()))
            {
                let place = labels.iter().position(|other| other == label);
                let place = place.ok_or("a label is lost")?;
                if size == 1 {
                    continue;
                }
                if dims[place] != 1 && dims[place] != size {
                    return Err(format!("'{label}' is {} and {size}", dims[place]));
                }
                dims[place] = size;
                along[place] += stride;
            }
            steps.push(along);
        }
        let rank = equation.output.len();
        let count: usize = dims[..rank].iter().product();
        let inner: usize = dims[rank..].iter().product();
        let mut sums = vec![0.0; count];
        for (place, index) in indices(&dims).enumerate() {
            let mut product = 1.0;
            for (values, along) in values.iter().zip(&steps) {
                let terms = index.iter().zip(along).map(|(at, step)| at * step);
                product *= values[terms.sum::<usize>()];
            }
            sums[place / inner] += product;
        }
        Ok(vec![Tensor::floats(&dims[..rank], sums)])
    }

    fn derivative(&self, site: &Site<'_>, input: usize) -> Derivative {
        let Some(shapes) = shapes(site) else {
            return Derivative::known_if(false, "has inputs of an unknown number of dimensions");
        };
        match equation(site.node, &ranks(&shapes)) {
            Ok(equation) => {
                let own = &equation.inputs[input];
                let mut axes = diagonal::repeated(own).into_iter();
                let is_square = |(axis, first): (usize, usize)| {
                    let size = shapes[input][axis].as_fixed();
                    size.is_some() && size == shapes[input][first].as_fixed()
                };
                let reason = "takes a diagonal of sizes that are not known, or not equal";
                Derivative::known_if(axes.all(is_square), reason)
            }
            Err(reason) => Derivative::missing(&reason),
        }
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let inputs = 0..backward.node.input.len();
        let shapes = inputs.clone().map(|input| {
            let fact = backward.input_fact(input);
            fact.shape.as_deref()
        });
        let Some(shapes) = shapes.collect::<Option<Vec<_>>>() else {
            return;
        };
        let Ok(equation) = equation(backward.node, &ranks(&shapes)) else {
            return;
        };
        for input in inputs
            .filter(|&input| backward.wants(input))
            .collect::<Vec<_>>()
        {
            let found = gradient_of(backward, &equation, &shapes, input);
            backward.give(input, found);
        }
    }
}

fn gradient_of(
    backward: &mut Backward<'_>,
    equation: &Equation,
    shapes: &[&[Extent]],
    input: usize,
) -> String {
    // Where the labels of the input stand first: all that is behind is about these dimensions, and the diagonals come last.
    let axes = diagonal::first(&equation.inputs[input]);
    let labels = axes.iter().map(|&axis| equation.inputs[input][axis]);
    let own: Vec<char> = labels.collect();
    let others = || (0..shapes.len()).filter(|&other| other != input);
    let is_given = |label: &char| {
        let in_others = others().any(|other| equation.inputs[other].contains(label));
        equation.output.contains(label) || in_others
    };
    let target: Vec<char> = own.iter().copied().filter(is_given).collect();
    let gradient = backward.gradient();
    let mut tensors = vec![gradient.as_str()];
    let mut terms = vec![String::from_iter(&equation.output)];
    for other in others() {
        tensors.push(backward.input(other));
        terms.push(String::from_iter(&equation.inputs[other]));
    }
    let text = format!("{}->{}", terms.join(","), String::from_iter(&target));
    let text = vec![AttributeProto::from_string("equation", &text)];
    let mut found = backward.emit.node_with("Einsum", &tensors, text);

    let places = |holds: &dyn Fn(usize, char) -> bool| -> Vec<i64> {
        let labels = own.iter().enumerate();
        let chosen = labels.filter(|(axis, label)| holds(*axis, **label));
        chosen.map(|(axis, _)| axis as i64).collect()
    };
    let absent = places(&|_, label| !is_given(&label));
    if !absent.is_empty() {
        let axes = backward.emit.integers(&absent);
        found = backward.node("Unsqueeze", &[&found, &axes]);
    }
    let size = |place: usize| &shapes[input][axes[place]];
    let stretched =
        places(&|axis, label| size(axis).is_one() && !extent(equation, shapes, label).is_one());
    if !stretched.is_empty() {
        found = backward.emit.reduce("ReduceSum", &found, &stretched, true);
    }
    // Sizes that neither the output nor another input has, other than 1.
    let is_full = |label: char| {
        let has = |other: usize| {
            let sizes = equation.inputs[other].iter().zip(shapes[other]);
            sizes
                .into_iter()
                .any(|(own, size)| *own == label && !size.is_one())
        };
        equation.output.contains(&label) || others().any(has)
    };
    let narrow = places(&|axis, label| !size(axis).is_one() && !is_full(label));
    if !narrow.is_empty() {
        let mut shape = backward.shape_of(backward.input(input));
        if axes.len() < shapes[input].len() {
            let axes: Vec<i64> = axes.iter().map(|&axis| axis as i64).collect();
            let axes = backward.emit.integers(&axes);
            shape = backward.node("Gather", &[&shape, &axes]);
        }
        found = backward.node("Expand", &[&found, &shape]);
    }
    let repeated = diagonal::repeated(&equation.inputs[input]);
    diagonal::unfold(backward, found, &repeated, shapes[input], axes.len())
}
