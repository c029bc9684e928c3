//! Preprocessing as the first nodes of a model: missing values filled, columns scaled, categories made one-hot.
//!
//! A column is one number of a record, counted in C order. What was fitted to data stands in the graph as float64 behind a
//! `Cast`: only float32 trains, so no later training takes it for parameters.

use crate::proto::{AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto};
use crate::{Dim, ElementType, Error, Model, TensorInfo};

/// What the names of all its nodes begin with.
const PREFIX: &str = "preprocessing/";

/// What is done to one number of each record, in this order.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// What stands in for a missing value, which is not a number (NaN).
    pub fill: Option<f64>,
    /// What the model gets.
    pub becomes: Becomes,
}

/// What the model gets of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Becomes {
    /// `(x − shift) / scale`.
    Number {
        /// What is subtracted.
        shift: f64,
        /// What it is divided by.
        scale: f64,
    },
    /// As many numbers as there are categories: 1 at the place of the one that `x` is, else 0. A value that is no category
    /// gives zeros only.
    OneHot(Vec<f64>),
}

impl Column {
    /// How many numbers the model gets of it.
    #[must_use]
    pub fn width(&self) -> usize {
        match &self.becomes {
            Becomes::Number { .. } => 1,
            Becomes::OneHot(categories) => categories.len(),
        }
    }

    fn is_left_as_it_is(&self) -> bool {
        let plain = Becomes::Number {
            shift: 0.0,
            scale: 1.0,
        };
        self.fill.is_none() && self.becomes == plain
    }
}

impl Model {
    /// Whether the model begins with nodes that [`Model::with_preprocessing`] put there.
    #[must_use]
    pub fn is_preprocessed(&self) -> bool {
        let mut nodes = self.graph().node.iter();
        nodes.any(|node| node.name().starts_with(PREFIX))
    }

    /// The same model behind preprocessing: each of these inputs takes its columns of a record as they are. An input whose columns
    /// are left as they are may be of any type.
    ///
    /// # Errors
    /// [`Error::Request`] where the model is preprocessed already, or an input is none of numbers in float32 or takes another
    /// number of values than its columns make.
    pub fn with_preprocessing(&self, parts: &[(String, Vec<Column>)]) -> Result<Self, Error> {
        if self.is_preprocessed() {
            return Err(Error::request(
                "the model begins with preprocessing already, which stays as it was fitted: train without preprocessing, or start \
                 from a version that has none",
            ));
        }
        let signature = self.signature();
        let mut proto = self.clone().into_proto();
        let graph = proto.graph.get_or_insert_default();
        for (name, columns) in parts {
            let input = signature.inputs.iter().find(|input| input.name == *name);
            let input =
                input.ok_or_else(|| Error::request(format!("the model has no input `{name}`")))?;
            let is_whole = || {
                row_sizes(input).is_none_or(|row| row.iter().product::<usize>() == columns.len())
            };
            if columns.iter().all(Column::is_left_as_it_is) && is_whole() {
                continue;
            }
            // The only input needs no name among the nodes.
            let prefix = match signature.inputs.as_slice() {
                [_] => PREFIX.to_owned(),
                _ => format!("{PREFIX}{name}/"),
            };
            stand_before(graph, input, columns, &prefix)?;
        }
        Self::from_proto(proto)
    }
}

/// Puts the preprocessing of an input in front of all nodes.
fn stand_before(
    graph: &mut GraphProto,
    input: &TensorInfo,
    columns: &[Column],
    prefix: &str,
) -> Result<(), Error> {
    let (batch, row) = row_of(input)?;
    let width: usize = columns.iter().map(Column::width).sum();
    let is_longer = columns
        .iter()
        .any(|column| matches!(column.becomes, Becomes::OneHot(_)));
    if row.iter().product::<usize>() != width || (is_longer && row.len() != 1) {
        return Err(Error::request(format!(
            "the model takes {input} as `{}`, and preprocessing makes [{width}] of a record's {} numbers",
            input.name,
            columns.len()
        )));
    }
    let given = if is_longer { vec![columns.len()] } else { row };
    let mut first = First {
        columns,
        given: &given,
        prefix,
        current: input.name.clone(),
        nodes: Vec::new(),
        initializers: Vec::new(),
    };
    first.fill();
    first.scale();
    if is_longer {
        first.one_hot();
    }
    let First {
        current,
        mut nodes,
        initializers,
        ..
    } = first;
    rename_uses(graph, &input.name, &current);
    nodes.append(&mut graph.node);
    graph.node = nodes;
    graph.initializer.extend(initializers);
    let sizes = given.iter().map(|&size| Dim::Fixed(size as i64));
    let dims = std::iter::once(batch).chain(sizes).collect();
    let info = TensorInfo::new(input.name.clone(), input.element, dims);
    for described in &mut graph.input {
        if described.name() == input.name {
            *described = ValueInfoProto::from_info(&info);
        }
    }
    Ok(())
}

/// The batch dimension, and the sizes behind it.
fn row_of(input: &TensorInfo) -> Result<(Dim, Vec<usize>), Error> {
    let unfit = || {
        Error::request(format!(
            "preprocessing stands before a float32 input whose dimensions behind the batch are fixed, and the model takes {input} as \
             `{}`: name the columns that it is for, without those of this input",
            input.name
        ))
    };
    let batch = input.dims.as_ref().and_then(|dims| dims.first());
    match (batch, row_sizes(input)) {
        (Some(batch), Some(sizes)) if input.element == ElementType::Float32 => {
            Ok((batch.clone(), sizes))
        }
        _ => Err(unfit()),
    }
}

