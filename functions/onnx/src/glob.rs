//! Patterns of names, as shells have them: `*` stands for any characters, also none, `?` for one.

/// A pattern.
#[derive(Clone, Debug)]
pub(crate) struct Glob(Vec<char>);

impl Glob {
    pub(crate) fn new(pattern: &str) -> Self {
        Self(pattern.chars().collect())
    }

    /// Whether the whole name fits the pattern.
    pub(crate) fn matches(&self, name: &str) -> bool {
        // The places in the pattern at which a match of the characters so far may stand.
        let mut places = vec![false; self.0.len() + 1];
        places[0] = true;
        self.pass_stars(&mut places);
        for character in name.chars() {
            let mut next = vec![false; places.len()];
            for (place, wanted) in self
                .0
                .iter()
                .enumerate()
                .filter(|(place, _)| places[*place])
            {
                match wanted {
                    '*' => next[place] = true,
                    '?' => next[place + 1] = true,
                    wanted => next[place + 1] |= *wanted == character,
                }
            }
            self.pass_stars(&mut next);
            places = next;
        }
        places[self.0.len()]
    }

    fn pass_stars(&self, places: &mut [bool]) {
        for (place, wanted) in self.0.iter().enumerate() {
            if *wanted == '*' && places[place] {
                places[place + 1] = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        let matches = |pattern: &str, name: &str| Glob::new(pattern).matches(name);
        assert!(matches("*", "") && matches("*", "a/b:0"));
        assert!(matches("layers.*.weight", "layers.0.attention.weight"));
        assert!(!matches("layers.*.weight", "layers.0.bias"));
        assert!(matches("conv?.w", "conv1.w") && !matches("conv?.w", "conv10.w"));
        assert!(matches("a*b*c", "abbc") && matches("a*b*c", "aXbbYc") && !matches("a*b*c", "acb"));
        assert!(matches("exact", "exact") && !matches("exact", "exactly") && !matches("", "x"));
    }
}
