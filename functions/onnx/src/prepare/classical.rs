//! Operators of the domain `ai.onnx.ml`, which scikit-learn's exporter writes, in terms of the standard ones.
//!
//! Scalers, normalizers and the like are no part of what is learned: their numbers become `Constant` nodes, which do not train.
//! A linear model is learned: its coefficients and intercepts, attributes of the node, become initializers under names of
//! their own, by which trained values go back into the attributes, see [`for_each_coefficient`]. What is not here stays as it
//! is, and is refused where a gradient meets it.

use std::collections::HashSet;

use super::names::{Names, identity};
use super::written::made;
use crate::ElementType;
use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};

const DOMAIN: &str = "ai.onnx.ml";

/// Whether a node is of scikit-learn's domain.
pub(super) fn is_classical(node: &NodeProto) -> bool {
    node.domain() == DOMAIN
}

/// Whether a node is a linear model, whose coefficients train.
pub(super) fn is_linear(node: &NodeProto) -> bool {
    is_classical(node) && matches!(node.op_type(), "LinearClassifier" | "LinearRegressor")
}

/// Replaces what can be replaced of the nodes that are asked for, in a graph of this version of the standard operator set.
pub(super) fn express(graph: &mut GraphProto, opset: i64, is_asked: fn(&NodeProto) -> bool) {
    if !graph.node.iter().any(is_asked) {
        return;
    }
    let constants: HashSet<String> = graph
        .initializer
        .iter()
        .map(|tensor| tensor.name().to_owned())
        .collect();
    let mut writer = Writer {
        names: Names::of(graph),
        nodes: Vec::with_capacity(graph.node.len()),
        initializers: Vec::new(),
        scope: String::new(),
        constants,
        opset,
    };
    for node in std::mem::take(&mut graph.node) {
        node.label().clone_into(&mut writer.scope);
        if !is_asked(&node) || writer.express(&node).is_none() {
            writer.nodes.push(node);
        }
    }
    graph.node = writer.nodes;
    graph.initializer.extend(writer.initializers);
}

/// Shows the coefficients and the intercepts of every linear model, under the names of their initializers.
///
/// # Errors
/// The first that is made of one.
pub(super) fn for_each_coefficient<E>(
    graph: &mut GraphProto,
    show: &mut impl FnMut(&str, &mut TensorProto) -> Result<(), E>,
) -> Result<(), E> {
    let linear = graph.node.iter_mut();
    for node in linear.filter(|node| is_classical(node)) {
        let Some(model) = Linear::of(node) else {
            continue;
        };
        for mut tensor in [model.coefficients, model.intercepts] {
            let name = tensor.name().to_owned();
            let before = tensor.clone();
            show(&name, &mut tensor)?;
            if tensor == before {
                continue;
            }
            let attribute = name.rsplit('.').next().unwrap_or_default();
            node.attribute.retain(|found| found.name() != attribute);
            let values = AttributeProto::from_floats(attribute, &tensor.float_data);
            node.attribute.push(values);
        }
    }
    Ok(())
}

/// What a linear model has learned: `[targets, features]` and `[targets]`.
struct Linear {
    coefficients: TensorProto,
    intercepts: TensorProto,
    /// The function behind the sums.
    ending: Option<&'static str>,
}

impl Linear {
    fn of(node: &NodeProto) -> Option<Self> {
        let is_classifier = match node.op_type() {
            "LinearClassifier" => true,
            "LinearRegressor" => false,
            _ => return None,
        };
        let coefficients = node.floats("coefficients")?;
        let targets = match (is_classifier, node.floats("intercepts")) {
            (_, Some(intercepts)) => intercepts.len(),
            (false, None) => usize::try_from(node.int("targets", 1)).ok()?,
            (true, None) => return None,
        };
        // A classifier of two classes by one row of coefficients makes the other class of it.
        let labels = node.ints("classlabels_ints").map(<[i64]>::len);
        let labels = labels.or_else(|| Some(node.strings("classlabels_strings")?.len()));
        if targets == 0 || (is_classifier && labels != Some(targets)) {
            return None;
        }
        let ending = match node.string("post_transform").unwrap_or("NONE") {
            "NONE" => None,
            "SOFTMAX" => Some("Softmax"),
            "LOGISTIC" => Some("Sigmoid"),
            _ => return None,
        };
        let zeros = vec![0.0; targets];
        let tensor = |attribute: &str, dims: &[usize], values: &[f32]| TensorProto {
            raw_data: None,
            float_data: values.to_vec(),
            ..TensorProto::from_f32(&format!("{}.{attribute}", node.label()), dims, values)
        };
        let features = coefficients.len() / targets;
        let intercepts = node.floats("intercepts").unwrap_or(&zeros);
        Some(Self {
            coefficients: tensor("coefficients", &[targets, features], coefficients),
            intercepts: tensor("intercepts", &[targets], intercepts),
            ending,
        })
    }
}

