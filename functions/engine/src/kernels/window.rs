//! Windows that slide over images, and the matrix of what they see.
//!
//! An image is padded first. Then the elements that one tap of all windows sees, its *view*, lie at a distance of the stride
//! from each other. Where the stride is 1 a view is one piece of the padded image, with the ends of the rows, which no window
//! sees, in between; else it is gathered without them. [`Sizes::row`] says how far the windows' rows are apart in a view.

use ort::Error;
use ort::operator::KernelContext;

/// What the attributes of a convolution say.
#[derive(Clone, Debug)]
pub(super) struct Window {
    strides: [usize; 2],
    dilations: [usize; 2],
    before: [usize; 2],
    behind: [usize; 2],
    groups: usize,
    pub(super) relu: bool,
    pub(super) pool: Option<[usize; 2]>,
}

impl Window {
    /// Without groups; every axis is padded alike.
    #[cfg(test)]
    pub(super) fn pooled(strides: [usize; 2], dilations: [usize; 2], pad: usize) -> Self {
        Self {
            strides,
            dilations,
            before: [pad; 2],
            behind: [pad; 2],
            groups: 1,
            relu: true,
            pool: Some([2, 2]),
        }
    }

    pub(super) fn of(node: &KernelContext<'_>) -> ort::Result<Self> {
        let list = |name: &str| node.get::<Vec<i64>>(name).unwrap_or_default();
        let pads = list("pads");
        let (before, behind) = pads.split_at(pads.len() / 2);
        let pool = list("pool");
        Ok(Self {
            strides: pair("strides", &list("strides"), 1)?,
            dilations: pair("dilations", &list("dilations"), 1)?,
            before: pair("pads", before, 0)?,
            behind: pair("pads", behind, 0)?,
            groups: usize::try_from(node.get::<i64>("group").unwrap_or(1))
                .ok()
                .filter(|&groups| groups > 0)
                .ok_or_else(|| Error::new("group has to be positive"))?,
            relu: node.get::<i64>("relu").unwrap_or(0) != 0,
            pool: (!pool.is_empty())
                .then(|| pair("pool", &pool, 1))
                .transpose()?
                .filter(|[high, wide]| high * wide > 0),
        })
    }
}

/// One number for each dimension; one dimension is taken for the second of two. Sizes beyond 16 bits are refused, so that
/// nothing overflows.
fn pair(name: &str, values: &[i64], default: u16) -> ort::Result<[usize; 2]> {
    let refused = || Error::new(format!("{name} can't be {values:?}"));
    let number = |value: i64| match u16::try_from(value) {
        Ok(value) if value >= default => Ok(usize::from(value)),
        _ => Err(refused()),
    };
    let other = usize::from(default);
    match values {
        [] => Ok([other, other]),
        [only] => Ok([other, number(*only)?]),
        [first, second] => Ok([number(*first)?, number(*second)?]),
        _ => Err(refused()),
    }
}

/// All sizes of a convolution.
#[derive(Clone, Debug)]
pub(super) struct Sizes {
    pub(super) records: usize,
    pub(super) groups: usize,
    /// Channels of the image in one group.
    pub(super) channels: usize,
    /// Channels that are made, in one group.
    pub(super) outputs: usize,
    pub(super) image: [usize; 2],
    pub(super) padded: [usize; 2],
    pub(super) kernel: [usize; 2],
    pub(super) before: [usize; 2],
    strides: [usize; 2],
    pub(super) dilations: [usize; 2],
    /// How many windows of the pool there are, where there is one.
    pub(super) pooled: [usize; 2],
    /// How far one row of windows is from the next in a view.
    pub(super) row: usize,
    /// The length of a view.
    pub(super) view: usize,
    /// Where each view begins in the padded image of its group, in the order of the weights.
    starts: Vec<usize>,
}

