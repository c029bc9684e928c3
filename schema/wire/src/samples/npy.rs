//! One array of an npz file: a header, which is a literal of Python's, and the elements.
//!
//! The format is that of `numpy.lib.format`, versions 1 to 3.

use super::{LARGEST, Value};
use crate::record::Dtype;
use crate::record::half;

/// What every array begins with.
const MAGIC: &[u8] = b"\x93NUMPY";
/// The elements begin at a multiple of so many bytes.
const ALIGNMENT: usize = 64;

/// An array, its elements in C order and little-endian.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    kind: Kind,
    /// Its shape.
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// The type of an array's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number(Dtype),
    /// Texts of at most so many code points, each in four bytes.
    Unicode(usize),
    /// Texts of at most so many bytes.
    Bytes(usize),
}

/// What a header says.
struct Header {
    kind: Kind,
    is_big_endian: bool,
    is_fortran: bool,
    shape: Vec<usize>,
}

impl Array {
    /// Reads a file of one array.
    pub(super) fn read(file: &[u8]) -> Result<Self, String> {
        let cut = || "it is cut short".to_owned();
        let rest = file
            .strip_prefix(MAGIC)
            .ok_or_else(|| "it is no array of numpy's".to_owned())?;
        let (version, rest) = rest.split_at_checked(2).ok_or_else(cut)?;
        let (length, rest) = match version[0] {
            1 => {
                let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
                (u32::from(u16::from_le_bytes(*length)), rest)
            }
            2 | 3 => {
                let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
                (u32::from_le_bytes(*length), rest)
            }
            other => {
                return Err(format!(
                    "its format has the version {other}, and 1 to 3 are read"
                ));
            }
        };
        let (header, data) = rest.split_at_checked(length as usize).ok_or_else(cut)?;
        let header = Header::read(&String::from_utf8_lossy(header))?;
        let size = header.kind.bytes();
        let times = |product: usize, length: &usize| product.checked_mul(*length);
        let elements = header.shape.iter().try_fold(1, times);
        if elements.and_then(|elements| size.checked_mul(elements)) != Some(data.len()) {
            return Err(format!(
                "it has {} bytes of elements, and its shape {:?} takes others",
                data.len(),
                header.shape
            ));
        }
        // Texts of no length take no bytes, however many they are.
        if elements.is_some_and(|elements| elements as u64 > LARGEST) {
            return Err(format!(
                "its shape {:?} has too many elements",
                header.shape
            ));
        }
        let mut bytes = data.to_vec();
        if header.is_big_endian {
            let unit = header.kind.unit();
            bytes.chunks_exact_mut(unit).for_each(<[u8]>::reverse);
        }
        if header.is_fortran && header.shape.len() > 1 {
            bytes = in_c_order(&bytes, &header.shape, size);
        }
        Ok(Self {
            kind: header.kind,
            shape: header.shape,
            bytes,
        })
    }

    /// A file of one array of numbers, whose bytes are little-endian and in C order.
    pub(super) fn write(dtype: Dtype, shape: &[usize], bytes: &[u8]) -> Vec<u8> {
        let name = match dtype {
            Dtype::Bool => "|b1",
            Dtype::Int8 => "|i1",
            Dtype::Int16 => "<i2",
            Dtype::Int32 => "<i4",
            Dtype::Int64 => "<i8",
            Dtype::Uint8 => "|u1",
            Dtype::Uint16 => "<u2",
            Dtype::Uint32 => "<u4",
            Dtype::Uint64 => "<u8",
            Dtype::Float16 => "<f2",
            Dtype::Float32 => "<f4",
            Dtype::Float64 => "<f8",
        };
        // A comma behind the only number makes it a tuple.
        let lengths: Vec<String> = shape.iter().map(|length| format!("{length},")).collect();
        let lengths = lengths.concat();
        let mut header =
            format!("{{'descr': '{name}', 'fortran_order': False, 'shape': ({lengths}), }}");
        let before = MAGIC.len() + 2 + 4;
        let padding = (before + header.len() + 1).next_multiple_of(ALIGNMENT) - before - 1;
        header = format!("{header:padding$}\n");
        let length = u32::try_from(header.len()).unwrap_or(u32::MAX);
        [
            MAGIC,
            &[2, 0],
            &length.to_le_bytes(),
            header.as_bytes(),
            bytes,
        ]
        .concat()
    }

    /// Its shape.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The element at this place of all its elements in C order.
    ///
    /// # Panics
    /// Behind the last one.
    #[must_use]
    pub fn value(&self, index: usize) -> Value {
        let size = self.kind.bytes();
        let element = &self.bytes[index * size..(index + 1) * size];
        match self.kind {
            Kind::Number(dtype) => number(dtype, element),
            Kind::Unicode(_) => {
                let points = element.as_chunks::<4>().0.iter();
                let points = points.map(|point| u32::from_le_bytes(*point));
                let text: String = points
                    .map(|point| char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER))
                    .collect();
                Value::Text(text.trim_end_matches('\0').to_owned())
            }
            Kind::Bytes(_) => {
                let text = String::from_utf8_lossy(element);
                Value::Text(text.trim_end_matches('\0').to_owned())
            }
        }
    }
}

impl Kind {
    /// Bytes of one element.
    fn bytes(self) -> usize {
        match self {
            Self::Number(dtype) => dtype.bytes(),
            Self::Unicode(length) => length * 4,
            Self::Bytes(length) => length,
        }
    }

    /// Bytes that the byte order concerns.
    fn unit(self) -> usize {
        match self {
            Self::Number(dtype) => dtype.bytes(),
            Self::Unicode(_) => 4,
            Self::Bytes(_) => 1,
        }
    }

