//! The floor of a training step: its matrix products alone, as one graph in one `session.run`.

use anyhow::Result;
use millrace_engine::{Session, SessionOptions, Slice, View};
use millrace_onnx::proto::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto, ValueInfoProto};
use millrace_onnx::{Dim, ElementType, Model, TensorInfo};

use crate::numbers::Numbers;

/// A stack of products of `[rows, inner]` and `[inner, columns]`.
#[derive(Clone, Copy)]
pub(crate) struct Product {
    pub(crate) stack: usize,
    pub(crate) rows: usize,
    pub(crate) inner: usize,
    pub(crate) columns: usize,
}

impl Product {
    pub(crate) fn new(rows: usize, inner: usize, columns: usize) -> Self {
        Self {
            stack: 1,
            rows,
            inner,
            columns,
        }
    }

    /// The product and those of its gradients: for the right matrix, and for the left one where something before it trains.
    pub(crate) fn trained(self, passes_on: bool) -> Vec<Self> {
        let Self {
            stack,
            rows,
            inner,
            columns,
        } = self;
        let of_right = Self {
            stack,
            rows: inner,
            inner: rows,
            columns,
        };
        let of_left = Self {
            stack,
            rows,
            inner: columns,
            columns: inner,
        };
        [self, of_right]
            .into_iter()
            .chain(passes_on.then_some(of_left))
            .collect()
    }
}

/// Products that are ready to run.
pub(crate) struct Products {
    session: Session,
    operands: Vec<(String, Vec<usize>, Vec<f32>)>,
}

impl Products {
    pub(crate) fn new(products: &[Product], threads: usize) -> Result<Self> {
        let mut operands: Vec<(String, Vec<usize>)> = Vec::new();
        let mut graph = GraphProto {
            name: Some("products".to_owned()),
            ..GraphProto::default()
        };
        for (number, product) in products.iter().enumerate() {
            let dims = |rows, columns| match product.stack {
                1 => vec![rows, columns],
                stack => vec![stack, rows, columns],
            };
            let right = dims(product.inner, product.columns);
            // Those who share their sizes share the right matrix, as the steps of a recurrent layer do.
            let inputs = [
                (format!("left {number}"), dims(product.rows, product.inner)),
                (format!("right {right:?}"), right),
            ];
            let output = format!("product {number}");
            graph.node.push(NodeProto {
                input: inputs.iter().map(|(name, _)| name.clone()).collect(),
                output: vec![output.clone()],
                op_type: Some("MatMul".to_owned()),
                ..NodeProto::default()
            });
            let dims = dims(product.rows, product.columns);
            graph.output.push(described(&output, &dims));
            for input in inputs {
                if !operands.contains(&input) {
                    graph.input.push(described(&input.0, &input.1));
                    operands.push(input);
                }
            }
        }
        let model = Model::from_proto(ModelProto {
            ir_version: Some(10),
            opset_import: vec![OperatorSetIdProto {
                domain: Some(String::new()),
                version: Some(21),
            }],
            graph: Some(graph),
            ..ModelProto::default()
        })?;
        let options = SessionOptions {
            threads,
            flush_to_zero: true,
        };
        let mut numbers = Numbers::from_seed(1);
        let operands = operands.into_iter().map(|(name, dims)| {
            let values = numbers.floats(dims.iter().product());
            (name, dims, values)
        });
        Ok(Self {
            session: Session::from_bytes(&model.encode(), &options)?,
            operands: operands.collect(),
        })
    }

    pub(crate) fn run(&mut self) -> Result<()> {
        let inputs: Vec<(&str, View<'_>)> = self
            .operands
            .iter()
            .map(|(name, dims, values)| {
                let view = View::new(dims.clone(), Slice::F32(values));
                (name.as_str(), view)
            })
            .collect();
        self.session.run(&inputs)?;
        Ok(())
    }
}

fn described(name: &str, dims: &[usize]) -> ValueInfoProto {
    let dims = dims
        .iter()
        .map(|&size| Dim::Fixed(i64::try_from(size).unwrap_or(i64::MAX)))
        .collect();
    ValueInfoProto::from_info(&TensorInfo::new(name, ElementType::Float32, dims))
}
