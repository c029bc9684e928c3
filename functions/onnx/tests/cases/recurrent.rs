//! Recurrent layers: `LSTM`, `GRU`, `RNN`, in every form.

use millrace_onnx::proto::{AttributeProto, NodeProto};
use millrace_onnx::{Dim, ElementType, Tensor};

use super::Case;
use crate::support::{Draft, Tensors, batch, noise};

const STEPS: usize = 4;
const BATCH: usize = 3;
const FEATURES: usize = 2;
const UNITS: usize = 3;

pub fn cases() -> Vec<Case> {
    ["LSTM", "GRU", "RNN"]
        .into_iter()
        .flat_map(forms)
        .chain(gru_forms())
        .chain([
            Form::of("LSTM").uses(&[2]).case("the last c alone"),
            Form::of("LSTM")
                .lengths()
                .uses(&[2])
                .case("the last c of sequences of different lengths"),
            Form::of("LSTM")
                .activations(&["HardSigmoid", "relu", "Sigmoid"])
                .parameters(&[0.25], &[0.4])
                .case("other activations"),
            Form::of("GRU")
                .activations(&["HardSigmoid", "Sigmoid"])
                .case("other activations"),
            Form::of("RNN").activations(&["Relu"]).case("Relu"),
            Form::of("RNN")
                .both_ways()
                .activations(&["Sigmoid", "Tanh"])
                .case("an activation for each direction"),
        ])
        .collect()
}

/// What all three have in common.
fn forms(operator: &'static str) -> Vec<Case> {
    let of = || Form::of(operator);
    vec![
        of().case("forward"),
        of().without_biases().case("without biases"),
        of().uses(&[1]).case("the last h alone"),
        of().uses(&[0, 1, 2]).case("all outputs"),
        of().reverse().uses(&[0, 1, 2]).case("reverse"),
        of().both_ways().uses(&[0, 1, 2]).case("in both directions"),
        of().states()
            .uses(&[0, 1, 2])
            .case("trained initial states"),
        of().states()
            .both_ways()
            .uses(&[1])
            .case("trained initial states in both directions"),
        of().lengths().uses(&[0, 1, 2]).case("different lengths"),
        of().lengths()
            .states()
            .reverse()
            .uses(&[0, 1, 2])
            .case("different lengths in reverse"),
        of().lengths()
            .states()
            .both_ways()
            .uses(&[0, 1, 2])
            .case("different lengths in both directions"),
        of().steps(1).states().uses(&[0, 1, 2]).case("one step"),
        of().opset(13).uses(&[0, 1, 2]).case("operator set 13"),
        of().fixed_batch().uses(&[0]).case("a fixed batch"),
        of().batch_first()
            .states()
            .lengths()
            .uses(&[0, 1, 2])
            .case("the batch first"),
        of().open_steps().case("a number of steps that is open"),
        of().opset(13)
            .open_steps()
            .both_ways()
            .case("a number of steps that is open, operator set 13"),
        of().open_steps()
            .states()
            .lengths()
            .both_ways()
            .uses(&[0, 1, 2])
            .case("different lengths, of which the largest is open, in both directions"),
        of().open_steps()
            .steps(1)
            .reverse()
            .uses(&[1])
            .case("one step where the number is open"),
        of().batch_first()
            .both_ways()
            .uses(&[0])
            .case("the batch first, in both directions"),
    ]
}

fn gru_forms() -> Vec<Case> {
    let of = || Form::of("GRU").resets_product();
    vec![
        of().case("with the reset behind the product"),
        of().without_biases()
            .case("with the reset behind the product and no biases"),
        of().lengths()
            .states()
            .both_ways()
            .uses(&[0, 1, 2])
            .case("with the reset behind the product, different lengths, in both directions"),
    ]
}

/// A recurrent node, written down.
struct Form {
    operator: &'static str,
    opset: i64,
    steps: usize,
    batch: Dim,
    uses: Vec<usize>,
    directions: usize,
    /// The inputs that may be left out and are not.
    optional: Vec<usize>,
    is_batch_first: bool,
    are_steps_open: bool,
    attributes: Vec<AttributeProto>,
}

