//! Exported models made plain before they are differentiated: what exporters wrap is unwrapped, one pass a file.
//!
//! An initializer keeps its name through all passes, and what a pass makes one has the name of the tensor that it was: that
//! is how trained values find their way back into the model as it was exported, see [`crate::Model::with_parameters`].

mod constants;
mod functions;
mod loops;
mod names;

use std::borrow::Cow;

pub(crate) use self::constants::for_each_constant;
use crate::{Error, Model};

/// A model as nodes that each compute something by themselves: the prepared model where it has functions or loops.
///
/// # Errors
/// As [`prepared`].
pub(crate) fn as_nodes(model: &Model) -> Result<Cow<'_, Model>, Error> {
    let is_plain =
        model.proto().functions.is_empty() && !model.graph().node.iter().any(loops::is_loop);
    if is_plain {
        return Ok(Cow::Borrowed(model));
    }
    prepared(model.clone()).map(Cow::Owned)
}

/// A model without functions of its own, without `Constant` nodes, and without loops whose number of turns is constant.
///
/// # Errors
/// Functions that call themselves.
pub(crate) fn prepared(model: Model) -> Result<Model, Error> {
    let mut proto = model.into_proto();
    if let Some(graph) = &mut proto.graph {
        // First of all, so that constants within functions, of which there may be several copies, stay what they are.
        constants::to_initializers(graph);
        functions::inline(graph, &proto.functions)?;
        loops::unroll(graph);
    }
    proto.functions.clear();
    Model::from_proto(proto)
}
