//! Passes over what is not wanted.

use super::super::cursor::Malformed;
use super::super::program::Skip;
use super::{DecodeError, Reading, malformed, no_branch};

/// How deep types that hold themselves may be nested.
const DEEPEST: usize = 256;

impl<'r> Reading<'r> {
    /// Passes over one thing.
    pub(super) fn skip(&mut self, mut skip: &'r Skip, depth: usize) -> Result<(), DecodeError> {
        if depth > DEEPEST {
            return Err(too_deep());
        }
        let program = self.program;
        let mut hops = 0;
        while let Skip::Named(number) = skip {
            skip = &program.skips[*number];
            hops += 1;
            if hops > DEEPEST {
                return Err(too_deep());
            }
        }
        match skip {
            Skip::Bytes(count) => {
                self.cursor.take(*count)?;
            }
            Skip::Varints(count) => {
                for _ in 0..*count {
                    self.cursor.long()?;
                }
            }
            Skip::Length => {
                self.cursor.length_prefixed()?;
            }
            Skip::Union(branches) => {
                let branch = self.cursor.short()?;
                let found = usize::try_from(branch).ok();
                let found = found.and_then(|branch| branches.get(branch));
                self.skip(found.ok_or_else(|| no_branch(branch))?, depth + 1)?;
            }
            Skip::Sequence(skips) => {
                for skip in skips {
                    self.skip(skip, depth + 1)?;
                }
            }
            Skip::Array(item) => {
                while let Some((count, size)) = self.cursor.block()? {
                    match size {
                        Some(_) => self.skip_block(item, count, size)?,
                        None => self.skip_many(item, count, depth + 1)?,
                    }
                }
            }
            Skip::Map(value) => {
                while let Some((count, size)) = self.cursor.block()? {
                    if size.is_some() {
                        self.skip_block(value, count, size)?;
                        continue;
                    }
                    for _ in 0..count {
                        self.cursor.length_prefixed()?;
                        self.skip(value, depth + 1)?;
                    }
                }
            }
            Skip::Named(_) => {}
        }
        Ok(())
    }

    /// Passes over a block that says how many bytes it has.
    pub(super) fn skip_block(
        &mut self,
        item: &'r Skip,
        count: u64,
        size: Option<u64>,
    ) -> Result<(), DecodeError> {
        match size.map(usize::try_from) {
            Some(Ok(size)) => Ok(self.cursor.take(size).map(|_| ())?),
            Some(Err(_)) => Err(Malformed::Short.into()),
            None => self.skip_many(item, count, 0),
        }
    }

    pub(super) fn skip_many(
        &mut self,
        item: &'r Skip,
        count: u64,
        depth: usize,
    ) -> Result<(), DecodeError> {
        let mut item = item;
        let mut hops = 0;
        while let Skip::Named(number) = item
            && hops < DEEPEST
        {
            let program = self.program;
            item = &program.skips[*number];
            hops += 1;
        }
        if let Skip::Bytes(size) = item {
            // Items without bytes take no turns.
            let size = usize::try_from(count)
                .ok()
                .and_then(|count| count.checked_mul(*size));
            self.cursor.take(size.ok_or(Malformed::Short)?)?;
            return Ok(());
        }
        for _ in 0..count {
            self.skip(item, depth)?;
        }
        Ok(())
    }
}

#[cold]
fn too_deep() -> DecodeError {
    malformed(format!("its types are nested more than {DEEPEST} deep"))
}
