//! The rows of a data set: in memory up to a limit, beyond it in a scratch file.
//!
//! The file has no name, so nothing is left of it however the process ends, and it is read with
//! `pread`: what of it stays in memory is the page cache's, which gives way. Bytes stay bytes: a
//! quarter of the room that numbers would take.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use millrace_engine::widen;

use crate::failure::Failure;

/// Where rows may lie.
#[derive(Debug, Clone)]
pub struct Room {
    /// Rows of more bytes than these go to a scratch file.
    pub memory_bytes: u64,
    /// The folder of scratch files.
    pub scratch: PathBuf,
}

/// What a number of a row is kept as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Whole numbers from 0 to 255.
    Byte,
    /// Any number.
    Float,
}

impl Kept {
    fn bytes(self) -> usize {
        match self {
            Self::Byte => 1,
            Self::Float => size_of::<f32>(),
        }
    }
}

/// Where all rows of a data set go.
pub struct Hold {
    kept: Kept,
    width: usize,
    /// Nothing where they stay in memory.
    file: Option<Arc<File>>,
}

impl Hold {
    /// For `count` rows of `width` numbers.
    pub fn new(kept: Kept, count: usize, width: usize, room: &Room) -> Result<Self, Failure> {
        let row = width.checked_mul(kept.bytes());
        let total = row
            .and_then(|row| row.checked_mul(count))
            .ok_or_else(|| too_large(count, width))?;
        let file = if total as u64 <= room.memory_bytes {
            None
        } else {
            let file = tempfile::tempfile_in(&room.scratch)
                .map_err(|error| scratch(&room.scratch, total as u64, &error))?;
            tracing::info!(
                scratch.bytes = total as u64,
                scratch.folder = %room.scratch.display(),
                "the rows go to a scratch file"
            );
            Some(Arc::new(file))
        };
        Ok(Self { kept, width, file })
    }

    /// Makes place for `count` of the rows, which have `before` before them.
    pub fn rows(&self, before: usize, count: usize) -> Result<Rows, Failure> {
        let row = self.width * self.kept.bytes();
        let storage = if let Some(file) = &self.file {
            Storage::Scratch {
                file: Arc::clone(file),
                start: (before * row) as u64,
            }
        } else {
            let mut memory = Vec::new();
            memory
                .try_reserve_exact(count * row)
                .map_err(|_| too_large(count, self.width))?;
            memory.resize(count * row, 0);
            Storage::Memory(memory)
        };
        Ok(Rows {
            kept: self.kept,
            width: self.width,
            storage,
            bytes: Vec::new(),
        })
    }
}

/// So many rows of the same width.
pub struct Rows {
    kept: Kept,
    width: usize,
    storage: Storage,
    /// A row on its way into the storage.
    bytes: Vec<u8>,
}

enum Storage {
    Memory(Vec<u8>),
    Scratch { file: Arc<File>, start: u64 },
}

impl Rows {
    /// Whether no row has to be read from a file.
    pub fn are_in_memory(&self) -> bool {
        matches!(self.storage, Storage::Memory(_))
    }

    /// Puts a row in its place.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "who says that rows are bytes has checked that"
    )]
    pub fn put(&mut self, index: usize, row: &[f32]) -> Result<(), Failure> {
        self.bytes.clear();
        match self.kept {
            Kept::Byte => self.bytes.extend(row.iter().map(|number| *number as u8)),
            Kept::Float => {
                let bytes = row.iter().flat_map(|number| number.to_ne_bytes());
                self.bytes.extend(bytes);
            }
        }
        let place = index * self.bytes.len();
        match &mut self.storage {
            Storage::Memory(memory) => {
                memory[place..place + self.bytes.len()].copy_from_slice(&self.bytes);
                Ok(())
            }
            Storage::Scratch { file, start } => file
                .write_all_at(&self.bytes, *start + place as u64)
                .map_err(|error| lost("written", &error)),
        }
    }

    /// Copies a row out; `bytes` is room that is used again.
    pub fn copy(&self, index: usize, to: &mut [f32], bytes: &mut Vec<u8>) -> Result<(), Failure> {
        let length = self.width * self.kept.bytes();
        let place = index * length;
        let bytes = match &self.storage {
            Storage::Memory(memory) => &memory[place..place + length],
            Storage::Scratch { file, start } => {
                bytes.resize(length, 0);
                file.read_exact_at(bytes, *start + place as u64)
                    .map_err(|error| lost("read", &error))?;
                bytes
            }
        };
        match self.kept {
            Kept::Byte => widen(bytes, to),
            Kept::Float => {
                for (to, bytes) in to.iter_mut().zip(bytes.as_chunks().0) {
                    *to = f32::from_ne_bytes(*bytes);
                }
            }
        }
        Ok(())
    }
}

