//! What is known of every tensor of a graph before it runs: element type, shape, and values where they are constant.
//!
//! A fact is never wrong, but may be missing: where an operator is unknown, what the model declares of its outputs is taken.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use crate::extent::{Extent, Unknowns};
use crate::graph::Graph;
use crate::operators::{self, Call, Site};
use crate::proto::TensorProto;
use crate::{Dim, ElementType, Tensor, TensorInfo, sizes};

/// Constants beyond this many elements are weights or tables, of which no shape is made.
const MOST_CONSTANT_ELEMENTS: usize = 4096;

/// What is known of a tensor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fact {
    pub(crate) element: Option<ElementType>,
    pub(crate) shape: Option<Vec<Extent>>,
    /// The tensor itself, where it is constant and small.
    pub(crate) constant: Option<Rc<Tensor>>,
    /// The elements of a list of sizes (or of one size), such as `Shape` gives.
    pub(crate) sizes: Option<Vec<Extent>>,
}

impl Fact {
    pub(crate) fn new(element: Option<ElementType>, shape: Option<Vec<Extent>>) -> Self {
        Self {
            element,
            shape,
            ..Self::default()
        }
    }

    fn set_constant(&mut self, constant: Tensor) {
        let shape = constant.dims().iter();
        self.shape = Some(shape.map(|&size| Extent::fixed(size as i64)).collect());
        self.constant = Some(Rc::new(constant));
    }

    /// Fills in the elements of a list of sizes that an operator's own facts leave out.
    fn follow_sizes(&mut self, site: &Site<'_>, unknowns: &mut Unknowns) {
        let is_integer = self.element.is_some_and(ElementType::is_integer);
        if let Some(shape) = self
            .shape
            .as_ref()
            .filter(|_| is_integer && self.sizes.is_none())
        {
            self.sizes = sizes::follow(site, shape, unknowns);
        }
    }

    /// The size along an axis, which may count from the end; nothing where it is not a plain number.
    pub(crate) fn size_along(&self, axis: i64) -> Option<i64> {
        let shape = self.shape.as_ref()?;
        let axis = operators::resolve_axis(axis, shape.len())?;
        shape[axis].as_fixed()
    }

    pub(crate) fn rank(&self) -> Option<usize> {
        self.shape.as_ref().map(Vec::len)
    }

    pub(crate) fn is_float(&self) -> bool {
        self.element.is_none_or(ElementType::is_float)
    }

    /// The elements as sizes, from the constant or from what produced them.
    pub(crate) fn to_sizes(&self) -> Option<Vec<Extent>> {
        let constant = || {
            let values = self.constant.as_ref()?.as_integers()?;
            Some(values.iter().copied().map(Extent::fixed).collect())
        };
        self.sizes.clone().or_else(constant)
    }

    pub(crate) fn to_info(&self, name: &str) -> TensorInfo {
        TensorInfo {
            name: name.to_owned(),
            element: self.element.unwrap_or(ElementType::Other(0)),
            dims: self
                .shape
                .as_ref()
                .map(|shape| shape.iter().map(Extent::to_dim).collect()),
        }
    }

    /// Fills what is missing with what the model declares.
    fn or_declared(mut self, declared: Option<&TensorInfo>, unknowns: &mut Unknowns) -> Self {
        let Some(declared) = declared else {
            return self;
        };
        self.element = self.element.or(Some(declared.element));
        let Some(dims) = &declared.dims else {
            return self;
        };
        match &mut self.shape {
            None => {
                self.shape = Some(dims.iter().map(|dim| unknowns.extent(dim)).collect());
            }
            Some(shape) if shape.len() == dims.len() => {
                for (extent, dim) in shape.iter_mut().zip(dims) {
                    if extent.is_unknown() && *dim != Dim::Unknown {
                        *extent = unknowns.extent(dim);
                    }
                }
            }
            Some(_) => {}
        }
        self
    }
}

/// The facts on all tensors of a graph.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    known: HashMap<String, Fact>,
    nothing: Fact,
}

