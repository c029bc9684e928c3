//! Convolutions in any number of dimensions: `Conv` and `ConvTranspose`.
//!
//! In the formulas x is wide or narrow in the sense of [`super::window`], n and c are record and channel, p and t the place
//! and the tap of a window, and s(p, t) where that tap stands. Sums over channels are within a group.

use super::window::{self, Link, Slide, links, sizes};
use super::{Backward, Call, Derivative, Family, Operator, Site};
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;
use crate::proto::{AttributeProto, NodeProto};
use crate::{Tensor, Values};

pub(super) const OPERATORS: Family = &[("Conv", &Conv), ("ConvTranspose", &ConvTranspose)];

/// With more taps than that, the gradient of the weights is a convolution, not a product of what the taps see: all that
/// they see would take too much memory.
const MOST_TAPS: i64 = 32;

/// y[n, o, p] = b[o] + Σ over c, t of x[n, c, s(p, t)] · w[o, c, t].
///
/// With G = ∂L/∂y: ∂L/∂x[n, c, q] = Σ over o and s(p, t) = q of G[n, o, p] · w[o, c, t], a `ConvTranspose`;
/// ∂L/∂w[o, c, t] = Σ over n, p of G[n, o, p] · x[n, c, s(p, t)]; ∂L/∂b[o] = Σ over n, p of G[n, o, p].
struct Conv;

/// y[n, o, q] = b[o] + Σ over c and s(p, t) = q of x[n, c, p] · w[c, o, t].
///
/// With G = ∂L/∂y: ∂L/∂x[n, c, p] = Σ over o, t of G[n, o, s(p, t)] · w[c, o, t], a `Conv`;
/// ∂L/∂w[c, o, t] = Σ over n, p of x[n, c, p] · G[n, o, s(p, t)]; ∂L/∂b[o] = Σ over n, q of G[n, o, q].
struct ConvTranspose;

fn group(node: &NodeProto) -> i64 {
    node.int("group", 1).max(1)
}

/// The known shapes of tensor and weights, and how the windows slide.
type Layout = fn(&NodeProto, &[i64], &[i64]) -> Option<Vec<Slide>>;

fn slides_of(site: &Site<'_>, layout: Layout) -> Option<Vec<Slide>> {
    let (tensor, weights) = site.shape(0).zip(site.shape(1))?;
    layout(site.node, &sizes(weights)?, &sizes(tensor)?)
}

fn infer(
    site: &Site<'_>,
    unknowns: &mut Unknowns,
    layout: Layout,
    size: fn(&Slide) -> i64,
    channels: impl Fn(&[Extent]) -> Option<Extent>,
) -> Vec<Fact> {
    let shape = site
        .shape(0)
        .zip(site.shape(1))
        .and_then(|(tensor, weights)| {
            let channels = channels(weights).unwrap_or_else(|| unknowns.next());
            let mut shape = vec![tensor.first()?.clone(), channels];
            match slides_of(site, layout) {
                Some(slides) => shape.extend(slides.iter().map(|slide| Extent::fixed(size(slide)))),
                None => shape.extend((2..tensor.len()).map(|_| unknowns.next())),
            }
            Some(shape)
        });
    vec![Fact::new(site.element(), shape)]
}

fn derivative(site: &Site<'_>, layout: Layout) -> Derivative {
    let channels = [0, 1].map(|input| {
        let shape = site.shape(input)?;
        Some([shape.first()?.as_fixed(), shape.get(1)?.as_fixed()])
    });
    let is_known = matches!(channels, [Some([_, Some(_)]), Some([Some(_), Some(_)])])
        && slides_of(site, layout).is_some();
    Derivative::known_if(
        is_known,
        "slides over a tensor whose sizes are not known, or has attributes that do not fit it",
    )
}

/// Tensor, weights and how the windows slide, of a node that is evaluated.
struct Parts<'a> {
    dims: &'a [usize],
    values: &'a [f64],
    weight_dims: &'a [usize],
    weights: &'a [f64],
    bias: Option<&'a [f64]>,
    slides: Vec<Slide>,
    group: usize,
}

