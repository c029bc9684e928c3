//! `Product`: a product of matrices, or of stacks of matrices, with a bias and a `Relu` behind it.

use millrace_onnx::fast;
use ort::operator::{BoxedKernel, ComputeContext, KernelContext};
use ort::value::TensorElementType::Float32;
use ort::{Error, Result};

use super::matrix::{Matrix, Rectangle};
use super::operator::{Definition, Port, check_lengths, input, missing, tensor};
use super::parallel::for_each;
use super::product::{Ending, Product, gathered};
use super::stack::{Stack, to_shape};

pub(super) const OPERATOR: Definition = Definition {
    name: fast::PRODUCT,
    inputs: &[
        Port::Required(Float32),
        Port::Required(Float32),
        Port::Optional(Float32),
    ],
    outputs: &[Port::Required(Float32)],
    create: |node| {
        let form = Form::of(node);
        Ok(Box::new(move |context: &ComputeContext| compute(context, form)) as BoxedKernel<'_>)
    },
};

/// What the attributes say.
#[derive(Clone, Copy)]
pub(super) struct Form {
    /// Whether the left and the right matrices are given transposed.
    pub(super) transposed: [bool; 2],
    pub(super) factor: f32,
    pub(super) relu: bool,
}

impl Form {
    pub(super) fn of(node: &KernelContext<'_>) -> Self {
        let is_set = |name: &str| node.get::<i64>(name).unwrap_or(0) != 0;
        Self {
            transposed: ["transA", "transB"].map(is_set),
            factor: node.get::<f32>("alpha").unwrap_or(1.0),
            relu: is_set("relu"),
        }
    }
}

fn compute(context: &ComputeContext, form: Form) -> Result<()> {
    let inputs = [input(context, 0)?, input(context, 1)?];
    let bias = context.input(2)?;
    let [(left_shape, left), (right_shape, right)] =
        [tensor::<f32>(&inputs[0])?, tensor::<f32>(&inputs[1])?];
    let bias = bias.as_ref().map(tensor::<f32>).transpose()?;
    let stack = Stack::of(left_shape, right_shape, form.transposed)?;
    let mut found = context
        .output(0, to_shape(&stack.shape()))?
        .ok_or_else(missing)?;
    let (_, mut rest) = found.try_extract_tensor_mut::<f32>()?;
    if let Some((_, bias)) = bias {
        check_lengths(stack.columns, &[bias.len()])?;
    }
    let ending = Ending {
        factor: form.factor,
        bias: bias.map(|(_, bias)| bias),
        relu: form.relu,
        adds: false,
    };
    let &Stack {
        rows,
        inner,
        columns,
        ..
    } = &stack;
    if rows * columns == 0 {
        return Ok(());
    }
    let [left_size, right_size] = [rows * inner, inner * columns];
    let mut products = Vec::with_capacity(stack.places.len());
    for &[left_place, right_place] in &stack.places {
        let target = rest
            .split_off_mut(..rows * columns)
            .ok_or_else(|| Error::new("the output is too small for the stack"))?;
        products.push(Product {
            left: Matrix::given(
                &left[left_place * left_size..][..left_size],
                rows,
                inner,
                form.transposed[0],
            ),
            right: Matrix::given(
                &right[right_place * right_size..][..right_size],
                inner,
                columns,
                form.transposed[1],
            ),
            target: Rectangle::new(target, rows, columns, columns),
            ending,
        });
    }
    for_each(context, gathered(products), |products| {
        products.into_iter().for_each(Product::compute);
    })
}
