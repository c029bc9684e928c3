//! Files are looked at without holding their weights, and what is wrong with them is found.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::io::{Cursor, Read, Seek, SeekFrom};

use millrace_onnx::layers::{self, Activation, Layer};
use millrace_onnx::proto::tensor_proto::DataLocation;
use millrace_onnx::proto::{
    GraphProto, NodeProto, OperatorSetIdProto, StringStringEntryProto, TensorProto, ValueInfoProto,
};
use millrace_onnx::{Dim, ElementType, Error, Model, inspect};
use proptest::prelude::*;
use support::{Draft, batch};

fn digits() -> Model {
    let layers = [
        Layer::Scale { factor: 0.0625 },
        Layer::Dense {
            units: 3,
            activation: Activation::Relu,
            bias: true,
        },
        Layer::Dense {
            units: 2,
            activation: Activation::Softmax,
            bias: true,
        },
    ];
    layers::build(&[4], &layers, 1).unwrap()
}

#[test]
fn a_model_is_described() {
    let inspection = inspect(Cursor::new(digits().encode())).unwrap();
    assert_eq!(inspection.signature, digits().signature());
    assert_eq!(
        inspection.signature.inputs[0].to_string(),
        "float32[batch, 4]"
    );
    assert_eq!(inspection.signature.outputs[0].name, "probabilities");
    assert_eq!(inspection.parameters, 4 * 3 + 3 + 3 * 2 + 2);
    assert_eq!(inspection.opsets, [(String::new(), 21)]);
    assert_eq!(inspection.producer, "millrace");
    let operators: Vec<&str> = inspection
        .operators
        .iter()
        .map(|used| used.operator.as_str())
        .collect();
    assert_eq!(
        operators,
        ["Constant", "Mul", "Gemm", "Relu", "Gemm", "Softmax"]
    );
    assert_eq!(inspection.operators[2].node, "dense_1");
    assert!(inspection.check(None).unwrap().trainable());
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    let whole = digits().encode();
    for length in 0..whole.len() {
        let part = whole[..length].to_vec();
        let refused = inspect(Cursor::new(part.clone()));
        assert!(
            matches!(refused, Err(Error::NotOnnx { .. } | Error::CutShort { .. })),
            "{length} of {} bytes: {refused:?}",
            whole.len()
        );
        assert!(Model::decode(part).is_err(), "{length} bytes");
    }
}

#[test]
fn other_files_are_refused() {
    for other in [
        b"".as_slice(),
        b"<html><body>Not found</body></html>",
        b"{\"error\": \"not found\"}",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"PK\x03\x04\x14\0\0\0",
        b"hello, this is a text",
    ] {
        let refused = inspect(Cursor::new(other));
        assert!(
            matches!(refused, Err(Error::NotOnnx { .. })),
            "{other:?}: {refused:?}"
        );
    }
}

proptest! {
    #[test]
    fn damaged_bytes_never_panic(at in 0_usize..400, value: u8) {
        let mut bytes = digits().encode();
        let at = at % bytes.len();
        bytes[at] = value;
        if let Ok(inspection) = inspect(Cursor::new(bytes.clone())) {
            let _ = inspection.check(None);
        }
        if let Ok(model) = Model::decode(bytes) {
            let options = support::options(millrace_onnx::Loss::CROSS_ENTROPY, millrace_onnx::Optimizer::Sgd);
            let _ = millrace_onnx::StepGraph::build(&model, &options);
        }
    }

    #[test]
    fn noise_never_panics(bytes: Vec<u8>) {
        prop_assert!(inspect(Cursor::new(bytes)).is_err());
    }
}

#[test]
fn values_that_nothing_gives_or_two_nodes_do_and_cycles_are_refused() {
    type Damage = fn(&mut [NodeProto]);
    let damages: [(Damage, &str); 4] = [
        (
            |nodes| nodes[2].input[0] = "nothing".to_owned(),
            "node 'dense_1' reads 'nothing', which no input",
        ),
        (
            |nodes| nodes[3].output[0] = nodes[2].output[0].clone(),
            "is given twice, one time by node",
        ),
        (
            |nodes| nodes[1].output[0] = "dense_1.weight".to_owned(),
            "'dense_1.weight' is given twice",
        ),
        (
            |nodes| nodes[2].input[0] = nodes[4].output[0].clone(),
            "node 'dense_1' waits for itself",
        ),
    ];
    for (damage, sentence) in damages {
        let mut proto = digits().proto().clone();
        damage(&mut proto.graph.as_mut().unwrap().node);
        let bytes = Model::from_proto(proto).unwrap().encode();
        let refused = inspect(Cursor::new(bytes)).unwrap_err().to_string();
        assert!(refused.contains(sentence), "{refused}");
    }
}

#[test]
fn nodes_in_another_order_are_taken() {
    let mut proto = digits().proto().clone();
    proto.graph.as_mut().unwrap().node.reverse();
    let bytes = Model::from_proto(proto).unwrap().encode();
    assert!(inspect(Cursor::new(bytes)).is_ok());
}

#[test]
fn values_in_another_file_are_refused() {
    let mut proto = digits().proto().clone();
    let tensor = &mut proto.graph.as_mut().unwrap().initializer[0];
    tensor.raw_data = None;
    tensor.data_location = Some(DataLocation::External.into());
    tensor.external_data = vec![StringStringEntryProto {
        key: Some("location".to_owned()),
        value: Some("model.onnx.data".to_owned()),
    }];
    let bytes = Model::from_proto(proto).unwrap().encode();
    let refused = inspect(Cursor::new(bytes)).unwrap_err();
    assert!(matches!(&refused, Error::ExternalData { tensor, location }
        if tensor == "dense_1.weight" && location == "model.onnx.data"));
    assert!(refused.to_string().contains("millrace model push"));
}