impl Facts {
    /// Follows the graph from its inputs and initializers. What may train is not taken as constant.
    pub(crate) fn of(graph: &Graph) -> Self {
        let mut unknowns = Unknowns::default();
        let mut facts = Self::default();
        for input in &graph.inputs {
            let fact = Fact::default().or_declared(Some(input), &mut unknowns);
            facts.known.insert(input.name.clone(), fact);
        }
        let contents = contents(graph);
        for initializer in &graph.initializers {
            let trains = graph.may_train(initializer) && contents.contains(initializer.name());
            let fact = of_initializer(initializer, trains);
            facts.known.insert(initializer.name().to_owned(), fact);
        }
        for node in &graph.nodes {
            let inputs: Vec<&Fact> = node.input.iter().map(|name| facts.get(name)).collect();
            let site = Site {
                node,
                inputs: &inputs,
            };
            let found = infer(&site, &mut unknowns);
            let outputs = found
                .into_iter()
                .chain(std::iter::repeat_with(Fact::default));
            let outputs: Vec<(String, Fact)> = node
                .output
                .iter()
                .cloned()
                .zip(outputs)
                .filter(|(name, _)| !name.is_empty())
                .collect();
            for (name, fact) in outputs {
                let fact = fact.or_declared(graph.declared.get(&name), &mut unknowns);
                facts.known.insert(name, fact);
            }
        }
        facts
    }

    /// The fact on a tensor: an empty one where nothing is known.
    pub(crate) fn get(&self, name: &str) -> &Fact {
        self.known.get(name).unwrap_or(&self.nothing)
    }
}

/// The tensors that are used otherwise than to say how something is computed.
fn contents(graph: &Graph) -> HashSet<&str> {
    let used: HashSet<&String> = graph.nodes.iter().flat_map(|node| &node.input).collect();
    let mut contents = HashSet::new();
    for node in graph.nodes.iter().rev() {
        let mut outputs = node.output.iter();
        let matters =
            |output: &String| !used.contains(output) || contents.contains(output.as_str());
        if !outputs.any(matters) {
            continue;
        }
        let operator = operators::find(node);
        let is_setting = |input| operator.is_some_and(|operator| operator.is_setting(input));
        let inputs = node.input.iter().enumerate();
        let inputs = inputs.filter(|(index, _)| !is_setting(*index));
        contents.extend(inputs.map(|(_, name)| name.as_str()));
    }
    contents
}

fn of_initializer(initializer: &TensorProto, may_train: bool) -> Fact {
    let Ok(sizes) = initializer.sizes() else {
        return Fact::default();
    };
    let is_small = sizes.iter().product::<usize>() <= MOST_CONSTANT_ELEMENTS;
    let constant = (is_small && !may_train)
        .then(|| initializer.to_tensor().ok())
        .flatten()
        .map(Rc::new);
    let shape = sizes
        .iter()
        .map(|&size| Extent::fixed(size as i64))
        .collect();
    Fact {
        constant,
        ..Fact::new(Some(initializer.element()), Some(shape))
    }
}

fn infer(site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
    let Some(operator) = operators::find(site.node) else {
        return Vec::new();
    };
    let mut outputs = operator.infer(site, unknowns);
    let constants = fold(operator, site, &outputs).unwrap_or_default();
    for (output, constant) in outputs.iter_mut().zip(constants) {
        output.set_constant(constant);
    }
    if let Some(output) = outputs
        .first_mut()
        .filter(|output| output.constant.is_none())
    {
        match sizes::compare(site) {
            Some(constant) => output.set_constant(constant),
            None => output.follow_sizes(site, unknowns),
        }
    }
    for output in &mut outputs {
        if output.constant.is_none() {
            output.constant = constant_sizes(output).map(Rc::new);
        }
    }
    outputs
}

/// The tensor that sizes make which are all known.
fn constant_sizes(fact: &Fact) -> Option<Tensor> {
    let sizes = fact.sizes.as_ref()?.iter().map(Extent::as_fixed);
    let sizes = sizes.collect::<Option<Vec<_>>>()?;
    let dims = fact
        .shape
        .as_ref()?
        .iter()
        .map(|size| Some(size.as_fixed()? as usize));
    let dims = dims.collect::<Option<Vec<_>>>()?;
    (dims.iter().product::<usize>() == sizes.len()).then(|| Tensor::integers(&dims, sizes))
}

/// Evaluates a node whose inputs are all constant.
fn fold(
    operator: &dyn operators::Operator,
    site: &Site<'_>,
    outputs: &[Fact],
) -> Option<Vec<Tensor>> {
    let is_large = outputs.iter().any(|output| {
        output
            .shape
            .as_ref()
            .and_then(|shape| Extent::product(shape).as_fixed())
            .is_none_or(|count| count > MOST_CONSTANT_ELEMENTS as i64)
    });
    if is_large || operator.is_random() {
        return None;
    }
    let inputs = site
        .inputs
        .iter()
        .zip(&site.node.input)
        .map(|(fact, name)| match (&fact.constant, name.is_empty()) {
            (_, true) => Some(None),
            (Some(constant), false) => Some(Some(constant.as_ref())),
            (None, false) => None,
        })
        .collect::<Option<Vec<Option<&Tensor>>>>()?;
    let call = Call {
        node: site.node,
        inputs,
    };
    operator.evaluate(&call).ok()
}