/// The sizes behind the batch, where they are fixed.
fn row_sizes(input: &TensorInfo) -> Option<Vec<usize>> {
    let (_, row) = input.dims.as_ref()?.split_first()?;
    row.iter()
        .map(|dim| match dim {
            Dim::Fixed(size) => usize::try_from(*size).ok(),
            Dim::Symbolic(_) | Dim::Unknown => None,
        })
        .collect()
}

/// Lets everything that uses a tensor use another one. Names are unique over a graph and the bodies within.
fn rename_uses(graph: &mut GraphProto, from: &str, to: &str) {
    for node in &mut graph.node {
        for input in node.input.iter_mut().filter(|input| *input == from) {
            to.clone_into(input);
        }
        for attribute in &mut node.attribute {
            for body in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                rename_uses(body, from, to);
            }
        }
    }
}

/// The nodes as they come to be.
struct First<'a> {
    columns: &'a [Column],
    /// The shape of a record.
    given: &'a [usize],
    /// What names begin with.
    prefix: &'a str,
    /// What has been made of the records so far.
    current: String,
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
}

impl First<'_> {
    fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        output: &str,
        attribute: Vec<AttributeProto>,
    ) -> String {
        let output = format!("{}{output}", self.prefix);
        self.nodes
            .push(NodeProto::new(operator, inputs, &output, attribute));
        output
    }

    /// A float32 tensor of numbers that do not train.
    fn constant(&mut self, name: &str, dims: &[usize], values: &[f64]) -> String {
        let stored = format!("{}{name}.float64", self.prefix);
        self.initializers
            .push(TensorProto::from_f64(&stored, dims, values));
        self.node("Cast", &[&stored], name, vec![to_float32()])
    }

    fn fill(&mut self) {
        if self.columns.iter().all(|column| column.fill.is_none()) {
            return;
        }
        // Where nothing stands in, what is missing stays missing.
        let values: Vec<f64> = self
            .columns
            .iter()
            .map(|column| column.fill.unwrap_or(f64::NAN))
            .collect();
        let values = self.constant("fill", self.given, &values);
        let current = self.current.clone();
        let missing = self.node("IsNaN", &[&current], "missing", vec![]);
        self.current = self.node("Where", &[&missing, &values, &current], "filled", vec![]);
    }

    fn scale(&mut self) {
        let numbers: Vec<(f64, f64)> = self
            .columns
            .iter()
            .map(|column| match column.becomes {
                Becomes::Number { shift, scale } => (shift, scale),
                Becomes::OneHot(_) => (0.0, 1.0),
            })
            .collect();
        if numbers.iter().all(|&number| number == (0.0, 1.0)) {
            return;
        }
        let (shifts, scales): (Vec<f64>, Vec<f64>) = numbers.into_iter().unzip();
        let shifts = self.constant("shift", self.given, &shifts);
        let scales = self.constant("scale", self.given, &scales);
        let current = self.current.clone();
        let centred = self.node("Sub", &[&current, &shifts], "centred", vec![]);
        self.current = self.node("Div", &[&centred, &scales], "scaled", vec![]);
    }

    /// Categories take the place of their columns, the numbers between them stay in order.
    fn one_hot(&mut self) {
        let mut pieces = Vec::new();
        let mut numbers = Vec::new();
        for (index, column) in self.columns.iter().enumerate() {
            match &column.becomes {
                Becomes::Number { .. } => numbers.push(index as i64),
                Becomes::OneHot(categories) => {
                    if !numbers.is_empty() {
                        pieces.push(self.gather(&std::mem::take(&mut numbers)));
                    }
                    let value = self.gather(&[index as i64]);
                    let categories = self.constant(
                        &format!("categories_{index}"),
                        &[1, categories.len()],
                        categories,
                    );
                    let is_it = self.node(
                        "Equal",
                        &[&value, &categories],
                        &format!("is_{index}"),
                        vec![],
                    );
                    let piece = format!("one_hot_{index}");
                    pieces.push(self.node("Cast", &[&is_it], &piece, vec![to_float32()]));
                }
            }
        }
        if !numbers.is_empty() {
            pieces.push(self.gather(&numbers));
        }
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        let axis = vec![AttributeProto::from_int("axis", 1)];
        self.current = self.node("Concat", &pieces, "columns", axis);
    }

    /// Some columns; the first one names the tensor.
    fn gather(&mut self, columns: &[i64]) -> String {
        let first = columns[0];
        let indices = format!("{}indices_{first}", self.prefix);
        let tensor = TensorProto::from_i64(&indices, &[columns.len()], columns);
        self.initializers.push(tensor);
        let current = self.current.clone();
        let axis = vec![AttributeProto::from_int("axis", 1)];
        self.node(
            "Gather",
            &[&current, &indices],
            &format!("columns_{first}"),
            axis,
        )
    }
}

fn to_float32() -> AttributeProto {
    AttributeProto::from_int("to", i64::from(ElementType::Float32.code()))
}
