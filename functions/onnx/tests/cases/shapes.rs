//! Operators that move elements about: joined, cut, padded, repeated, looked up, put in place, resized.

use millrace_onnx::proto::{AttributeProto, NodeProto, TensorProto};
use millrace_onnx::{Dim, ElementType, Tensor};

use super::Case;
use crate::support::{Draft, Tensors, batch, noise};

pub fn cases() -> Vec<Case> {
    [
        joined(),
        split(),
        sliced(),
        padded(),
        repeated(),
        looked_up(),
        put_in_place(),
        blocks(),
        resized(),
    ]
    .concat()
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto::from_int(name, value)
}

fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto::from_string(name, value)
}

/// x[batch, …] times w of the other dimensions, element by element: the tensor `h`.
fn weighted(sizes: &[usize]) -> Draft {
    let fixed = sizes
        .iter()
        .map(|&size| Dim::Fixed(i64::try_from(size).unwrap()));
    let dims: Vec<Dim> = std::iter::once(batch()).chain(fixed).collect();
    Draft::new()
        .input("x", ElementType::Float32, &dims)
        .weights("w", sizes, &noise(sizes.iter().product(), 21))
        .node("Mul", &["x", "w"], "h")
}

/// As [`weighted`], with a size behind the batch that is not known before it runs.
fn open(sizes: &[usize]) -> Draft {
    let mut draft = weighted(sizes);
    let open = [batch(), Dim::Symbolic("time".to_owned())];
    let fixed = sizes[1..]
        .iter()
        .map(|&size| Dim::Fixed(i64::try_from(size).unwrap()));
    let dims: Vec<Dim> = open.into_iter().chain(fixed).collect();
    draft.graph.input.clear();
    draft = draft.input("x", ElementType::Float32, &dims);
    draft.graph.initializer.clear();
    let row: Vec<usize> = std::iter::once(1)
        .chain(sizes[1..].iter().copied())
        .collect();
    draft.weights("w", &row, &noise(row.iter().product(), 21))
}

/// Ends a draft in the tensor `y`, for a batch of three records.
fn case(name: &str, draft: Draft, sizes: &[usize]) -> Case {
    let dims = [&[3], sizes].concat();
    Case::new(name, draft.result("y"), &[("x", &dims)])
}

/// A node with several outputs.
fn several(
    mut draft: Draft,
    node: &str,
    inputs: &[&str],
    outputs: &[&str],
    attribute: Vec<AttributeProto>,
) -> Draft {
    draft.graph.node.push(NodeProto {
        input: inputs.iter().copied().map(str::to_owned).collect(),
        output: outputs.iter().copied().map(str::to_owned).collect(),
        name: Some(format!("make {outputs:?}")),
        op_type: Some(node.to_owned()),
        attribute,
        ..NodeProto::default()
    });
    draft
}

fn joined() -> Vec<Case> {
    let all = weighted(&[4]).node("Tanh", &["h"], "bent").node_with(
        "Concat",
        &["h", "bent", "x", "h"],
        "y",
        vec![int("axis", -1)],
    );
    let one = weighted(&[4]).node_with("Concat", &["x", "h"], "y", vec![int("axis", 1)]);
    let along_batch = weighted(&[4]).node("Tanh", &["h"], "bent").node_with(
        "Concat",
        &["h", "bent"],
        "y",
        vec![int("axis", 0)],
    );
    let weights = weighted(&[4])
        .weights("left", &[4, 1], &noise(4, 1))
        .weights("right", &[4, 2], &noise(8, 2))
        .node_with("Concat", &["left", "right"], "both", vec![int("axis", 1)])
        .node("MatMul", &["h", "both"], "y");
    vec![
        case("Concat of four, one without a gradient", all, &[4]),
        case("Concat with one gradient", one, &[4]),
        case("Concat along the batch", along_batch, &[4]),
        case("Concat of weights", weights, &[4]),
    ]
}