fn too_large(count: usize, width: usize) -> Failure {
    Failure::new(
        "segment-too-large",
        format!(
            "{count} records of {width} numbers can't be held here: train on a smaller segment"
        ),
    )
}

fn scratch(folder: &Path, bytes: u64, error: &io::Error) -> Failure {
    Failure::new(
        "scratch",
        format!(
            "the records need {bytes} bytes of scratch space, and {} takes no file: {error}; \
             name a folder that does as `training.scratch_folder`",
            folder.display()
        ),
    )
}

fn lost(how: &str, error: &io::Error) -> Failure {
    let code = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "disk-full",
        _ => "scratch",
    };
    Failure::new(
        code,
        format!(
            "the scratch file of the records can't be {how}: {error}; make room, or name another \
             folder as `training.scratch_folder`"
        ),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn room(memory_bytes: u64) -> Room {
        Room {
            memory_bytes,
            scratch: std::env::temp_dir(),
        }
    }

    fn hold(kept: Kept, width: usize, memory_bytes: u64) -> Hold {
        Hold::new(kept, 5, width, &room(memory_bytes)).unwrap()
    }

    #[test]
    fn rows_come_back_from_wherever_they_lie() {
        let given = [[0.0, 255.0, 7.0], [1.0, 2.0, 3.0], [128.0, 0.0, 9.0]];
        for kept in [Kept::Byte, Kept::Float] {
            for memory_bytes in [0, 1 << 20] {
                let hold = hold(kept, 3, memory_bytes);
                // Others of the same file, before and behind them, stay what they are.
                let mut before = hold.rows(0, 1).unwrap();
                let mut rows = hold.rows(1, 3).unwrap();
                let mut behind = hold.rows(4, 1).unwrap();
                assert_eq!(rows.are_in_memory(), memory_bytes > 0);
                before.put(0, &[1.0; 3]).unwrap();
                behind.put(0, &[2.0; 3]).unwrap();
                for index in [2, 0, 1] {
                    rows.put(index, &given[index]).unwrap();
                }
                let mut bytes = Vec::new();
                let mut copy = |rows: &Rows, index: usize| {
                    let mut row = [0.0; 3];
                    rows.copy(index, &mut row, &mut bytes).unwrap();
                    row
                };
                for (index, given) in given.iter().enumerate() {
                    let row = copy(&rows, index);
                    assert_eq!(row.map(f32::to_bits), given.map(f32::to_bits));
                }
                assert_eq!(copy(&before, 0).map(f32::to_bits), [1.0_f32.to_bits(); 3]);
                assert_eq!(copy(&behind, 0).map(f32::to_bits), [2.0_f32.to_bits(); 3]);
            }
        }
        let mut rows = hold(Kept::Float, 2, 0).rows(0, 1).unwrap();
        rows.put(0, &[-0.1, f32::MIN_POSITIVE]).unwrap();
        let mut row = [0.0; 2];
        rows.copy(0, &mut row, &mut Vec::new()).unwrap();
        assert_eq!(
            row.map(f32::to_bits),
            [-0.1, f32::MIN_POSITIVE].map(f32::to_bits)
        );
    }

    #[test]
    fn what_can_not_be_held_is_refused() {
        let error = |count, room: &Room| Hold::new(Kept::Float, count, 2, room).err().unwrap();
        assert_eq!(error(usize::MAX, &room(1)).code, "segment-too-large");
        let nowhere = Room {
            memory_bytes: 0,
            scratch: "/nowhere".into(),
        };
        let error = error(1, &nowhere);
        assert_eq!(error.code, "scratch");
        assert!(error.message.contains("/nowhere"), "{error}");
    }
}
