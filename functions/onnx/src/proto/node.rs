//! Nodes as they are made here.

use super::{AttributeProto, NodeProto};

impl NodeProto {
    /// A node of the standard operators with one output, after which it is named.
    #[must_use]
    pub fn new<S: AsRef<str>>(
        operator: &str,
        inputs: &[S],
        output: &str,
        attribute: Vec<AttributeProto>,
    ) -> Self {
        Self {
            input: inputs
                .iter()
                .map(|input| input.as_ref().to_owned())
                .collect(),
            output: vec![output.to_owned()],
            name: Some(output.to_owned()),
            op_type: Some(operator.to_owned()),
            attribute,
            ..Self::default()
        }
    }
}
