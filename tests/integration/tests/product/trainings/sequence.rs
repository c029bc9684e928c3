//! An LSTM learns what order means: of ten symbols one is the mark, and the answer is the symbol behind it. How often a
//! symbol stands in the sequence says little.

use serde_json::json;

use super::{Bench, largest, metric, predict, share};

const MODEL: &str = include_str!("../../../../../examples/models/sequence.graphql");
const STEPS: usize = 10;
/// The mark is symbol 0; the others are 1 to 7, and the answers 0 to 6.
const SYMBOLS: u32 = 8;

/// So many sequences with their answers, the same in every run.
fn sequences(count: usize) -> Vec<Vec<f64>> {
    let mut state = 1_u32;
    let mut draw = |below: u32| {
        // Numerical Recipes' generator; its upper bits are good enough.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % below
    };
    let mut rows = Vec::with_capacity(count);
    for _ in 0..count {
        let mut symbols: Vec<u32> = (0..STEPS).map(|_| 1 + draw(SYMBOLS - 1)).collect();
        let mark = draw(u32::try_from(STEPS).unwrap() - 1) as usize;
        symbols[mark] = 0;
        symbols.push(symbols[mark + 1] - 1);
        rows.push(symbols.into_iter().map(f64::from).collect());
    }
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn an_lstm_learns_what_stands_behind_the_mark() {
    let bench = Bench::new("sequence", MODEL, "UINT8", json!([STEPS])).await;
    let rows = sequences(2_500);
    let (sent, kept) = rows.split_at(2_000);
    let segment = bench.send_rows(sent);
    let ended = bench
        .train(
            &segment,
            json!({
                "epochs": 20, "batchSize": 32, "learningRate": 0.005,
                "optimizer": {"rmsProp": {}}, "clipNorm": 1.0,
            }),
            json!({
                "optimizer": {"type": "RMS_PROP", "decay": 0.9, "epsilon": 1e-8},
                "tuning": {"clipping": {"NORM": 1.0}},
            }),
        )
        .await;
    assert!(metric(&ended, "test_accuracy") >= 0.95, "{ended}");

    let file = bench.file(&ended).await;
    let answers = predict(&file, "probabilities", kept);
    let right = kept.iter().zip(&answers).filter(|(row, answer)| {
        let label = row[STEPS].to_string();
        largest(answer).to_string() == label
    });
    let accuracy = share(right.count(), kept.len());
    assert!(accuracy >= 0.95, "{accuracy}");
}