impl Sizes {
    /// The sizes for an image `[records, channels, …]` and weights `[outputs, channels / groups, …]`.
    pub(super) fn new(window: &Window, image: &[i64], weights: &[i64]) -> ort::Result<Self> {
        let refused = || {
            Error::new(format!(
                "weights {weights:?} and the attributes do not fit an image {image:?}"
            ))
        };
        let sizes = |shape: &[i64]| -> Option<[usize; 4]> {
            let size = |value: &i64| usize::try_from(*value).ok();
            match shape {
                [a, b, c] => Some([size(a)?, size(b)?, 1, size(c)?]),
                [a, b, c, d] => Some([size(a)?, size(b)?, size(c)?, size(d)?]),
                _ => None,
            }
        };
        let [records, all_channels, height, width] = sizes(image).ok_or_else(refused)?;
        let [all_outputs, channels, high, wide] = sizes(weights).ok_or_else(refused)?;
        let (image, kernel) = ([height, width], [high, wide]);
        let groups = window.groups;
        if channels * groups != all_channels || all_outputs % groups != 0 {
            return Err(refused());
        }
        if [height, width, high, wide, channels, all_outputs].contains(&0) {
            return Err(refused());
        }
        let axes = |of: &dyn Fn(usize) -> Option<usize>| -> ort::Result<[usize; 2]> {
            of(0).zip(of(1)).map(<[usize; 2]>::from).ok_or_else(refused)
        };
        let padded = axes(&|axis| Some(window.before[axis] + image[axis] + window.behind[axis]))?;
        // Nor would memory hold one.
        if u32::try_from(padded[0] * padded[1]).is_err() {
            return Err(refused());
        }
        let places = axes(&|axis| {
            let reach = (kernel[axis] - 1) * window.dilations[axis] + 1;
            Some(padded[axis].checked_sub(reach)? / window.strides[axis] + 1)
        })?;
        let pool = window.pool.unwrap_or([1, 1]);
        let pooled = axes(&|axis| (places[axis] >= pool[axis]).then(|| places[axis] / pool[axis]))?;
        let is_one_piece = window.strides == [1, 1];
        let row = if is_one_piece { padded[1] } else { places[1] };
        let mut sizes = Self {
            records,
            groups,
            channels,
            outputs: all_outputs / groups,
            image,
            padded,
            kernel,
            before: window.before,
            strides: window.strides,
            dilations: window.dilations,
            pooled,
            row,
            view: (places[0] - 1) * row + places[1],
            starts: Vec::new(),
        };
        sizes.starts = sizes.find_starts().collect();
        Ok(sizes)
    }

    /// The shape of the result, in as many dimensions as the image has.
    pub(super) fn result_shape(&self, rank: usize) -> Vec<i64> {
        let all = [
            self.records,
            self.groups * self.outputs,
            self.pooled[0],
            self.pooled[1],
        ];
        let all = all.map(|size| i64::try_from(size).unwrap_or_default());
        if rank == 4 {
            all.to_vec()
        } else {
            vec![all[0], all[1], all[3]]
        }
    }

    /// Taps of a window over the channels of one group: rows of the matrix.
    pub(super) fn taps(&self) -> usize {
        self.channels * self.kernel[0] * self.kernel[1]
    }

    /// Elements of one record's image.
    pub(super) fn image_len(&self) -> usize {
        self.groups * self.channels * self.image[0] * self.image[1]
    }

    /// Elements of one record's padded image.
    pub(super) fn padded_len(&self) -> usize {
        self.groups * self.channels * self.padded[0] * self.padded[1]
    }

    /// Elements of the views of one group.
    pub(super) fn views_len(&self) -> usize {
        self.taps() * self.view
    }

    /// Elements of all outputs of one record, laid out as views.
    pub(super) fn outputs_len(&self) -> usize {
        self.groups * self.outputs * self.view
    }

    /// Copies an image into the middle of a padded one.
    #[inline(always)]
    pub(super) fn pad(&self, image: &[f32], padded: &mut [f32]) {
        padded.fill(0.0);
        let planes = padded.chunks_exact_mut(self.padded[0] * self.padded[1]);
        for (plane, image) in planes.zip(image.chunks_exact(self.image[0] * self.image[1])) {
            let rows = plane.chunks_exact_mut(self.padded[1]).skip(self.before[0]);
            for (row, image) in rows.zip(image.chunks_exact(self.image[1])) {
                row[self.before[1]..][..self.image[1]].copy_from_slice(image);
            }
        }
    }

