#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
use proptest::prelude::*;

use super::*;

const NUMPY: &[u8] = include_bytes!("../../tests/data/numpy.npz");
const DEFLATED: &[u8] = include_bytes!("../../tests/data/deflated.npz");
const OBJECT: &[u8] = include_bytes!("../../tests/data/object.npz");
const STRUCTURED: &[u8] = include_bytes!("../../tests/data/structured.npz");

fn texts(samples: &Samples, name: &str) -> Vec<String> {
    let array = samples.array(name).unwrap();
    let elements: usize = array.shape().iter().product();
    (0..elements)
        .map(|index| array.value(index).to_string())
        .collect()
}

fn refusal(file: &[u8]) -> String {
    Samples::read(file).unwrap_err().to_string()
}

/// A file with one byte more or less at a place, as often as that is found.
fn replaced(file: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut file = file.to_vec();
    let mut found = 0;
    for at in 0..=file.len() - from.len() {
        if file[at..].starts_with(from) {
            file[at..at + to.len()].copy_from_slice(to);
            found += 1;
        }
    }
    assert!(found > 0);
    file
}

#[test]
fn what_numpy_writes_is_read() {
    let samples = Samples::read(NUMPY).unwrap();
    assert_eq!(samples.names().count(), 15);
    assert_eq!(texts(&samples, "a/b:0"), ["3"]);
    let rows = ["1.5", "-2", "0.1", "4", "NaN", "inf"];
    for name in ["float32", "float64", "big", "fortran"] {
        assert_eq!(samples.array(name).unwrap().shape(), [3, 2]);
        assert_eq!(texts(&samples, name), rows, "{name}");
    }
    let half = ["1.5", "-2", "0.099975586", "4", "NaN", "inf"];
    assert_eq!(texts(&samples, "float16"), half);
    let cube: Vec<String> = (0..24).map(|number| number.to_string()).collect();
    assert_eq!(samples.array("cube").unwrap().shape(), [2, 3, 4]);
    assert_eq!(texts(&samples, "cube"), cube);
    assert_eq!(texts(&samples, "int8"), ["-128", "127"]);
    assert_eq!(
        texts(&samples, "int64"),
        ["-9223372036854775808", "9223372036854775807"]
    );
    assert_eq!(texts(&samples, "uint64"), ["0", "18446744073709551615"]);
    assert_eq!(texts(&samples, "bool"), ["1", "0"]);
    assert_eq!(samples.array("scalar").unwrap().shape(), [0_usize; 0]);
    assert_eq!(texts(&samples, "scalar"), ["7"]);
    assert_eq!(samples.array("none").unwrap().shape(), [0, 4]);
    assert_eq!(texts(&samples, "unicode"), ["\"setosa\"", "\"é\""]);
    assert_eq!(texts(&samples, "bytes"), ["\"ab\"", "\"c\""]);

    let samples = Samples::read(DEFLATED).unwrap();
    let zeros = samples.array("zeros").unwrap();
    assert_eq!(zeros.shape(), [1000, 10]);
    assert_eq!(zeros.value(9_999), Value::Float(0.0));
}

#[test]
fn what_is_no_npz_file_is_told() {
    for file in [&b""[..], b"no zip archive", &NUMPY[..NUMPY.len() / 2]] {
        let message = refusal(file);
        assert!(
            message.contains("cut short, or no zip archive"),
            "{message}"
        );
    }
    let mut damaged = NUMPY.to_vec();
    let place = damaged.len() / 4;
    damaged[place] ^= 1;
    assert!(refusal(&damaged).contains("is damaged"));
    let message = refusal(&replaced(NUMPY, b"scalar.npy", b"scalar.txt"));
    assert!(
        message.contains("\"scalar.txt\", which is no array"),
        "{message}"
    );
    let message = refusal(&replaced(NUMPY, b"int8.npy", b"bool.npy"));
    assert!(
        message.contains("\"bool\"") && message.contains("two of this name"),
        "{message}"
    );
    let message = refusal(OBJECT);
    assert!(
        message.contains("\"labels\"") && message.contains("dtype=str"),
        "{message}"
    );
    assert!(refusal(STRUCTURED).contains("structured array"));
    // An archive without a member.
    let mut empty = b"PK\x05\x06".to_vec();
    empty.resize(22, 0);
    assert!(Samples::is_npz(&empty) && Samples::is_npz(NUMPY));
    assert!(refusal(&empty).contains("holds no array"));
}

#[test]
fn what_is_too_large_is_not_unpacked() {
    // The directory's entry says how large its member is: there, and nowhere else, stands the size that counts.
    let entry = DEFLATED.windows(4).rposition(|at| at == b"PK\x01\x02");
    let size = entry.unwrap() + 24;
    let mut huge = DEFLATED.to_vec();
    huge[size..size + 4].copy_from_slice(&(65_u32 << 20).to_le_bytes());
    let message = refusal(&huge);
    assert!(message.contains("more than 64 MiB"), "{message}");
    // One that holds more than it says is not unpacked to its end.
    huge[size..size + 4].copy_from_slice(&100_u32.to_le_bytes());
    assert!(refusal(&huge).contains("is damaged"));
}