impl Form {
    fn of(operator: &'static str) -> Self {
        Self {
            operator,
            opset: 21,
            steps: STEPS,
            batch: batch(),
            uses: vec![0],
            directions: 1,
            optional: vec![BIASES],
            is_batch_first: false,
            are_steps_open: false,
            attributes: Vec::new(),
        }
    }

    fn with(mut self, attribute: AttributeProto) -> Self {
        self.attributes.push(attribute);
        self
    }

    fn opset(self, opset: i64) -> Self {
        Self { opset, ..self }
    }

    fn steps(self, steps: usize) -> Self {
        Self { steps, ..self }
    }

    fn open_steps(self) -> Self {
        Self {
            are_steps_open: true,
            ..self
        }
    }

    fn fixed_batch(self) -> Self {
        let batch = Dim::Fixed(i64::try_from(BATCH).unwrap());
        Self { batch, ..self }
    }

    /// Which outputs the prediction is made of.
    fn uses(self, outputs: &[usize]) -> Self {
        let uses = outputs.to_vec();
        Self { uses, ..self }
    }

    fn without_biases(mut self) -> Self {
        self.optional.retain(|&input| input != BIASES);
        self
    }

    fn states(mut self) -> Self {
        self.optional.push(FIRST_H);
        if self.operator == "LSTM" {
            self.optional.push(FIRST_C);
        }
        self
    }

    fn lengths(mut self) -> Self {
        self.optional.push(LENGTHS);
        self
    }

    fn reverse(self) -> Self {
        self.with(AttributeProto::from_string("direction", "reverse"))
    }

    fn both_ways(self) -> Self {
        let both = Self {
            directions: 2,
            ..self
        };
        both.with(AttributeProto::from_string("direction", "bidirectional"))
    }

    fn batch_first(self) -> Self {
        let turned = Self {
            is_batch_first: true,
            ..self
        };
        turned.with(AttributeProto::from_int("layout", 1))
    }

    fn resets_product(self) -> Self {
        self.with(AttributeProto::from_int("linear_before_reset", 1))
    }

    fn activations(self, names: &[&str]) -> Self {
        self.with(AttributeProto::from_strings("activations", names))
    }

    fn parameters(self, alphas: &[f32], betas: &[f32]) -> Self {
        self.with(AttributeProto::from_floats("activation_alpha", alphas))
            .with(AttributeProto::from_floats("activation_beta", betas))
    }

    fn case(self, name: &str) -> Case {
        let (rows, directions) = (self.gates() * UNITS, self.directions);
        let mut draft = Draft::new().input("x", ElementType::Float32, &self.dims_of_x());
        draft.opset = self.opset;
        // The gradient of X is needed as well: it is scaled by something that trains.
        draft = weights(draft, "scale", &[FEATURES], 20).node("Mul", &["x", "scale"], "scaled");
        draft = weights(draft, "W", &[directions, rows, FEATURES], 21);
        draft = weights(draft, "R", &[directions, rows, UNITS], 22);
        let sizes = [self.order(self.steps, BATCH), vec![FEATURES]].concat();
        let x = Tensor::from_f32(&sizes, &noise(self.steps * BATCH * FEATURES, 24));
        let mut tensors = Tensors::from([("x".to_owned(), x)]);
        for &input in &self.optional {
            let states = [self.order(directions, BATCH), vec![UNITS]].concat();
            match input {
                BIASES => draft = weights(draft, INPUTS[input], &[directions, 2 * rows], 23),
                LENGTHS => {
                    let to = i64::from(ElementType::Int32.code());
                    let to = vec![AttributeProto::from_int("to", to)];
                    let dims = std::slice::from_ref(&self.batch);
                    draft = draft.input("sizes", ElementType::Int64, dims).node_with(
                        "Cast",
                        &["sizes"],
                        INPUTS[input],
                        to,
                    );
                    let lengths = Tensor::integers(&[BATCH], vec![4, 1, 2]);
                    tensors.insert("sizes".to_owned(), lengths);
                }
                _ => draft = weights(draft, INPUTS[input], &states, 20 + input as u64),
            }
        }
        let uses = self.outputs();
        draft.graph.node.push(self.node(&uses));
        let draft = joined(draft, &uses, self.is_batch_first).result("y");
        Case::with(&format!("{}: {name}", self.operator), draft, tensors)
    }

