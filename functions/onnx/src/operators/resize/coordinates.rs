//! Where in the input an element of a resized tensor is taken from, and with which weights.
//!
//! Coordinates are computed in float32, as ONNX Runtime does: which of two elements is nearest may hang on the last bit.

/// How a coordinate of the result becomes one of the input.
#[derive(Clone, Copy, Debug)]
pub(super) enum Coordinates {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    AlignCorners,
    Asymmetric,
}

impl Coordinates {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "half_pixel" => Self::HalfPixel,
            "half_pixel_symmetric" => Self::HalfPixelSymmetric,
            "pytorch_half_pixel" => Self::PytorchHalfPixel,
            "align_corners" => Self::AlignCorners,
            "asymmetric" => Self::Asymmetric,
            _ => return None,
        })
    }

    pub(super) fn place(self, at: i64, scale: f32, from: i64, to: i64) -> f32 {
        let at = at as f32;
        match self {
            Self::PytorchHalfPixel | Self::AlignCorners if to <= 1 => 0.0,
            Self::HalfPixel | Self::PytorchHalfPixel => (at + 0.5) / scale - 0.5,
            Self::HalfPixelSymmetric => {
                let exact = scale * from as f32;
                let adjustment = to as f32 / exact;
                let center = from as f32 / 2.0;
                let offset = center * (1.0 - adjustment);
                offset + (at + 0.5) / scale - 0.5
            }
            Self::AlignCorners => at * (from - 1) as f32 / (to - 1) as f32,
            Self::Asymmetric => at / scale,
        }
    }
}

/// Which elements around a coordinate count.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sampling {
    Nearest(Rounding),
    Linear,
    Weighted(Weighting),
}

/// All elements within the reach of a kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weighting {
    pub(super) kernel: Kernel,
    /// Whether the kernel reaches so far that every element of the input counts where there are more of them.
    pub(super) smooths: bool,
    /// Whether what lies outside does not count; else it is like the element at the edge.
    pub(super) excludes_outside: bool,
}

/// How much an element counts by its distance.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kernel {
    /// 1 − d.
    Triangle,
    /// Keys' cubic convolution, with his number a.
    Cubic(f64),
}

impl Kernel {
    fn reach(self) -> f32 {
        match self {
            Self::Triangle => 1.0,
            Self::Cubic(_) => 2.0,
        }
    }

    fn weight(self, distance: f64) -> f64 {
        let d = distance.abs();
        match self {
            Self::Triangle => (1.0 - d).max(0.0),
            Self::Cubic(a) if d < 1.0 => ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0,
            Self::Cubic(a) if d < 2.0 => ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a,
            Self::Cubic(_) => 0.0,
        }
    }
}

impl Weighting {
    fn weights(&self, place: f32, size: i64, scale: f32) -> Vec<(usize, f64)> {
        let stretch = if self.smooths {
            scale.recip().max(1.0)
        } else {
            1.0
        };
        let centre = place + 0.5;
        let reach = self.kernel.reach() * stretch;
        let first = (centre - reach + 0.5).floor() as i64;
        let end = (centre + reach + 0.5).floor() as i64;
        let weight = |at: i64| self.kernel.weight(f64::from((at as f32 - place) / stretch));
        let counted = (first..end).filter(|at| !self.excludes_outside || (0..size).contains(at));
        let counted: Vec<(i64, f64)> = counted.map(|at| (at, weight(at))).collect();
        let total: f64 = counted.iter().map(|(_, weight)| weight).sum();
        let counted = counted.into_iter();
        counted
            .map(|(at, weight)| (at.clamp(0, size - 1) as usize, weight / total))
            .collect()
    }
}

/// Which element is nearest.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rounding {
    PreferFloor,
    PreferCeil,
    Floor,
    Ceil,
}

impl Sampling {
    pub(super) fn named(mode: &str, rounding: Option<&str>) -> Option<Self> {
        let rounding = match rounding {
            None | Some("round_prefer_floor") => Rounding::PreferFloor,
            Some("round_prefer_ceil") => Rounding::PreferCeil,
            Some("floor") => Rounding::Floor,
            Some("ceil") => Rounding::Ceil,
            Some(_) => return None,
        };
        match mode {
            "nearest" => Some(Self::Nearest(rounding)),
            "linear" => Some(Self::Linear),
            _ => None,
        }
    }

    /// The elements of an axis of this size that make the value at a place, with their weights.
    pub(super) fn weights(self, place: f32, size: i64, scale: f32) -> Vec<(usize, f64)> {
        let last = size - 1;
        match self {
            Self::Weighted(weighting) => weighting.weights(place, size, scale),
            Self::Nearest(rounding) => {
                let nearest = match rounding {
                    Rounding::PreferFloor => (place - 0.5).ceil(),
                    Rounding::PreferCeil => (place + 0.5).floor(),
                    Rounding::Floor => place.floor(),
                    Rounding::Ceil => place.ceil(),
                };
                vec![((nearest as i64).clamp(0, last) as usize, 1.0)]
            }
            Self::Linear => {
                let place = place.clamp(0.0, last as f32);
                let below = (place as i64).min(last);
                let above = (below + 1).min(last);
                let part = f64::from(place - below as f32);
                vec![(below as usize, 1.0 - part), (above as usize, part)]
            }
        }
    }
}
