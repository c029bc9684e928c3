//! IMAGE: files of PNG and JPEG.

use std::cell::RefCell;

use serde_json::json;

use super::subject::{Subject, chosen};

thread_local! {
    static SUBJECTS: RefCell<Vec<Subject>> = RefCell::new(
        [
            ("RGB", "CHANNELS_FIRST", "REFUSE"),
            ("GRAY", "CHANNELS_FIRST", "STRETCH"),
            ("RGBA", "CHANNELS_LAST", "CROP"),
            ("RGB", "CHANNELS_LAST", "PAD"),
        ]
        .into_iter()
        .map(|(channels, layout, resize)| {
            let format = json!({
                "type": "IMAGE", "height": 3, "width": 2,
                "channels": channels, "layout": layout, "resize": resize,
            });
            Subject::new(format, None)
        })
        .collect(),
    );
}

/// A file.
pub fn image(data: &[u8]) -> bool {
    SUBJECTS.with_borrow_mut(|subjects| {
        let Some((subject, file)) = chosen(subjects, data) else {
            return false;
        };
        let result = subject.value(file);
        if let Ok((row, _)) = &result {
            let mut numbers = row.iter().map(|bits| f32::from_bits(*bits));
            assert!(numbers.all(|number| (0.0..=255.0).contains(&number)));
        }
        result.is_ok()
    })
}
