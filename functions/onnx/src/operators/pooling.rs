//! Pools: windows that become one number, and whole channels that do.
//!
//! In the formulas p is the place of a window, t a tap and q = s(p, t) where it stands; see [`super::window`].

use super::window::{self, Slide, links, sizes};
use super::{Backward, Call, Derivative, Family, Operator, Site};
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;
use crate::proto::{AttributeProto, NodeProto, TensorProto};
use crate::{ElementType, Tensor};

pub(super) const OPERATORS: Family = &[
    ("AveragePool", &AveragePool),
    ("LpPool", &LpPool),
    ("MaxPool", &MaxPool),
];

/// y[p] = max over t of x[q]; with G = ∂L/∂y: ∂L/∂x[q] = Σ over p of G[p] / k[p] where x[q] = y[p], else 0.
///
/// k counts the elements of the window that are the maximum. It is nearly always 1; where it is not, the gradient is
/// divided among them, so that its sum stays. The maximum is found again by comparison: on stock runtimes a `MaxPool` with
/// `Indices` takes nine times as long as one without.
struct MaxPool;

/// y[p] = Σ over t of x[q] / d[p]; ∂L/∂x[q] = Σ over p of G[p] / d[p].
///
/// d counts the elements of the window, with `count_include_pad` those of the padding as well.
struct AveragePool;

/// y[p] = (Σ over t of |x[q]|ⁿ)^(1/n), n being the attribute `p`;
/// ∂L/∂x[q] = |x[q]|ⁿ⁻¹ · sign x[q] · Σ over p of G[p] · y[p]¹⁻ⁿ, with 0 for windows of zeros.
struct LpPool;

fn slides(node: &NodeProto, shape: &[i64]) -> Option<Vec<Slide>> {
    window::over(node, node.ints("kernel_shape")?, shape)
}

fn slides_of(site: &Site<'_>) -> Option<Vec<Slide>> {
    slides(site.node, &sizes(site.shape(0)?)?)
}

fn known_slides(backward: &Backward<'_>) -> Vec<Slide> {
    let shape = backward.input_fact(0).shape.as_deref();
    shape
        .and_then(|shape| slides(backward.node, &sizes(shape)?))
        .expect("the derivative is known only where the windows are")
}

fn infer(site: &Site<'_>, unknowns: &mut Unknowns) -> Fact {
    let shape = site.shape(0).map(|tensor| {
        let front = tensor.iter().take(2).cloned();
        if let Some(slides) = slides_of(site) {
            let places = slides.iter().map(|slide| Extent::fixed(slide.narrow));
            return front.chain(places).collect();
        }
        let rest = (2..tensor.len()).map(|_| unknowns.next());
        front.chain(rest).collect()
    });
    Fact::new(site.element(), shape)
}

fn derivative(site: &Site<'_>) -> Derivative {
    Derivative::known_if(
        slides_of(site).is_some(),
        "slides over a tensor whose sizes are not known, or has attributes that do not fit it",
    )
}

/// A pool that is evaluated, channel by channel.
struct Parts<'a> {
    values: &'a [f64],
    slides: Vec<Slide>,
    dims: Vec<usize>,
}

impl<'a> Parts<'a> {
    fn of(call: &Call<'a>) -> Result<Self, String> {
        let tensor = call.tensor(0)?;
        let inner = tensor.dims().get(2..).unwrap_or_default();
        let inner: Vec<i64> = inner.iter().map(|&size| size as i64).collect();
        let slides = slides(call.node, &inner)
            .ok_or_else(|| format!("its attributes do not fit a tensor {:?}", tensor.dims()))?;
        let places = slides.iter().map(|slide| slide.narrow as usize);
        Ok(Self {
            values: call.floats(0)?,
            dims: tensor.dims()[..2].iter().copied().chain(places).collect(),
            slides,
        })
    }

    /// One number for each window, from `start` by all elements that its taps see.
    fn fold(&self, start: f64, step: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        let wide = window::count(&self.slides, |slide| slide.wide) as usize;
        let narrow = window::count(&self.slides, |slide| slide.narrow) as usize;
        let links = links(&self.slides);
        let mut folded = Vec::with_capacity(self.dims.iter().product());
        for channel in self.values.chunks(wide) {
            let mut windows = vec![start; narrow];
            for link in &links {
                windows[link.narrow] = step(windows[link.narrow], channel[link.wide]);
            }
            folded.extend(windows);
        }
        folded
    }
}

