//! What the demo draws in the terminal: the epochs, a few digits, the confusion matrix.

use serde_json::Value;

use crate::check::Answer;

/// Shades from paper to ink.
const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];

/// The head of the table of epochs.
pub fn epoch_head() {
    println!("  epoch     loss  accuracy   validation accuracy   records/s");
}

/// One row of the table of epochs.
pub fn epoch_row(epoch: &Value) {
    let number = |name: &str| epoch[name].as_f64().unwrap_or(f64::NAN);
    println!(
        "  {:>2}/{:<2}  {:>8.4}  {:>8.4}   {:>19.4}   {:>9.0}",
        epoch["epoch"],
        epoch["epochs"],
        number("loss"),
        number("accuracy"),
        number("validationAccuracy"),
        number("recordsPerSecond"),
    );
}

/// Digits side by side, two pixels high a line, each with what was predicted.
pub fn digits(answers: &[Answer]) {
    for row in 0..8 {
        let line: Vec<String> = answers
            .iter()
            .map(|answer| {
                answer.pixels[row * 8..(row + 1) * 8]
                    .iter()
                    .map(|p| shade(*p))
                    .collect()
            })
            .collect();
        println!("  {}", line.join("   "));
    }
    let captions: Vec<String> = answers
        .iter()
        .map(|answer| {
            let predicted = answer
                .predicted
                .map_or("?".to_owned(), |class| class.to_string());
            let mark = if answer.predicted == Some(answer.label) {
                "✓"
            } else {
                "✗"
            };
            format!("{:<16}", format!("→ {predicted} {mark}"))
        })
        .collect();
    println!("  {}", captions.join("   "));
}

/// A pixel (0 to 16), two characters wide since characters are about twice as high as wide.
fn shade(pixel: u8) -> String {
    let index = usize::from(pixel).min(16) * (SHADES.len() - 1) / 16;
    SHADES[index].to_string().repeat(2)
}

/// Rows are what a digit is, columns what was predicted.
pub fn confusion(answers: &[Answer]) {
    let mut matrix = [[0_usize; 10]; 10];
    for answer in answers {
        if let Some(predicted) = answer.predicted {
            matrix[answer.label][predicted] += 1;
        }
    }
    println!("  is \\ predicted   0    1    2    3    4    5    6    7    8    9");
    for (label, row) in matrix.iter().enumerate() {
        let cells: Vec<String> = row
            .iter()
            .map(|count| match count {
                0 => "   ·".to_owned(),
                count => format!("{count:>4}"),
            })
            .collect();
        println!("  {label:>13} {}", cells.join(" "));
    }
}
