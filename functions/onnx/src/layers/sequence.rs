//! Layers over sequences: numbers looked up in a table, and recurrent layers.

use super::{Builder, INPUT};
use crate::ElementType;
use crate::proto::{AttributeProto, NodeProto, TensorProto};

/// Which recurrent layer, and what is particular to it.
#[derive(Clone, Copy)]
pub(super) enum Recurrent {
    Lstm,
    Gru,
}

impl Recurrent {
    fn operator(self) -> &'static str {
        match self {
            Self::Lstm => "LSTM",
            Self::Gru => "GRU",
        }
    }

    fn gates(self) -> usize {
        match self {
            Self::Lstm => 4,
            Self::Gru => 3,
        }
    }

    /// The biases of W, then those of R. The forget gate, the third of four, begins open (Jozefowicz et al. 2015, "An
    /// Empirical Exploration of Recurrent Network Architectures").
    fn biases(self, units: usize) -> Vec<f32> {
        let mut biases = vec![0.0; 2 * self.gates() * units];
        if let Self::Lstm = self {
            biases[2 * units..3 * units].fill(1.0);
        }
        biases
    }
}

impl Builder {
    /// A row of a table for every number of the input.
    pub(super) fn embedding(
        &mut self,
        name: &str,
        count: usize,
        width: usize,
    ) -> Result<(), String> {
        if self.current != INPUT {
            return Err("it looks numbers of the input up: put it first".to_owned());
        }
        if count == 0 || width == 0 {
            return Err(format!(
                "a table of {count} × {width} is empty: give sizes of at least 1"
            ));
        }
        self.count_parameters(count.checked_mul(width))?;
        let table = format!("{name}.weight");
        let values = self.initial.embedding(count * width);
        self.initializers
            .push(TensorProto::from_f32(&table, &[count, width], &values));
        let to = i64::from(ElementType::Int64.code());
        let to = vec![AttributeProto::from_int("to", to)];
        self.node(&format!("{name}.index"), "Cast", &[], to);
        let index = std::mem::replace(&mut self.current, table);
        self.node(name, "Gather", &[&index], Vec::new());
        self.shape.push(width);
        Ok(())
    }

    /// A recurrent layer over `[steps, features]`, which gives the h of its last step or of every step.
    pub(super) fn recurrent(
        &mut self,
        name: &str,
        kind: Recurrent,
        units: usize,
        all_steps: bool,
    ) -> Result<(), String> {
        let &[steps, features] = self.shape.as_slice() else {
            return Err(format!(
                "it takes records of shape [steps, features], and gets records of shape {:?}: \
                 put a reshape or an embedding layer before it",
                self.shape
            ));
        };
        if units == 0 {
            return Err("it has no units: give at least 1".to_owned());
        }
        let rows = units.checked_mul(kind.gates());
        let weights =
            rows.and_then(|rows| rows.checked_mul(features.checked_add(units)?.checked_add(2)?));
        self.count_parameters(weights)?;
        let rows = units * kind.gates();
        let input = self.initial.uniform(features * rows, features + rows);
        let hidden = self.initial.orthogonal(rows, units);
        let [w, r, b] = ["input", "recurrent", "bias"].map(|part| format!("{name}.{part}"));
        self.initializers.extend([
            TensorProto::from_f32(&w, &[1, rows, features], &input),
            TensorProto::from_f32(&r, &[1, rows, units], &hidden),
            TensorProto::from_f32(&b, &[1, 2 * rows], &kind.biases(units)),
        ]);

        let steps_first = || vec![AttributeProto::from_ints("perm", &[1, 0, 2])];
        self.node(&format!("{name}.steps"), "Transpose", &[], steps_first());
        let mut attribute = vec![AttributeProto::from_int("hidden_size", units as i64)];
        if let Recurrent::Gru = kind {
            attribute.push(AttributeProto::from_int("linear_before_reset", 1));
        }
        let found = format!("{name}.hidden");
        let output = if all_steps {
            vec![found.clone()]
        } else {
            vec![String::new(), found.clone()]
        };
        self.nodes.push(NodeProto {
            input: vec![std::mem::replace(&mut self.current, found), w, r, b],
            output,
            name: Some(format!("{name}.{}", kind.operator().to_lowercase())),
            op_type: Some(kind.operator().to_owned()),
            attribute,
            ..NodeProto::default()
        });
        // The dimension of the directions goes: the second of [steps, 1, batch, units], the first of [1, batch, units].
        let axes = format!("{name}.axes");
        let axis = TensorProto::from_i64(&axes, &[1], &[i64::from(all_steps)]);
        self.initializers.push(axis);
        if all_steps {
            self.node(&format!("{name}.squeezed"), "Squeeze", &[&axes], Vec::new());
            self.node(name, "Transpose", &[], steps_first());
            self.shape = vec![steps, units];
        } else {
            self.node(name, "Squeeze", &[&axes], Vec::new());
            self.shape = vec![units];
        }
        Ok(())
    }
}
