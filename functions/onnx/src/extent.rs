//! Sizes of dimensions as far as they are known before anything runs.
//!
//! A size is a number times symbols: `[batch, 4, 5]` reshaped to `[-1, 20]` has `batch · 20 / 20 = batch` rows. Products and
//! exact quotients are all that shapes need; any other size gets a symbol of its own, equal to nothing else.

use crate::Dim;

/// A size: a number times symbols, which are sorted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Extent {
    factor: i64,
    symbols: Vec<Symbol>,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Symbol {
    /// A name that the model gives.
    Named(String),
    /// A size of which nothing is known.
    Fresh(usize),
}

/// Makes sizes of which nothing is known, no two of them equal.
#[derive(Debug, Default)]
pub(crate) struct Unknowns(usize);

impl Unknowns {
    pub(crate) fn next(&mut self) -> Extent {
        self.0 += 1;
        Extent {
            factor: 1,
            symbols: vec![Symbol::Fresh(self.0)],
        }
    }

    pub(crate) fn extent(&mut self, dim: &Dim) -> Extent {
        match dim {
            Dim::Fixed(size) => Extent::fixed(*size),
            Dim::Symbolic(name) => Extent {
                factor: 1,
                symbols: vec![Symbol::Named(name.clone())],
            },
            Dim::Unknown => self.next(),
        }
    }
}

impl Extent {
    pub(crate) const fn fixed(size: i64) -> Self {
        Self {
            factor: size,
            symbols: Vec::new(),
        }
    }

    /// The size, where it is a plain number.
    pub(crate) fn as_fixed(&self) -> Option<i64> {
        self.symbols.is_empty().then_some(self.factor)
    }

    pub(crate) fn is_one(&self) -> bool {
        self.as_fixed() == Some(1)
    }

    /// Whether nothing at all is known of it.
    pub(crate) fn is_unknown(&self) -> bool {
        self.symbols
            .iter()
            .any(|symbol| matches!(symbol, Symbol::Fresh(_)))
    }

    pub(crate) fn times(&self, other: &Self) -> Self {
        let mut symbols = [self.symbols.clone(), other.symbols.clone()].concat();
        symbols.sort();
        Self {
            factor: self.factor.saturating_mul(other.factor),
            symbols,
        }
    }

    pub(crate) fn product<'a>(extents: impl IntoIterator<Item = &'a Self>) -> Self {
        extents
            .into_iter()
            .fold(Self::fixed(1), |product, extent| product.times(extent))
    }

    /// The exact quotient, where there is one whatever the symbols stand for.
    pub(crate) fn divided_by(&self, divisor: &Self) -> Option<Self> {
        if divisor.factor == 0 || self.factor % divisor.factor != 0 {
            return None;
        }
        let mut symbols = self.symbols.clone();
        for symbol in &divisor.symbols {
            let at = symbols.iter().position(|own| own == symbol)?;
            symbols.remove(at);
        }
        Some(Self {
            factor: self.factor / divisor.factor,
            symbols,
        })
    }

    /// How a signature shows it.
    pub(crate) fn to_dim(&self) -> Dim {
        match (self.factor, self.symbols.as_slice()) {
            (size, []) => Dim::Fixed(size),
            (1, [Symbol::Named(name)]) => Dim::Symbolic(name.clone()),
            _ => Dim::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn a_symbol_that_stands_on_both_sides_cancels() {
        let mut unknowns = Unknowns::default();
        let batch = unknowns.extent(&Dim::Symbolic("batch".to_owned()));
        let all = Extent::product([&batch, &Extent::fixed(4), &Extent::fixed(5)]);
        assert_eq!(all.divided_by(&Extent::fixed(20)), Some(batch.clone()));
        assert_eq!(all.divided_by(&batch).unwrap().as_fixed(), Some(20));
        assert_eq!(all.divided_by(&Extent::fixed(3)), None);
        assert_eq!(all.divided_by(&unknowns.next()), None);
    }

    #[test]
    fn two_unknown_sizes_are_not_equal() {
        let mut unknowns = Unknowns::default();
        assert_ne!(
            unknowns.extent(&Dim::Unknown),
            unknowns.extent(&Dim::Unknown)
        );
    }
}
