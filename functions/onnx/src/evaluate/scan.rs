//! `Scan`: a graph run once for every element along an axis of some tensors, with states that it carries on.

use std::collections::HashMap;

use super::{Scope, evaluate_nodes};
use crate::operators::{Call, axis_of};
use crate::proto::{GraphProto, NodeProto};
use crate::{Error, Tensor};

/// What the attributes say.
struct Form<'a> {
    body: &'a GraphProto,
    states: usize,
    axes_in: Vec<i64>,
    axes_out: Vec<i64>,
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
        let axes = |name: &str, count| node.ints(name).map_or(vec![0; count], <[_]>::to_vec);
        let directions = |name: &str, count: usize| match node.ints(name) {
            Some(directions) => directions.iter().map(|&direction| direction != 0).collect(),
            None => vec![false; count],
        };
        let form = Self {
            body,
            states,
            axes_in: axes("scan_input_axes", scanned),
            axes_out: axes("scan_output_axes", collected),
            backwards_in: directions("scan_input_directions", scanned),
            backwards_out: directions("scan_output_directions", collected),
        };
        let fits = body.input.len() == node.input.len()
            && body.output.len() == node.output.len()
            && form.axes_in.len() == scanned
            && form.axes_out.len() == collected
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
    let axes = scanned.iter().zip(&form.axes_in);
    let axes = axes.map(|(tensor, &axis)| axis_of(axis, tensor.rank()).map_err(refused));
    let axes = axes.collect::<Result<Vec<_>, _>>()?;
    let mut lengths = scanned.iter().zip(&axes);
    let mut lengths = lengths.by_ref().map(|(tensor, &axis)| tensor.dims()[axis]);
    let count = lengths.next();
    let count = count.ok_or_else(|| refused("it scans nothing".to_owned()))?;
    if lengths.any(|length| length != count) {
        return Err(refused(
            "the tensors that it scans differ in length".to_owned(),
        ));
    }
    let mut collected: Vec<Vec<Tensor>> = vec![Vec::new(); form.backwards_out.len()];
    let mut constants: HashMap<&str, Tensor> = HashMap::new();
    for initializer in &form.body.initializer {
        constants.insert(initializer.name(), initializer.to_tensor()?);
    }
    for done in 0..count {
        let mut own = constants.clone();
        let parts = scanned.iter().zip(&axes).zip(&form.backwards_in);
        let parts = parts.map(|((tensor, &axis), &backwards)| {
            element(
                tensor,
                axis,
                if backwards { count - 1 - done } else { done },
            )
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
    let rows = collected.into_iter().zip(&form.axes_out);
    let rows = rows.zip(form.backwards_out);
    let rows = rows.map(|((mut elements, &axis), backwards)| {
        if backwards {
            elements.reverse();
        }
        stacked(&elements, axis).map_err(refused)
    });
    states.into_iter().map(Ok).chain(rows).collect()
}

fn element(tensor: &Tensor, axis: usize, at: usize) -> Tensor {
    let mut dims = tensor.dims().to_vec();
    let length = dims.remove(axis);
    let inner: usize = dims[axis..].iter().product();
    let count = dims.iter().product();
    let place = |own: usize| (own / inner * length + at) * inner + own % inner;
    Tensor::new(dims, tensor.values().pick((0..count).map(place)))
}

/// What was collected, which is floating-point and of one shape each time, along a new axis.
fn stacked(elements: &[Tensor], axis: i64) -> Result<Tensor, String> {
    let dims = elements.first().map(Tensor::dims).unwrap_or_default();
    let axis = axis_of(axis, dims.len() + 1)?;
    let mut values = Vec::new();
    for element in elements {
        let own = element.as_floats().filter(|_| element.dims() == dims);
        values.extend(own.ok_or("what its body gives differs from time to time")?);
    }
    let inner: usize = dims[axis..].iter().product();
    let (count, length) = (dims.iter().product::<usize>(), elements.len());
    let mut wide = dims.to_vec();
    wide.insert(axis, length);
    let place = |own: usize| {
        let (outer, rest) = (own / (length * inner), own % (length * inner));
        rest / inner * count + outer * inner + rest % inner
    };
    let values = (0..count * length).map(|own| values[place(own)]).collect();
    Ok(Tensor::floats(&wide, values))
}