impl<'a> Parts<'a> {
    fn of(call: &Call<'a>, layout: Layout) -> Result<Self, String> {
        let (tensor, weights) = (call.tensor(0)?, call.tensor(1)?);
        let inner = |dims: &[usize]| -> Option<Vec<i64>> {
            Some(dims.get(2..)?.iter().map(|&size| size as i64).collect())
        };
        let slides = inner(weights.dims())
            .zip(inner(tensor.dims()))
            .and_then(|(taps, sizes)| layout(call.node, &taps, &sizes));
        let misfit = || {
            let (tensor, weights) = (tensor.dims(), weights.dims());
            format!("weights {weights:?} and the attributes do not fit a tensor {tensor:?}")
        };
        let group = group(call.node) as usize;
        Ok(Self {
            dims: tensor.dims(),
            values: call.floats(0)?,
            weight_dims: weights.dims(),
            weights: call.floats(1)?,
            bias: call.optional(2).map(|_| call.floats(2)).transpose()?,
            slides: slides
                .filter(|_| tensor.dims()[1] % group == 0 && weights.dims()[0] % group == 0)
                .ok_or_else(misfit)?,
            group,
        })
    }

    fn count(&self, size: fn(&Slide) -> i64) -> usize {
        window::count(&self.slides, size) as usize
    }

    /// The tensor of the result before anything is added up: the bias.
    fn start(&self, channels: usize, size: fn(&Slide) -> i64) -> (Vec<usize>, Vec<f64>) {
        let mut dims = vec![self.dims[0], channels];
        dims.extend(self.slides.iter().map(|slide| size(slide) as usize));
        let inner = self.count(size);
        let bias = |at: usize| self.bias.map_or(0.0, |bias| bias[at / inner % channels]);
        let values = (0..dims.iter().product()).map(bias).collect();
        (dims, values)
    }

    /// Each output channel as the sum over the `inputs` channels of its group; `row` says where the taps of a pair of
    /// channels stand among the weights.
    fn slide(
        &self,
        direction: &Direction,
        outputs: usize,
        inputs: usize,
        row: impl Fn(usize, usize) -> usize,
    ) -> Tensor {
        let [from, to] = [direction.from, direction.to].map(|size| self.count(size));
        let taps = self.count(|slide| slide.taps);
        let links = links(&self.slides);
        let (dims, mut values) = self.start(outputs, direction.to);
        for (at, sums) in values.chunks_mut(to.max(1)).enumerate() {
            let (record, output) = (at / outputs, at % outputs);
            let first = output / (outputs / self.group) * inputs;
            for input in first..first + inputs {
                let tensor = &self.values[(record * self.dims[1] + input) * from..][..from];
                let weights = &self.weights[row(output, input) * taps..][..taps];
                for link in &links {
                    let (from, to) = (direction.ends)(link);
                    sums[to] += tensor[from] * weights[link.tap];
                }
            }
        }
        Tensor::new(dims, Values::Float(values))
    }
}

/// From which side of the windows to which a convolution carries the elements.
struct Direction {
    from: fn(&Slide) -> i64,
    to: fn(&Slide) -> i64,
    ends: fn(&Link) -> (usize, usize),
}

impl Operator for Conv {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        let channels = |weights: &[Extent]| weights.first().cloned();
        infer(site, unknowns, window::over, |slide| slide.narrow, channels)
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let parts = Parts::of(call, window::over)?;
        let (outputs, inputs) = (parts.weight_dims[0], parts.weight_dims[1]);
        if inputs * parts.group != parts.dims[1] {
            return Err(format!("{} channels do not fit the weights", parts.dims[1]));
        }
        let over = Direction {
            from: |slide| slide.wide,
            to: |slide| slide.narrow,
            ends: |link| (link.wide, link.narrow),
        };
        let row = |output, input| output * inputs + input % inputs;
        Ok(vec![parts.slide(&over, outputs, inputs, row)])
    }

    fn least_inputs(&self) -> usize {
        2
    }

    fn derivative(&self, site: &Site<'_>, _: usize) -> Derivative {
        if window::is_padded_and_dilated(site.node) {
            return Derivative::Missing {
                reason: "pads by itself (`auto_pad`) and has gaps between its taps (`dilations`), which ONNX Runtime does not run"
                    .to_owned(),
                help: "export the model with explicit `pads`".to_owned(),
            };
        }
        derivative(site, window::over)
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        let slides = known_slides(backward, window::over);
        let group = group(backward.node);
        if backward.wants(0) {
            let mut options = window::attributes(&slides);
            options.extend(window::left_over(&slides));
            options.push(AttributeProto::from_int("group", group));
            let inputs = [gradient.as_str(), backward.input(1)];
            let found = backward.emit.node_with("ConvTranspose", &inputs, options);
            backward.give(0, found);
        }
        if backward.wants(1) {
            let wide = Side::of(backward.input(0), channels(backward, 0, 1));
            let narrow = Side::of(&gradient, channels(backward, 1, 0));
            let found = weight_gradient(backward, &wide, &narrow, &slides, group);
            backward.give(1, found);
        }
        give_bias(backward, &gradient, slides.len());
    }
}

