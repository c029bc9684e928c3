//! The operators: what is known of their outputs, how they are evaluated, and how a gradient passes through them.
//!
//! One family of operators a file, each with a table [`Family`] of the operators in it. To add a family, write its file and
//! name it below: nothing else knows the operators. Semantics are those of operator sets 13 and later.

mod activation;
mod along;
mod arithmetic;
mod attention;
mod attention_block;
mod backward;
mod batch_normalization;
mod binary;
mod blocks;
mod broadcast;
mod cast;
mod choice;
mod clip;
mod comparison;
mod concat;
mod constant;
mod convolution;
pub(crate) mod convolution_block;
mod cumulative;
mod dropout;
mod einsum;
mod error_function;
mod expand;
mod exponential;
mod gather;
mod gelu;
mod global_pooling;
mod integer;
mod linear;
mod logic;
mod matrix;
mod normalization;
pub(crate) mod normalization_block;
mod one_hot;
mod pad;
mod pooling;
mod power;
pub(crate) mod product_block;
pub(crate) mod random;
mod range;
mod ranking;
mod rectifier;
pub(crate) mod recurrent;
mod reduce;
mod reshape;
mod resize;
mod rounding;
mod scatter;
mod scatter_add;
mod shape;
mod slice;
mod softmax;
mod training;
mod transpose;
mod triangle;
mod trigonometry;
mod unary;
mod variadic;
mod window;

pub(crate) use self::backward::Backward;
pub(crate) use self::slice::Cut;
pub(crate) use self::training::Training;
use crate::Tensor;
use crate::extent::Unknowns;
use crate::facts::Fact;
use crate::fast;
use crate::proto::NodeProto;

/// An operator of the standard operator set.
pub(crate) trait Operator: Sync {
    /// What is known of the outputs from what is known of the inputs. Less than all is right, anything wrong is not.
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact>;

    /// The outputs for given inputs, in float64. An error says what is wrong with the inputs.
    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String>;

    /// Whether the outputs differ from run to run, so that they are not constant where all inputs are.
    fn is_random(&self) -> bool {
        false
    }

    /// How many inputs a node needs at least for its derivative.
    fn least_inputs(&self) -> usize {
        1
    }

    /// Whether an input says how to compute rather than what from: it never trains, so that its values count as constant.
    fn is_setting(&self, input: usize) -> bool {
        let _ = input;
        false
    }

    /// Whether a gradient passes from the outputs to an input.
    fn derivative(&self, site: &Site<'_>, input: usize) -> Derivative {
        let _ = (site, input);
        Derivative::missing("has no derivative here")
    }

    /// Whether the derivative takes a gradient of this output into account, where it is floating-point.
    fn differentiates(&self, output: usize) -> bool {
        let _ = output;
        true
    }

    /// Emits the gradients of the inputs that [`Backward::wants`], each of which has a known [`Operator::derivative`].
    fn backward(&self, backward: &mut Backward<'_>) {
        let _ = backward;
    }

    /// The inputs that are running statistics, each with what it is called: they are no parameters, and a training step
    /// may update them.
    fn statistics(&self) -> &'static [(usize, &'static str)] {
        &[]
    }

    /// Emits what stands for the node while the model trains, under the names of its outputs, and says whether that is
    /// anything else than the node itself. An error completes "node 'x' (Operator) …".
    fn training(&self, training: &mut Training<'_>) -> Result<bool, String> {
        let _ = training;
        Ok(false)
    }
}

/// Whether a gradient passes from a node's outputs to one of its inputs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Derivative {
    /// It does, by the operator's formula.
    Known,
    /// The outputs do not change with small changes of the input: nothing trains through here, and nothing is wrong.
    Zero,
    /// It would have to, and cannot.
    Missing {
        /// Completes "node 'x' (Operator) …".
        reason: String,
        /// What would help.
        help: String,
    },
    /// It does wherever sizes are known that the model leaves open. The reason completes "node 'x' (Operator) …".
    AwaitsSizes(String),
}

impl Derivative {
    pub(crate) fn missing(reason: &str) -> Self {
        Self::Missing {
            reason: reason.to_owned(),
            help: "export the model without it, or name a tensor in front of it as the prediction"
                .to_owned(),
        }
    }

    /// For operators whose formula holds wherever the shape of an input has a known number of dimensions.
    fn known_if(condition: bool, reason: &str) -> Self {
        if condition {
            return Self::Known;
        }
        Self::AwaitsSizes(reason.to_owned())
    }
}

/// A node in its graph, with what is known of its inputs.
pub(crate) struct Site<'a> {
    pub(crate) node: &'a NodeProto,
    pub(crate) inputs: &'a [&'a Fact],
}

