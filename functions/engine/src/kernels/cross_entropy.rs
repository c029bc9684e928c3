//! `CrossEntropy`: the loss of a softmax and its gradient, a row at a time.
//!
//! With logits z of n records whose label k is a class, M = max z and S = Σ exp(z − M): L = (1/n) Σ (M + ln S − zₖ), and
//! ∂L/∂z = (exp(z − M) / S − [k]) / n. Records with another label have no part in it; where no record has, both are 0.

use millrace_onnx::fast;
use ort::Error;
use ort::operator::ComputeContext;
use ort::value::TensorElementType::{Float32, Int64};

use super::exponential::exp;
use super::instructions::{self, Task};
use super::operator::{Definition, Port, check_lengths, input, plain, tensor};
use super::parallel::{PART, for_each};

pub(super) const OPERATOR: Definition = Definition {
    name: fast::CROSS_ENTROPY,
    inputs: &[Port::Required(Float32), Port::Required(Int64)],
    outputs: &[Port::Required(Float32), Port::Required(Float32)],
    create: |_| Ok(plain(compute)),
};

fn compute(context: &ComputeContext) -> ort::Result<()> {
    let (logits, labels) = (input(context, 0)?, input(context, 1)?);
    let (shape, logits) = tensor::<f32>(&logits)?;
    let (_, labels) = tensor::<i64>(&labels)?;
    let classes = match shape {
        [_, classes] => usize::try_from(*classes).unwrap_or_default(),
        _ => 0,
    };
    if classes == 0 {
        return Err(Error::new(format!(
            "expected a row of logits for each record, got {shape:?}"
        )));
    }
    check_lengths(logits.len() / classes, &[labels.len()])?;
    let loss = context.output(0, Vec::<i64>::new())?;
    let gradient = context.output(1, shape.to_vec())?;
    let (Some(mut loss), Some(mut gradient)) = (loss, gradient) else {
        return Err(Error::new("both outputs are needed"));
    };
    let (_, loss) = loss.try_extract_tensor_mut::<f32>()?;
    let (_, gradient) = gradient.try_extract_tensor_mut::<f32>()?;

    #[expect(clippy::cast_precision_loss, reason = "a batch is far below 2^52")]
    let records = labels
        .iter()
        .filter(|&&label| class(label, classes).is_some())
        .count()
        .max(1) as f64;
    let rows = (PART / classes / 8).max(1);
    let mut losses = vec![0.0; labels.len()];
    let parts = gradient.chunks_mut(rows * classes);
    let parts = parts.zip(logits.chunks(rows * classes));
    let parts = parts.zip(labels.chunks(rows)).zip(losses.chunks_mut(rows));
    let parts = parts.map(|(((gradient, logits), labels), losses)| Part {
        gradient,
        logits,
        labels,
        losses,
        classes,
        #[expect(clippy::cast_possible_truncation, reason = "the gradient is float32")]
        share: (1.0 / records) as f32,
    });
    for_each(context, parts.collect(), instructions::run)?;
    #[expect(clippy::cast_possible_truncation, reason = "the loss is float32")]
    let mean = (losses.iter().sum::<f64>() / records) as f32;
    loss.fill(mean);
    Ok(())
}

/// Some records.
struct Part<'a> {
    gradient: &'a mut [f32],
    logits: &'a [f32],
    labels: &'a [i64],
    losses: &'a mut [f64],
    classes: usize,
    /// A record's share of the mean.
    share: f32,
}

impl Task for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let rows = self.gradient.chunks_mut(self.classes);
        let rows = rows.zip(self.logits.chunks(self.classes));
        for ((gradient, logits), (&label, loss)) in rows.zip(self.labels.iter().zip(self.losses)) {
            let Some(label) = class(label, self.classes) else {
                gradient.fill(0.0);
                continue;
            };
            let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            for (power, logit) in gradient.iter_mut().zip(logits) {
                *power = exp(logit - largest);
            }
            let sum: f32 = gradient.iter().sum();
            let scale = self.share / sum;
            for value in gradient.iter_mut() {
                *value *= scale;
            }
            gradient[label] -= self.share;
            *loss = f64::from(largest) + f64::from(sum).ln() - f64::from(logits[label]);
        }
    }
}

/// The class that a label means.
fn class(label: i64, classes: usize) -> Option<usize> {
    usize::try_from(label).ok().filter(|&class| class < classes)
}

#[cfg(test)]
mod tests {
    use super::class;

    #[test]
    fn labels_beyond_the_classes_are_none() {
        let found = [-3, -1, 0, 2, 3].map(|label| class(label, 3));
        assert_eq!(found, [None, None, Some(0), Some(2), None]);
    }
}