/// What a classifier calls its classes: numbers or texts.
fn classes(node: &NodeProto, name: &str) -> Option<TensorProto> {
    match node.ints("classlabels_ints") {
        Some(numbers) => Some(TensorProto::from_i64(name, &[numbers.len()], numbers)),
        None => Some(TensorProto::from_texts(
            name,
            &node.strings("classlabels_strings")?,
        )),
    }
}

/// Writes the nodes that stand for one.
struct Writer {
    names: Names,
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
    scope: String,
    /// The initializers that the graph had.
    constants: HashSet<String>,
    opset: i64,
}

impl Writer {
    /// Nothing, and nothing written, where a node is not known in this form.
    fn express(&mut self, node: &NodeProto) -> Option<()> {
        let input = node.input.first()?;
        let found = match node.op_type() {
            "Scaler" => {
                let (offset, scale) = (node.floats("offset")?, node.floats("scale")?);
                let x = self.as_float(input);
                let (offset, scale) = (self.floats(offset), self.floats(scale));
                let centred = self.node("Sub", &[&x, &offset]);
                self.node("Mul", &[&centred, &scale])
            }
            "Normalizer" => self.normalized(input, node.string("norm").unwrap_or("MAX"))?,
            "Imputer" => {
                let values = node.floats("imputed_value_floats")?;
                let replaced = node.float("replaced_value_float", 0.0);
                let values = self.floats(values);
                let is_missing = if replaced.is_nan() {
                    self.node("IsNaN", &[input])
                } else {
                    let replaced = self.floats(&[replaced]);
                    self.node("Equal", &[input, &replaced])
                };
                self.node("Where", &[&is_missing, &values, input])
            }
            "Binarizer" => {
                let threshold = self.floats(&[node.float("threshold", 0.0)]);
                let x = self.as_float(input);
                let is_above = self.node("Greater", &[&x, &threshold]);
                self.cast(&is_above, ElementType::Float32)
            }
            // Names of classes are picked from a list of them, which is another form.
            "ArrayFeatureExtractor" if !self.constants.contains(input) => {
                let list = self.integers(&[-1]);
                let places = self.node("Reshape", &[node.input.get(1)?, &list]);
                let axis = vec![AttributeProto::from_int("axis", -1)];
                self.node_with("Gather", &[input, &places], axis)
            }
            "OneHotEncoder" => {
                let categories = self.integers(node.ints("cats_int64s")?);
                let x = self.cast(input, ElementType::Int64);
                let last = self.integers(&[-1]);
                let x = self.node("Unsqueeze", &[&x, &last]);
                let is_category = self.node("Equal", &[&x, &categories]);
                self.cast(&is_category, ElementType::Float32)
            }
            "FeatureVectorizer" => {
                let parts: Vec<String> = node.input.iter().map(|x| self.as_float(x)).collect();
                let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
                self.node_with("Concat", &parts, vec![AttributeProto::from_int("axis", 1)])
            }
            "LinearRegressor" => {
                let linear = Linear::of(node)?;
                self.linear(input, linear)?
            }
            "LinearClassifier" => return self.classified(node, input),
            _ => return None,
        };
        self.nodes.push(identity(&found, node.output.first()?));
        Some(())
    }

