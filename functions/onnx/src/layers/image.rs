//! Layers over images, records of the shape `[channels, height, width]`, and those that go between layers.

use super::{Activation, Builder};
use crate::proto::{AttributeProto, NodeProto, TensorProto};

/// What a convolution does at the edges.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Padding {
    /// Zeros around the image (nothing for pools), so that with a stride of 1 the result has its size.
    Same,
    /// None: the window stays within the image.
    Valid,
}

/// How a window of a convolution or a pool moves over an image: rows, then columns.
#[derive(Clone, Copy)]
pub(super) struct Moves {
    pub(super) window: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) padding: Padding,
}

impl Moves {
    pub(super) fn new(window: [usize; 2], stride: [usize; 2], padding: Padding) -> Self {
        Self {
            window,
            stride,
            padding,
        }
    }

    /// The size of the result along an axis, and how much padding goes before and behind.
    fn along(&self, axis: usize, size: usize) -> Result<(usize, [usize; 2]), String> {
        let (window, stride) = (self.window[axis], self.stride[axis]);
        if window == 0 || stride == 0 {
            return Err("a window or stride of 0 leads nowhere: give at least 1".to_owned());
        }
        if self.padding == Padding::Same {
            let count = size.div_ceil(stride);
            let missing = ((count - 1) * stride + window).saturating_sub(size);
            return Ok((count, [missing / 2, missing - missing / 2]));
        }
        let room = size.checked_sub(window).ok_or_else(|| {
            format!(
                "a window of {window} does not fit a side of {size}: give a smaller one, or pad"
            )
        })?;
        Ok((room / stride + 1, [0, 0]))
    }
}

fn numbers(name: &str, values: &[usize]) -> AttributeProto {
    let values: Vec<i64> = values.iter().map(|&value| value as i64).collect();
    AttributeProto::from_ints(name, &values)
}

impl Builder {
    /// The record under another shape of as many elements.
    pub(super) fn reshape(&mut self, name: &str, shape: &[usize]) -> Result<(), String> {
        let count = |shape: &[usize]| {
            let sizes = shape.iter();
            let count = sizes.copied().try_fold(1_usize, usize::checked_mul);
            count.filter(|_| !shape.is_empty()).unwrap_or(0)
        };
        let (from, to) = (count(&self.shape), count(shape));
        if to == 0 || from != to {
            return Err(format!(
                "it gets records of shape {:?}, {from} elements, and {shape:?} has {to}: give a shape of {from} elements",
                self.shape
            ));
        }
        let target = format!("{name}.shape");
        // 0 keeps the size of the batch.
        let sizes = shape.iter().map(|&size| size as i64);
        let sizes: Vec<i64> = std::iter::once(0).chain(sizes).collect();
        self.initializers
            .push(TensorProto::from_i64(&target, &[sizes.len()], &sizes));
        self.node(name, "Reshape", &[&target], Vec::new());
        self.shape = shape.to_vec();
        Ok(())
    }

    pub(super) fn convolution(
        &mut self,
        name: &str,
        filters: usize,
        moves: Moves,
        activation: Activation,
        bias: bool,
    ) -> Result<(), String> {
        let [channels, ..] = self.image()?;
        if filters == 0 {
            return Err("it has no filters: give at least 1".to_owned());
        }
        let (sizes, mut attribute) = self.moved(moves)?;
        let [rows, columns] = moves.window;
        let taps = rows.checked_mul(columns);
        let inputs = taps.and_then(|taps| taps.checked_mul(channels));
        let weights = inputs.and_then(|inputs| inputs.checked_mul(filters));
        let biases = if bias { filters } else { 0 };
        self.count_parameters(weights.and_then(|weights| weights.checked_add(biases)))?;

        let dims = [filters, channels, rows, columns];
        let (inputs, outputs) = (channels * rows * columns, filters * rows * columns);
        let fan = match activation {
            Activation::Relu => inputs,
            _ => inputs + outputs,
        };
        let values = self.initial.uniform(dims.iter().product(), fan);
        let weight = format!("{name}.weight");
        self.initializers
            .push(TensorProto::from_f32(&weight, &dims, &values));
        let mut others = vec![weight];
        if bias {
            let bias = format!("{name}.bias");
            let values = vec![0.0; filters];
            self.initializers
                .push(TensorProto::from_f32(&bias, &[filters], &values));
            others.push(bias);
        }
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        attribute.insert(0, numbers("kernel_shape", &moves.window));
        self.node(name, "Conv", &others, attribute);
        self.shape = [[filters].as_slice(), &sizes].concat();
        self.activate(name, activation, 1);
        Ok(())
    }

