//! What reads the records of one writer's schema: the schema compiled against the fields that are wanted.

use super::super::{DecodeError, FieldFault};

/// Steps, one after another, that read a whole record.
pub(super) struct Program {
    /// What errors call the writer's schema, and the reader's.
    pub(super) writer: String,
    pub(super) reader: Option<String>,
    pub(super) steps: Vec<Step>,
    /// What passes over a named type, by its number.
    pub(super) skips: Vec<Skip>,
}

impl Program {
    /// The schemas do not fit each other.
    #[cold]
    pub(super) fn broken(&self, reason: &str) -> DecodeError {
        DecodeError::Schema {
            writer: self.writer.clone(),
            reader: self.reader.clone(),
            reason: reason.to_owned(),
        }
    }
}

/// A step.
#[derive(Debug)]
pub(super) enum Step {
    /// Numbers of one kind, one behind another in the record and in the tensor, each a field of its own.
    Numbers {
        kind: Kind,
        count: usize,
        to: usize,
        field: usize,
    },
    /// Simple steps, one behind another.
    Run(Vec<Piece>),
    /// A number or null.
    Nullable {
        /// The branch that is null.
        null: i64,
        kind: Kind,
        to: usize,
        field: usize,
    },
    /// A number that needs more to be read.
    Item { item: Item, to: usize, field: usize },
    /// Bytes, which are numbers: so many, or as many as stand before them.
    Bytes {
        fixed: Option<usize>,
        to: usize,
        field: usize,
    },
    /// Nested arrays of these lengths. A single one stands for the elements of all dimensions.
    Arrays {
        lengths: Vec<usize>,
        item: Item,
        to: usize,
        field: usize,
    },
    /// A text, for which a number stands.
    Text { to: usize, field: usize },
    /// A symbol as a text: for each of the writer's the reader's, or the writer's own that the reader does not know.
    Symbol {
        symbols: Vec<Result<String, String>>,
        to: usize,
        field: usize,
    },
    /// The text that the reader's schema says where the writer's says nothing.
    ConstantText { text: String, to: usize },
    /// One of several, by what stands before it.
    Union(Vec<Vec<Step>>),
    /// An array some of whose items hold fields.
    Items {
        /// In ascending order, with the fields in each.
        wanted: Vec<(u64, Inside)>,
        other: Skip,
    },
    /// A map some of whose values hold fields.
    Map {
        wanted: Vec<(String, Inside)>,
        other: Skip,
    },
    /// What is not wanted.
    Skip(Skip),
    /// What the reader's schema says where the writer's says nothing.
    Constant { numbers: Vec<f32>, to: usize },
    /// Fields that are not there.
    Absent {
        fields: Vec<usize>,
        fault: FieldFault,
    },
    /// A field that holds something else than numbers.
    Fault { field: usize, fault: FieldFault },
    /// The schemas do not fit each other here.
    Break(String),
}

/// A step of a few instructions: a single number, or something that is passed over.
#[derive(Debug, Clone, Copy)]
pub(super) enum Piece {
    /// So many bytes are passed over.
    Bytes(usize),
    /// A number of variable length is passed over.
    Varint,
    /// Bytes with their length before them are passed over.
    Length,
    Boolean {
        to: usize,
    },
    Integer {
        to: usize,
        field: usize,
    },
    Float {
        to: usize,
    },
    Double {
        to: usize,
        field: usize,
    },
}

/// What reads a part of a record, and the fields that lie in it.
#[derive(Debug)]
pub(super) struct Inside {
    pub(super) steps: Vec<Step>,
    pub(super) fields: Vec<usize>,
}

/// How a number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    /// `int` and `long`.
    Integer,
    Float,
    Double,
}

/// One number of a field.
#[derive(Debug)]
pub(super) enum Item {
    Number(Kind),
    /// The reader's number of each of the writer's symbols, or the symbol that the reader does not know.
    Enum(Vec<Result<f32, String>>),
    Null,
    Union(Vec<Item>),
    Fault(FieldFault),
    Break(String),
}

/// Passes over what is not wanted.
#[derive(Debug, Clone)]
pub(super) enum Skip {
    /// So many bytes.
    Bytes(usize),
    /// So many numbers of variable length.
    Varints(usize),
    /// Bytes with their length before them.
    Length,
    Union(Vec<Skip>),
    Sequence(Vec<Skip>),
    /// Blocks of items.
    Array(Box<Skip>),
    /// Blocks of values with their keys.
    Map(Box<Skip>),
    /// A named type.
    Named(usize),
}

/// Adds a step, merged with the one before where these are of one kind.
pub(super) fn push(steps: &mut Vec<Step>, step: Step) {
    match (steps.last_mut(), step) {
        (Some(Step::Skip(before)), Step::Skip(skip)) => {
            if let Some(skip) = merge(before, skip) {
                steps.push(Step::Skip(skip));
            }
        }
        (
            Some(Step::Numbers {
                kind,
                count,
                to,
                field,
            }),
            Step::Numbers {
                kind: next_kind,
                count: more,
                to: next_to,
                field: next_field,
            },
        ) if *kind == next_kind && *to + *count == next_to && *field + *count == next_field => {
            *count += more;
        }
        (_, step) => steps.push(step),
    }
}

/// The same steps with simple ones in runs.
pub(super) fn in_runs(steps: Vec<Step>) -> Vec<Step> {
    let mut merged = Vec::with_capacity(steps.len());
    for step in steps {
        let pieces = pieces(&step);
        match merged.last_mut() {
            Some(Step::Run(run)) if !pieces.is_empty() => run.extend(pieces),
            _ if !pieces.is_empty() => merged.push(Step::Run(pieces)),
            _ => merged.push(step),
        }
    }
    merged
}

/// A step in pieces; none where it is not as simple.
fn pieces(step: &Step) -> Vec<Piece> {
    /// So many numbers of one kind are better read in a loop that knows nothing else.
    const MANY: usize = 8;
    match *step {
        Step::Skip(Skip::Bytes(count)) => vec![Piece::Bytes(count)],
        Step::Skip(Skip::Length) => vec![Piece::Length],
        Step::Skip(Skip::Varints(count)) if count < MANY => vec![Piece::Varint; count],
        Step::Numbers {
            kind,
            count,
            to,
            field,
        } if count < MANY => {
            let numbers = (0..count).map(|number| (to + number, field + number));
            numbers
                .map(|(to, field)| match kind {
                    Kind::Boolean => Piece::Boolean { to },
                    Kind::Integer => Piece::Integer { to, field },
                    Kind::Float => Piece::Float { to },
                    Kind::Double => Piece::Double { to, field },
                })
                .collect()
        }
        _ => Vec::new(),
    }
}

/// Several skips as one.
pub(super) fn sequence(skips: impl Iterator<Item = Skip>) -> Skip {
    let mut merged: Vec<Skip> = Vec::new();
    for skip in skips {
        let left = match merged.last_mut() {
            Some(before) => merge(before, skip),
            None => Some(skip),
        };
        merged.extend(left);
    }
    match merged.len() {
        0 => Skip::Bytes(0),
        1 => merged.remove(0),
        _ => Skip::Sequence(merged),
    }
}

/// Puts a skip into the one before it, or gives it back.
fn merge(before: &mut Skip, next: Skip) -> Option<Skip> {
    match (before, next) {
        (Skip::Bytes(before), Skip::Bytes(more)) | (Skip::Varints(before), Skip::Varints(more)) => {
            *before = before.saturating_add(more);
            None
        }
        (_, next) => Some(next),
    }
}