fn split() -> Vec<Case> {
    let sum = |draft: Draft| draft.node("Mul", &["a", "b"], "product");
    let along = || vec![int("axis", 1)];
    let lengths = several(
        weighted(&[5]).integers("lengths", &[2, 2, 1]),
        "Split",
        &["h", "lengths"],
        &["a", "b", "c"],
        along(),
    );
    let lengths = sum(lengths).node_with("Concat", &["product", "c"], "y", along());
    let unused = several(
        weighted(&[6]).opset(13),
        "Split",
        &["h"],
        &["a", "b", "c"],
        along(),
    );
    let uneven = several(
        weighted(&[5]),
        "Split",
        &["h"],
        &["a", "b"],
        vec![int("axis", 1), int("num_outputs", 2)],
    );
    let uneven = uneven.node("Tanh", &["b"], "y");
    vec![
        case("Split by lengths", lengths, &[5]),
        case(
            "Split in equal parts with one unused",
            sum(unused).node("Neg", &["product"], "y"),
            &[6],
        ),
        case("Split with num_outputs and a short last part", uneven, &[5]),
    ]
}

fn sliced() -> Vec<Case> {
    let slice = |draft: Draft, starts: &[i64], ends: &[i64], axes: &[i64], steps: &[i64]| {
        draft
            .integers("starts", starts)
            .integers("ends", ends)
            .integers("axes", axes)
            .integers("steps", steps)
            .node("Slice", &["h", "starts", "ends", "axes", "steps"], "y")
    };
    let far = i64::MAX;
    let run_time = weighted(&[4, 5])
        .node("Shape", &["x"], "shape")
        .integers("second", &[2])
        .integers("two", &[2])
        .integers("one", &[1])
        .node("Gather", &["shape", "second"], "size")
        .node("Sub", &["size", "two"], "start");
    let given = weighted(&[4, 5])
        .input("from", ElementType::Int64, &[Dim::Fixed(2)])
        .input("to", ElementType::Int64, &[Dim::Fixed(2)])
        .integers("axes", &[2, 1])
        .integers("steps", &[1, -2])
        .node("Slice", &["h", "from", "to", "axes", "steps"], "y")
        .result("y");
    let mut tensors =
        Tensors::from([("x".to_owned(), Tensor::from_f32(&[3, 4, 5], &noise(60, 11)))]);
    tensors.insert("from".to_owned(), Tensor::integers(&[2], vec![-4, 3]));
    tensors.insert("to".to_owned(), Tensor::integers(&[2], vec![100, -100]));
    let plain = weighted(&[4])
        .integers("starts", &[0, 1])
        .integers("ends", &[2, 3])
        .node("Slice", &["h", "starts", "ends"], "y");
    vec![
        case(
            "Slice with step 1",
            slice(weighted(&[4, 5]), &[1, -3], &[3, far], &[1, -1], &[1, 1]),
            &[4, 5],
        ),
        case(
            "Slice with negative steps",
            slice(
                weighted(&[4, 5]),
                &[-1, 4],
                &[i64::MIN, 0],
                &[1, 2],
                &[-1, -2],
            ),
            &[4, 5],
        ),
        case(
            "Slice with a step of 2",
            slice(weighted(&[5]), &[1], &[far], &[1], &[2]),
            &[5],
        ),
        case("Slice of the batch without axes", plain, &[4]),
        case(
            "Slice the last of an open size",
            slice(open(&[4, 5]), &[-1], &[far], &[1], &[1]),
            &[4, 5],
        ),
        case(
            "Slice an open size backwards",
            slice(open(&[4, 5]), &[-1], &[i64::MIN], &[1], &[-1]),
            &[4, 5],
        ),
        case(
            "Slice from a start that is computed",
            run_time.node("Slice", &["h", "start", "size", "second", "one"], "y"),
            &[4, 5],
        ),
        Case::with("Slice by bounds that are inputs", given, tensors),
    ]
}