impl Operator for ConvTranspose {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        let group = Extent::fixed(group(site.node));
        let channels = |weights: &[Extent]| Some(weights.get(1)?.times(&group));
        infer(site, unknowns, window::under, |slide| slide.wide, channels)
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let parts = Parts::of(call, window::under)?;
        let (inputs, outputs) = (parts.weight_dims[0], parts.weight_dims[1]);
        if inputs != parts.dims[1] {
            return Err(format!("{} channels do not fit the weights", parts.dims[1]));
        }
        let under = Direction {
            from: |slide| slide.narrow,
            to: |slide| slide.wide,
            ends: |link| (link.narrow, link.wide),
        };
        let row = |output, input| input * outputs + output % outputs;
        let (all, in_group) = (outputs * parts.group, inputs / parts.group);
        Ok(vec![parts.slide(&under, all, in_group, row)])
    }

    fn least_inputs(&self) -> usize {
        2
    }

    fn derivative(&self, site: &Site<'_>, _: usize) -> Derivative {
        derivative(site, window::under)
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        let slides = known_slides(backward, window::under);
        let group = group(backward.node);
        if backward.wants(0) {
            let mut options = window::attributes(&slides);
            options.push(AttributeProto::from_int("group", group));
            let seen = window::without_left_over(backward, &gradient, &slides);
            let inputs = [seen.as_str(), backward.input(1)];
            let found = backward.emit.node_with("Conv", &inputs, options);
            backward.give(0, found);
        }
        if backward.wants(1) {
            let wide = Side::of(&gradient, channels(backward, 1, 1) * group);
            let narrow = Side::of(backward.input(0), channels(backward, 1, 0));
            let found = weight_gradient(backward, &wide, &narrow, &slides, group);
            backward.give(1, found);
        }
        give_bias(backward, &gradient, slides.len());
    }
}

fn known_slides(backward: &Backward<'_>, layout: Layout) -> Vec<Slide> {
    let shapes = [0, 1].map(|input| backward.input_fact(input).shape.as_deref().and_then(sizes));
    let [tensor, weights] = shapes;
    weights
        .zip(tensor)
        .and_then(|(taps, sizes)| layout(backward.node, &taps, &sizes))
        .expect("the derivative is known only where the windows are")
}

fn channels(backward: &Backward<'_>, input: usize, axis: usize) -> i64 {
    let shape = backward.input_fact(input).shape.as_ref();
    shape
        .and_then(|shape| shape.get(axis)?.as_fixed())
        .expect("the derivative is known only where the channels are")
}

fn give_bias(backward: &mut Backward<'_>, gradient: &str, inner: usize) {
    if backward.wants(2) {
        let axes: Vec<i64> = (0..inner as i64 + 2).filter(|&axis| axis != 1).collect();
        let found = backward.emit.reduce("ReduceSum", gradient, &axes, false);
        backward.give(2, found);
    }
}

/// One of the two tensors that windows join.
struct Side {
    tensor: String,
    channels: i64,
}

impl Side {
    fn of(tensor: &str, channels: i64) -> Self {
        Self {
            tensor: tensor.to_owned(),
            channels,
        }
    }

    /// Emits it as `[batch, groups, channels of a group, …]`, with the other sizes as they are given.
    fn grouped(&self, backward: &mut Backward<'_>, group: i64, rest: &[i64]) -> String {
        // 0 keeps the size of the batch.
        let shape = [&[0, group, self.channels / group], rest].concat();
        let shape = backward.emit.integers(&shape);
        backward.node("Reshape", &[&self.tensor, &shape])
    }
}

/// Emits Σ over n, p of narrow[n, o, p] · wide[n, c, s(p, t)], as `[o, c of a group, t…]`.
fn weight_gradient(
    backward: &mut Backward<'_>,
    wide: &Side,
    narrow: &Side,
    slides: &[Slide],
    group: i64,
) -> String {
    if window::count(slides, |slide| slide.taps) <= MOST_TAPS {
        by_product(backward, wide, narrow, slides, group)
    } else {
        by_convolution(backward, wide, narrow, slides, group)
    }
}

fn transpose(backward: &mut Backward<'_>, tensor: &str, order: &[i64]) -> String {
    let order = vec![AttributeProto::from_ints("perm", order)];
    backward.emit.node_with("Transpose", &[tensor], order)
}

