//! Reads a CSV file, permutes its rows and selects some of them.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use csv::ByteRecord;
use flate2::read::MultiGzDecoder;

/// Which rows to send.
pub struct Selection {
    /// Permute by this seed first.
    pub shuffle: Option<u64>,
    /// Leave out so many at the beginning.
    pub skip: usize,
    /// So many at most.
    pub take: usize,
}

/// The selected rows, in the order in which they are sent.
pub struct Rows {
    records: Vec<(usize, ByteRecord)>,
}

/// One row.
pub struct Row<'a> {
    /// Its number in the file, from 1.
    pub number: usize,
    /// Its cells.
    pub cells: &'a ByteRecord,
}

/// Reads the file; what a permutation needs is that it fits into memory.
pub fn read(file: &Path, selection: &Selection) -> Result<Rows> {
    let name = file.display();
    let opened = File::open(file).with_context(|| format!("{name} cannot be read"))?;
    let is_compressed = file.extension().is_some_and(|extension| extension == "gz");
    let reader: Box<dyn Read> = if is_compressed {
        Box::new(MultiGzDecoder::new(opened))
    } else {
        Box::new(opened)
    };
    let mut parser = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(reader);
    let mut records = Vec::new();
    for (index, record) in parser.byte_records().enumerate() {
        let record = record.with_context(|| format!("{name} is not CSV in row {}", index + 1))?;
        records.push((index + 1, record));
    }
    if let Some(seed) = selection.shuffle {
        millrace_wire::split::shuffle(&mut records, seed);
    }
    let found = records.len();
    if found <= selection.skip {
        bail!(
            "{name} has no rows to send: it has {found}, and {} are to be skipped",
            selection.skip
        );
    }
    let selected = records
        .into_iter()
        .skip(selection.skip)
        .take(selection.take);
    Ok(Rows {
        records: selected.collect(),
    })
}

impl Rows {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Each in turn.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.records.iter().map(|(number, cells)| Row {
            number: *number,
            cells,
        })
    }
}
