//! Classifiers that give each record a map from its classes to their scores, as scikit-learn's and
//! `LightGBM`'s exporters write them (`ZipMap` of `ai.onnx.ml`). The scores are one tensor inside
//! the graph, so the operator that takes them apart is left out, and the classes' names are kept.
//!
//! Invariant: the other outputs stay as they are.

use std::collections::BTreeMap;

use millrace_onnx::proto::{GraphProto, ModelProto, NodeProto, ValueInfoProto};
use millrace_onnx::{Dim, ElementType, Model, TensorInfo};

const OPERATOR: &str = "ZipMap";
const DOMAIN: &str = "ai.onnx.ml";

/// A model without these maps.
pub(crate) struct Unzipped {
    /// Its file.
    pub(crate) file: Vec<u8>,
    /// The names of the classes by output.
    pub(crate) classes: BTreeMap<String, Vec<String>>,
}

/// Leaves the maps out of a model; nothing where it has none.
pub(crate) fn unzip(file: &[u8]) -> Option<Unzipped> {
    // Most models have none, and large ones are not read twice.
    let name = OPERATOR.as_bytes();
    file.windows(name.len()).find(|window| *window == name)?;
    let mut proto = Model::decode(file.to_vec()).ok()?.proto().clone();
    let has_standard = |proto: &ModelProto| {
        let mut imports = proto.opset_import.iter();
        imports.any(|import| ["", "ai.onnx"].contains(&import.domain()))
    };
    if !has_standard(&proto) {
        return None;
    }
    let classes = unzip_graph(proto.graph.as_mut()?);
    if classes.is_empty() {
        return None;
    }
    let file = Model::from_proto(proto).ok()?.encode();
    Some(Unzipped { file, classes })
}

fn unzip_graph(graph: &mut GraphProto) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for node in &mut graph.node {
        if node.op_type() != OPERATOR || node.domain() != DOMAIN {
            continue;
        }
        let (Some(classes), [output]) = (classes(node), node.output.as_slice()) else {
            continue;
        };
        let output = output.clone();
        let Some(given) = graph.output.iter_mut().find(|one| one.name() == output) else {
            continue;
        };
        // `Identity` is in every version of the standard operators.
        node.op_type = Some("Identity".to_owned());
        node.domain = None;
        node.attribute.clear();
        let scores = vec![
            Dim::Symbolic("records".to_owned()),
            Dim::Fixed(i64::try_from(classes.len()).unwrap_or(i64::MAX)),
        ];
        *given = ValueInfoProto::from_info(&TensorInfo::new(&output, ElementType::Float32, scores));
        found.insert(output, classes);
    }
    found
}

/// The names of the classes, which are texts or whole numbers.
fn classes(node: &NodeProto) -> Option<Vec<String>> {
    if let Some(numbers) = node
        .ints("classlabels_int64s")
        .filter(|list| !list.is_empty())
    {
        return Some(numbers.iter().map(ToString::to_string).collect());
    }
    let texts = node.strings("classlabels_strings")?;
    Some(texts.into_iter().map(str::to_owned).collect())
}
