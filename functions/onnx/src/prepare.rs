//! Exported models made plain before they are differentiated: what exporters wrap is unwrapped, one pass a file.
//!
//! An initializer keeps its name through all passes, and what a pass makes one has the name of the tensor that it was: that
//! is how trained values find their way back into the model as it was exported, see [`crate::Model::with_parameters`].

mod branches;
mod classical;
mod constants;
mod control;
mod functions;
mod known;
mod loops;
mod names;
mod scales;
mod scans;
mod sequences;
mod versions;
mod written;

use std::borrow::Cow;

pub(crate) use self::scales::settle;
pub(crate) use self::versions::OLDEST_OPSET;
use crate::facts::Facts;
use crate::graph::Graph;
use crate::model::opset_of;
use crate::numbers;
use crate::proto::{GraphProto, ModelProto, NodeProto, TensorProto};
use crate::{Error, Model};

/// Control flow within control flow deeper than this is left as it is.
const DEEPEST: usize = 64;

/// A model as nodes that each compute something by themselves: the prepared model where it has functions, loops or branches.
/// The evaluator knows `Scan`, which training steps have.
///
/// # Errors
/// As [`prepared`].
pub(crate) fn as_nodes(model: &Model) -> Result<Cow<'_, Model>, Error> {
    let mut nodes = model.graph().node.iter();
    let is_wrapped = |node: &NodeProto| {
        classical::is_classical(node) || (control::is_wrapped(node) && node.op_type() != "Scan")
    };
    let is_plain = model.proto().functions.is_empty() && !nodes.any(is_wrapped);
    if is_plain {
        return Ok(Cow::Borrowed(model));
    }
    prepared(model.clone()).map(Cow::Owned)
}

/// Shows all that may train, by its name: every initializer of a graph and of the bodies within, every tensor of a `Constant`
/// node, and the coefficients of linear models.
///
/// # Errors
/// The first that is made of one.
pub(crate) fn for_each_constant<E>(
    graph: &mut GraphProto,
    show: &mut impl FnMut(&str, &mut TensorProto) -> Result<(), E>,
) -> Result<(), E> {
    constants::for_each(graph, show)?;
    classical::for_each_coefficient(graph, show)
}

/// Gives everything that trains an initializer of its name: tensors of `Constant` nodes, coefficients of linear models.
pub(crate) fn write_initializers(model: &mut ModelProto) {
    let opset = opset_of(&model.opset_import).unwrap_or_default();
    let producer = model.producer_name().to_owned();
    if let Some(graph) = &mut model.graph {
        if !numbers::constants_are_numbers(&graph.initializer, &producer) {
            constants::to_initializers(graph);
        }
        classical::express(graph, opset, classical::is_linear);
    }
}

/// Puts a model's own functions in the places where they are called.
///
/// # Errors
/// Functions that call themselves.
pub(crate) fn put_functions_in_place(model: &mut ModelProto) -> Result<(), Error> {
    let functions = std::mem::take(&mut model.functions);
    match &mut model.graph {
        Some(graph) => functions::inline(graph, &functions),
        None => Ok(()),
    }
}

/// A model without functions of its own, without `Constant` nodes that train, without control flow whose shape is constant and
/// sequences that are taken apart again, and with scikit-learn's operators in terms of the standard ones.
///
/// # Errors
/// Functions that call themselves, tensors that are used before they are made.
pub(crate) fn prepared(model: Model) -> Result<Model, Error> {
    let mut proto = model.into_proto();
    versions::raise(&mut proto);
    let functions = std::mem::take(&mut proto.functions);
    let opset = opset_of(&proto.opset_import).unwrap_or_default();
    let producer = proto.producer_name().to_owned();
    if let Some(graph) = &mut proto.graph {
        // First of all, so that constants within functions, of which there may be several copies, stay what they are.
        if !numbers::constants_are_numbers(&graph.initializer, &producer) {
            constants::to_initializers(graph);
        }
        functions::inline(graph, &functions)?;
        classical::express(graph, opset, classical::is_classical);
    }
    let mut model = Model::from_proto(proto)?;
    // What comes out of one body may decide over the next.
    for _ in 0..DEEPEST {
        if !model.graph().node.iter().any(control::is_wrapped) {
            break;
        }
        let facts = Facts::of(&Graph::of(&model)?);
        let mut proto = model.into_proto();
        let mut is_changed = false;
        if let Some(graph) = &mut proto.graph {
            is_changed = control::write_out(graph, &facts);
            functions::inline(graph, &functions)?;
        }
        model = Model::from_proto(proto)?;
        if !is_changed {
            break;
        }
    }
    Ok(model)
}
