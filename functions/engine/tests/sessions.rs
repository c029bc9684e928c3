//! Sessions on a real ONNX Runtime.
//!
//! The models are written by hand as protocol buffers, so that nothing but this
//! crate is tested.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod library;

use std::path::Path;

use millrace_engine::{
    Carried, Data, Element, Error, Session, SessionOptions, Slice, StepSession, Tensor, View, load,
};

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut message = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length > 127 {
        message.push(u8::try_from(length % 128).unwrap() | 128);
        length /= 128;
    }
    message.push(u8::try_from(length).unwrap());
    message.extend(bytes);
    message
}

fn number(field: u8, value: u8) -> Vec<u8> {
    vec![field << 3, value]
}

fn node(operator: &str, inputs: &[&str], output: &str) -> Vec<u8> {
    let inputs = inputs.iter().flat_map(|name| field(1, name.as_bytes()));
    let output = field(2, output.as_bytes());
    inputs
        .chain(output)
        .chain(field(4, operator.as_bytes()))
        .collect()
}

/// A name with the ONNX code of an element type and a shape; 0 is a free length.
type Value<'a> = (&'a str, u8, &'a [u8]);

fn value((name, element, shape): &Value<'_>) -> Vec<u8> {
    let dimensions: Vec<u8> = shape
        .iter()
        .flat_map(|length| match length {
            0 => field(1, &field(2, b"n")),
            length => field(1, &number(1, *length)),
        })
        .collect();
    let tensor = [number(1, *element), field(2, &dimensions)].concat();
    [field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat()
}

fn model(nodes: &[Vec<u8>], inputs: &[Value<'_>], outputs: &[Value<'_>]) -> Vec<u8> {
    let mut graph: Vec<u8> = nodes.iter().flat_map(|node| field(1, node)).collect();
    graph.extend(field(2, b"test"));
    graph.extend(inputs.iter().flat_map(|input| field(11, &value(input))));
    graph.extend(outputs.iter().flat_map(|output| field(12, &value(output))));
    [number(1, 8), field(7, &graph), field(8, &number(2, 17))].concat()
}

const FLOAT: u8 = 1;
const BYTE: u8 = 2;
const BOOL: u8 = 9;
const HALF: u8 = 10;

fn f32s(shape: &[usize], data: &[f32]) -> Tensor {
    Tensor {
        shape: shape.to_vec(),
        data: Data::F32(data.to_vec()),
    }
}

/// `prediction = x·w`, `loss = mean((prediction − labels)²)`, and gradient descent on it.
fn step_graph() -> Vec<u8> {
    let nodes = [
        node("MatMul", &["x", "w"], "prediction"),
        node("Sub", &["prediction", "labels"], "error"),
        node("Mul", &["error", "error"], "square"),
        node("ReduceMean", &["square"], "mean"),
        node("Squeeze", &["mean"], "loss"),
        node("Transpose", &["x"], "xt"),
        node("MatMul", &["xt", "error"], "gradient"),
        node("Mul", &["gradient", "lr"], "change"),
        node("Sub", &["w", "change"], "w.new"),
    ];
    model(
        &nodes,
        &[
            ("x", FLOAT, &[0, 96]),
            ("labels", FLOAT, &[0, 64]),
            ("lr", FLOAT, &[]),
            ("w", FLOAT, &[96, 64]),
        ],
        &[
            ("loss", FLOAT, &[]),
            ("prediction", FLOAT, &[0, 64]),
            ("w.new", FLOAT, &[96, 64]),
        ],
    )
}

fn carried() -> Carried {
    Carried {
        input: "w".to_owned(),
        output: "w.new".to_owned(),
        initial: f32s(&[96, 64], &noise(96 * 64, 1)),
    }
}

/// Numbers between −1 and 1 that look random.
#[allow(clippy::cast_precision_loss, reason = "24 bits fit")]
fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        })
        .collect()
}

