//! The container of npz files: a zip archive of `NAME.npy`, stored or deflated.
//!
//! Invariant: no more is unpacked than the archive says beforehand, and than is allowed.

use std::io::Read as _;

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

use super::{BadSamples, LARGEST};

/// What the end of the directory begins with.
const END: &[u8] = b"PK\x05\x06";
/// Bytes of the end of the directory, without its comment.
const END_BYTES: usize = 22;
/// The longest comment.
const COMMENT: usize = 0xffff;
/// What an entry of the directory begins with, and its bytes without its texts.
const ENTRY: &[u8] = b"PK\x01\x02";
const ENTRY_BYTES: usize = 46;
/// What stands before a member's content, and its bytes without its texts.
const LOCAL: &[u8] = b"PK\x03\x04";
const LOCAL_BYTES: usize = 30;
/// Ways in which a member may be packed.
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// The version of the format that stored members take.
const VERSION: u16 = 20;
/// The flag of members that are encrypted.
const ENCRYPTED: u16 = 1;
/// A number that stands elsewhere, since it is too large.
const ELSEWHERE: u32 = u32::MAX;

/// A member as the directory describes it.
struct Entry<'f> {
    name: &'f [u8],
    flags: u16,
    method: u16,
    crc: u32,
    packed: u32,
    size: u32,
    offset: u32,
    /// Where the next entry begins.
    next: usize,
}

/// Unpacks the members of an archive one after another, each under the name of its array.
pub(super) fn members(
    file: &[u8],
    mut each: impl FnMut(String, Vec<u8>) -> Result<(), BadSamples>,
) -> Result<(), BadSamples> {
    let cut = || BadSamples::NotNpz("it is cut short, or no zip archive at all".to_owned());
    let end = find_end(file).ok_or_else(cut)?;
    let count = u16_at(file, end + 10).ok_or_else(cut)?;
    let start = u32_at(file, end + 16).ok_or_else(cut)?;
    if start == ELSEWHERE || count == u16::MAX {
        return Err(BadSamples::TooLarge);
    }
    let mut at = start as usize;
    let mut left = LARGEST;
    for _ in 0..count {
        let entry = Entry::read(file, at).ok_or_else(cut)?;
        let name = String::from_utf8_lossy(entry.name).into_owned();
        let Some(array) = name.strip_suffix(".npy") else {
            return Err(BadSamples::NotNpz(format!(
                "it holds {name:?}, which is no array"
            )));
        };
        left = left
            .checked_sub(entry.size.into())
            .ok_or(BadSamples::TooLarge)?;
        let content = entry
            .unpack(file)
            .map_err(|reason| BadSamples::NotNpz(format!("{name:?} {reason}")))?;
        each(array.to_owned(), content)?;
        at = entry.next;
    }
    Ok(())
}

/// An archive of these members, stored as they are. Its bytes follow from theirs: no time stands in it.
///
/// # Panics
/// Where the members take more than 4 GiB.
pub(super) fn archive(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let number = |length: usize| u32::try_from(length).expect("samples are far smaller");
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in members {
        let mut crc = Crc::new();
        crc.update(content);
        let (name, size) = (format!("{name}.npy"), number(content.len()).to_le_bytes());
        let mut about = vec![0; 2]; // flags
        about.extend(STORED.to_le_bytes());
        about.extend([0, 0, 0x21, 0]); // midnight of the first day that there is: 1980-01-01
        about.extend(crc.sum().to_le_bytes());
        about.extend([size, size].concat());
        about.extend(number(name.len()).to_le_bytes()); // and no further fields
        let offset = number(file.len()).to_le_bytes();
        for (place, mark) in [(&mut file, LOCAL), (&mut directory, ENTRY)] {
            place.extend_from_slice(mark);
            if mark == ENTRY {
                place.extend(VERSION.to_le_bytes());
            }
            place.extend(VERSION.to_le_bytes());
            place.extend(&about);
            if mark == ENTRY {
                // Neither a comment nor attributes, on the only disk.
                place.extend([0; 10]);
                place.extend(offset);
            }
            place.extend(name.as_bytes());
        }
        file.extend(content);
    }
    let start = number(file.len()).to_le_bytes();
    let count = u16::try_from(members.len()).expect("a model has fewer inputs and outputs");
    file.extend(&directory);
    file.extend_from_slice(END);
    file.extend([0; 4]);
    file.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    file.extend(number(directory.len()).to_le_bytes());
    file.extend(start);
    file.extend([0; 2]);
    file
}

/// Where the end of the directory stands: behind it only a comment may follow.
fn find_end(file: &[u8]) -> Option<usize> {
    let last = file.len().checked_sub(END_BYTES)?;
    let first = last.saturating_sub(COMMENT);
    (first..=last).rev().find(|at| file[*at..].starts_with(END))
}

impl<'f> Entry<'f> {
    fn read(file: &'f [u8], at: usize) -> Option<Self> {
        let entry = file.get(at..)?;
        if !entry.starts_with(ENTRY) {
            return None;
        }
        let length = |at| u16_at(entry, at).map(usize::from);
        let name = length(28)?;
        Some(Self {
            name: entry.get(ENTRY_BYTES..ENTRY_BYTES + name)?,
            flags: u16_at(entry, 8)?,
            method: u16_at(entry, 10)?,
            crc: u32_at(entry, 16)?,
            packed: u32_at(entry, 20)?,
            size: u32_at(entry, 24)?,
            offset: u32_at(entry, 42)?,
            next: at + ENTRY_BYTES + name + length(30)? + length(32)?,
        })
    }

    fn unpack(&self, file: &[u8]) -> Result<Vec<u8>, String> {
        if self.flags & ENCRYPTED != 0 {
            return Err("is encrypted".to_owned());
        }
        let packed = self.packed(file).ok_or_else(|| "is cut short".to_owned())?;
        let content = match self.method {
            STORED => packed.to_vec(),
            DEFLATED => {
                let mut content = Vec::new();
                // One byte more than is announced tells that there is more.
                DeflateDecoder::new(packed)
                    .take(u64::from(self.size) + 1)
                    .read_to_end(&mut content)
                    .map_err(|error| format!("is damaged: {error}"))?;
                content
            }
            other => {
                return Err(format!(
                    "is packed by the method {other}, which is not read"
                ));
            }
        };
        let mut crc = Crc::new();
        crc.update(&content);
        if content.len() as u64 != u64::from(self.size) || crc.sum() != self.crc {
            return Err("is damaged".to_owned());
        }
        Ok(content)
    }

    /// The member's packed content.
    fn packed<'a>(&self, file: &'a [u8]) -> Option<&'a [u8]> {
        let local = file.get(self.offset as usize..)?;
        if !local.starts_with(LOCAL) {
            return None;
        }
        let texts = usize::from(u16_at(local, 26)?) + usize::from(u16_at(local, 28)?);
        let start = LOCAL_BYTES + texts;
        local.get(start..start + self.packed as usize)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let found = bytes.get(at..at + 2)?;
    Some(u16::from_le_bytes(found.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let found = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes(found.try_into().ok()?))
}
