//! Where fields lie in a document: objects and arrays, and what in them leads to a field.
//!
//! Programs write the members of their objects in the same order each time. So each object remembers which member followed which,
//! and that one's name is looked for first. It comes to know some of the names that lead to no field, too, which changes nothing
//! but the time that it takes.

use super::scan::Scanner;
use crate::record::DecodeError;
use crate::record::place::Node;

/// A place of a document.
pub(super) enum Place {
    /// A field, by its number.
    Field(usize),
    /// What fields lie in.
    Within(Within),
}

/// So many names that lead to no field are remembered, and no longer ones.
const MOST_PASSED: usize = 64;
const LONGEST_PASSED: usize = 64;

/// An object or an array with fields in it.
pub(super) struct Within {
    /// Those that lead to a field: by the lengths of their names, then by these.
    members: Vec<Member>,
    /// Those that may be items: by their indices, in ascending order.
    pub(super) items: Vec<(usize, usize)>,
    /// How names are written: those of `members`, then others. Nothing for one that can't be written as itself alone.
    written: Vec<Option<Written>>,
    /// Which name came first, and which behind each one.
    next: Vec<usize>,
}

struct Member {
    name: Box<[u8]>,
    place: Place,
}

/// A name in its quotes.
struct Written {
    bytes: Box<[u8]>,
    /// Its first sixteen bytes, and which of them it has.
    word: u128,
    mask: u128,
}

impl Written {
    fn new(name: &[u8]) -> Option<Self> {
        let has_escapes = name
            .iter()
            .any(|byte| matches!(byte, 0..0x20 | b'"' | b'\\'));
        if has_escapes {
            return None;
        }
        let bytes = [b"\"", name, b"\""].concat();
        let padded = |bytes: &[u8]| {
            let mut sixteen = [0; 16];
            for (to, byte) in sixteen.iter_mut().zip(bytes) {
                *to = *byte;
            }
            u128::from_le_bytes(sixteen)
        };
        Some(Self {
            word: padded(&bytes),
            mask: padded(&vec![0xff; bytes.len()]),
            bytes: bytes.into(),
        })
    }

    /// Whether the text begins with it.
    #[inline]
    fn begins(&self, text: &[u8]) -> bool {
        match text.first_chunk() {
            // Most names are as short.
            Some(sixteen) if self.bytes.len() <= 16 => {
                u128::from_le_bytes(*sixteen) & self.mask == self.word
            }
            _ => text.starts_with(&self.bytes),
        }
    }
}

impl Place {
    pub(super) fn new(node: &Node) -> Self {
        if let Some(field) = node.field {
            return Self::Field(field);
        }
        let members = node.children.iter().map(|(name, child)| Member {
            name: name.as_bytes().into(),
            place: Self::new(child),
        });
        let mut members: Vec<Member> = members.collect();
        members.sort_by(|one, other| order(&one.name, &other.name));
        let names = members.iter().enumerate();
        let items = names.filter_map(|(number, member)| {
            let index = std::str::from_utf8(&member.name).ok()?.parse().ok()?;
            Some((index, number))
        });
        let mut items: Vec<(usize, usize)> = items.collect();
        items.sort_unstable();
        // `1` and `01` are the same item.
        items.dedup_by_key(|(index, _)| *index);
        Self::Within(Within {
            next: vec![0; members.len() + 1],
            written: members
                .iter()
                .map(|member| Written::new(&member.name))
                .collect(),
            members,
            items,
        })
    }
}

impl Within {
    /// What a member is by its number, if it leads to a field.
    pub(super) fn place(&mut self, member: usize) -> Option<&mut Place> {
        self.members.get_mut(member).map(|member| &mut member.place)
    }

    /// Goes behind the name of a member, and its colon: the number that it is known by. `before` is that of the one before
    /// counted from 1, and 0 for the first.
    #[inline]
    pub(super) fn name(
        &mut self,
        scanner: &mut Scanner<'_>,
        before: usize,
    ) -> Result<Option<usize>, DecodeError> {
        let guess = self.next[before];
        if scanner.peek() == b'"'
            && let Some(Some(written)) = self.written.get(guess)
            && written.begins(&scanner.text[scanner.at..])
        {
            scanner.at += written.bytes.len();
            scanner.colon()?;
            return Ok(Some(guess));
        }
        let found = self.look_up(scanner)?;
        if let Some(found) = found {
            self.next[before] = found;
        }
        Ok(found)
    }

    fn look_up(&mut self, scanner: &mut Scanner<'_>) -> Result<Option<usize>, DecodeError> {
        let name = scanner.name()?;
        let find = |name: &[u8]| {
            let members = &self.members;
            members
                .binary_search_by(|member| order(&member.name, name))
                .ok()
        };
        let found = match name.plain() {
            Some(name) => find(name).or_else(|| self.passed(name)),
            None => match name.read() {
                Some(name) => find(name.as_bytes()),
                None => return Err(scanner.fault("a name that is not Unicode ends")),
            },
        };
        scanner.colon()?;
        Ok(found)
    }

    /// The number of a name that leads to no field.
    fn passed(&mut self, name: &[u8]) -> Option<usize> {
        let first = self.members.len();
        // With as many, they are hardly the same ones each time.
        if self.written.len() - first == MOST_PASSED || name.len() > LONGEST_PASSED {
            return None;
        }
        let known = self.written[first..].iter().flatten();
        let known = known.map(|written| &written.bytes[1..written.bytes.len() - 1]);
        let known = known.clone().position(|known| known == name);
        Some(known.map_or_else(
            || {
                self.written.push(Written::new(name));
                self.next.push(0);
                self.written.len() - 1
            },
            |known| first + known,
        ))
    }
}

fn order(one: &[u8], other: &[u8]) -> std::cmp::Ordering {
    let lengths = one.len().cmp(&other.len());
    lengths.then_with(|| one.cmp(other))
}
