//! `Resize`.

mod coordinates;

use coordinates::{Coordinates, Kernel, Sampling, Weighting};

use super::along::Map;
use super::{Backward, Call, Derivative, Family, Operator, Site, resolve_axis};
use crate::Tensor;
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;
use crate::proto::NodeProto;

pub(super) const OPERATORS: Family = &[("Resize", &Resize)];

/// A tensor at another resolution, by `scales` or to `sizes`, nearest, linear or cubic, or smoothed against aliasing.
///
/// All are linear maps along each resized axis, one after the other: y = M x, ∂L/∂x = Mᵀ ∂L/∂y. The matrices are constant,
/// since the sizes are.
struct Resize;

/// How an axis is resized.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Change {
    axis: usize,
    from: i64,
    to: i64,
    scale: f32,
}

/// What the node asks for, axis by axis: nothing where the axis stays as it is.
#[derive(Clone, Debug)]
enum Target {
    Scale(f32),
    Size(Extent),
}

/// The targets of all axes, where they are constant.
fn targets(
    node: &NodeProto,
    scales: Option<&[f64]>,
    sizes: Option<&[Extent]>,
    rank: usize,
) -> Option<Vec<Option<Target>>> {
    let axes = match node.ints("axes") {
        Some(axes) => axes
            .iter()
            .map(|&axis| resolve_axis(axis, rank))
            .collect::<Option<Vec<_>>>()?,
        None => (0..rank).collect(),
    };
    let asked: Vec<Target> = match (scales, sizes) {
        (Some(scales), _) => scales
            .iter()
            .map(|&scale| Target::Scale(scale as f32))
            .collect(),
        (None, Some(sizes)) => sizes.iter().cloned().map(Target::Size).collect(),
        (None, None) => return None,
    };
    if asked.len() != axes.len() {
        return None;
    }
    let mut targets = vec![None; rank];
    for (axis, target) in axes.into_iter().zip(asked) {
        targets[axis] = Some(target);
    }
    Some(targets)
}

fn targets_of(site: &Site<'_>) -> Option<Vec<Option<Target>>> {
    let rank = site.shape(0)?.len();
    let scales = site.input(2).and_then(|fact| fact.constant.clone());
    let scales = scales.as_ref().and_then(|scales| scales.as_floats());
    let scales = scales.filter(|scales| !scales.is_empty());
    let sizes = site.input(3).and_then(Fact::to_sizes);
    targets(site.node, scales, sizes.as_deref(), rank)
}

impl Target {
    /// The size that comes out.
    fn size(&self, from: &Extent) -> Option<Extent> {
        match (self, from.as_fixed()) {
            (Self::Size(size), _) => Some(size.clone()),
            (Self::Scale(1.0), _) => Some(from.clone()),
            (Self::Scale(scale), Some(from)) => Some(Extent::fixed(scaled(from, *scale))),
            (Self::Scale(scale), None) if scale.fract() == 0.0 => {
                Some(from.times(&Extent::fixed(*scale as i64)))
            }
            (Self::Scale(_), None) => None,
        }
    }

    /// What is done to an axis; nothing where it stays, an error where it shows only at run time.
    fn change(&self, axis: usize, from: &Extent) -> Result<Option<Change>, ()> {
        let to = self.size(from).ok_or(())?;
        if to == *from && matches!(self, Self::Size(_) | Self::Scale(1.0)) {
            return Ok(None);
        }
        let (from, to) = from.as_fixed().zip(to.as_fixed()).ok_or(())?;
        let scale = match self {
            Self::Scale(scale) => *scale,
            Self::Size(_) => to as f32 / from as f32,
        };
        Ok(Some(Change {
            axis,
            from,
            to,
            scale,
        }))
    }
}

fn scaled(size: i64, scale: f32) -> i64 {
    (size as f32 * scale).floor() as i64
}

fn changes(targets: &[Option<Target>], shape: &[Extent]) -> Result<Vec<Change>, ()> {
    let axes = targets.iter().zip(shape).enumerate();
    let changes = axes.filter_map(|(axis, (target, from))| {
        target
            .as_ref()
            .and_then(|target| target.change(axis, from).transpose())
    });
    changes.collect()
}

impl Change {
    fn map(&self, sampling: Sampling, coordinates: Coordinates) -> Map {
        let rows = (0..self.to).map(|at| {
            let place = coordinates.place(at, self.scale, self.from, self.to);
            sampling.weights(place, self.from, self.scale)
        });
        Map::new(self.from as usize, rows.collect())
    }
}

