//! Tensors as the reference evaluator holds them: 64 bits an element, row-major.

/// A dense tensor. Its values are exactly as many as its dimensions make.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    dims: Vec<usize>,
    values: Values,
}

/// The values of a tensor, in one of three kinds: the widths of the format's types are not kept.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Any floating-point type.
    Float(Vec<f64>),
    /// Any type of whole numbers.
    Integer(Vec<i64>),
    /// Truth values.
    Boolean(Vec<bool>),
}

impl Values {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Float(values) => values.len(),
            Self::Integer(values) => values.len(),
            Self::Boolean(values) => values.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the kind is called in messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Float(_) => "floating-point",
            Self::Integer(_) => "integer",
            Self::Boolean(_) => "boolean",
        }
    }

    /// Values picked by their positions, in that order.
    ///
    /// # Panics
    /// A position that is not there.
    #[must_use]
    pub fn pick(&self, positions: impl Iterator<Item = usize>) -> Self {
        match self {
            Self::Float(values) => Self::Float(positions.map(|at| values[at]).collect()),
            Self::Integer(values) => Self::Integer(positions.map(|at| values[at]).collect()),
            Self::Boolean(values) => Self::Boolean(positions.map(|at| values[at]).collect()),
        }
    }
}

impl Tensor {
    /// A tensor from its parts.
    ///
    /// # Panics
    /// The number of values is not the product of the dimensions.
    #[must_use]
    pub fn new(dims: Vec<usize>, values: Values) -> Self {
        assert_eq!(
            dims.iter().product::<usize>(),
            values.len(),
            "dimensions {dims:?} do not make that many values"
        );
        Self { dims, values }
    }

    /// A floating-point tensor.
    ///
    /// # Panics
    /// As [`Tensor::new`].
    #[must_use]
    pub fn floats(dims: &[usize], values: Vec<f64>) -> Self {
        Self::new(dims.to_vec(), Values::Float(values))
    }

    /// A floating-point tensor from 32 bit values.
    ///
    /// # Panics
    /// As [`Tensor::new`].
    #[must_use]
    pub fn from_f32(dims: &[usize], values: &[f32]) -> Self {
        Self::floats(dims, values.iter().copied().map(f64::from).collect())
    }

    /// A tensor of whole numbers.
    ///
    /// # Panics
    /// As [`Tensor::new`].
    #[must_use]
    pub fn integers(dims: &[usize], values: Vec<i64>) -> Self {
        Self::new(dims.to_vec(), Values::Integer(values))
    }

    /// A floating-point tensor of rank 0.
    #[must_use]
    pub fn scalar(value: f64) -> Self {
        Self::floats(&[], vec![value])
    }

    /// The sizes of its dimensions.
    #[must_use]
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// How many dimensions it has.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.dims.len()
    }

    /// How many elements it has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.values.len()
    }

    /// Its values, row by row.
    #[must_use]
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// Its values, where they are floating-point.
    #[must_use]
    pub fn as_floats(&self) -> Option<&[f64]> {
        match &self.values {
            Values::Float(values) => Some(values),
            _ => None,
        }
    }

    /// Its values, where they are whole numbers.
    #[must_use]
    pub fn as_integers(&self) -> Option<&[i64]> {
        match &self.values {
            Values::Integer(values) => Some(values),
            _ => None,
        }
    }

    /// The same values under other dimensions.
    ///
    /// # Panics
    /// As [`Tensor::new`].
    #[must_use]
    pub fn with_dims(&self, dims: Vec<usize>) -> Self {
        Self::new(dims, self.values.clone())
    }
}
/// How far apart neighbours along each dimension lie in row-major order.
pub(crate) fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; dims.len()];
    for axis in (1..dims.len()).rev() {
        strides[axis - 1] = strides[axis] * dims[axis];
    }
    strides
}

/// Every index of a tensor, row by row.
pub(crate) fn indices(dims: &[usize]) -> impl Iterator<Item = Vec<usize>> {
    let count = dims.iter().product();
    let strides = strides(dims);
    let dims = dims.to_vec();
    (0..count).map(move |position: usize| {
        strides
            .iter()
            .zip(&dims)
            .map(|(stride, size)| position / stride % size)
            .collect()
    })
}

/// The positions of the elements of every line along an axis, line by line.
pub(crate) fn lines(dims: &[usize], axis: usize) -> impl Iterator<Item = Vec<usize>> {
    let (size, stride) = (dims[axis], strides(dims)[axis]);
    let count: usize = dims.iter().product();
    let starts = (0..count).filter(move |position| position / stride % size == 0);
    starts.map(move |start| (0..size).map(|step| start + step * stride).collect())
}
