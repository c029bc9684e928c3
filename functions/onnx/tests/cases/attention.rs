//! `Attention` in every form, and attention as exporters write it out.

use millrace_onnx::proto::{AttributeProto, NodeProto, TensorProto};
use millrace_onnx::{Dim, ElementType, Tensor, Values};

use super::Case;
use crate::support::{Draft, Tensors, batch, noise};

const BATCH: usize = 2;
const QUERIES: usize = 3;
const KEYS: usize = 4;

pub fn cases() -> Vec<Case> {
    let of = Form::new;
    vec![
        of().case("heads of their own dimension"),
        of().flat().case("heads within the last dimension"),
        of().open_lengths()
            .case("lengths that the model leaves open"),
        of().causal().case("causal"),
        of().open_lengths()
            .flat()
            .causal()
            .case("causal, with lengths that the model leaves open"),
        of().with(AttributeProto::from_float("scale", 0.3))
            .case("a scale"),
        of().with(AttributeProto::from_float("softcap", 0.4))
            .case("a cap"),
        of().boolean_mask(&[QUERIES, KEYS]).case("a boolean mask"),
        of().boolean_mask(&[BATCH, 1, QUERIES, KEYS])
            .causal()
            .flat()
            .case("a boolean mask for each record, and causal"),
        of().float_mask(&[QUERIES, KEYS])
            .case("a mask that is added"),
        of().float_mask(&[2, 1, KEYS])
            .causal()
            .with(AttributeProto::from_float("softcap", 0.4))
            .case("a mask for each head that is added, causal, with a cap"),
        of().shared()
            .case("heads of keys that several queries share"),
        of().shared()
            .flat()
            .open_lengths()
            .causal()
            .case("shared heads within the last dimension"),
        of().scores().case("its scores as an output"),
        unmasked(
            "attention written out",
            ("Mul", 0.5),
            &[&[0, 2, 3, 1]],
            true,
        ),
        unmasked(
            "attention written out with a divisor and keys transposed twice",
            ("Div", 2.0),
            &[&[0, 2, 1, 3], &[0, 1, 3, 2]],
            false,
        ),
        unmasked(
            "attention written out with the records not first",
            ("Mul", 0.5),
            &[&[1, 0, 2, 3], &[1, 2, 3, 0]],
            true,
        ),
        packed(
            "attention written out whose queries, keys and values are split",
            12,
        ),
        packed("attention written out of more parts than three", 16),
        masked(
            "attention written out with a mask that is added",
            "mask",
            &[1, 1, KEYS, KEYS],
        ),
        masked(
            "attention written out with a mask of the last dimensions",
            "mask",
            &[KEYS, KEYS],
        ),
        masked(
            "attention written out with a mask for each head",
            "mask",
            &[2, 1, KEYS],
        ),
        masked(
            "attention written out with a mask for each record",
            "mask",
            &[BATCH, 1, 1, KEYS],
        ),
        masked(
            "attention written out with what trains added to its scores",
            "trained",
            &[2, KEYS, KEYS],
        ),
        written_out("attention written out, masked by a triangle", false),
        written_out("attention written out, masked by places", true),
    ]
}

/// An `Attention` node, written down.
struct Form {
    heads: [usize; 2],
    is_flat: bool,
    are_lengths_open: bool,
    gives_scores: bool,
    mask: Option<(ElementType, Vec<usize>)>,
    attributes: Vec<AttributeProto>,
}

impl Form {
    fn new() -> Self {
        Self {
            heads: [2, 2],
            is_flat: false,
            are_lengths_open: false,
            gives_scores: false,
            mask: None,
            attributes: Vec::new(),
        }
    }

    fn with(mut self, attribute: AttributeProto) -> Self {
        self.attributes.push(attribute);
        self
    }

    fn flat(self) -> Self {
        let is_flat = true;
        Self { is_flat, ..self }
    }

    fn open_lengths(self) -> Self {
        Self {
            are_lengths_open: true,
            ..self
        }
    }

    fn causal(self) -> Self {
        self.with(AttributeProto::from_int("is_causal", 1))
    }

    fn shared(self) -> Self {
        let heads = [4, 2];
        Self { heads, ..self }
    }

    fn scores(self) -> Self {
        Self {
            gives_scores: true,
            ..self
        }
    }

    fn boolean_mask(self, dims: &[usize]) -> Self {
        let mask = Some((ElementType::Bool, dims.to_vec()));
        Self { mask, ..self }
    }

    /// A mask that trains.
    fn float_mask(self, dims: &[usize]) -> Self {
        let mask = Some((ElementType::Float32, dims.to_vec()));
        Self { mask, ..self }
    }