/// Runs the steps `from..to` and returns their losses.
fn train(session: &mut StepSession, steps: std::ops::Range<u32>) -> Vec<f32> {
    let rate = [1e-3];
    steps
        .map(|step| {
            let x = noise(32 * 96, step + 100);
            let labels: Vec<f32> = noise(32 * 96, step + 100)
                .as_chunks::<96>()
                .0
                .iter()
                .flat_map(|row| row[..64].to_vec())
                .collect();
            let outputs = session
                .step(&[
                    ("x", View::new([32, 96], Slice::F32(&x))),
                    ("labels", View::new([32, 64], Slice::F32(&labels))),
                    ("lr", View::new([], Slice::F32(&rate))),
                ])
                .unwrap();
            let loss = outputs.get("loss").unwrap();
            assert_eq!(outputs.get("prediction").unwrap().shape, [32, 64]);
            assert!(outputs.get("w.new").is_err(), "it was carried on");
            loss.as_f32().unwrap()[0]
        })
        .collect()
}

fn bits(tensors: &[(String, Tensor)]) -> Vec<u32> {
    match &tensors[0].1.data {
        Data::F32(data) => data.iter().map(|value| value.to_bits()).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_that_is_no_library_is_an_error() {
    load(&library::path()).unwrap();
    load(&library::path()).unwrap();
    let error = load(Path::new("/elsewhere/libonnxruntime.so")).unwrap_err();
    assert!(matches!(error, Error::LoadedElsewhere { .. }), "{error}");
}

#[test]
fn a_session_reads_slices_and_gives_slices() {
    load(&library::path()).unwrap();
    let nodes = [
        node("Add", &["a", "b"], "sum"),
        node("Greater", &["a", "b"], "more"),
        node("Identity", &["bytes"], "same"),
    ];
    let bytes = model(
        &nodes,
        &[
            ("a", FLOAT, &[0, 2]),
            ("b", FLOAT, &[2]),
            ("bytes", BYTE, &[3]),
        ],
        &[
            ("sum", FLOAT, &[0, 2]),
            ("more", BOOL, &[0, 2]),
            ("same", BYTE, &[3]),
        ],
    );
    let mut session = Session::from_bytes(&bytes, &SessionOptions::default()).unwrap();
    assert_eq!(session.inputs()[0].name, "a");
    assert_eq!(session.inputs()[0].shape, [None, Some(2)]);
    assert_eq!(session.outputs()[1].element, Some(Element::Bool));

    let b = View::new([2], Slice::F32(&[10.0, 0.5]));
    let same = View::new([3], Slice::U8(&[1, 2, 255]));
    for rows in [2, 1, 0] {
        let a = vec![1.0; rows * 2];
        let outputs = session
            .run(&[
                ("a", View::new([rows, 2], Slice::F32(&a))),
                ("b", b.clone()),
                ("bytes", same.clone()),
            ])
            .unwrap();
        let sum = outputs.get("sum").unwrap();
        assert_eq!(sum.shape, [rows, 2]);
        assert_eq!(sum.as_f32().unwrap(), [11.0, 1.5].repeat(rows));
        let more = outputs.get("more").unwrap();
        assert_eq!(more.data, Slice::Bool(&[false, true].repeat(rows)));
        assert_eq!(outputs.get("same").unwrap(), same);
        assert!(matches!(outputs.get("none"), Err(Error::Output { .. })));
    }

    let wrong = View::new([2, 2], Slice::F32(&[1.0]));
    let error = session.run(&[("a", wrong)]).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Input { .. }), "{error}");
    let error = session.run(&[("b", b)]).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Run(_)), "{error}");
}

