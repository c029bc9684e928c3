//! `Scan`: a graph run once for every element along the first axis of some tensors, with states that it carries on.
//!
//! Of the operator's forms it has the one that step graphs use: scanned along the first axis, forwards or backwards.

use std::collections::HashMap;

use super::{Scope, evaluate_nodes};
use crate::operators::Call;
use crate::proto::{GraphProto, NodeProto};
use crate::{Error, Tensor};

/// What the attributes say.
struct Form<'a> {
    body: &'a GraphProto,
    states: usize,
    backwards_in: Vec<bool>,
    backwards_out: Vec<bool>,
}

impl<'a> Form<'a> {
    fn of(node: &'a NodeProto) -> Result<Self, String> {
        let body = node.graph("body").ok_or("it has no body")?;
        let scanned = usize::try_from(node.int("num_scan_inputs", 0)).unwrap_or_default();
        let states = node.input.len().checked_sub(scanned);
        let states = states.ok_or("it scans more inputs than it has")?;
        let collected = node.output.len().checked_sub(states);
        let collected = collected.ok_or("it has fewer outputs than states")?;
        let axes = ["scan_input_axes", "scan_output_axes"];
        if axes.iter().any(|axes| {
            node.ints(axes)
                .is_some_and(|axes| axes.iter().any(|&axis| axis != 0))
        }) {
            return Err("only the first axis is scanned here".to_owned());
        }
        let directions = |name: &str, count: usize| match node.ints(name) {
            Some(directions) => directions.iter().map(|&direction| direction != 0).collect(),
            None => vec![false; count],
        };
        let form = Self {
            body,
            states,
            backwards_in: directions("scan_input_directions", scanned),
            backwards_out: directions("scan_output_directions", collected),
        };
        let fits = body.input.len() == node.input.len()
            && body.output.len() == node.output.len()
            && form.backwards_in.len() == scanned
            && form.backwards_out.len() == collected;
        fits.then_some(form)
            .ok_or_else(|| "its body does not fit it".to_owned())
    }
}

pub(super) fn evaluate(
    node: &NodeProto,
    outer: &Scope<'_, '_>,
    refused: &dyn Fn(String) -> Error,
) -> Result<Vec<Tensor>, Error> {
    let form = Form::of(node).map_err(refused)?;
    let inputs = outer.inputs(node).map_err(refused)?;
    let call = Call { node, inputs };
    let tensor = |index: usize| {
        let tensor = call.inputs.get(index).copied().flatten();
        tensor.ok_or_else(|| refused(format!("input {index} is missing")))
    };
    let mut states = (0..form.states)
        .map(|index| tensor(index).cloned())
        .collect::<Result<Vec<_>, _>>()?;
    let scanned = (form.states..call.inputs.len())
        .map(tensor)
        .collect::<Result<Vec<_>, _>>()?;
    let count = scanned
        .first()
        .and_then(|first| first.dims().first().copied());
    let count = count.ok_or_else(|| refused("it scans nothing".to_owned()))?;
    if scanned
        .iter()
        .any(|tensor| tensor.dims().first() != Some(&count))
    {
        return Err(refused(
            "the tensors that it scans differ in length".to_owned(),
        ));
    }
    let mut collected: Vec<Vec<Tensor>> = vec![Vec::new(); form.backwards_out.len()];
    for done in 0..count {
        let mut own: HashMap<&str, Tensor> = HashMap::new();
        let parts = scanned.iter().zip(&form.backwards_in);
        let parts = parts.map(|(tensor, &backwards)| {
            element(tensor, if backwards { count - 1 - done } else { done })
        });
        let values = states.drain(..).chain(parts);
        for (input, value) in form.body.input.iter().zip(values) {
            own.insert(input.name(), value);
        }
        let mut scope = Scope {
            own,
            outer: Some(outer),
        };
        evaluate_nodes(&form.body.node, &mut scope)?;
        let mut outputs = form.body.output.iter().map(|output| {
            let found = scope.get(output.name()).cloned();
            found.ok_or_else(|| refused(format!("its body does not make '{}'", output.name())))
        });
        states = outputs
            .by_ref()
            .take(form.states)
            .collect::<Result<_, _>>()?;
        for (collected, output) in collected.iter_mut().zip(outputs) {
            collected.push(output?);
        }
    }
    let rows = collected.into_iter().zip(form.backwards_out);
    let rows = rows.map(|(mut elements, backwards)| {
        if backwards {
            elements.reverse();
        }
        stacked(&elements).map_err(refused)
    });
    states.into_iter().map(Ok).chain(rows).collect()
}

fn element(tensor: &Tensor, at: usize) -> Tensor {
    let dims = tensor.dims()[1..].to_vec();
    let size: usize = dims.iter().product();
    let values = tensor.values().pick(at * size..(at + 1) * size);
    Tensor::new(dims, values)
}

/// What was collected, which is floating-point and of one shape each time.
fn stacked(elements: &[Tensor]) -> Result<Tensor, String> {
    let dims = elements.first().map(Tensor::dims).unwrap_or_default();
    let mut values = Vec::new();
    for element in elements {
        let own = element.as_floats().filter(|_| element.dims() == dims);
        values.extend(own.ok_or("what its body gives differs from time to time")?);
    }
    Ok(Tensor::floats(&[&[elements.len()], dims].concat(), values))
}