    fn case(self, name: &str) -> Case {
        let [heads, sharing] = self.heads;
        let mut tensors = Tensors::new();
        let mut draft = Draft::new();
        draft.opset = 23;
        let parts = [
            ("Q", heads, QUERIES, 2),
            ("K", sharing, KEYS, 2),
            ("V", sharing, KEYS, 3),
        ];
        for (seed, (name, heads, length, size)) in (30..).zip(parts) {
            let open = if self.are_lengths_open {
                Dim::Symbolic(if name == "Q" { "queries" } else { "keys" }.to_owned())
            } else {
                fixed(length)
            };
            let (dims, sizes) = if self.is_flat {
                (
                    vec![batch(), open, fixed(heads * size)],
                    vec![BATCH, length, heads * size],
                )
            } else {
                (
                    vec![batch(), fixed(heads), open, fixed(size)],
                    vec![BATCH, heads, length, size],
                )
            };
            let count = sizes.iter().product();
            let tensor = Tensor::from_f32(&sizes, &noise(count, seed));
            tensors.insert(format!("{name} input"), tensor);
            let width = *sizes.last().unwrap();
            draft = draft
                .input(&format!("{name} input"), ElementType::Float32, &dims)
                .weights(
                    &format!("{name} weights"),
                    &[width],
                    &noise(width, seed + 5),
                )
                .node(
                    "Mul",
                    &[&format!("{name} input"), &format!("{name} weights")],
                    name,
                );
        }
        let mut inputs = vec!["Q", "K", "V"];
        if let Some((element, dims)) = &self.mask {
            inputs.push("mask");
            let values = noise(dims.iter().product(), 40);
            if *element == ElementType::Bool {
                let is_record = |axis: usize| dims.len() == 4 && axis == 0;
                let sizes: Vec<Dim> = (0..dims.len())
                    .map(|axis| {
                        if is_record(axis) {
                            batch()
                        } else {
                            fixed(dims[axis])
                        }
                    })
                    .collect();
                draft = draft.input("mask", *element, &sizes);
                let seen = Values::Boolean(values.iter().map(|&value| value > -0.3).collect());
                tensors.insert("mask".to_owned(), Tensor::new(dims.clone(), seen));
            } else {
                draft = draft.weights("mask", dims, &values);
            }
        }
        let mut attribute = self.attributes;
        if self.is_flat {
            for (name, heads) in ["q_num_heads", "kv_num_heads"].into_iter().zip(self.heads) {
                attribute.push(AttributeProto::from_int(
                    name,
                    i64::try_from(heads).unwrap(),
                ));
            }
        }
        let outputs: &[&str] = if self.gives_scores {
            &["found", "", "", "scores"]
        } else {
            &["found"]
        };
        draft.graph.node.push(NodeProto {
            input: inputs.iter().copied().map(str::to_owned).collect(),
            output: outputs.iter().copied().map(str::to_owned).collect(),
            name: Some("attention".to_owned()),
            op_type: Some("Attention".to_owned()),
            attribute,
            ..NodeProto::default()
        });
        draft = if self.gives_scores {
            let last = vec![AttributeProto::from_int("axis", -1)];
            draft.node_with("Concat", &["found", "scores"], "y", last)
        } else {
            draft.node("Identity", &["found"], "y")
        };
        Case::with(&format!("Attention: {name}"), draft.result("y"), tensors)
    }
}

fn fixed(size: usize) -> Dim {
    Dim::Fixed(i64::try_from(size).unwrap())
}

