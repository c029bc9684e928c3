//! Going over the steps of a sequence, with what is carried from one to the next.
//!
//! Where the number of steps is known, every step is written out, which is the faster; else the steps are a `Scan`.

use crate::emitter::Emitter;
use crate::proto::{AttributeProto, GraphProto, NodeProto, ValueInfoProto};
use crate::{Dim, ElementType, TensorInfo};

/// How many steps there are.
#[derive(Clone)]
pub(super) enum Steps {
    Known(usize),
    /// As only a run shows.
    Open {
        /// The number of steps and the size of the batch, each a list of one.
        sizes: [String; 2],
        element: ElementType,
        /// What the states are where nothing is carried: `[batch, units]`.
        zeros: String,
    },
}

/// A way over all steps. What belongs to the steps stands in rows, `[steps · batch, …]`.
pub(super) struct Walk {
    steps: Steps,
    /// Whether it goes from the last step to the first.
    is_backwards: bool,
}

/// One step of a [`Walk`].
pub(super) struct Step {
    /// This step's part of each sequence, `[batch, …]`.
    values: Vec<Option<String>>,
    carried: Vec<Option<String>>,
    /// Whether what is carried on from here has a use.
    pub(super) goes_on: bool,
}

impl Step {
    /// This step's part of a sequence that was given.
    pub(super) fn value(&self, sequence: usize) -> &str {
        self.values[sequence]
            .as_deref()
            .expect("a cell asks for what it has given")
    }

    /// What the step before carried on; nothing at the first one, where that is 0.
    pub(super) fn carried(&self, which: usize) -> Option<&str> {
        self.carried[which].as_deref()
    }

    /// The sum of a sequence's part and what was carried; nothing where neither is there.
    pub(super) fn sum(&self, emit: &mut Emitter, sequence: usize, which: usize) -> Option<String> {
        match (&self.values[sequence], &self.carried[which]) {
            (Some(value), Some(carried)) => Some(emit.node("Add", &[value, carried])),
            (value, carried) => value.clone().or_else(|| carried.clone()),
        }
    }

    /// What goes on to the next step, and, where the sequences differ in length, also what came to this one in those
    /// sequences that it does not belong to: `rest` says which these are.
    pub(super) fn keep(&self, emit: &mut Emitter, next: String, came: &str, rest: usize) -> String {
        let Some(rest) = &self.values[rest] else {
            return next;
        };
        let kept = emit.node("Mul", &[came, rest]);
        emit.node("Add", &[&next, &kept])
    }
}

impl Walk {
    pub(super) fn new(steps: Steps, is_backwards: bool) -> Self {
        Self {
            steps,
            is_backwards,
        }
    }

    /// Emits every step. The body gives what it carries on and what is collected from every step; what the last step
    /// carries on (if `goes_on`) and the collected rows come back.
    pub(super) fn over(
        &self,
        emit: &mut Emitter,
        sequences: &[Option<String>],
        carried: Vec<Option<String>>,
        goes_on: bool,
        body: impl FnMut(&mut Emitter, &Step) -> (Vec<Option<String>>, Vec<String>),
    ) -> (Vec<Option<String>>, Vec<String>) {
        match &self.steps {
            Steps::Known(steps) => {
                self.written_out(emit, *steps, sequences, carried, goes_on, body)
            }
            Steps::Open {
                sizes,
                element,
                zeros,
            } => {
                let open = Open {
                    sizes,
                    element: *element,
                    zeros,
                };
                open.scan(emit, self.is_backwards, sequences, &carried, body)
            }
        }
    }

