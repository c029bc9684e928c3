//! `ProductGradient`: with E the gradient of L before the `Relu`, ∂L/∂A = α E Bᵀ, ∂L/∂B = α Aᵀ E, ∂L/∂b = Σ E over the rows.

use millrace_onnx::fast;
use ort::operator::{BoxedKernel, ComputeContext};
use ort::value::TensorElementType::Float32;
use ort::{Error, Result};

use super::instructions::{self, Task};
use super::matrix::{Matrix, Rectangle};
use super::matrix_product::Form;
use super::operator::{Definition, Port, check_lengths, input, missing, tensor};
use super::parallel::{PART, for_each};
use super::product::{Ending, Product, gathered};
use super::scratch;
use super::stack::{Stack, to_shape};

pub(super) const OPERATOR: Definition = Definition {
    name: fast::PRODUCT_GRADIENT,
    inputs: &[
        Port::Required(Float32),
        Port::Required(Float32),
        Port::Required(Float32),
        Port::Optional(Float32),
    ],
    outputs: &[
        Port::Optional(Float32),
        Port::Optional(Float32),
        Port::Optional(Float32),
    ],
    create: |node| {
        let form = Form::of(node);
        Ok(Box::new(move |context: &ComputeContext| compute(context, form)) as BoxedKernel<'_>)
    },
};

fn compute(context: &ComputeContext, form: Form) -> Result<()> {
    let inputs = [input(context, 0)?, input(context, 1)?, input(context, 2)?];
    let (_, gradient) = tensor::<f32>(&inputs[0])?;
    let (left_shape, left) = tensor::<f32>(&inputs[1])?;
    let (right_shape, right) = tensor::<f32>(&inputs[2])?;
    let stack = Stack::of(left_shape, right_shape, form.transposed)?;
    if stack.places.len() != 1 {
        return Err(Error::new("expected one right matrix, got a stack of them"));
    }
    let output = context.input(3)?;
    let output = output.as_ref().map(tensor::<f32>).transpose()?;
    let output = output.map(|(_, output)| output).filter(|_| form.relu);
    if form.relu && output.is_none() {
        return Err(missing());
    }
    let (rows, columns) = (stack.rows, stack.columns);
    let length = rows * columns;
    check_lengths(
        length,
        &[gradient.len(), output.map_or(length, <[f32]>::len)],
    )?;

    let mut of_left = context.output(0, left_shape.to_vec())?;
    let mut of_right = context.output(1, right_shape.to_vec())?;
    let mut of_bias = context.output(2, to_shape(&[columns]))?;
    let of_left = match &mut of_left {
        Some(found) => Some(found.try_extract_tensor_mut::<f32>()?.1),
        None => None,
    };
    let of_right = match &mut of_right {
        Some(found) => Some(found.try_extract_tensor_mut::<f32>()?.1),
        None => None,
    };
    let of_bias = match &mut of_bias {
        Some(found) => Some(found.try_extract_tensor_mut::<f32>()?.1),
        None => None,
    };
    let operands = Operands {
        left,
        right,
        form,
        stack: &stack,
    };
    let count = (PART / columns.max(1)).max(1);
    let (masked, sums) = (
        if output.is_some() { length } else { 0 },
        if of_bias.is_some() {
            rows.div_ceil(count) * columns
        } else {
            0
        },
    );
    scratch::with([masked, sums], |[masked, sums]| {
        if length > 0 && (output.is_some() || of_bias.is_some()) {
            let mut masked = masked.chunks_mut(count * columns);
            let mut outputs = output.map(|output| output.chunks(count * columns));
            let mut sums = sums.chunks_mut(columns);
            let gradients = gradient.chunks(count * columns);
            let parts = gradients.map(|gradient| Rows {
                gradient,
                output: outputs.as_mut().and_then(Iterator::next),
                masked: masked.next().unwrap_or_default(),
                sums: sums.next().unwrap_or_default(),
                columns,
            });
            for_each(context, parts.collect(), instructions::run)?;
        }
        if let Some(of_bias) = of_bias {
            of_bias.fill(0.0);
            for sums in sums.chunks_exact(columns.max(1)) {
                for (total, sum) in of_bias.iter_mut().zip(sums) {
                    *total += sum;
                }
            }
        }
        let errors = if output.is_some() { &*masked } else { gradient };
        let products = operands.products(errors, of_left, of_right);
        for_each(context, gathered(products), |products| {
            products.into_iter().for_each(Product::compute);
        })
    })
}

/// The factors of the product.
struct Operands<'a> {
    left: &'a [f32],
    right: &'a [f32],
    form: Form,
    stack: &'a Stack,
}

impl<'a> Operands<'a> {
    /// The gradients that are wanted, as products.
    fn products(
        &self,
        errors: &'a [f32],
        of_left: Option<&'a mut [f32]>,
        of_right: Option<&'a mut [f32]>,
    ) -> Vec<Product<'a>> {
        let &Stack {
            rows,
            inner,
            columns,
            ..
        } = self.stack;
        let [is_left, is_right] = self.form.transposed;
        let errors = Matrix::new(errors, rows, columns);
        let left = Matrix::given(self.left, rows, inner, is_left);
        let right = Matrix::given(self.right, inner, columns, is_right);
        let product = |left: Matrix<'a>, right: Matrix<'a>, target: &'a mut [f32]| {
            let (rows, columns) = (left.rows(), right.columns());
            Product {
                left,
                right,
                target: Rectangle::new(target, rows, columns, columns),
                ending: Ending {
                    factor: self.form.factor,
                    ..Ending::PLAIN
                },
            }
        };
        let of_left = of_left.map(|target| {
            if is_left {
                product(right, errors.transposed(), target)
            } else {
                product(errors, right.transposed(), target)
            }
        });
        let of_right = of_right.map(|target| {
            if is_right {
                product(errors.transposed(), left, target)
            } else {
                product(left.transposed(), errors, target)
            }
        });
        of_left.into_iter().chain(of_right).collect()
    }
}

/// Some rows of G.
struct Rows<'a> {
    gradient: &'a [f32],
    /// Those of y, where there is a `Relu`.
    output: Option<&'a [f32]>,
    /// For what passes it.
    masked: &'a mut [f32],
    /// The sums of the columns; empty where they are not wanted.
    sums: &'a mut [f32],
    columns: usize,
}

impl Task for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        if let Some(output) = self.output {
            let inputs = self.gradient.iter().zip(output);
            for (masked, (&gradient, &output)) in self.masked.iter_mut().zip(inputs) {
                *masked = if output > 0.0 { gradient } else { 0.0 };
            }
        }
        if self.sums.is_empty() {
            return;
        }
        let errors = match self.output {
            Some(_) => &*self.masked,
            None => self.gradient,
        };
        self.sums.fill(0.0);
        for errors in errors.chunks_exact(self.columns) {
            for (sum, error) in self.sums.iter_mut().zip(errors) {
                *sum += error;
            }
        }
    }
}