fn padded() -> Vec<Case> {
    let image = [2, 4, 5];
    let pads = [0, 0, 1, 2, 0, 0, 2, 1];
    let pad = |mode: &str, pads: &[i64]| {
        weighted(&image).integers("pads", pads).node_with(
            "Pad",
            &["h", "pads"],
            "y",
            vec![text("mode", mode)],
        )
    };
    let axes = weighted(&image)
        .integers("pads", &[2, -1, 0, 1])
        .integers("axes", &[-1, 2])
        .weights("value", &[], &[0.5])
        .node("Pad", &["h", "pads", "value", "axes"], "y");
    let value = weighted(&[4])
        .integers("pads", &[0, 2, 0, 1])
        .weights("v", &[1], &[0.5])
        .integers("none", &[])
        .node("Reshape", &["v", "none"], "value")
        .node("Pad", &["h", "pads", "value"], "y");
    let given = weighted(&[4])
        .input("pads", ElementType::Int64, &[Dim::Fixed(4)])
        .node("Pad", &["h", "pads"], "y")
        .result("y");
    let tensors = Tensors::from([
        ("x".to_owned(), Tensor::from_f32(&[3, 4], &noise(12, 11))),
        ("pads".to_owned(), Tensor::integers(&[4], vec![0, 1, 0, 2])),
    ]);
    let mut cases = vec![
        case("Pad constant with axes and a negative number", axes, &image),
        case("Pad by a value that trains", value, &[4]),
        Case::with("Pad by numbers that are inputs", given, tensors),
    ];
    for mode in ["constant", "edge", "reflect", "wrap"] {
        cases.push(case(&format!("Pad {mode}"), pad(mode, &pads), &image));
    }
    cases.push(case(
        "Pad reflect, channels last",
        weighted(&[4, 5, 2])
            .integers("pads", &[0, 1, 2, 0, 0, 1, 1, 0])
            .node_with("Pad", &["h", "pads"], "y", vec![text("mode", "reflect")]),
        &[4, 5, 2],
    ));
    cases
}

fn repeated() -> Vec<Case> {
    let expand =
        weighted(&[1, 4])
            .integers("shape", &[2, 1, 3, 1])
            .node("Expand", &["h", "shape"], "y");
    let as_batch = weighted(&[4])
        .weights("token", &[1, 1, 4], &noise(4, 5))
        .integers("last", &[1])
        .integers("first", &[0])
        .node("Shape", &["x"], "shape")
        .node("Gather", &["shape", "first"], "rows")
        .node_with(
            "Concat",
            &["rows", "last", "last"],
            "wide",
            vec![int("axis", 0)],
        )
        .node("Expand", &["token", "wide"], "tokens")
        .node("Unsqueeze", &["h", "last"], "standing")
        .node_with("Concat", &["tokens", "standing"], "y", vec![int("axis", 1)]);
    let tile =
        weighted(&[2, 3])
            .integers("repeats", &[2, 1, 3])
            .node("Tile", &["h", "repeats"], "y");
    let tile_weight = weighted(&[4])
        .weights("v", &[1, 2], &noise(2, 4))
        .integers("repeats", &[1, 2])
        .node("Tile", &["v", "repeats"], "wide")
        .node("Mul", &["h", "wide"], "y");
    vec![
        case("Expand with a new dimension", expand, &[1, 4]),
        case("Expand a weight to the batch", as_batch, &[4]),
        case("Tile with the batch", tile, &[2, 3]),
        case("Tile a weight", tile_weight, &[4]),
    ]
}

fn looked_up() -> Vec<Case> {
    let mut cases = Vec::new();
    for opset in [13, 21] {
        let mut push = |name: &str, draft: Draft, sizes: &[usize]| {
            cases.push(case(
                &format!("{name}, opset {opset}"),
                draft.opset(opset),
                sizes,
            ));
        };
        let gather = |draft: Draft, axis: i64| {
            draft.node_with("Gather", &["h", "list"], "y", vec![int("axis", axis)])
        };
        push(
            "Gather inside",
            gather(weighted(&[4, 3]).integers("list", &[1, -1, 1]), 1),
            &[4, 3],
        );
        push(
            "Gather of the batch",
            gather(weighted(&[3]).integers("list", &[2, 0, 0, -1]), 0),
            &[3],
        );
        push(
            "Gather along an open size",
            gather(open(&[4, 3]).integers("list", &[2, 0, -1]), 1),
            &[4, 3],
        );
        let mut single = weighted(&[4, 3]);
        single
            .graph
            .initializer
            .push(TensorProto::from_i64("list", &[], &[-2]));
        push("Gather of one place", gather(single, 1), &[4, 3]);
        let matrix = TensorProto::from_i64("list", &[2, 2], &[0, 3, 3, 1]);
        let mut square = weighted(&[4, 3]);
        square.graph.initializer.push(matrix);
        push("Gather by a matrix", gather(square, -2), &[4, 3]);

        let mut elements = weighted(&[3, 4]);
        let list =
            TensorProto::from_i64("list", &[2, 3, 2], &[0, 1, 1, -1, 3, 3, 2, 2, 0, 0, 1, 2]);
        elements.graph.initializer.push(list);
        let along = vec![int("axis", 2)];
        push(
            "GatherElements",
            elements.node_with("GatherElements", &["h", "list"], "y", along),
            &[3, 4],
        );

        let mut parts = weighted(&[3, 4]);
        let list = TensorProto::from_i64("list", &[2, 2, 2], &[0, 1, 2, -1, 0, 1, 1, 0]);
        parts.graph.initializer.push(list);
        push(
            "GatherND of rows",
            parts.node("GatherND", &["h", "list"], "y"),
            &[3, 4],
        );
        let mut together = weighted(&[3, 4]);
        let list = TensorProto::from_i64("list", &[3, 2, 1], &[0, 2, 1, 1, -1, 0]);
        together.graph.initializer.push(list);
        let options = vec![int("batch_dims", 1)];
        push(
            "GatherND along the batch",
            together.node_with("GatherND", &["h", "list"], "y", options),
            &[3, 4],
        );

        let table = Draft::new()
            .opset(opset)
            .input("x", ElementType::Int64, &[batch(), Dim::Fixed(2)])
            .weights("table", &[5, 3], &noise(15, 3))
            .node("Gather", &["table", "x"], "y")
            .result("y");
        let words = Tensor::integers(&[3, 2], vec![0, 4, 4, 2, 0, 0]);
        let tensors = Tensors::from([("x".to_owned(), words)]);
        cases.push(Case::with(
            &format!("Gather from an embedding, opset {opset}"),
            table,
            tensors,
        ));
    }
    cases
}

