//! An operator as ONNX Runtime registers it, and its tensors as slices.

use ort::Error;
use ort::operator::{
    BoxedKernel, ComputeContext, KernelContext, Operator, OperatorInput, OperatorOutput,
};
use ort::value::{PrimitiveTensorElementType, TensorElementType, ValueRef};

/// An input or an output, with its elements' type.
#[derive(Clone, Copy)]
pub(super) enum Port {
    Required(TensorElementType),
    /// It may be left out.
    Optional(TensorElementType),
    /// As many as there are, the last of all.
    Several(TensorElementType),
}

/// An operator, described by what it takes and gives.
#[derive(Clone, Copy)]
pub(super) struct Definition {
    pub(super) name: &'static str,
    pub(super) inputs: &'static [Port],
    pub(super) outputs: &'static [Port],
    /// Reads a node's attributes.
    pub(super) create: fn(&KernelContext<'_>) -> ort::Result<BoxedKernel<'static>>,
}

impl Operator for Definition {
    type Kernel<'a> = BoxedKernel<'a>;

    fn name(&self) -> &str {
        self.name
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        self.inputs.iter().map(|port| match *port {
            Port::Required(element) => OperatorInput::required(element),
            Port::Optional(element) => OperatorInput::optional(element),
            Port::Several(element) => OperatorInput::variadic(1).homogenous(element),
        })
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        self.outputs.iter().map(|port| match *port {
            Port::Required(element) => OperatorOutput::required(element),
            Port::Optional(element) => OperatorOutput::optional(element),
            Port::Several(element) => OperatorOutput::variadic(1).homogenous(element),
        })
    }

    fn create_kernel<'a>(&self, node: &KernelContext<'a>) -> ort::Result<Self::Kernel<'a>> {
        (self.create)(node)
    }
}

/// A kernel without attributes.
pub(super) fn plain(compute: fn(&ComputeContext) -> ort::Result<()>) -> BoxedKernel<'static> {
    Box::new(compute)
}

/// The tensor that an operator takes at a place.
pub(super) fn input(context: &ComputeContext, index: usize) -> ort::Result<ValueRef<'_>> {
    context
        .input(index)?
        .ok_or_else(|| Error::new(format!("input {index} is missing")))
}

/// What is said where an output or an input that an operator needs was left out.
pub(super) fn missing() -> Error {
    Error::new("an input or an output is missing that the attributes ask for")
}

/// A tensor's sizes and elements.
pub(super) fn tensor<'v, T: PrimitiveTensorElementType>(
    value: &'v ValueRef<'_>,
) -> ort::Result<(&'v [i64], &'v [T])> {
    let (shape, values) = value.try_extract_tensor::<T>()?;
    Ok((shape, values))
}

/// The one element of a tensor.
pub(super) fn scalar<T: PrimitiveTensorElementType + Copy>(value: &ValueRef<'_>) -> ort::Result<T> {
    match tensor(value)? {
        (_, [value]) => Ok(*value),
        (shape, _) => Err(Error::new(format!("expected one number, got {shape:?}"))),
    }
}

/// Refuses tensors that an operator needs to be of one size.
pub(super) fn check_lengths(expected: usize, lengths: &[usize]) -> ort::Result<()> {
    if lengths.iter().all(|&length| length == expected) {
        return Ok(());
    }
    Err(Error::new(format!(
        "expected tensors of {expected} elements, got {lengths:?}"
    )))
}