    /// The dimensions of a record in another order.
    pub(super) fn permute(&mut self, name: &str, dims: &[usize]) -> Result<(), String> {
        let rank = self.shape.len();
        let mut sorted = dims.to_vec();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(1..=rank) {
            return Err(format!(
                "it gets records of shape {:?}, and {dims:?} is no order of their {rank} dimensions: name each once, from 1",
                self.shape
            ));
        }
        // The batch, dimension 0, stays where it is.
        let order = [[0].as_slice(), dims].concat();
        self.node(name, "Transpose", &[], vec![numbers("perm", &order)]);
        self.shape = dims.iter().map(|&dim| self.shape[dim - 1]).collect();
        Ok(())
    }

    /// A pool, by the operator's name.
    pub(super) fn pool(&mut self, name: &str, operator: &str, moves: Moves) -> Result<(), String> {
        let [channels, ..] = self.image()?;
        let (sizes, mut attribute) = self.moved(moves)?;
        attribute.insert(0, numbers("kernel_shape", &moves.window));
        self.node(name, operator, &[], attribute);
        self.shape = [[channels].as_slice(), &sizes].concat();
        Ok(())
    }

    /// The average of each channel, as a row of features.
    pub(super) fn global_average(&mut self, name: &str) -> Result<(), String> {
        let [channels, ..] = self.image()?;
        let pooled = format!("{name}.pooled");
        self.node(&pooled, "GlobalAveragePool", &[], Vec::new());
        let axis = vec![AttributeProto::from_int("axis", 1)];
        self.node(name, "Flatten", &[], axis);
        self.shape = vec![channels];
        Ok(())
    }

    /// Over the first dimension of a record: its channels, or its features.
    pub(super) fn batch_normalization(
        &mut self,
        name: &str,
        momentum: f32,
        epsilon: f32,
    ) -> Result<(), String> {
        if !(0.0..1.0).contains(&momentum) {
            return Err(format!(
                "a momentum of {momentum} is not at least 0 and less than 1"
            ));
        }
        if !(epsilon >= f32::MIN_POSITIVE && epsilon.is_finite()) {
            return Err(format!("an epsilon of {epsilon} is not a positive number"));
        }
        let channels = self.shape[0];
        self.count_parameters(channels.checked_mul(4))?;
        let parts = [
            ("scale", 1.0),
            ("bias", 0.0),
            ("running_mean", 0.0),
            ("running_variance", 1.0),
        ];
        let names = parts.map(|(part, value)| {
            let name = format!("{name}.{part}");
            let values = vec![value; channels];
            self.initializers
                .push(TensorProto::from_f32(&name, &[channels], &values));
            name
        });
        let others: Vec<&str> = names.iter().map(String::as_str).collect();
        let attribute = vec![
            AttributeProto::from_float("epsilon", epsilon),
            AttributeProto::from_float("momentum", momentum),
        ];
        self.node(name, "BatchNormalization", &others, attribute);
        Ok(())
    }

    pub(super) fn dropout(&mut self, name: &str, ratio: f32) -> Result<(), String> {
        if !(0.0..1.0).contains(&ratio) {
            return Err(format!(
                "it drops a share of {ratio} of the values: give at least 0 and less than 1"
            ));
        }
        let constant = self.constant(&format!("{name}.ratio"), ratio);
        self.node(name, "Dropout", &[&constant], Vec::new());
        Ok(())
    }

    /// A number that does not train: a constant node, since what is an initializer may.
    pub(super) fn constant(&mut self, name: &str, value: f32) -> String {
        let value = TensorProto::from_f32(name, &[], &[value]);
        let value = vec![AttributeProto::from_tensor("value", value)];
        self.nodes
            .push(NodeProto::new::<&str>("Constant", &[], name, value));
        name.to_owned()
    }

    /// The shape of a record that is an image.
    fn image(&self) -> Result<[usize; 3], String> {
        <[usize; 3]>::try_from(self.shape.as_slice()).map_err(|_| {
            format!(
                "it takes images of shape [channels, height, width], and gets records of shape {:?}: \
                 put a reshape layer before it",
                self.shape
            )
        })
    }

    /// The height and width of what a window makes of the image, and the attributes that say so.
    fn moved(&self, moves: Moves) -> Result<([usize; 2], Vec<AttributeProto>), String> {
        let image = self.image()?;
        let along = |axis: usize| {
            moves.along(axis, image[axis + 1]).map_err(|reason| {
                format!("{reason}; it gets images of shape {image:?}, which are [channels, height, width]")
            })
        };
        let (rows, above) = along(0)?;
        let (columns, left) = along(1)?;
        let mut attribute = vec![numbers("strides", &moves.stride)];
        let pads = [above[0], left[0], above[1], left[1]];
        if pads != [0; 4] {
            attribute.push(numbers("pads", &pads));
        }
        Ok(([rows, columns], attribute))
    }
}