#[test]
fn what_is_no_model_or_can_not_be_read_is_refused_in_words() {
    load(&library::path()).unwrap();
    let options = SessionOptions::default();
    let error = Session::from_bytes(b"not a model", &options)
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(error, Error::Model(_)), "{error}");
    let unknown = model(
        &[node("Frobnicate", &["a"], "b")],
        &[("a", FLOAT, &[1])],
        &[("b", FLOAT, &[1])],
    );
    let error = Session::from_bytes(&unknown, &options)
        .map(|_| ())
        .unwrap_err();
    assert!(error.to_string().contains("Frobnicate"), "{error}");

    let half = model(
        &[node("Identity", &["a"], "b")],
        &[("a", HALF, &[1])],
        &[("b", HALF, &[1])],
    );
    let session = Session::from_bytes(&half, &options).unwrap();
    assert_eq!(session.outputs()[0].element, None);
}

#[test]
fn steps_lower_the_loss_and_do_not_depend_on_threads() {
    load(&library::path()).unwrap();
    let mut results = Vec::new();
    for threads in [1, 2] {
        let mut session = StepSession::from_bytes(&step_graph(), threads, &[carried()]).unwrap();
        let losses = train(&mut session, 0..200);
        assert!(losses[199] < losses[0] / 2.0, "{losses:?}");
        let losses: Vec<_> = losses.iter().map(|loss| loss.to_bits()).collect();
        results.push((losses, bits(&session.export().unwrap())));
    }
    assert!(results[0] == results[1], "1 and 2 threads differ");
}

#[test]
fn a_session_goes_on_from_what_another_exported() {
    load(&library::path()).unwrap();
    let graph = step_graph();
    let mut undisturbed = StepSession::from_bytes(&graph, 1, &[carried()]).unwrap();
    train(&mut undisturbed, 0..20);

    let mut first = StepSession::from_bytes(&graph, 1, &[carried()]).unwrap();
    train(&mut first, 0..7);
    let exported = first.export().unwrap();
    drop(first);
    let mut second = StepSession::from_bytes(&graph, 1, &[carried()]).unwrap();
    second.import(&exported).unwrap();
    train(&mut second, 7..20);
    assert_eq!(
        bits(&second.export().unwrap()),
        bits(&undisturbed.export().unwrap())
    );

    let other = vec![("w".to_owned(), f32s(&[64, 96], &noise(96 * 64, 1)))];
    assert!(matches!(second.import(&other), Err(Error::Input { .. })));
    assert!(matches!(second.import(&[]), Err(Error::Input { .. })));
}

#[test]
fn another_graph_sees_what_is_carried() {
    load(&library::path()).unwrap();
    let forward = model(
        &[node("MatMul", &["x", "w"], "prediction")],
        &[("x", FLOAT, &[0, 96]), ("w", FLOAT, &[96, 64])],
        &[("prediction", FLOAT, &[0, 64])],
    );
    let mut forward = Session::from_bytes(&forward, &SessionOptions::default()).unwrap();
    let steps = StepSession::from_bytes(&step_graph(), 1, &[carried()]).unwrap();
    let mut x = vec![0.0; 96];
    x[0] = 1.0;
    let outputs = steps
        .evaluate(&mut forward, &[("x", View::new([1, 96], Slice::F32(&x)))])
        .unwrap();
    let first_row = &noise(96 * 64, 1)[..64];
    assert_eq!(
        outputs.get("prediction").unwrap().as_f32().unwrap(),
        first_row
    );
}

#[test]
fn a_step_that_fails_changes_nothing() {
    load(&library::path()).unwrap();
    let mut session = StepSession::from_bytes(&step_graph(), 1, &[carried()]).unwrap();
    let before = session.export().unwrap();
    let error = session.step(&[]).map(|_| ()).unwrap_err();
    assert!(matches!(error, Error::Run(_)), "{error}");
    assert_eq!(session.export().unwrap(), before);

    let mut wrong = carried();
    wrong.initial.shape = vec![5];
    let error = StepSession::from_bytes(&step_graph(), 1, &[wrong])
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(error, Error::Input { .. }), "{error}");
}
