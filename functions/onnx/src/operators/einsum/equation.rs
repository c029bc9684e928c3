//! The equation of an `Einsum`, read for inputs of known ranks.
//!
//! An ellipsis is written out: its dimensions have labels like all others, so that nothing else has to know of it.

use std::collections::BTreeSet;

/// The labels of the dimensions.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Equation {
    pub(super) inputs: Vec<Vec<char>>,
    pub(super) output: Vec<char>,
}

impl Equation {
    /// Reads an equation. Without `->`, the output has the ellipsis, then in alphabetical order all labels that occur once.
    pub(super) fn parse(text: &str, ranks: &[usize]) -> Result<Self, String> {
        let text: String = text.split_whitespace().collect();
        let (left, right) = match text.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (text.as_str(), None),
        };
        let terms: Vec<&str> = left.split(',').collect();
        if terms.len() != ranks.len() {
            let (terms, inputs) = (terms.len(), ranks.len());
            return Err(format!(
                "its equation '{text}' has {terms} terms and there are {inputs} inputs"
            ));
        }
        let mut hidden = 0;
        for (term, &rank) in terms.iter().zip(ranks) {
            let named = letters(term).count();
            let rest = rank.checked_sub(named);
            let has_ellipsis = term.contains("...");
            match rest.filter(|&rest| has_ellipsis || rest == 0) {
                Some(rest) => hidden = rest.max(hidden),
                None => {
                    return Err(format!(
                        "the term '{term}' of its equation does not fit an input of {rank} dimensions"
                    ));
                }
            }
        }
        let unused = ('a'..='z').chain('A'..='Z');
        let unused = unused.filter(|&letter| !text.contains(letter));
        let ellipsis: Vec<char> = unused.take(hidden).collect();
        if ellipsis.len() < hidden {
            return Err("its equation has more dimensions than there are letters".to_owned());
        }
        let inputs: Vec<Vec<char>> = terms
            .iter()
            .zip(ranks)
            .map(|(term, &rank)| {
                let own = rank - letters(term).count();
                written_out(term, &ellipsis[hidden - own..])
            })
            .collect::<Result<_, _>>()?;
        let output = match right {
            Some(right) => written_out(right, &ellipsis)?,
            None => implicit_output(&inputs, &ellipsis),
        };
        let equation = Self { inputs, output };
        equation.check()?;
        Ok(equation)
    }

    fn check(&self) -> Result<(), String> {
        let known: BTreeSet<char> = self.inputs.iter().flatten().copied().collect();
        if let Some(label) = self.output.iter().find(|label| !known.contains(label)) {
            return Err(format!("its equation makes '{label}' out of nothing"));
        }
        match repeated(&self.output) {
            Some(label) => Err(format!("its equation has '{label}' twice in the output")),
            None => Ok(()),
        }
    }

    /// The labels of the output, then all others.
    pub(super) fn labels(&self) -> Vec<char> {
        let mut labels = self.output.clone();
        for &label in self.inputs.iter().flatten() {
            if !labels.contains(&label) {
                labels.push(label);
            }
        }
        labels
    }
}

fn letters(term: &str) -> impl Iterator<Item = char> {
    term.chars().filter(|&letter| letter != '.')
}

/// The labels of a term, the ellipsis replaced.
fn written_out(term: &str, ellipsis: &[char]) -> Result<Vec<char>, String> {
    let refused = || format!("the term '{term}' of its equation cannot be read");
    let (before, behind) = match term.split_once("...") {
        Some((before, behind)) => (before, Some(behind)),
        None => (term, None),
    };
    let mut labels: Vec<char> = before.chars().collect();
    if let Some(behind) = behind {
        labels.extend(ellipsis);
        labels.extend(behind.chars());
    }
    let is_readable = labels.iter().all(char::is_ascii_alphabetic);
    is_readable.then_some(labels).ok_or_else(refused)
}

fn implicit_output(inputs: &[Vec<char>], ellipsis: &[char]) -> Vec<char> {
    let all: Vec<char> = inputs.iter().flatten().copied().collect();
    let distinct: BTreeSet<char> = all.iter().copied().collect();
    let once = |label: &char| all.iter().filter(|other| *other == label).count() == 1;
    let named = distinct
        .into_iter()
        .filter(|label| !ellipsis.contains(label) && once(label));
    ellipsis.iter().copied().chain(named).collect()
}

fn repeated(labels: &[char]) -> Option<char> {
    let mut seen = BTreeSet::new();
    labels.iter().copied().find(|&label| !seen.insert(label))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn written(text: &str, ranks: &[usize]) -> String {
        let equation = Equation::parse(text, ranks).unwrap();
        let inputs: Vec<String> = equation.inputs.iter().map(String::from_iter).collect();
        format!(
            "{}->{}",
            inputs.join(","),
            String::from_iter(equation.output)
        )
    }

    #[test]
    fn an_ellipsis_is_written_out_and_an_output_found() {
        assert_eq!(written("ij, jk -> ki", &[2, 2]), "ij,jk->ki");
        assert_eq!(written("kj,ji", &[2, 2]), "kj,ji->ik");
        assert_eq!(written("...ij,jk->...ik", &[4, 2]), "abij,jk->abik");
        assert_eq!(written("...i,...i", &[3, 2]), "abi,bi->ab");
        assert_eq!(written("bA,b->", &[2, 1]), "bA,b->");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (text, ranks) in [
            ("ij,jk->ik", vec![2]),
            ("ij->i", vec![3]),
            ("ij...->i", vec![1]),
            ("i->j", vec![1]),
            ("i->ii", vec![1]),
            ("i1->i", vec![2]),
        ] {
            assert!(Equation::parse(text, &ranks).is_err(), "{text}");
        }
    }
}