fn put_in_place() -> Vec<Case> {
    let mut cases = Vec::new();
    for (reduction, opset) in [
        ("none", 13),
        ("none", 18),
        ("add", 16),
        ("mul", 18),
        ("max", 18),
        ("min", 18),
    ] {
        let options = || match opset {
            13 => Vec::new(),
            _ => vec![text("reduction", reduction)],
        };
        let twice = reduction != "none";
        let mut elements = weighted(&[4])
            .weights("u", &[2, 2], &noise(4, 8))
            .opset(opset);
        let list = [0, 1, if twice { 0 } else { -1 }, 2];
        elements
            .graph
            .initializer
            .push(TensorProto::from_i64("list", &[2, 2], &list));
        let along = [options(), vec![int("axis", 1)]].concat();
        let elements = elements.node("Exp", &["u"], "updates").node_with(
            "ScatterElements",
            &["h", "list", "updates"],
            "y",
            along,
        );
        cases.push(case(
            &format!("ScatterElements {reduction}, opset {opset}"),
            elements,
            &[4],
        ));

        let mut parts = weighted(&[4])
            .weights("u", &[2, 4], &noise(8, 9))
            .opset(opset);
        let list = [2, if twice { 2 } else { 0 }];
        parts
            .graph
            .initializer
            .push(TensorProto::from_i64("list", &[2, 1], &list));
        let parts = parts.node("Exp", &["u"], "updates").node_with(
            "ScatterND",
            &["h", "list", "updates"],
            "y",
            options(),
        );
        cases.push(case(
            &format!("ScatterND {reduction}, opset {opset}"),
            parts,
            &[4],
        ));
    }
    cases
}

fn blocks() -> Vec<Case> {
    let mut cases = Vec::new();
    for mode in ["DCR", "CRD"] {
        let options = vec![int("blocksize", 2), text("mode", mode)];
        let draft = weighted(&[8, 2, 3]).node_with("DepthToSpace", &["h"], "y", options);
        cases.push(case(&format!("DepthToSpace {mode}"), draft, &[8, 2, 3]));
    }
    let draft =
        weighted(&[2, 4, 6]).node_with("SpaceToDepth", &["h"], "y", vec![int("blocksize", 2)]);
    cases.push(case("SpaceToDepth", draft, &[2, 4, 6]));
    for (batch_axis, time_axis, lengths) in [(0, 1, [4, 2, 1]), (1, 0, [3, 0, 2])] {
        let sizes: &[usize] = if batch_axis == 0 { &[4, 2] } else { &[3, 3] };
        let draft = weighted(sizes).integers("lengths", &lengths).node_with(
            "ReverseSequence",
            &["h", "lengths"],
            "y",
            vec![int("batch_axis", batch_axis), int("time_axis", time_axis)],
        );
        cases.push(case(
            &format!("ReverseSequence along {time_axis}"),
            draft,
            sizes,
        ));
    }
    cases
}