/// The position of each window's maximum among all elements; the first where there are several.
fn positions(parts: &Parts<'_>, maxima: &[f64]) -> Vec<i64> {
    let wide = window::count(&parts.slides, |slide| slide.wide) as usize;
    let narrow = window::count(&parts.slides, |slide| slide.narrow) as usize;
    let links = links(&parts.slides);
    let mut found = vec![-1; maxima.len()];
    for (number, channel) in parts.values.chunks(wide).enumerate() {
        for link in &links {
            let window = number * narrow + link.narrow;
            #[expect(clippy::float_cmp, reason = "the maximum is one of the elements")]
            if found[window] == -1 && channel[link.wide] == maxima[window] {
                found[window] = (number * wide + link.wide) as i64;
            }
        }
    }
    found
}

impl Operator for MaxPool {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        let maxima = infer(site, unknowns);
        let indices = Fact::new(Some(ElementType::Int64), maxima.shape.clone());
        vec![maxima, indices]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let parts = Parts::of(call)?;
        let maxima = parts.fold(f64::NEG_INFINITY, f64::max);
        let mut outputs = vec![];
        if call.node.output.len() > 1 {
            if call.node.int("storage_order", 0) != 0 {
                return Err("indices in column-major order are not evaluated".to_owned());
            }
            outputs.push(Tensor::integers(&parts.dims, positions(&parts, &maxima)));
        }
        outputs.insert(0, Tensor::floats(&parts.dims, maxima));
        Ok(outputs)
    }

    fn derivative(&self, site: &Site<'_>, _: usize) -> Derivative {
        derivative(site)
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        let slides = known_slides(backward);
        let found = if slides.iter().all(Slide::tiles) {
            tiled_maximum(backward, &gradient, &slides)
        } else {
            overlapping_maximum(backward, &gradient, &slides)
        };
        backward.give(0, found);
    }
}

/// Emits where a tensor equals the maxima, each such place with its share of the gradient; ones along `axes` are the taps.
fn shares(
    backward: &mut Backward<'_>,
    tensor: &str,
    maxima: &str,
    gradient: &str,
    axes: &[i64],
) -> String {
    let element = backward
        .input_fact(0)
        .element
        .unwrap_or(ElementType::Float32);
    let is_maximum = backward.node("Equal", &[tensor, maxima]);
    let to = vec![AttributeProto::from_int("to", i64::from(element.code()))];
    let is_maximum = backward.emit.node_with("Cast", &[&is_maximum], to);
    let count = backward.emit.reduce("ReduceSum", &is_maximum, axes, true);
    let share = backward.node("Div", &[gradient, &count]);
    backward.node("Mul", &[&is_maximum, &share])
}

/// Windows that do not overlap: places and taps become dimensions of their own.
fn tiled_maximum(backward: &mut Backward<'_>, gradient: &str, slides: &[Slide]) -> String {
    let split = |taps: fn(&Slide) -> i64| -> Vec<i64> {
        let pairs = slides.iter().flat_map(|slide| [slide.narrow, taps(slide)]);
        std::iter::once(-1).chain(pairs).collect()
    };
    let (wide, narrow) = (split(|slide| slide.taps), split(|_| 1));
    let (wide, narrow) = (
        backward.emit.integers(&wide),
        backward.emit.integers(&narrow),
    );
    let tensor = backward.node("Reshape", &[backward.input(0), &wide]);
    let maxima = backward.node("Reshape", &[backward.output(), &narrow]);
    let gradient = backward.node("Reshape", &[gradient, &narrow]);
    let axes: Vec<i64> = (1..=slides.len() as i64).map(|axis| axis * 2).collect();
    let found = shares(backward, &tensor, &maxima, &gradient, &axes);
    backward.reshape_to_input(&found, 0)
}

/// Windows that overlap: what each tap sees is compared, and what it gets is added up.
fn overlapping_maximum(backward: &mut Backward<'_>, gradient: &str, slides: &[Slide]) -> String {
    let mut shape = vec![-1, 1];
    shape.extend(slides.iter().map(|slide| slide.wide));
    let shape = backward.emit.integers(&shape);
    let tensor = backward.node("Reshape", &[backward.input(0), &shape]);
    let seen = window::taps(backward, &tensor, slides, 2, f64::NEG_INFINITY);
    let seen: Vec<&str> = seen.iter().map(String::as_str).collect();
    let along = vec![AttributeProto::from_int("axis", 1)];
    let seen = backward.emit.node_with("Concat", &seen, along);
    let maxima = window::places(backward, backward.output(), slides);
    let gradient = window::places(backward, gradient, slides);
    let given = shares(backward, &seen, &maxima, &gradient, &[1]);
    window::gather_in_input(backward, &given, slides, false)
}

