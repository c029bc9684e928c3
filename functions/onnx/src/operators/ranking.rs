//! The largest and smallest along an axis: `TopK`, and the places `ArgMax` and `ArgMin`.

use super::{Backward, Call, Derivative, Family, Operator, Site, axis_of, resolve_axis};
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;
use crate::proto::AttributeProto;
use crate::tensor::lines;
use crate::{ElementType, Tensor, Values};

pub(super) const OPERATORS: Family = &[
    ("ArgMax", &Place { is_largest: true }),
    ("ArgMin", &Place { is_largest: false }),
    ("TopK", &TopK),
];

/// The k largest values along an axis, or smallest, in order, and their places. ∂L/∂x has ∂L/∂y at these places and 0
/// elsewhere. Of equal values the first counts; without `sorted` the order is still that of the values.
struct TopK;

impl Operator for TopK {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        let count = site.input(1).and_then(Fact::to_sizes);
        let count = count.and_then(|sizes| sizes.first().cloned());
        let shape = site.shape(0).and_then(|shape| {
            let axis = resolve_axis(site.node.int("axis", -1), shape.len())?;
            let mut shape = shape.to_vec();
            shape[axis] = count.unwrap_or_else(|| unknowns.next());
            Some(shape)
        });
        vec![
            Fact::new(site.element(), shape.clone()),
            Fact::new(Some(ElementType::Int64), shape),
        ]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let tensor = call.tensor(0)?;
        let axis = axis_of(call.node.int("axis", -1), tensor.rank())?;
        let is_largest = call.node.int("largest", 1) != 0;
        let count = match call.integers(1)? {
            &[count] => usize::try_from(count).map_err(|_| "the count is negative")?,
            _ => return Err("the count is not one number".to_owned()),
        };
        if count > tensor.dims()[axis] {
            return Err(format!("there are fewer than {count} elements"));
        }
        let mut dims = tensor.dims().to_vec();
        dims[axis] = count;
        let targets = lines(&dims, axis);
        let mut positions = vec![0; dims.iter().product()];
        let mut places = vec![0; positions.len()];
        for (line, targets) in lines(tensor.dims(), axis).zip(targets) {
            let order = order_of(tensor.values(), &line, is_largest);
            for (target, place) in targets.into_iter().zip(order) {
                positions[target] = line[place];
                places[target] = place as i64;
            }
        }
        let values = tensor.values().pick(positions.into_iter());
        let indices = Tensor::integers(&dims, places);
        Ok(vec![Tensor::new(dims, values), indices])
    }

    fn least_inputs(&self) -> usize {
        2
    }

    fn derivative(&self, site: &Site<'_>, input: usize) -> Derivative {
        match (input, site.node.output.len()) {
            (0, 2) => Derivative::Known,
            (0, _) => Derivative::Missing {
                reason: "lacks its second output, the places".to_owned(),
                help: "check the model with onnx.checker".to_owned(),
            },
            _ => Derivative::Zero,
        }
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        let node = backward.node;
        let zeros = backward.filled_like(backward.input(0), 0.0);
        let axis = vec![AttributeProto::from_int("axis", node.int("axis", -1))];
        let inputs = [zeros.as_str(), &node.output[1], &gradient];
        let found = backward.emit.node_with("ScatterElements", &inputs, axis);
        backward.give(0, found);
    }
}

/// The places on a line in the order of their values, equal ones as they stand.
fn order_of(values: &Values, line: &[usize], is_largest: bool) -> Vec<usize> {
    let compare = |left: usize, right: usize| match values {
        Values::Float(values) => values[left].total_cmp(&values[right]),
        Values::Integer(values) => values[left].cmp(&values[right]),
        Values::Boolean(values) => values[left].cmp(&values[right]),
    };
    let mut order: Vec<usize> = (0..line.len()).collect();
    order.sort_by(|&left, &right| {
        let ascending = compare(line[left], line[right]);
        if is_largest {
            ascending.reverse()
        } else {
            ascending
        }
    });
    order
}

/// The place of the largest or smallest value along an axis: of equal ones the first, or, with `select_last_index`, the last.
struct Place {
    is_largest: bool,
}

impl Operator for Place {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        let shape = site.shape(0).and_then(|shape| {
            let axis = resolve_axis(site.node.int("axis", 0), shape.len())?;
            let mut shape = shape.to_vec();
            if site.node.int("keepdims", 1) == 0 {
                shape.remove(axis);
            } else {
                shape[axis] = Extent::fixed(1);
            }
            Some(shape)
        });
        vec![Fact::new(Some(ElementType::Int64), shape)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let tensor = call.tensor(0)?;
        let axis = axis_of(call.node.int("axis", 0), tensor.rank())?;
        let takes_last = call.node.int("select_last_index", 0) != 0;
        let mut dims = tensor.dims().to_vec();
        if dims[axis] == 0 {
            return Err("there is nothing along the axis".to_owned());
        }
        let place = |mut line: Vec<usize>| {
            let last = line.len() - 1;
            if takes_last {
                line.reverse();
            }
            let place = order_of(tensor.values(), &line, self.is_largest)[0];
            (if takes_last { last - place } else { place }) as i64
        };
        let places = lines(tensor.dims(), axis).map(place).collect();
        if call.node.int("keepdims", 1) == 0 {
            dims.remove(axis);
        } else {
            dims[axis] = 1;
        }
        Ok(vec![Tensor::integers(&dims, places)])
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Zero
    }
}