    /// The type by numpy's name, without the byte order.
    fn named(name: &str) -> Result<Self, String> {
        let number = match name {
            "b1" => Dtype::Bool,
            "i1" => Dtype::Int8,
            "i2" => Dtype::Int16,
            "i4" => Dtype::Int32,
            "i8" => Dtype::Int64,
            "u1" => Dtype::Uint8,
            "u2" => Dtype::Uint16,
            "u4" => Dtype::Uint32,
            "u8" => Dtype::Uint64,
            "f2" => Dtype::Float16,
            "f4" => Dtype::Float32,
            "f8" => Dtype::Float64,
            "O" => {
                return Err(
                    "it holds Python's objects; make it an array of numbers, or of texts with dtype=str"
                        .to_owned(),
                );
            }
            other => {
                let text = || {
                    let length = |text: &str| text.parse::<u16>().ok().map(usize::from);
                    match other.split_at_checked(1)? {
                        ("U", rest) => length(rest).map(Self::Unicode),
                        ("S", rest) => length(rest).map(Self::Bytes),
                        _ => None,
                    }
                };
                return text().ok_or_else(|| {
                    format!("its type {name:?} is none of numbers, truth values and texts")
                });
            }
        };
        Ok(Self::Number(number))
    }
}

impl Header {
    fn read(text: &str) -> Result<Self, String> {
        let malformed = || format!("its header {:?} is malformed", text.trim_end());
        let mut literal = Literal(text);
        let (mut descr, mut is_fortran, mut shape) = (None, None, None);
        literal.take("{").ok_or_else(malformed)?;
        while literal.take("}").is_none() {
            let key = literal.quoted().ok_or_else(malformed)?;
            literal.take(":").ok_or_else(malformed)?;
            match key {
                "descr" => {
                    if literal.take("[").is_some() {
                        return Err(
                            "it is a structured array; give each field as an array of its own"
                                .to_owned(),
                        );
                    }
                    descr = Some(literal.quoted().ok_or_else(malformed)?);
                }
                "fortran_order" => {
                    is_fortran = Some(literal.boolean().ok_or_else(malformed)?);
                }
                "shape" => shape = Some(literal.tuple().ok_or_else(malformed)?),
                _ => return Err(malformed()),
            }
            // There is one behind the last value too.
            let _ = literal.take(",");
        }
        let (Some(descr), Some(is_fortran), Some(shape)) = (descr, is_fortran, shape) else {
            return Err(malformed());
        };
        let name = descr.trim_start_matches(['<', '>', '|', '=']);
        Ok(Self {
            kind: Kind::named(name)?,
            is_big_endian: descr.starts_with('>'),
            is_fortran,
            shape,
        })
    }
}

/// What is left of a literal of Python's.
struct Literal<'t>(&'t str);

impl<'t> Literal<'t> {
    /// Takes a token, if it comes next.
    fn take(&mut self, token: &str) -> Option<()> {
        self.0 = self.0.trim_start().strip_prefix(token)?;
        Some(())
    }

    fn quoted(&mut self) -> Option<&'t str> {
        self.take("'")?;
        let (text, rest) = self.0.split_once('\'')?;
        self.0 = rest;
        Some(text)
    }

    fn boolean(&mut self) -> Option<bool> {
        let is_true = self.take("True").is_some();
        if !is_true {
            self.take("False")?;
        }
        Some(is_true)
    }

    fn tuple(&mut self) -> Option<Vec<usize>> {
        let mut numbers = Vec::new();
        self.take("(")?;
        while self.take(")").is_none() {
            let text = self.0.trim_start();
            let end = text.find(|letter: char| !letter.is_ascii_digit())?;
            numbers.push(text[..end].parse().ok()?);
            self.0 = &text[end..];
            let _ = self.take(",");
        }
        Some(numbers)
    }
}

/// Elements that lie in Fortran's order, the first dimension running fastest, in C's order.
fn in_c_order(bytes: &[u8], shape: &[usize], size: usize) -> Vec<u8> {
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = 1;
    for length in shape {
        strides.push(stride);
        stride *= length;
    }
    let mut index = vec![0; shape.len()];
    let mut ordered = Vec::with_capacity(bytes.len());
    while ordered.len() < bytes.len() {
        let from: usize = index
            .iter()
            .zip(&strides)
            .map(|(at, stride)| at * stride)
            .sum();
        ordered.extend_from_slice(&bytes[from * size..(from + 1) * size]);
        for (at, length) in index.iter_mut().zip(shape).rev() {
            *at += 1;
            if *at < *length {
                break;
            }
            *at = 0;
        }
    }
    ordered
}

/// One element of a type of numbers; it has that type's bytes.
fn number(dtype: Dtype, element: &[u8]) -> Value {
    macro_rules! read {
        ($type:ty) => {
            <$type>::from_le_bytes(element.try_into().expect("an element has its type's bytes"))
        };
    }
    match dtype {
        Dtype::Bool => Value::Integer(i128::from(element[0] != 0)),
        Dtype::Int8 => Value::Integer(read!(i8).into()),
        Dtype::Int16 => Value::Integer(read!(i16).into()),
        Dtype::Int32 => Value::Integer(read!(i32).into()),
        Dtype::Int64 => Value::Integer(read!(i64).into()),
        Dtype::Uint8 => Value::Integer(read!(u8).into()),
        Dtype::Uint16 => Value::Integer(read!(u16).into()),
        Dtype::Uint32 => Value::Integer(read!(u32).into()),
        Dtype::Uint64 => Value::Integer(read!(u64).into()),
        Dtype::Float16 => Value::Float(half::from_bits(read!(u16)).into()),
        Dtype::Float32 => Value::Float(read!(f32).into()),
        Dtype::Float64 => Value::Float(read!(f64)),
    }
}
