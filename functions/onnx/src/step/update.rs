//! From gradients to the next parameters: accumulation over runs, clipping, the optimizer with weight decay.
//!
//! Without accumulation the optimizer's results are the step's outputs. With accumulation over k runs every run adds its
//! gradients to the slot `gradient`; the optimizer always computes, from their sum divided by k, and its results become the
//! outputs only in runs whose number is a multiple of k. In the others parameters and state pass through as they are.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashSet};

use super::names::{self, LEARNING_RATE};
use super::{Parameter, StepOptions};
use crate::ElementType;
use crate::emitter::Emitter;

/// The sum of the gradients since the last update, where gradients are accumulated.
pub(super) const ACCUMULATED: &str = "gradient";

/// One parameter's move.
///
/// A rule writes the parameter's next value and that of each of its slots under [`Update::next`].
pub(super) struct Update<'a> {
    /// The parameter before the step.
    pub(super) parameter: &'a str,
    /// Its gradient, of the same shape.
    pub(super) gradient: &'a str,
    /// λ, or 0 where the parameter does not decay.
    pub(super) decay: f64,
    /// The scalar 1 − lr · λ by which the parameter is multiplied before it moves, once something has needed it.
    keep: &'a OnceCell<String>,
    /// The names of results that are not the step's outputs yet.
    drafts: BTreeMap<String, String>,
}

impl Update<'_> {
    /// A slot before the step.
    pub(super) fn slot(&self, slot: &str) -> String {
        names::slot(self.parameter, slot)
    }

    /// What the parameter or a slot is called after the step.
    pub(super) fn next(&self, tensor: &str) -> String {
        let draft = self.drafts.get(tensor).cloned();
        draft.unwrap_or_else(|| names::updated(tensor))
    }

    /// Emits the parameter's next value: p − `change`, after its decay.
    pub(super) fn subtract(&self, emitter: &mut Emitter, change: &str) {
        let kept = if self.decay == 0.0 {
            self.parameter.to_owned()
        } else {
            let keep = self.keep.get_or_init(|| emit_keep(emitter, self.decay));
            emitter.node("Mul", &[self.parameter, keep])
        };
        emitter.named(&self.next(self.parameter), "Sub", &[&kept, change]);
    }

    /// Emits the parameter's next value: p − lr · `direction`, after its decay.
    pub(super) fn descend(&self, emitter: &mut Emitter, direction: &str) {
        let change = emitter.node("Mul", &[direction, LEARNING_RATE]);
        self.subtract(emitter, &change);
    }
}

/// What is decided before anything is emitted.
pub(super) struct Plan<'a> {
    pub(super) options: &'a StepOptions,
    pub(super) parameters: &'a [Parameter],
    /// λ, and the parameters for which it holds.
    pub(super) decay: f64,
    pub(super) decaying: HashSet<String>,
}

/// The slots of every parameter.
pub(super) fn slots(options: &StepOptions) -> Vec<&'static str> {
    let own = options.optimizer.slots().iter().copied();
    let accumulated = (options.accumulation > 1).then_some(ACCUMULATED);
    own.chain(accumulated).collect()
}