impl Site<'_> {
    /// The fact on an input; nothing where it is left out.
    pub(crate) fn input(&self, index: usize) -> Option<&Fact> {
        let is_given = self
            .node
            .input
            .get(index)
            .is_some_and(|name| !name.is_empty());
        self.inputs.get(index).copied().filter(|_| is_given)
    }

    fn element(&self) -> Option<crate::ElementType> {
        self.input(0).and_then(|fact| fact.element)
    }

    fn shape(&self, index: usize) -> Option<&[crate::extent::Extent]> {
        self.input(index)?.shape.as_deref()
    }
}

/// A node with the values of its inputs.
pub(crate) struct Call<'a> {
    pub(crate) node: &'a NodeProto,
    pub(crate) inputs: Vec<Option<&'a Tensor>>,
}

impl<'a> Call<'a> {
    /// An input that may be left out.
    fn optional(&self, index: usize) -> Option<&'a Tensor> {
        self.inputs.get(index).copied().flatten()
    }

    fn tensor(&self, index: usize) -> Result<&'a Tensor, String> {
        self.optional(index)
            .ok_or_else(|| format!("input {index} is missing"))
    }

    fn floats(&self, index: usize) -> Result<&'a [f64], String> {
        let tensor = self.tensor(index)?;
        tensor.as_floats().ok_or_else(|| {
            let kind = tensor.values().kind();
            format!("input {index} is {kind} where floating-point is needed")
        })
    }

    fn integers(&self, index: usize) -> Result<&'a [i64], String> {
        let tensor = self.tensor(index)?;
        tensor.as_integers().ok_or_else(|| {
            let kind = tensor.values().kind();
            format!("input {index} is {kind} where whole numbers are needed")
        })
    }
}

/// The operators of one file, by their names in the format.
type Family = &'static [(&'static str, &'static dyn Operator)];

static FAMILIES: &[Family] = &[
    activation::OPERATORS,
    arithmetic::OPERATORS,
    attention::OPERATORS,
    batch_normalization::OPERATORS,
    blocks::OPERATORS,
    cast::OPERATORS,
    choice::OPERATORS,
    clip::OPERATORS,
    comparison::OPERATORS,
    concat::OPERATORS,
    constant::OPERATORS,
    convolution::OPERATORS,
    cumulative::OPERATORS,
    dropout::OPERATORS,
    einsum::OPERATORS,
    expand::OPERATORS,
    exponential::OPERATORS,
    gather::OPERATORS,
    gelu::OPERATORS,
    global_pooling::OPERATORS,
    integer::OPERATORS,
    linear::OPERATORS,
    logic::OPERATORS,
    normalization::OPERATORS,
    one_hot::OPERATORS,
    pad::OPERATORS,
    pooling::OPERATORS,
    power::OPERATORS,
    random::OPERATORS,
    range::OPERATORS,
    ranking::OPERATORS,
    rectifier::OPERATORS,
    recurrent::OPERATORS,
    reduce::OPERATORS,
    reshape::OPERATORS,
    resize::OPERATORS,
    rounding::OPERATORS,
    scatter::OPERATORS,
    shape::OPERATORS,
    slice::OPERATORS,
    softmax::OPERATORS,
    transpose::OPERATORS,
    triangle::OPERATORS,
    trigonometry::OPERATORS,
    variadic::OPERATORS,
];

/// The operators of the standard set that are known here, in alphabetical order.
#[must_use]
pub fn operators() -> Vec<&'static str> {
    let names = FAMILIES.iter().copied().flatten();
    let mut names: Vec<&str> = names.map(|(name, _)| *name).collect();
    names.sort_unstable();
    names
}

/// The operators of the fast lowering that gradients pass.
static FAST: &[Family] = &[
    attention_block::OPERATORS,
    convolution_block::OPERATORS,
    normalization_block::OPERATORS,
    product_block::OPERATORS,
    recurrent::block::OPERATORS,
];

/// The operator of a node; nothing for operators of other domains and for those that are not here.
pub(crate) fn find(node: &NodeProto) -> Option<&'static dyn Operator> {
    let families = match node.domain() {
        "" | "ai.onnx" => FAMILIES,
        fast::DOMAIN => FAST,
        _ => return None,
    };
    families
        .iter()
        .copied()
        .flatten()
        .find(|(name, _)| *name == node.op_type())
        .map(|(_, operator)| *operator)
}

/// The non-negative axis that `axis` means in a tensor of this rank.
pub(crate) fn resolve_axis(axis: i64, rank: usize) -> Option<usize> {
    let rank = rank as i64;
    let resolved = if axis < 0 { axis + rank } else { axis };
    (0..rank).contains(&resolved).then_some(resolved as usize)
}

/// As [`resolve_axis`], with words for what does not fit.
pub(crate) fn axis_of(axis: i64, rank: usize) -> Result<usize, String> {
    resolve_axis(axis, rank).ok_or_else(|| format!("axis {axis} is not one of {rank} dimensions"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_operator_has_one_implementation() {
        let mut seen = HashSet::new();
        for (name, _) in FAMILIES.iter().copied().flatten() {
            assert!(seen.insert(name), "{name} is registered twice");
        }
    }
}