fn resized() -> Vec<Case> {
    let mut cases = Vec::new();
    let image = [2, 4, 3];
    let options = |mode: &str, coordinates: &str| {
        vec![
            text("mode", mode),
            text("coordinate_transformation_mode", coordinates),
        ]
    };
    let inputs = ["h", "", "scales"];
    for coordinates in [
        "half_pixel",
        "asymmetric",
        "align_corners",
        "pytorch_half_pixel",
    ] {
        for mode in ["nearest", "linear", "cubic"] {
            for (form, scales) in [("up", [1.0, 1.0, 2.0, 3.0]), ("down", [1.0, 1.0, 0.5, 0.7])] {
                let draft = weighted(&image)
                    .opset(13)
                    .weights("scales", &[4], &scales)
                    .node_with("Resize", &inputs, "y", options(mode, coordinates));
                cases.push(case(
                    &format!("Resize {mode} {form} {coordinates}"),
                    draft,
                    &image,
                ));
            }
        }
    }
    // 6 · 0.8333333 is less than 5, and 6 · 1.1666666 less than 7, unless they are rounded.
    let odd = [2, 6, 6];
    let draft = weighted(&odd)
        .weights("scales", &[4], &[1.0, 1.0, 5.0 / 6.0, 7.0 / 6.0])
        .node_with("Resize", &inputs, "y", options("linear", "half_pixel"));
    cases.push(case("Resize by scales that are rounded", draft, &odd));
    let coefficient = AttributeProto::from_float("cubic_coeff_a", -0.5);
    for (form, more) in [
        ("a = -0.5", vec![coefficient.clone()]),
        ("without what is outside", vec![int("exclude_outside", 1)]),
    ] {
        let options = [options("cubic", "half_pixel"), more].concat();
        let draft = weighted(&image)
            .weights("scales", &[4], &[1.0, 1.0, 2.0, 0.7])
            .node_with("Resize", &inputs, "y", options);
        cases.push(case(&format!("Resize cubic, {form}"), draft, &image));
    }
    for mode in ["linear", "cubic"] {
        for (form, scales) in [("up", [1.0, 1.0, 2.0, 3.0]), ("down", [1.0, 1.0, 0.5, 0.4])] {
            for outside in [0, 1] {
                let more = vec![int("antialias", 1), int("exclude_outside", outside)];
                let options = [options(mode, "half_pixel"), more].concat();
                let draft = weighted(&[2, 6, 5])
                    .weights("scales", &[4], &scales)
                    .node_with("Resize", &inputs, "y", options);
                let name = format!("Resize {mode} {form} smoothed, outside {outside}");
                cases.push(case(&name, draft, &[2, 6, 5]));
            }
        }
    }
    for rounding in ["floor", "ceil", "round_prefer_ceil", "round_prefer_floor"] {
        let mut options = options("nearest", "asymmetric");
        options.push(text("nearest_mode", rounding));
        let draft = weighted(&image)
            .weights("scales", &[4], &[1.0, 1.0, 1.5, 2.0])
            .node_with("Resize", &inputs, "y", options);
        cases.push(case(&format!("Resize nearest, {rounding}"), draft, &image));
    }
    // As the older exporter of PyTorch writes it: batch and channels from the shape, the rest constant.
    let sizes = weighted(&image)
        .integers("zero", &[0])
        .integers("two", &[2])
        .integers("to", &[7, 5])
        .node("Shape", &["h"], "shape")
        .node("Slice", &["shape", "zero", "two", "zero"], "outer")
        .node_with("Concat", &["outer", "to"], "sizes", vec![int("axis", 0)])
        .node_with(
            "Resize",
            &["h", "", "", "sizes"],
            "y",
            options("linear", "pytorch_half_pixel"),
        );
    cases.push(case("Resize to sizes", sizes, &image));
    let mut with_axes = options("nearest", "half_pixel");
    with_axes.push(AttributeProto::from_ints("axes", &[2, 3]));
    let axes = weighted(&image).integers("sizes", &[8, 2]).node_with(
        "Resize",
        &["h", "", "", "sizes"],
        "y",
        with_axes,
    );
    cases.push(case("Resize some axes", axes, &image));
    let row = weighted(&[2, 4])
        .weights("scales", &[3], &[1.0, 1.0, 2.0])
        .node_with("Resize", &inputs, "y", options("linear", "half_pixel"));
    cases.push(case("Resize a row", row, &[2, 4]));
    cases
}