impl Plan<'_> {
    /// Emits the next values of all parameters and slots.
    pub(super) fn emit(&self, emitter: &mut Emitter, mut gradients: BTreeMap<String, String>) {
        let accumulation = self.emit_accumulation(emitter, &mut gradients);
        if let Some(clipping) = self.options.clipping {
            clipping.emit(emitter, &mut gradients);
        }
        emitter.enter("update".to_owned());
        let mut rule = self.options.optimizer.rule();
        let number = accumulation
            .as_ref()
            .map_or(names::STEP, |accumulation| &accumulation.number);
        rule.begin(emitter, number);
        let keep = OnceCell::new();
        let mut drafts = Vec::with_capacity(self.parameters.len());
        for parameter in self.parameters {
            let name = parameter.name.as_str();
            let update = Update {
                parameter: name,
                gradient: gradient_of(&gradients, name),
                decay: if self.decaying.contains(name) {
                    self.decay
                } else {
                    0.0
                },
                keep: &keep,
                drafts: match &accumulation {
                    Some(_) => self.drafts(emitter, name),
                    None => BTreeMap::new(),
                },
            };
            emitter.enter(format!("update/{name}"));
            rule.update(emitter, &update);
            drafts.push(update.drafts);
        }
        emitter.enter("update".to_owned());
        rule.end(emitter);
        if let Some(accumulation) = &accumulation {
            for (parameter, drafts) in self.parameters.iter().zip(&drafts) {
                emitter.enter(format!("update/{}", parameter.name));
                accumulation.emit_choice(emitter, drafts);
            }
        }
    }

    /// Names for results that are outputs only after every k-th run.
    fn drafts(&self, emitter: &mut Emitter, parameter: &str) -> BTreeMap<String, String> {
        let slots = self.options.optimizer.slots().iter();
        let slots = slots.map(|slot| names::slot(parameter, slot));
        let tensors = std::iter::once(parameter.to_owned()).chain(slots);
        tensors
            .map(|tensor| {
                let draft = emitter.free_name(&format!("update/{tensor}/draft"));
                (tensor, draft)
            })
            .collect()
    }

    /// Adds the gradients to those of earlier runs; what it gives in their place is the mean.
    fn emit_accumulation(
        &self,
        emitter: &mut Emitter,
        gradients: &mut BTreeMap<String, String>,
    ) -> Option<Accumulation> {
        let runs = self.options.accumulation;
        if runs == 1 {
            return None;
        }
        emitter.enter("accumulation".to_owned());
        let accumulation = Accumulation::emit(emitter, runs);
        let share = emitter.float(1.0 / f64::from(runs), ElementType::Float32);
        let zero = emitter.float(0.0, ElementType::Float32);
        for (parameter, gradient) in gradients {
            let slot = names::slot(parameter, ACCUMULATED);
            let sum = emitter.node("Add", &[&slot, gradient]);
            let next = names::updated(&slot);
            emitter.named(&next, "Where", &[&accumulation.is_due, &zero, &sum]);
            *gradient = emitter.node("Mul", &[&sum, &share]);
        }
        Some(accumulation)
    }
}

/// 1 − lr · λ
fn emit_keep(emitter: &mut Emitter, decay: f64) -> String {
    let decay = emitter.float(decay, ElementType::Float32);
    let one = emitter.float(1.0, ElementType::Float32);
    let share = emitter.node("Mul", &[LEARNING_RATE, &decay]);
    emitter.node("Sub", &[&one, &share])
}

fn gradient_of<'a>(gradients: &'a BTreeMap<String, String>, parameter: &str) -> &'a str {
    gradients
        .get(parameter)
        .expect("the plan makes a parameter only of what a gradient reaches")
}

/// Where a run stands among those that make one update.
struct Accumulation {
    /// Whether the run ends with an update.
    is_due: String,
    /// The number of the update that the run belongs to, from 1.
    number: String,
}

impl Accumulation {
    /// With k runs an update: number = (step + k − 1) / k in whole numbers, which is due where k · number = step.
    fn emit(emitter: &mut Emitter, runs: u32) -> Self {
        let rest = emitter.integer(i64::from(runs) - 1);
        let runs = emitter.integer(runs.into());
        let ahead = emitter.node("Add", &[names::STEP, &rest]);
        let number = emitter.node("Div", &[&ahead, &runs]);
        let last = emitter.node("Mul", &[&number, &runs]);
        let is_due = emitter.node("Equal", &[&last, names::STEP]);
        Self { is_due, number }
    }

    /// Emits the outputs: the drafts where an update is due, else what was there before.
    fn emit_choice(&self, emitter: &mut Emitter, drafts: &BTreeMap<String, String>) {
        for (tensor, draft) in drafts {
            let next = names::updated(tensor);
            emitter.named(&next, "Where", &[&self.is_due, draft, tensor]);
        }
    }
}