    /// Rows divided by a norm; one of which the norm is 0 stays.
    fn normalized(&mut self, input: &str, norm: &str) -> Option<String> {
        if norm == "L1" && self.is_softmax(input) {
            return Some(input.to_owned());
        }
        let operator = match norm {
            "L1" => "ReduceL1",
            "L2" => "ReduceL2",
            "MAX" => "ReduceMax",
            _ => return None,
        };
        let x = self.as_float(input);
        let size = if self.opset < 18 {
            let axes = vec![AttributeProto::from_ints("axes", &[-1])];
            self.node_with(operator, &[&x], axes)
        } else {
            let axes = self.integers(&[-1]);
            self.node(operator, &[&x, &axes])
        };
        let (zero, one) = (self.floats(&[0.0]), self.floats(&[1.0]));
        let is_zero = self.node("Equal", &[&size, &zero]);
        let size = self.node("Where", &[&is_zero, &one, &size]);
        Some(self.node("Div", &[&x, &size]))
    }

    /// Whether the rows of a tensor add up to 1 by a softmax.
    fn is_softmax(&self, tensor: &str) -> bool {
        let mut before = self.nodes.iter().rev();
        let maker = before.find(|node| node.output.iter().any(|output| output == tensor));
        maker.is_some_and(|node| match node.op_type() {
            "Identity" => self.is_softmax(&node.input[0]),
            operator => operator == "Softmax",
        })
    }

    /// Nothing where a name is taken by which trained values go back.
    fn linear(&mut self, input: &str, linear: Linear) -> Option<String> {
        for tensor in [&linear.coefficients, &linear.intercepts] {
            if self.names.free(tensor.name()) != tensor.name() {
                return None;
            }
        }
        let x = self.as_float(input);
        let names =
            [&linear.coefficients, &linear.intercepts].map(|tensor| tensor.name().to_owned());
        self.initializers
            .extend([linear.coefficients, linear.intercepts]);
        let transposed = vec![AttributeProto::from_int("transB", 1)];
        let sums = self.node_with("Gemm", &[&x, &names[0], &names[1]], transposed);
        Some(match linear.ending {
            None => sums,
            Some("Softmax") => {
                let axis = vec![AttributeProto::from_int("axis", -1)];
                self.node_with("Softmax", &[&sums], axis)
            }
            Some(function) => self.node(function, &[&sums]),
        })
    }

    fn classified(&mut self, node: &NodeProto, input: &str) -> Option<()> {
        let linear = Linear::of(node)?;
        let name = self.names.free(&format!("{}/classes", self.scope));
        let classes = classes(node, &name)?;
        let scores = self.linear(input, linear)?;
        if let Some(label) = node.output.first().filter(|label| !label.is_empty()) {
            self.initializers.push(classes);
            let attributes = vec![
                AttributeProto::from_int("axis", 1),
                AttributeProto::from_int("keepdims", 0),
            ];
            let place = self.node_with("ArgMax", &[&scores], attributes);
            let class = self.node("Gather", &[&name, &place]);
            self.nodes.push(identity(&class, label));
        }
        if let Some(output) = node.output.get(1).filter(|output| !output.is_empty()) {
            self.nodes.push(identity(&scores, output));
        }
        Some(())
    }

    fn as_float(&mut self, tensor: &str) -> String {
        self.cast(tensor, ElementType::Float32)
    }

    fn cast(&mut self, tensor: &str, element: ElementType) -> String {
        let to = AttributeProto::from_int("to", i64::from(element.code()));
        self.node_with("Cast", &[tensor], vec![to])
    }

    fn floats(&mut self, values: &[f32]) -> String {
        self.constant(TensorProto::from_f32("", &[values.len()], values))
    }

    fn integers(&mut self, values: &[i64]) -> String {
        self.constant(TensorProto::from_i64("", &[values.len()], values))
    }

    fn constant(&mut self, tensor: TensorProto) -> String {
        let value = AttributeProto::from_tensor("value", tensor);
        self.node_with("Constant", &[], vec![value])
    }

    fn node(&mut self, operator: &str, inputs: &[&str]) -> String {
        self.node_with(operator, inputs, Vec::new())
    }

    fn node_with(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attribute: Vec<AttributeProto>,
    ) -> String {
        let name = self.names.free(&format!("{}/{operator}", self.scope));
        let inputs: Vec<String> = inputs.iter().map(|&input| input.to_owned()).collect();
        let mut node = made(operator, &inputs, &name);
        node.attribute = attribute;
        self.nodes.push(node);
        name
    }
}