/// Self-attention with two heads as a program writes it: one product for queries, keys and values, a causal mask, and all
/// shapes computed from the input's, of which neither the batch nor the length is fixed.
fn written_out(name: &str, by_places: bool) -> Case {
    const WIDTH: usize = 4;
    let ints = |name: &str, values: &[i64]| vec![AttributeProto::from_ints(name, values)];
    let int = |name: &str, value: i64| vec![AttributeProto::from_int(name, value)];
    let mut draft = Draft::new()
        .input(
            "x",
            ElementType::Float32,
            &[batch(), Dim::Symbolic("length".to_owned()), fixed(WIDTH)],
        )
        .weights("in", &[WIDTH, 3 * WIDTH], &noise(3 * WIDTH * WIDTH, 50))
        .weights("in bias", &[3 * WIDTH], &noise(3 * WIDTH, 51))
        .weights("out", &[WIDTH, WIDTH], &noise(WIDTH * WIDTH, 52))
        .integers("index 0", &[0])
        .integers("index 1", &[1])
        .integers("heads", &[2, 2])
        .integers("width", &[4])
        .node("Shape", &["x"], "shape")
        .node("Gather", &["shape", "index 0"], "records")
        .node("Gather", &["shape", "index 1"], "length")
        .node_with(
            "Concat",
            &["records", "length", "heads"],
            "apart",
            int("axis", 0),
        )
        .node_with(
            "Concat",
            &["records", "length", "width"],
            "together",
            int("axis", 0),
        )
        .node_with("Concat", &["length", "length"], "square", int("axis", 0))
        .node("MatMul", &["x", "in"], "projected")
        .node("Add", &["projected", "in bias"], "biased")
        .integers("thirds", &[4, 4, 4]);
    draft.graph.node.push(NodeProto {
        input: vec!["biased".to_owned(), "thirds".to_owned()],
        output: ["q", "k", "v"].map(str::to_owned).to_vec(),
        name: Some("split".to_owned()),
        op_type: Some("Split".to_owned()),
        attribute: int("axis", 2),
        ..NodeProto::default()
    });
    for (name, order) in [
        ("q", [0, 2, 1, 3]),
        ("k", [0, 2, 3, 1]),
        ("v", [0, 2, 1, 3]),
    ] {
        let heads = format!("{name} apart");
        draft = draft.node("Reshape", &[name, "apart"], &heads).node_with(
            "Transpose",
            &[&heads],
            &format!("{name} heads"),
            ints("perm", &order),
        );
    }
    for (name, value) in [
        ("root", 0.840_896_4),
        ("least", f32::MIN),
        ("zero", 0.0),
        ("one", 1.0),
    ] {
        let value = TensorProto::from_f32("", &[], &[value]);
        let value = vec![AttributeProto::from_tensor("value", value)];
        draft = draft.node_with("Constant", &[], name, value);
    }
    draft = if by_places {
        draft
            .node("Size", &["x"], "size")
            .node("Squeeze", &["length"], "count")
            .node("Sub", &["size", "size"], "from")
            .node("Squeeze", &["index 1"], "by")
            .node("Range", &["from", "count", "by"], "places")
            .node("Unsqueeze", &["places", "index 1"], "rows")
            .node("Greater", &["places", "rows"], "later")
    } else {
        draft
            .node("Expand", &["one", "square"], "ones")
            .node_with("Trilu", &["ones"], "past", int("upper", 0))
            .node("Equal", &["past", "zero"], "later")
    };
    let draft = draft
        .node("Mul", &["q heads", "root"], "q scaled")
        .node("Mul", &["k heads", "root"], "k scaled")
        .node("MatMul", &["q scaled", "k scaled"], "scores")
        .node("Where", &["later", "least", "zero"], "mask")
        .node("Add", &["scores", "mask"], "masked")
        .node_with("Softmax", &["masked"], "weights", int("axis", -1))
        .node("MatMul", &["weights", "v heads"], "found")
        .node_with(
            "Transpose",
            &["found"],
            "turned",
            ints("perm", &[0, 2, 1, 3]),
        )
        .node("Reshape", &["turned", "together"], "joined")
        .node("MatMul", &["joined", "out"], "y")
        .result("y");
    Case::new(name, draft, &[("x", &[BATCH, 3, WIDTH])])
}

/// Queries, keys and values of one product, with what is left of it added to the output.
fn packed(name: &str, width: usize) -> Case {
    const WIDTH: usize = 4;
    let order = |order: &[i64]| vec![AttributeProto::from_ints("perm", order)];
    let parts = width / WIDTH;
    let sizes = vec![i64::try_from(WIDTH).unwrap_or_default(); parts];
    let mut draft = Draft::new()
        .input(
            "x",
            ElementType::Float32,
            &[batch(), fixed(KEYS), fixed(WIDTH)],
        )
        .integers("heads", &[0, 4, 2, 2])
        .integers("whole", &[0, 4, 4])
        .integers("sizes", &sizes)
        .weights("w", &[WIDTH, width], &noise(WIDTH * width, 60))
        .weights("b", &[width], &noise(width, 61))
        .node("MatMul", &["x", "w"], "xw")
        .node("Add", &["xw", "b"], "all");
    let names = ["q", "k", "v", "rest"];
    draft.graph.node.push(NodeProto {
        input: vec!["all".to_owned(), "sizes".to_owned()],
        output: names[..parts].iter().copied().map(str::to_owned).collect(),
        name: Some("split".to_owned()),
        op_type: Some("Split".to_owned()),
        attribute: vec![AttributeProto::from_int("axis", -1)],
        ..NodeProto::default()
    });
    for (part, perm) in [
        ("q", [0, 2, 1, 3]),
        ("k", [0, 2, 3, 1]),
        ("v", [0, 2, 1, 3]),
    ] {
        let (heads, apart) = (format!("{part} heads"), format!("{part} apart"));
        draft = draft.node("Reshape", &[part, "heads"], &heads).node_with(
            "Transpose",
            &[&heads],
            &apart,
            order(&perm),
        );
    }
    draft = draft
        .node("MatMul", &["q apart", "k apart"], "scores")
        .node("Softmax", &["scores"], "shares")
        .node("MatMul", &["shares", "v apart"], "found")
        .node_with("Transpose", &["found"], "back", order(&[0, 2, 1, 3]))
        .node("Reshape", &["back", "whole"], "y");
    if parts > 3 {
        draft = draft.node("Add", &["y", "rest"], "z").result("z");
    } else {
        draft = draft.result("y");
    }
    Case::new(name, draft, &[("x", &[BATCH, KEYS, WIDTH])])
}

