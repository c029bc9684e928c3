//! Functions that a model brings along, put in the places where they are called.

use std::collections::BTreeMap;

use super::names::{Names, identity};
use crate::Error;
use crate::proto::{AttributeProto, FunctionProto, GraphProto, NodeProto};

/// Functions within functions deeper than this call themselves.
const DEEPEST: usize = 64;

/// Replaces every call by the function's nodes, again and again until none is left.
pub(super) fn inline(graph: &mut GraphProto, functions: &[FunctionProto]) -> Result<(), Error> {
    for _ in 0..DEEPEST {
        if !graph
            .node
            .iter()
            .any(|node| called(node, functions).is_some())
        {
            return Ok(());
        }
        let mut names = Names::of(graph);
        let mut nodes = Vec::with_capacity(graph.node.len());
        for node in std::mem::take(&mut graph.node) {
            match called(&node, functions) {
                Some(function) => nodes.extend(body(&node, function, &mut names)),
                None => nodes.push(node),
            }
        }
        graph.node = nodes;
    }
    Err(Error::Invalid {
        reason: "its functions call each other without an end".to_owned(),
    })
}

fn called<'a>(node: &NodeProto, functions: &'a [FunctionProto]) -> Option<&'a FunctionProto> {
    functions.iter().find(|function| {
        function.domain() == node.domain()
            && function.name() == node.op_type()
            && function.overload() == node.overload()
    })
}

/// The nodes of a function for one call.
fn body(call: &NodeProto, function: &FunctionProto, names: &mut Names) -> Vec<NodeProto> {
    let given = call.input.iter().cloned();
    let given = given.chain(std::iter::repeat(String::new()));
    let mut bound: BTreeMap<String, String> = function.input.iter().cloned().zip(given).collect();
    let scope = call.label().to_owned();
    let mut nodes = names.copy(&scope, &function.node, &mut bound);
    for node in &mut nodes {
        bind_attributes(node, call, function);
    }
    let results = function.output.iter().zip(&call.output);
    for (inner, outer) in results.filter(|(_, outer)| !outer.is_empty()) {
        nodes.push(identity(bound.get(inner).unwrap_or(inner), outer));
    }
    nodes
}

/// Gives attributes that refer to the call's the values that the call has, or the function's defaults.
fn bind_attributes(node: &mut NodeProto, call: &NodeProto, function: &FunctionProto) {
    let value = |name: &str| -> Option<&AttributeProto> {
        let given = call.attribute.iter().chain(&function.attribute_proto);
        given.into_iter().find(|attribute| attribute.name() == name)
    };
    let attributes = std::mem::take(&mut node.attribute).into_iter();
    let bound = attributes.filter_map(|attribute| {
        if attribute.ref_attr_name().is_empty() {
            return Some(attribute);
        }
        Some(AttributeProto {
            name: attribute.name.clone(),
            ..value(attribute.ref_attr_name())?.clone()
        })
    });
    node.attribute = bound.collect();
    for attribute in &mut node.attribute {
        for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
            for inner in &mut graph.node {
                bind_attributes(inner, call, function);
            }
        }
    }
}