    fn written_out(
        &self,
        emit: &mut Emitter,
        steps: usize,
        sequences: &[Option<String>],
        mut carried: Vec<Option<String>>,
        goes_on: bool,
        mut body: impl FnMut(&mut Emitter, &Step) -> (Vec<Option<String>>, Vec<String>),
    ) -> (Vec<Option<String>>, Vec<String>) {
        let parts: Vec<Option<Vec<String>>> = sequences
            .iter()
            .map(|rows| Some(emit.split(rows.as_ref()?, 0, steps)))
            .collect();
        let mut collected: Vec<Vec<String>> = Vec::with_capacity(steps);
        for done in 0..steps {
            let at = if self.is_backwards {
                steps - 1 - done
            } else {
                done
            };
            let of_step = |parts: &Option<Vec<String>>| Some(parts.as_ref()?[at].clone());
            let step = Step {
                values: parts.iter().map(of_step).collect(),
                carried,
                goes_on: goes_on || done + 1 < steps,
            };
            let (next, found) = body(emit, &step);
            carried = next;
            collected.push(found);
        }
        if self.is_backwards {
            collected.reverse();
        }
        let kinds = collected.first().map_or(0, Vec::len);
        let rows = (0..kinds).map(|kind| {
            let parts: Vec<&str> = collected.iter().map(|found| found[kind].as_str()).collect();
            emit.concat(&parts, 0)
        });
        (carried, rows.collect())
    }
}

/// Steps whose number is open.
struct Open<'a> {
    sizes: &'a [String; 2],
    element: ElementType,
    zeros: &'a str,
}

impl Open<'_> {
    fn scan(
        &self,
        emit: &mut Emitter,
        is_backwards: bool,
        sequences: &[Option<String>],
        carried: &[Option<String>],
        mut body: impl FnMut(&mut Emitter, &Step) -> (Vec<Option<String>>, Vec<String>),
    ) -> (Vec<Option<String>>, Vec<String>) {
        let rest = emit.integers(&[-1]);
        let [steps, batch] = self.sizes;
        let by_steps = emit.concat(&[steps, batch, &rest], 0);
        let states = carried
            .iter()
            .map(|state| state.as_deref().unwrap_or(self.zeros));
        let mut inputs: Vec<String> = states.map(str::to_owned).collect();
        let within: Vec<String> = carried.iter().map(|_| emit.free_name("carried")).collect();
        let mut taken = within.clone();
        let mut values = Vec::with_capacity(sequences.len());
        for rows in sequences {
            values.push(rows.as_ref().map(|rows| {
                inputs.push(emit.node("Reshape", &[rows, &by_steps]));
                let name = emit.free_name("step");
                taken.push(name.clone());
                name
            }));
        }
        let step = Step {
            values,
            carried: within.iter().cloned().map(Some).collect(),
            goes_on: true,
        };
        let start = emit.nodes.len();
        let (next, found) = body(emit, &step);
        let next = next.into_iter().zip(within);
        let next = next.map(|(state, before)| state.unwrap_or(before));
        // A graph gives each of its outputs under a name of its own.
        let given: Vec<String> = next
            .chain(found)
            .map(|name| emit.node("Identity", &[&name]))
            .collect();
        let nodes = emit.nodes.split_off(start);

        let scanned = inputs.len() - carried.len();
        let collected = given.len() - carried.len();
        let attribute = vec![
            AttributeProto::from_graph("body", self.graph(nodes, &taken, &given)),
            AttributeProto::from_int("num_scan_inputs", scanned as i64),
            directions("scan_input_directions", is_backwards, scanned),
            directions("scan_output_directions", is_backwards, collected),
        ];
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let mut outputs = emit.several("Scan", &inputs, attribute, given.len());
        let all_rows = emit.node("Mul", &[steps, batch]);
        let flat = emit.concat(&[&all_rows, &rest], 0);
        let rows = outputs.split_off(carried.len());
        let rows = rows.iter().map(|rows| emit.node("Reshape", &[rows, &flat]));
        let rows = rows.collect();
        (outputs.into_iter().map(Some).collect(), rows)
    }

    fn graph(&self, node: Vec<NodeProto>, inputs: &[String], outputs: &[String]) -> GraphProto {
        // ONNX Runtime wants to know at least how many dimensions the results have, and does not find out by itself where
        // the operator set is an early one.
        let rows = [Dim::Unknown, Dim::Unknown];
        let described = |names: &[String]| {
            let infos = names
                .iter()
                .map(|name| TensorInfo::new(name, self.element, rows.to_vec()));
            infos.map(|info| ValueInfoProto::from_info(&info)).collect()
        };
        GraphProto {
            node,
            name: Some("step".to_owned()),
            input: described(inputs),
            output: described(outputs),
            ..GraphProto::default()
        }
    }
}

fn directions(name: &str, is_backwards: bool, count: usize) -> AttributeProto {
    AttributeProto::from_ints(name, &vec![i64::from(is_backwards); count])
}
