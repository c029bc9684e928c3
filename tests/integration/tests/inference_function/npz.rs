//! Files of samples as numpy's `savez` writes them, and what a model answers here.

use millrace_engine::{Session, SessionOptions, Slice, View};

/// The elements of an array.
pub enum Cells<'a> {
    Numbers(&'a [f32]),
    Texts(&'a [&'a str]),
}

/// An npz file of these arrays: name, shape, elements.
pub fn npz(arrays: &[(&str, &[usize], Cells<'_>)]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, shape, cells) in arrays {
        let member = format!("{name}.npy");
        let content = npy(shape, cells);
        let offset = u32::try_from(file.len()).unwrap();
        let size = u32::try_from(content.len()).unwrap().to_le_bytes();
        let length = u16::try_from(member.len()).unwrap().to_le_bytes();
        // Version 2.0, no flags, stored, no time; then sum, packed and whole size, the name's length.
        let common = [
            &[20, 0, 0, 0, 0, 0, 0, 0, 0, 0][..],
            &crc(&content).to_le_bytes(),
            &size,
            &size,
            &length,
            &[0, 0],
        ]
        .concat();
        file.extend(
            [
                b"PK\x03\x04".as_slice(),
                &common,
                member.as_bytes(),
                &content,
            ]
            .concat(),
        );
        directory.extend(
            [
                b"PK\x01\x02".as_slice(),
                &[20, 0],
                &common,
                &[0; 10],
                &offset.to_le_bytes(),
                member.as_bytes(),
            ]
            .concat(),
        );
    }
    let count = u16::try_from(arrays.len()).unwrap().to_le_bytes();
    let start = u32::try_from(file.len()).unwrap().to_le_bytes();
    let length = u32::try_from(directory.len()).unwrap().to_le_bytes();
    file.extend(directory);
    file.extend(
        [
            b"PK\x05\x06".as_slice(),
            &[0; 4],
            &count,
            &count,
            &length,
            &start,
            &[0; 2],
        ]
        .concat(),
    );
    file
}

fn npy(shape: &[usize], cells: &Cells<'_>) -> Vec<u8> {
    let (descr, elements) = match cells {
        Cells::Numbers(numbers) => {
            let bytes = numbers.iter().flat_map(|number| number.to_le_bytes());
            ("<f4".to_owned(), bytes.collect::<Vec<u8>>())
        }
        Cells::Texts(texts) => {
            let longest = texts.iter().map(|text| text.chars().count()).max();
            let longest = longest.unwrap();
            let padded = |text: &&str| {
                let points: Vec<u32> = text.chars().map(u32::from).collect();
                let padding = longest - points.len();
                points.into_iter().chain(std::iter::repeat_n(0, padding))
            };
            let points = texts.iter().flat_map(padded);
            (
                format!("<U{longest}"),
                points.flat_map(u32::to_le_bytes).collect(),
            )
        }
    };
    let lengths: Vec<String> = shape.iter().map(ToString::to_string).collect();
    let shape = lengths.join(", ");
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape},), }}\n");
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [
        b"\x93NUMPY\x01\x00".as_slice(),
        &length,
        header.as_bytes(),
        &elements,
    ]
    .concat()
}

/// The sum that zip archives hold of each member.
fn crc(bytes: &[u8]) -> u32 {
    let sum = bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg())
        })
    });
    !sum
}

/// What a model with one input and one output of numbers answers rows of four numbers, in this process; as many at once as
/// samples are run.
pub fn answered(model: &[u8], rows: &[f32]) -> Vec<f32> {
    millrace_engine::load(&millrace_harness::onnxruntime()).unwrap();
    let mut session = Session::from_bytes(model, &SessionOptions::default()).unwrap();
    let (input, output) = (
        session.inputs()[0].name.clone(),
        session.outputs()[0].name.clone(),
    );
    let batches = rows.chunks(64 * 4).map(|rows| {
        let view = View::new([rows.len() / 4, 4], Slice::F32(rows));
        let outputs = session.run(&[(&input, view)]).unwrap();
        outputs.get(&output).unwrap().as_f32().unwrap().to_vec()
    });
    batches.flatten().collect()
}

/// Rows of four numbers, all different.
pub fn rows(count: u16) -> Vec<f32> {
    (0..count * 4)
        .map(|number| f32::from(number) / 8.0 - 3.0)
        .collect()
}
