//! Windows that slide along the inner dimensions of a tensor `[batch, channels, sizes…]`, for convolutions and pools.
//!
//! A window has taps. Along each dimension, tap `t` of the window in place `n` stands at `n · stride + t · dilation − before`
//! of the tensor; taps that stand outside see the padding. The tensor that the windows slide over is called wide, the one
//! with a place for each window narrow: a convolution makes the narrow one of the wide one, a transposed convolution the
//! wide one of the narrow one, and so do their gradients the other way round.

use super::Backward;
use crate::extent::Extent;
use crate::proto::{AttributeProto, NodeProto, TensorProto};
use crate::tensor::{indices, strides};

/// How a window slides along one dimension.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Slide {
    pub(super) wide: i64,
    pub(super) narrow: i64,
    pub(super) taps: i64,
    pub(super) stride: i64,
    pub(super) dilation: i64,
    pub(super) before: i64,
    /// The padding that the node asks for behind the tensor.
    pub(super) behind: i64,
}

impl Slide {
    /// How far the first and the last tap are apart, both counted.
    fn reach(taps: i64, dilation: i64) -> i64 {
        (taps - 1) * dilation + 1
    }

    /// How much padding behind the wide tensor the last window reaches; negative where elements are left over.
    pub(super) fn reached_behind(&self) -> i64 {
        let needed = (self.narrow - 1) * self.stride + Self::reach(self.taps, self.dilation);
        needed - self.wide - self.before
    }

    /// Where a tap of a window stands in the wide tensor; it may be outside.
    pub(super) fn place(&self, narrow: i64, tap: i64) -> i64 {
        narrow * self.stride + tap * self.dilation - self.before
    }

    /// Whether every element stands in exactly one window.
    pub(super) fn tiles(&self) -> bool {
        let is_adjacent = self.stride == self.taps || self.narrow == 1;
        is_adjacent && self.dilation == 1 && self.before == 0 && self.reached_behind() == 0
    }
}

/// How windows slide over a tensor of known sizes; nothing where attributes do not fit.
pub(super) fn over(node: &NodeProto, taps: &[i64], sizes: &[i64]) -> Option<Vec<Slide>> {
    let plain = Attributes::of(node, taps.len())?;
    let rounds_up = node.int("ceil_mode", 0) != 0;
    let axes = taps.iter().zip(sizes).enumerate();
    let slides = axes.map(|(axis, (&taps, &wide))| {
        let (stride, dilation) = (plain.strides[axis], plain.dilations[axis]);
        let reach = Slide::reach(taps, dilation);
        let (before, behind, narrow) = match plain.padding {
            Padding::SameUpper | Padding::SameLower => {
                let narrow = (wide + stride - 1).div_euclid(stride);
                let padding = ((narrow - 1) * stride + reach - wide).max(0);
                let less = padding / 2;
                let (before, behind) = match plain.padding {
                    Padding::SameUpper => (less, padding - less),
                    _ => (padding - less, less),
                };
                (before, behind, narrow)
            }
            Padding::Explicit => {
                let (before, behind) = (plain.before[axis], plain.behind[axis]);
                let room = wide + before + behind - reach;
                let mut narrow = room.div_euclid(stride) + 1;
                if rounds_up && room % stride != 0 {
                    narrow += 1;
                    // A window that would begin in the padding behind the tensor is left out.
                    narrow -= i64::from((narrow - 1) * stride >= wide + before);
                }
                (before, behind, narrow)
            }
        };
        let slide = Slide {
            wide,
            narrow,
            taps,
            stride,
            dilation,
            before,
            behind,
        };
        (narrow > 0 && wide > 0 && taps > 0).then_some(slide)
    });
    (taps.len() == sizes.len()).then_some(())?;
    slides.collect()
}

/// How the windows of a transposed convolution slide over what it makes of a tensor of known sizes.
pub(super) fn under(node: &NodeProto, taps: &[i64], sizes: &[i64]) -> Option<Vec<Slide>> {
    let plain = Attributes::of(node, taps.len())?;
    let more = numbers(node, "output_padding", taps.len(), 0)?;
    let wanted = node.ints("output_shape");
    // The shape may be given with the batch and the channels in front.
    let wanted = wanted.map(|shape| &shape[shape.len().saturating_sub(taps.len())..]);
    let axes = taps.iter().zip(sizes).enumerate();
    let slides = axes.map(|(axis, (&taps, &narrow))| {
        let (stride, dilation) = (plain.strides[axis], plain.dilations[axis]);
        let whole = (narrow - 1) * stride + Slide::reach(taps, dilation) + more[axis];
        let same = matches!(plain.padding, Padding::SameUpper | Padding::SameLower);
        let wide = match wanted {
            Some(wanted) => Some(*wanted.get(axis)?),
            None => same.then_some(narrow * stride),
        };
        let (before, behind, wide) = match wide {
            None => {
                let (before, behind) = (plain.before[axis], plain.behind[axis]);
                (before, behind, whole - before - behind)
            }
            Some(wide) => {
                let padding = (whole - wide).max(0);
                let less = padding / 2;
                match plain.padding {
                    Padding::SameUpper => (less, padding - less, wide),
                    _ => (padding - less, less, wide),
                }
            }
        };
        let slide = Slide {
            wide,
            narrow,
            taps,
            stride,
            dilation,
            before,
            behind,
        };
        (narrow > 0 && wide > 0 && taps > 0).then_some(slide)
    });
    (taps.len() == sizes.len()).then_some(())?;
    slides.collect()
}