#[test]
fn texts_without_a_length_do_not_make_an_array_endless() {
    let of_shape = |shape: &str| {
        let header = format!("{{'descr': '<U0', 'fortran_order': False, 'shape': {shape}, }}");
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        Samples::around(&[b"\x93NUMPY\x01\x00", &length[..], header.as_bytes()].concat())
    };
    for shape in ["(9000000000000000000,)", "(9000000000, 9000000000)"] {
        let message = refusal(&of_shape(shape));
        assert!(message.contains("elements"), "{message}");
    }
    assert!(Samples::read(&of_shape("(3,)")).is_ok());
}

#[test]
fn answers_are_compared_as_allclose_does() {
    let tolerance = Tolerance {
        relative: 0.01,
        absolute: 0.1,
    };
    let float =
        |expected, actual| tolerance.accepts(&Value::Float(expected), &Value::Float(actual));
    assert!(float(10.0, 10.2) && !float(10.0, 10.201) && float(-10.0, -9.8));
    assert!(float(0.0, 0.1) && !float(0.0, 0.11));
    assert!(float(f64::NAN, f64::NAN) && !float(f64::NAN, 1.0) && !float(1.0, f64::NAN));
    assert!(float(f64::INFINITY, f64::INFINITY) && !float(f64::INFINITY, f64::NEG_INFINITY));
    assert!(!float(f64::INFINITY, 1.0) && !float(1.0, f64::INFINITY));
    let integer = Value::Integer;
    assert!(
        tolerance.accepts(&integer(7), &integer(7))
            && !tolerance.accepts(&integer(1000), &integer(1001))
    );
    assert!(tolerance.accepts(&Value::Float(7.0), &integer(7)));
    assert!(!tolerance.accepts(&Value::Float(7.01), &integer(7)));
    assert!(tolerance.accepts(&integer(7), &Value::Float(7.01)));
    let text = |text: &str| Value::Text(text.to_owned());
    assert!(
        tolerance.accepts(&text("a"), &text("a")) && !tolerance.accepts(&text("a"), &text("b"))
    );
    assert!(!tolerance.accepts(&text("7"), &integer(7)));
    for wrong in [-1.0, f64::NAN, f64::INFINITY] {
        let wrong = Tolerance {
            absolute: wrong,
            ..tolerance
        };
        assert!(wrong.check().unwrap_err().contains("absolute tolerance"));
    }
    assert_eq!(tolerance.check(), Ok(tolerance));
}

proptest! {
    /// What is written is read, and the same arrays make the same file.
    #[test]
    fn what_is_written_is_read(
        floats in prop::collection::vec(any::<f32>(), 0..9), whole in any::<i64>(), name in "[a-zA-Z0-9_:/.]{1,9}",
    ) {
        let bytes: Vec<u8> = floats.iter().flat_map(|number| number.to_le_bytes()).collect();
        let name = format!("{name}!");
        let arrays = [
            NewArray { name: &name, dtype: Dtype::Float32, shape: &[floats.len(), 1], bytes: &bytes },
            NewArray { name: "whole", dtype: Dtype::Int64, shape: &[], bytes: &whole.to_le_bytes() },
        ];
        let file = Samples::write(&arrays);
        prop_assert!(Samples::is_npz(&file) && file == Samples::write(&arrays));
        let samples = Samples::read(&file).unwrap();
        prop_assert_eq!(samples.names().count(), 2);
        prop_assert_eq!(samples.array("whole").unwrap().value(0), Value::Integer(whole.into()));
        let array = samples.array(&name).unwrap();
        prop_assert_eq!(array.shape(), [floats.len(), 1]);
        for (index, number) in floats.iter().enumerate() {
            let Value::Float(found) = array.value(index) else { panic!("a float") };
            prop_assert!(found.to_bits() == f64::from(*number).to_bits() || number.is_nan() && found.is_nan());
        }
    }

    /// Whatever arrives is read or refused, and nothing else.
    #[test]
    fn no_damage_makes_it_fail_otherwise(place in 0..NUMPY.len(), byte in any::<u8>(), end in 0..NUMPY.len()) {
        let mut file = NUMPY.to_vec();
        file[place] = byte;
        let _ = Samples::read(&file);
        file.truncate(end);
        let _ = Samples::read(&file);
        let mut file = DEFLATED.to_vec();
        let place = place % file.len();
        file[place] = byte;
        if let Ok(samples) = Samples::read(&file) {
            for name in samples.names() {
                let array = samples.array(name).unwrap();
                let elements: usize = array.shape().iter().product();
                for index in 0..elements {
                    let _ = array.value(index);
                }
            }
        }
    }
}