fn reshape(backward: &mut Backward<'_>, tensor: &str, shape: &[i64]) -> String {
    let shape = backward.emit.integers(shape);
    backward.node("Reshape", &[tensor, &shape])
}

/// The matrix of all that taps see, `[t · c, p]`, times that of the narrow tensor, `[p, o]`, for each record and group.
///
/// On stock runtimes this takes half the time of the convolution below.
fn by_product(
    backward: &mut Backward<'_>,
    wide: &Side,
    narrow: &Side,
    slides: &[Slide],
    group: i64,
) -> String {
    let taps: Vec<i64> = slides.iter().map(|slide| slide.taps).collect();
    let all_taps: i64 = taps.iter().product();
    let all_places = window::count(slides, |slide| slide.narrow);
    let (inputs, outputs) = (wide.channels / group, narrow.channels / group);

    let sizes: Vec<i64> = slides.iter().map(|slide| slide.wide).collect();
    let tensor = wide.grouped(backward, group, &sizes);
    let seen = window::taps(backward, &tensor, slides, 3, 0.0);
    let seen: Vec<&str> = seen.iter().map(String::as_str).collect();
    let columns = match seen.as_slice() {
        [only] => (*only).to_owned(),
        several => {
            let along = vec![AttributeProto::from_int("axis", 2)];
            backward.emit.node_with("Concat", several, along)
        }
    };
    let columns = reshape(
        backward,
        &columns,
        &[0, group, all_taps * inputs, all_places],
    );
    let rows = narrow.grouped(backward, group, &[all_places]);
    let rows = transpose(backward, &rows, &[0, 1, 3, 2]);
    let products = backward.node("MatMul", &[&columns, &rows]);
    let sum = backward.emit.reduce("ReduceSum", &products, &[0], false);

    // [group, taps…, inputs, outputs] to [group, outputs, inputs, taps…]
    let shape = [&[group], taps.as_slice(), &[inputs, outputs]].concat();
    let sum = reshape(backward, &sum, &shape);
    let inner = taps.len() as i64;
    let order: Vec<i64> = [0, inner + 2, inner + 1]
        .into_iter()
        .chain(1..=inner)
        .collect();
    let turned = transpose(backward, &sum, &order);
    let shape = [&[narrow.channels, inputs], taps.as_slice()].concat();
    reshape(backward, &turned, &shape)
}

/// A convolution in which records and channels change places, and strides and dilations: the narrow tensor is the kernel.
fn by_convolution(
    backward: &mut Backward<'_>,
    wide: &Side,
    narrow: &Side,
    slides: &[Slide],
    group: i64,
) -> String {
    let seen = window::without_left_over(backward, &wide.tensor, slides);
    let wide = Side::of(&seen, wide.channels);
    let sizes: Vec<i64> = slides
        .iter()
        .map(|slide| slide.wide + slide.reached_behind().min(0))
        .collect();
    let places: Vec<i64> = slides.iter().map(|slide| slide.narrow).collect();
    let inner = slides.len() as i64;
    let turned = |first: [i64; 3]| -> Vec<i64> { first.into_iter().chain(3..inner + 3).collect() };

    // [channels of a group, groups · batch, sizes…]
    let tensor = wide.grouped(backward, group, &sizes);
    let tensor = transpose(backward, &tensor, &turned([2, 1, 0]));
    let shape = [&[wide.channels / group, -1], sizes.as_slice()].concat();
    let tensor = reshape(backward, &tensor, &shape);
    // [channels, batch, places…]
    let kernel = narrow.grouped(backward, group, &places);
    let kernel = transpose(backward, &kernel, &turned([1, 2, 0]));
    let shape = [&[narrow.channels, -1], places.as_slice()].concat();
    let kernel = reshape(backward, &kernel, &shape);

    let swapped: Vec<Slide> = slides
        .iter()
        .zip(&sizes)
        .map(|(slide, &wide)| Slide {
            wide,
            narrow: slide.taps,
            taps: slide.narrow,
            stride: slide.dilation,
            dilation: slide.stride,
            ..*slide
        })
        .collect();
    let mut options = window::attributes(&swapped);
    options.push(AttributeProto::from_int("group", group));
    let found = backward
        .emit
        .node_with("Conv", &[&tensor, &kernel], options);
    let order: Vec<i64> = [1, 0].into_iter().chain(2..inner + 2).collect();
    transpose(backward, &found, &order)
}