/// Whether a node has the size of its padding found (SAME) for windows with gaps between their taps.
pub(super) fn is_padded_and_dilated(node: &NodeProto) -> bool {
    let is_same = matches!(node.string("auto_pad"), Some("SAME_UPPER" | "SAME_LOWER"));
    let dilations = node.ints("dilations").unwrap_or_default();
    is_same && dilations.iter().any(|&dilation| dilation > 1)
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Padding {
    Explicit,
    SameUpper,
    SameLower,
}

struct Attributes {
    strides: Vec<i64>,
    dilations: Vec<i64>,
    before: Vec<i64>,
    behind: Vec<i64>,
    padding: Padding,
}

impl Attributes {
    fn of(node: &NodeProto, rank: usize) -> Option<Self> {
        let automatic = node.string("auto_pad").unwrap_or_default();
        let padding = match automatic {
            "SAME_UPPER" => Padding::SameUpper,
            "SAME_LOWER" => Padding::SameLower,
            _ => Padding::Explicit,
        };
        let pads = match automatic {
            "" | "NOTSET" => numbers(node, "pads", 2 * rank, 0)?,
            _ => vec![0; 2 * rank],
        };
        let (before, behind) = pads.split_at(rank);
        let strides = numbers(node, "strides", rank, 1)?;
        let dilations = numbers(node, "dilations", rank, 1)?;
        let all_positive = strides.iter().chain(&dilations).all(|&step| step > 0);
        all_positive.then(|| Self {
            strides,
            dilations,
            before: before.to_vec(),
            behind: behind.to_vec(),
            padding,
        })
    }
}

/// A list of one number a dimension.
fn numbers(node: &NodeProto, name: &str, count: usize, default: i64) -> Option<Vec<i64>> {
    match node.ints(name) {
        None | Some([]) => Some(vec![default; count]),
        Some(values) => (values.len() == count).then(|| values.to_vec()),
    }
}

/// The sizes behind batch and channels, where all of them are known.
pub(super) fn sizes(shape: &[Extent]) -> Option<Vec<i64>> {
    shape.get(2..)?.iter().map(Extent::as_fixed).collect()
}

/// A tap of a window that sees an element. All three are positions in row-major order.
pub(super) struct Link {
    pub(super) wide: usize,
    pub(super) narrow: usize,
    pub(super) tap: usize,
}

/// What every tap of every window sees, window by window, but for the padding.
pub(super) fn links(slides: &[Slide]) -> Vec<Link> {
    let dims = |size: fn(&Slide) -> i64| -> Vec<usize> {
        slides.iter().map(|slide| size(slide) as usize).collect()
    };
    let (wide_dims, taps) = (dims(|slide| slide.wide), dims(|slide| slide.taps));
    let steps = strides(&wide_dims);
    let mut links = Vec::new();
    for (narrow, place) in indices(&dims(|slide| slide.narrow)).enumerate() {
        for (tap, offset) in indices(&taps).enumerate() {
            let axes = slides.iter().enumerate();
            let wide = axes.map(|(axis, slide)| {
                let at = slide.place(place[axis] as i64, offset[axis] as i64);
                (0..slide.wide)
                    .contains(&at)
                    .then(|| at as usize * steps[axis])
            });
            if let Some(wide) = wide.sum() {
                links.push(Link { wide, narrow, tap });
            }
        }
    }
    links
}

/// The product of sizes.
pub(super) fn count(slides: &[Slide], size: fn(&Slide) -> i64) -> i64 {
    slides.iter().map(size).product()
}

/// The attributes with which windows slide as they do here, with the padding behind that they reach.
pub(super) fn attributes(slides: &[Slide]) -> Vec<AttributeProto> {
    let list = |value: fn(&Slide) -> i64| -> Vec<i64> { slides.iter().map(value).collect() };
    let pads = [
        list(|slide| slide.before),
        list(|slide| slide.reached_behind().max(0)),
    ];
    vec![
        AttributeProto::from_ints("strides", &list(|slide| slide.stride)),
        AttributeProto::from_ints("dilations", &list(|slide| slide.dilation)),
        AttributeProto::from_ints("pads", &pads.concat()),
    ]
}

/// Nothing where windows leave no elements over, else how many along each dimension: what a transposed convolution has
/// to add behind.
pub(super) fn left_over(slides: &[Slide]) -> Option<AttributeProto> {
    let left: Vec<i64> = slides
        .iter()
        .map(|slide| (-slide.reached_behind()).max(0))
        .collect();
    let is_any = left.iter().any(|&count| count > 0);
    is_any.then(|| AttributeProto::from_ints("output_padding", &left))
}

/// Emits a wide tensor `[…, …, sizes…]` without the elements that windows leave over behind.
pub(super) fn without_left_over(
    backward: &mut Backward<'_>,
    tensor: &str,
    slides: &[Slide],
) -> String {
    if left_over(slides).is_none() {
        return tensor.to_owned();
    }
    let axes: Vec<i64> = (2..).take(slides.len()).collect();
    let ends = slides
        .iter()
        .map(|slide| slide.wide + slide.reached_behind().min(0));
    let ends: Vec<i64> = ends.collect();
    let [starts, ends, axes] =
        [vec![0; axes.len()], ends, axes].map(|list| backward.emit.integers(&list));
    backward.node("Slice", &[tensor, &starts, &ends, &axes])
}

/// Emits what each tap sees of a wide tensor `[…, …, sizes…]`: as many tensors `[…, …, places…]` as there are taps.
///
/// `leading` dimensions stand before the sizes. `padding` is the value of the padding.
pub(super) fn taps(
    backward: &mut Backward<'_>,
    tensor: &str,
    slides: &[Slide],
    leading: usize,
    padding: f64,
) -> Vec<String> {
    let mut padded = tensor.to_owned();
    let behind = |slide: &Slide| slide.reached_behind().max(0);
    if slides.iter().any(|slide| slide.before + behind(slide) > 0) {
        let nothing = vec![0; leading];
        let before: Vec<i64> = slides.iter().map(|slide| slide.before).collect();
        let behind: Vec<i64> = slides.iter().map(behind).collect();
        let pads = [nothing.clone(), before, nothing, behind].concat();
        let pads = backward.emit.integers(&pads);
        let value = backward.float(padding);
        padded = backward.node("Pad", &[tensor, &pads, &value]);
    }
    let sees_all = |slide: &Slide| slide.taps == 1 && slide.narrow == slide.wide;
    if slides.iter().all(sees_all) {
        return vec![padded];
    }
    let list = |values: Vec<i64>, backward: &mut Backward<'_>| backward.emit.integers(&values);
    let axes = list((leading as i64..).take(slides.len()).collect(), backward);
    let steps = list(slides.iter().map(|slide| slide.stride).collect(), backward);
    let dims: Vec<usize> = slides.iter().map(|slide| slide.taps as usize).collect();
    indices(&dims)
        .map(|tap| {
            let first = tap.iter().zip(slides);
            let starts: Vec<i64> = first
                .map(|(&tap, slide)| tap as i64 * slide.dilation)
                .collect();
            let ends = starts.iter().zip(slides);
            let ends: Vec<i64> = ends
                .map(|(start, slide)| start + (slide.narrow - 1) * slide.stride + 1)
                .collect();
            let (starts, ends) = (list(starts, backward), list(ends, backward));
            backward.node("Slice", &[&padded, &starts, &ends, &axes, &steps])
        })
        .collect()
}

/// Emits the sum of what all taps of all windows give to the elements that they see, in the shape of the first input.
///
/// `given` is `[any, taps or 1, places…]`, with 1 where a window gives the same to each of its taps.
pub(super) fn gather_in_input(
    backward: &mut Backward<'_>,
    given: &str,
    slides: &[Slide],
    is_same: bool,
) -> String {
    let taps = count(slides, |slide| slide.taps) as usize;
    let kernel: Vec<usize> = slides.iter().map(|slide| slide.taps as usize).collect();
    let channels = if is_same { 1 } else { taps };
    let dims = [&[channels, 1], kernel.as_slice()].concat();
    // A transposed convolution adds up just so: each channel goes to its own tap.
    let is_own = |at: usize| is_same || at / taps == at % taps;
    let values: Vec<f32> = (0..channels * taps)
        .map(|at| if is_own(at) { 1.0 } else { 0.0 })
        .collect();
    let weights = backward.emit.constant(&format!("taps{dims:?}"), |name| {
        TensorProto::from_f32(name, &dims, &values)
    });
    let mut options = attributes(slides);
    options.extend(left_over(slides));
    let sum = backward
        .emit
        .node_with("ConvTranspose", &[given, &weights], options);
    backward.reshape_to_input(&sum, 0)
}

/// Emits a tensor of one number for each window as `[any, 1, places…]`.
pub(super) fn places(backward: &mut Backward<'_>, tensor: &str, slides: &[Slide]) -> String {
    let mut shape = vec![-1, 1];
    shape.extend(slides.iter().map(|slide| slide.narrow));
    let shape = backward.emit.integers(&shape);
    backward.node("Reshape", &[tensor, &shape])
}
