//! Golden samples: npz files as they are uploaded, and arrays in them, which no damaged archive would let through.

use millrace_wire::samples::Samples;

/// So many elements of an array are looked at: some hundred bytes may hold millions.
const LOOKED_AT: usize = 1_000;

/// A byte that says which of the two it is, and the file.
pub fn samples(data: &[u8]) -> bool {
    let Some((kind, file)) = data.split_first() else {
        return false;
    };
    let wrapped;
    let file = if kind % 2 == 0 {
        file
    } else {
        wrapped = Samples::around(file);
        &wrapped
    };
    let Ok(samples) = Samples::read(file) else {
        return false;
    };
    for name in samples.names() {
        let array = samples.array(name);
        let array = array.expect("an array of a name has that name");
        let elements: usize = array.shape().iter().product();
        for index in 0..elements.min(LOOKED_AT) {
            let value = array.value(index);
            // It can be compared and shown.
            assert!(!value.to_string().is_empty());
            let _ = value.as_f64();
        }
    }
    true
}