/// How many elements the average of each window is divided by.
fn divisors(node: &NodeProto, slides: &[Slide]) -> Vec<f64> {
    let places = window::count(slides, |slide| slide.narrow) as usize;
    if node.int("count_include_pad", 0) == 0 {
        let mut counts = vec![0.0; places];
        for link in links(slides) {
            counts[link.narrow] += 1.0;
        }
        return counts;
    }
    // The padding counts, but not what a window that was added by rounding up reaches behind it.
    let padded: Vec<Slide> = slides
        .iter()
        .map(|slide| Slide {
            wide: slide.wide + slide.before + slide.behind,
            before: 0,
            behind: 0,
            ..*slide
        })
        .collect();
    let mut counts = vec![0.0; places];
    for link in links(&padded) {
        counts[link.narrow] += 1.0;
    }
    counts
}

impl Operator for AveragePool {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        vec![infer(site, unknowns)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let parts = Parts::of(call)?;
        let divisors = divisors(call.node, &parts.slides);
        let sums = parts.fold(0.0, |sum, value| sum + value);
        let windows = sums.iter().zip(divisors.iter().cycle());
        let averages = windows.map(|(sum, divisor)| sum / divisor).collect();
        Ok(vec![Tensor::floats(&parts.dims, averages)])
    }

    fn derivative(&self, site: &Site<'_>, _: usize) -> Derivative {
        derivative(site)
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        let slides = known_slides(backward);
        let divisors = divisors(backward.node, &slides);
        let is_even = divisors.windows(2).all(|pair| {
            #[expect(clippy::float_cmp, reason = "whole numbers are compared")]
            let is_same = pair[0] == pair[1];
            is_same
        });
        let divisor = if is_even {
            backward.float(divisors[0])
        } else {
            let dims: Vec<usize> = slides.iter().map(|slide| slide.narrow as usize).collect();
            let values: Vec<f32> = divisors.iter().map(|&divisor| divisor as f32).collect();
            let key = format!(
                "divisors{slides:?}{}",
                backward.node.int("count_include_pad", 0)
            );
            backward
                .emit
                .constant(&key, |name| TensorProto::from_f32(name, &dims, &values))
        };
        let share = backward.node("Div", &[&gradient, &divisor]);
        let share = window::places(backward, &share, &slides);
        let found = window::gather_in_input(backward, &share, &slides, true);
        backward.give(0, found);
    }
}

/// The attribute `p`.
pub(super) fn power(node: &NodeProto) -> i64 {
    node.int("p", 2)
}

/// Emits G · y¹⁻ⁿ, and 0 where y is 0.
pub(super) fn norm_share(backward: &mut Backward<'_>, gradient: &str) -> String {
    let power = power(backward.node);
    if power == 1 {
        return gradient.to_owned();
    }
    let zero = backward.float(0.0);
    let norm = match power {
        2 => backward.output().to_owned(),
        power => {
            let exponent = backward.float((power - 1) as f64);
            backward.node("Pow", &[backward.output(), &exponent])
        }
    };
    let is_zero = backward.node("Equal", &[backward.output(), &zero]);
    let share = backward.node("Div", &[gradient, &norm]);
    backward.node("Where", &[&is_zero, &zero, &share])
}

/// Emits |x|ⁿ⁻¹ · sign x times what each element is given.
pub(super) fn norm_gradient(backward: &mut Backward<'_>, given: &str) -> String {
    let tensor = backward.input(0);
    let slope = match power(backward.node) {
        1 => backward.node("Sign", &[tensor]),
        2 => tensor.to_owned(),
        power => {
            let size = backward.node("Abs", &[tensor]);
            let exponent = backward.float((power - 2) as f64);
            let size = backward.node("Pow", &[&size, &exponent]);
            backward.node("Mul", &[tensor, &size])
        }
    };
    backward.node("Mul", &[&slope, given])
}

impl Operator for LpPool {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        vec![infer(site, unknowns)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let parts = Parts::of(call)?;
        let power = power(call.node) as f64;
        let sums = parts.fold(0.0, |sum, value| sum + value.abs().powf(power));
        let norms = sums.iter().map(|sum| sum.powf(1.0 / power)).collect();
        Ok(vec![Tensor::floats(&parts.dims, norms)])
    }

    fn derivative(&self, site: &Site<'_>, _: usize) -> Derivative {
        derivative(site)
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let gradient = backward.gradient();
        let slides = known_slides(backward);
        let share = norm_share(backward, &gradient);
        let share = window::places(backward, &share, &slides);
        let given = window::gather_in_input(backward, &share, &slides, true);
        let found = norm_gradient(backward, &given);
        backward.give(0, found);
    }
}