#[test]
fn values_that_do_not_fill_their_dimensions_are_refused() {
    let mut proto = digits().proto().clone();
    proto.graph.as_mut().unwrap().initializer[0].raw_data = Some(vec![0; 44].into());
    let bytes = Model::from_proto(proto).unwrap().encode();
    let refused = inspect(Cursor::new(bytes)).unwrap_err();
    assert!(matches!(refused, Error::Tensor { .. }), "{refused}");
}

#[test]
fn a_domain_without_its_operator_set_is_refused() {
    let mut proto = digits().proto().clone();
    proto.graph.as_mut().unwrap().node[2].domain = Some("com.example".to_owned());
    let refused = inspect(Cursor::new(
        Model::from_proto(proto.clone()).unwrap().encode(),
    ));
    assert!(matches!(refused, Err(Error::CutShort { .. })));
    proto.opset_import.push(OperatorSetIdProto {
        domain: Some("com.example".to_owned()),
        version: Some(1),
    });
    let inspection = inspect(Cursor::new(Model::from_proto(proto).unwrap().encode())).unwrap();
    let check = inspection.check(None).unwrap();
    assert!(!check.trainable());
    assert_eq!(check.obstacles[0].node, "dense_1");
    assert!(check.obstacles[0].reason.contains("com.example"));
}

#[test]
fn a_value_that_nothing_gives_is_refused() {
    let refused = |change: &dyn Fn(&mut GraphProto)| {
        let mut proto = digits().proto().clone();
        change(proto.graph.as_mut().unwrap());
        let bytes = Model::from_proto(proto).unwrap().encode();
        inspect(Cursor::new(bytes)).unwrap_err().to_string()
    };
    let message = refused(&|graph| graph.node[2].input[0] = "lost".to_owned());
    assert!(message.contains("'lost'"), "{message}");
    assert!(message.contains("node 'dense_1'"), "{message}");
    let message = refused(&|graph| graph.output[0].name = Some("gone".to_owned()));
    assert!(message.contains("puts out 'gone'"), "{message}");
}

#[test]
fn initializers_that_old_files_list_as_inputs_are_no_inputs() {
    let mut proto = digits().proto().clone();
    let graph = proto.graph.as_mut().unwrap();
    let info = millrace_onnx::TensorInfo::new(
        "dense_1.weight",
        ElementType::Float32,
        vec![Dim::Fixed(4), Dim::Fixed(3)],
    );
    graph.input.push(ValueInfoProto::from_info(&info));
    let inspection = inspect(Cursor::new(Model::from_proto(proto).unwrap().encode())).unwrap();
    let names: Vec<&str> = inspection
        .signature
        .inputs
        .iter()
        .map(|input| input.name.as_str())
        .collect();
    assert_eq!(names, ["input"]);
}

/// Counts the bytes that are really read.
struct Counting<R> {
    inner: R,
    read: u64,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read += count as u64;
        Ok(count)
    }
}

impl<R: Seek> Seek for Counting<R> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.inner.seek(to)
    }
}

/// A file of 500 MB, most of it a hole: what is read of it is what can be held of it.
#[test]
fn the_weights_of_a_large_file_are_not_read() {
    const WIDTH: usize = 11_180;
    const SIZE: i64 = 11_180;
    const WEIGHT_BYTES: usize = WIDTH * WIDTH * 4;
    let mut small = Draft::new()
        .input("x", ElementType::Float32, &[batch(), Dim::Fixed(SIZE)])
        .node("MatMul", &["x", "w"], "y")
        .output("y", &[batch(), Dim::Fixed(SIZE)]);
    small.graph.initializer.push(TensorProto {
        dims: vec![SIZE; 2],
        data_type: Some(ElementType::Float32.code()),
        name: Some("w".to_owned()),
        ..TensorProto::default()
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.onnx");
    let mut file = large_file(&small.model(), WEIGHT_BYTES, &path);
    let mut counting = Counting {
        inner: &mut file,
        read: 0,
    };
    let inspection = inspect(&mut counting).unwrap();
    assert_eq!(inspection.parameters, (WIDTH * WIDTH) as u64);
    assert!(inspection.check(None).unwrap().trainable());
    assert!(counting.read < 1 << 20, "{} bytes were read", counting.read);
}

/// Writes a model whose only initializer has no values yet, with that many zero bytes for them.
fn large_file(model: &Model, bytes: usize, path: &std::path::Path) -> std::fs::File {
    use std::io::Write;

    use prost::Message;
    use prost::encoding::encode_varint;

    let field = |number: u64, length: usize| {
        let mut header = Vec::new();
        encode_varint(number << 3 | 2, &mut header);
        encode_varint(length as u64, &mut header);
        header
    };
    let mut proto = model.proto().clone();
    let mut graph = proto.graph.take().unwrap();
    let mut tensor = graph.initializer.pop().unwrap().encode_to_vec();
    tensor.extend(field(9, bytes));
    let graph = graph.encode_to_vec();
    let initializer = field(5, tensor.len() + bytes);
    let mut start = Vec::new();
    encode_varint(1 << 3, &mut start);
    encode_varint(10, &mut start);
    start.extend(field(
        7,
        graph.len() + initializer.len() + tensor.len() + bytes,
    ));
    start.extend(graph);
    start.extend(initializer);
    start.extend(tensor);
    proto.ir_version = None;
    let mut file = std::fs::File::options()
        .create_new(true)
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    file.write_all(&start).unwrap();
    file.set_len((start.len() + bytes) as u64).unwrap();
    file.seek(SeekFrom::End(0)).unwrap();
    file.write_all(&proto.encode_to_vec()).unwrap();
    file
}