/// How the node samples, or why this is not done here.
fn manner(node: &NodeProto) -> Result<(Sampling, Coordinates), String> {
    let policy = node.string("keep_aspect_ratio_policy");
    if policy.is_some_and(|policy| policy != "stretch") {
        return Err("keeps the aspect ratio, which is not done here".to_owned());
    }
    let mode = node.string("mode").unwrap_or("nearest");
    let rounding = node.string("nearest_mode");
    let smooths = node.int("antialias", 0) != 0;
    let weighted = |kernel| {
        Some(Sampling::Weighted(Weighting {
            kernel,
            smooths,
            excludes_outside: node.int("exclude_outside", 0) != 0,
        }))
    };
    let sampling = match mode {
        "cubic" => weighted(Kernel::Cubic(f64::from(node.float("cubic_coeff_a", -0.75)))),
        "linear" if smooths => weighted(Kernel::Triangle),
        _ => Sampling::named(mode, rounding),
    };
    let sampling =
        sampling.ok_or_else(|| format!("samples in the mode '{mode}', which is not done here"))?;
    let name = node.string("coordinate_transformation_mode");
    let name = name.unwrap_or("half_pixel");
    let coordinates = Coordinates::named(name)
        .ok_or_else(|| format!("takes coordinates by '{name}', which is not done here"))?;
    Ok((sampling, coordinates))
}

impl Operator for Resize {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        let targets = targets_of(site);
        let shape = site.shape(0).map(|shape| {
            let size = |(axis, from): (usize, &Extent)| match &targets {
                Some(targets) => match &targets[axis] {
                    Some(target) => target.size(from).unwrap_or_else(|| unknowns.next()),
                    None => from.clone(),
                },
                None => unknowns.next(),
            };
            shape.iter().enumerate().map(size).collect()
        });
        vec![Fact::new(site.element(), shape)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let tensor = call.tensor(0)?;
        let (sampling, coordinates) = manner(call.node)?;
        let scales = match call.optional(2) {
            Some(scales) if scales.count() > 0 => Some(call.floats(2)?),
            _ => None,
        };
        let sizes: Option<Vec<Extent>> = match call.optional(3) {
            Some(_) => Some(
                call.integers(3)?
                    .iter()
                    .copied()
                    .map(Extent::fixed)
                    .collect(),
            ),
            None => None,
        };
        let targets = targets(call.node, scales, sizes.as_deref(), tensor.rank())
            .ok_or("scales or sizes do not fit the tensor")?;
        let sizes = tensor.dims().iter();
        let shape: Vec<Extent> = sizes.map(|&size| Extent::fixed(size as i64)).collect();
        let changes = changes(&targets, &shape).map_err(|()| "a size is not known")?;
        let mut found = Tensor::floats(tensor.dims(), call.floats(0)?.to_vec());
        for change in changes {
            if change.to < 0 || change.from < 1 {
                return Err(format!(
                    "{} elements cannot be resized to {}",
                    change.from, change.to
                ));
            }
            let map = change.map(sampling, coordinates);
            let values = found.as_floats().unwrap_or_default();
            found = map.apply(&found, values, change.axis);
        }
        Ok(vec![found])
    }

    fn is_setting(&self, input: usize) -> bool {
        input > 0
    }

    fn derivative(&self, site: &Site<'_>, input: usize) -> Derivative {
        if input != 0 {
            return Derivative::Zero;
        }
        if let Err(reason) = manner(site.node) {
            return Derivative::missing(&reason);
        }
        let changes = targets_of(site)
            .zip(site.shape(0))
            .map(|(targets, shape)| changes(&targets, shape));
        Derivative::known_if(
            matches!(changes, Some(Ok(_))),
            "resizes dimensions whose sizes are not known before it runs",
        )
    }

    fn backward(&self, backward: &mut Backward<'_>) {
        let mut gradient = backward.gradient();
        let found = backward.with_site(|site| {
            let shape = site.shape(0)?;
            let changes = changes(&targets_of(site)?, shape).ok()?;
            Some((changes, shape.len()))
        });
        let Some(((changes, rank), (sampling, coordinates))) =
            found.zip(manner(backward.node).ok())
        else {
            return;
        };
        for change in changes {
            let map = change.map(sampling, coordinates);
            gradient = map.transposed(backward, &gradient, change.axis, rank);
        }
        backward.give(0, gradient);
    }
}