/// Heads whose scores are scaled by a number. The keys are transposed by each of the orders, the output back where it is said.
fn unmasked(name: &str, scale: (&str, f32), of_keys: &[&[i64; 4]], transposes_back: bool) -> Case {
    let scores = Scores {
        scale,
        of_keys,
        mask: None,
    };
    scores.case(name, transposes_back)
}

/// The same with a tensor of these sizes that is added to the scores: an input of the model, or what trains.
fn masked(name: &str, mask: &str, dims: &[usize]) -> Case {
    let scores = Scores {
        scale: ("Mul", 0.5),
        of_keys: &[&[0, 2, 3, 1]],
        mask: Some((mask, dims)),
    };
    scores.case(name, true)
}

/// How heads come to their scores.
struct Scores<'a> {
    scale: (&'a str, f32),
    of_keys: &'a [&'a [i64; 4]],
    mask: Option<(&'a str, &'a [usize])>,
}

impl Scores<'_> {
    fn case(&self, name: &str, transposes_back: bool) -> Case {
        const WIDTH: usize = 4;
        let (operator, factor) = self.scale;
        let order = |order: &[i64]| vec![AttributeProto::from_ints("perm", order)];
        let factor = TensorProto::from_f32("", &[], &[factor]);
        let factor = vec![AttributeProto::from_tensor("value", factor)];
        let mut draft = Draft::new()
            .input(
                "x",
                ElementType::Float32,
                &[batch(), fixed(KEYS), fixed(WIDTH)],
            )
            .integers("heads", &[0, 4, 2, 2])
            .node_with("Constant", &[], "factor", factor);
        for (number, part) in (60..).zip(["q", "k", "v"]) {
            let (weights, heads) = (format!("{part} weights"), format!("{part} heads"));
            draft = draft
                .weights(&weights, &[WIDTH, WIDTH], &noise(WIDTH * WIDTH, number))
                .node("MatMul", &["x", &weights], part)
                .node("Reshape", &[part, "heads"], &heads);
        }
        for part in ["q", "v"] {
            let (from, to) = (format!("{part} heads"), format!("{part} apart"));
            draft = draft.node_with("Transpose", &[&from], &to, order(&[0, 2, 1, 3]));
        }
        let mut keys = "k heads".to_owned();
        for next in self.of_keys {
            let to = format!("{keys}, transposed");
            draft = draft.node_with("Transpose", &[&keys], &to, order(*next));
            keys = to;
        }
        draft = draft.node("MatMul", &["q apart", &keys], "scores").node(
            operator,
            &["scores", "factor"],
            "scaled",
        );
        let mut inputs = vec![("x", vec![BATCH, KEYS, WIDTH])];
        let mut last = "scaled";
        if let Some((name, dims)) = self.mask {
            if name == "mask" {
                let of_record = |(axis, &size): (usize, &usize)| match dims.len() - axis {
                    4 if size == BATCH => batch(),
                    _ => fixed(size),
                };
                let sizes: Vec<Dim> = dims.iter().enumerate().map(of_record).collect();
                draft = draft.input(name, ElementType::Float32, &sizes);
                inputs.push(("mask", dims.to_vec()));
            } else {
                draft = draft.weights(name, dims, &noise(dims.iter().product(), 70));
            }
            draft = draft.node("Add", &["scaled", name], "masked");
            last = "masked";
        }
        draft = draft.node("Softmax", &[last], "shares").node(
            "MatMul",
            &["shares", "v apart"],
            "found",
        );
        if transposes_back {
            draft = draft
                .integers("whole", &[0, 4, 4])
                .node_with("Transpose", &["found"], "back", order(&[0, 2, 1, 3]))
                .node("Reshape", &["back", "whole"], "y");
        } else {
            draft = draft.node("Neg", &["found"], "y");
        }
        let inputs: Vec<(&str, &[usize])> = inputs
            .iter()
            .map(|(name, dims)| (*name, &dims[..]))
            .collect();
        Case::new(name, draft.result("y"), &inputs)
    }
}