    fn gates(&self) -> usize {
        match self.operator {
            "LSTM" => 4,
            "GRU" => 3,
            _ => 1,
        }
    }

    /// Steps and directions both stand before the batch, or behind it.
    fn order<T>(&self, first: T, batch: T) -> Vec<T> {
        if self.is_batch_first {
            vec![batch, first]
        } else {
            vec![first, batch]
        }
    }

    fn dims_of_x(&self) -> Vec<Dim> {
        let fixed = |size: usize| Dim::Fixed(i64::try_from(size).unwrap());
        let steps = if self.are_steps_open {
            Dim::Symbolic("steps".to_owned())
        } else {
            fixed(self.steps)
        };
        let mut dims = self.order(steps, self.batch.clone());
        dims.push(fixed(FEATURES));
        dims
    }

    /// The outputs that the operator has of those that are used.
    fn outputs(&self) -> Vec<usize> {
        let uses = self.uses.iter().copied();
        uses.filter(|&output| output < 2 || self.operator == "LSTM")
            .collect()
    }

    fn node(&self, uses: &[usize]) -> NodeProto {
        let last = self.optional.iter().copied().max().unwrap_or_default();
        let inputs = INPUTS.into_iter().enumerate().take(last.max(2) + 1);
        let inputs = inputs.map(|(index, name)| {
            let is_given = index < 3 || self.optional.contains(&index);
            if is_given { name } else { "" }.to_owned()
        });
        let outputs = OUTPUTS
            .into_iter()
            .enumerate()
            .take(uses[uses.len() - 1] + 1);
        let outputs = outputs.map(|(index, name)| {
            let is_used = uses.contains(&index);
            if is_used { name } else { "" }.to_owned()
        });
        let units = i64::try_from(UNITS).unwrap();
        let mut attribute = self.attributes.clone();
        attribute.push(AttributeProto::from_int("hidden_size", units));
        NodeProto {
            input: inputs.collect(),
            output: outputs.collect(),
            name: Some("recurrent".to_owned()),
            op_type: Some(self.operator.to_owned()),
            attribute,
            ..NodeProto::default()
        }
    }
}

fn weights(draft: Draft, name: &str, dims: &[usize], seed: u64) -> Draft {
    draft.weights(name, dims, &noise(dims.iter().product(), seed))
}

const INPUTS: [&str; 7] = ["scaled", "W", "R", "B", "lengths", "first h", "first c"];
const BIASES: usize = 3;
const LENGTHS: usize = 4;
const FIRST_H: usize = 5;
const FIRST_C: usize = 6;
const OUTPUTS: [&str; 3] = ["Y", "last h", "last c"];

/// The prediction `y`: the weighted sum of the outputs, in one long row.
fn joined(draft: Draft, uses: &[usize], is_batch_first: bool) -> Draft {
    // Y is [steps, directions, batch, units], the last states [directions, batch, units]; or the batch comes first.
    let mut draft = draft.integers("row", &[-1]).integers("one", &[1]);
    let mut sum: Option<String> = None;
    for &output in uses {
        let mut name = OUTPUTS[output].to_owned();
        let factor = format!("{name} factor");
        draft = draft.weights(&factor, &[UNITS], &noise(UNITS, 27));
        if is_batch_first && output > 0 {
            draft = draft.node("Unsqueeze", &[&name, "one"], &format!("{name} as a step"));
            name = format!("{name} as a step");
        }
        let weighted = format!("{name} weighted");
        draft = draft.node("Mul", &[&name, &factor], &weighted);
        sum = Some(match sum {
            None => weighted,
            Some(sum) => {
                let both = format!("{sum}, {weighted}");
                draft = draft.node("Add", &[&sum, &weighted], &both);
                both
            }
        });
    }
    draft.node("Reshape", &[&sum.unwrap(), "row"], "y")
}