    /// Copies the middle of a padded image.
    #[inline(always)]
    pub(super) fn unpad(&self, padded: &[f32], image: &mut [f32]) {
        let planes = image.chunks_exact_mut(self.image[0] * self.image[1]);
        for (image, plane) in planes.zip(padded.chunks_exact(self.padded[0] * self.padded[1])) {
            let rows = plane.chunks_exact(self.padded[1]).skip(self.before[0]);
            for (image, row) in image.chunks_exact_mut(self.image[1]).zip(rows) {
                image.copy_from_slice(&row[self.before[1]..][..self.image[1]]);
            }
        }
    }

    /// Whether a view is one piece of the padded image.
    pub(super) fn is_one_piece(&self) -> bool {
        self.strides == [1, 1]
    }

    /// Where each view begins: in the padded image of its group where it is one piece of that, else among gathered views.
    pub(super) fn view_starts(&self) -> Vec<usize> {
        if self.is_one_piece() {
            return self.starts.clone();
        }
        (0..self.taps()).map(|tap| tap * self.view).collect()
    }

    /// The pixel of the padded image that each of the pool's windows begins with, row by row.
    pub(super) fn corners(&self, [high, wide]: [usize; 2]) -> Vec<u32> {
        let [rows, width] = self.pooled;
        let places = (0..rows * width).map(|window| (window / width * high, window % width * wide));
        places.map(|place| self.pixel(place)).collect()
    }

    /// How many pixels each element of one of the pool's windows is behind the first.
    pub(super) fn steps(&self, [high, wide]: [usize; 2]) -> Vec<u32> {
        let elements = (0..high * wide).map(|element| (element / wide, element % wide));
        elements.map(|place| self.pixel(place)).collect()
    }

    /// The pixel of the padded image that a convolution's window begins with.
    fn pixel(&self, (y, x): (usize, usize)) -> u32 {
        let pixel = y * self.strides[0] * self.padded[1] + x * self.strides[1];
        u32::try_from(pixel).expect("larger images are refused")
    }

    /// Where each view begins in the padded image of its group.
    fn find_starts(&self) -> impl Iterator<Item = usize> {
        let [high, wide] = self.kernel;
        let ([down, across], [height, width]) = (self.dilations, self.padded);
        (0..self.channels).flat_map(move |channel| {
            (0..high).flat_map(move |i| {
                (0..wide).map(move |j| (channel * height + i * down) * width + j * across)
            })
        })
    }

    /// Copies the views of one group's padded image below each other.
    #[inline(always)]
    pub(super) fn gather(&self, padded: &[f32], views: &mut [f32]) {
        for (view, start) in views.chunks_exact_mut(self.view).zip(&self.starts) {
            if self.is_one_piece() {
                view.copy_from_slice(&padded[*start..][..self.view]);
                continue;
            }
            for (place, row) in view.chunks_exact_mut(self.row).enumerate() {
                let seen = &padded[start + place * self.strides[0] * self.padded[1]..];
                for (element, seen) in row.iter_mut().zip(seen.iter().step_by(self.strides[1])) {
                    *element = *seen;
                }
            }
        }
    }

    /// Adds views to where they were seen: the reverse of [`Sizes::gather`].
    #[inline(always)]
    pub(super) fn scatter(&self, views: &[f32], padded: &mut [f32]) {
        for (view, start) in views.chunks_exact(self.view).zip(&self.starts) {
            if self.is_one_piece() {
                for (seen, element) in padded[*start..][..self.view].iter_mut().zip(view) {
                    *seen += element;
                }
                continue;
            }
            for (place, row) in view.chunks_exact(self.row).enumerate() {
                let seen = &mut padded[start + place * self.strides[0] * self.padded[1]..];
                for (element, seen) in row.iter().zip(seen.iter_mut().step_by(self.strides[1])) {
                    *seen += element;
                }
            }
        }
    }
}
