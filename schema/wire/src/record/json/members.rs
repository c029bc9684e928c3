//! Where fields lie in a document: objects and arrays, and what in them leads to a field.
//!
//! Programs write the members of their objects in the same order each time. So each object remembers which wanted member
//! followed which, and that one's name is looked for first.

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

/// An object or an array with fields in it.
pub(super) struct Within {
    /// By the lengths of their names, then by these.
    members: Vec<Member>,
    /// Those that may be items: by their indices, in ascending order.
    pub(super) items: Vec<(usize, usize)>,
    /// Which member came first, and which behind each one.
    next: Vec<usize>,
}

struct Member {
    name: Box<[u8]>,
    /// No byte of the name can be written as itself alone: it is not looked for first.
    has_escapes: bool,
    place: Place,
}

impl Place {
    pub(super) fn new(node: &Node) -> Self {
        if let Some(field) = node.field {
            return Self::Field(field);
        }
        let members = node.children.iter().map(|(name, child)| Member {
            name: name.as_bytes().into(),
            has_escapes: name
                .bytes()
                .any(|byte| matches!(byte, 0..0x20 | b'"' | b'\\')),
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
            members,
            items,
        })
    }
}

impl Within {
    pub(super) fn place(&mut self, member: usize) -> &mut Place {
        &mut self.members[member].place
    }

    /// Goes behind the name of a member, and its colon: which of those it is that lead to a field. `before` is the one before
    /// counted from 1, and 0 for the first.
    #[inline]
    pub(super) fn name(
        &mut self,
        scanner: &mut Scanner<'_>,
        before: usize,
    ) -> Result<Option<usize>, DecodeError> {
        let guess = self.next[before];
        if let Some(member) = self.members.get(guess)
            && scanner.peek() == b'"'
            && !member.has_escapes
            && let Some(rest) = scanner.text[scanner.at + 1..].strip_prefix(&*member.name)
            && rest.first() == Some(&b'"')
        {
            scanner.at += member.name.len() + 2;
            scanner.colon()?;
            return Ok(Some(guess));
        }
        let found = self.look_up(scanner)?;
        if let Some(found) = found {
            self.next[before] = found;
        }
        Ok(found)
    }

    fn look_up(&self, scanner: &mut Scanner<'_>) -> Result<Option<usize>, DecodeError> {
        let name = scanner.name()?;
        let find = |name: &[u8]| {
            let members = &self.members;
            members.binary_search_by(|member| order(&member.name, name))
        };
        let found = match name.plain() {
            Some(name) => find(name),
            None => match name.read() {
                Some(name) => find(name.as_bytes()),
                None => return Err(scanner.fault("a name that is not Unicode ends")),
            },
        };
        scanner.colon()?;
        Ok(found.ok())
    }
}

fn order(one: &[u8], other: &[u8]) -> std::cmp::Ordering {
    let lengths = one.len().cmp(&other.len());
    lengths.then_with(|| one.cmp(other))
}
