//! Models with weights in other files become one file, and nothing outside their folder is read.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;

use millrace_onnx::layers::{self, Activation, Layer};
use millrace_onnx::proto::StringStringEntryProto;
use millrace_onnx::proto::tensor_proto::DataLocation;
use millrace_onnx::{Error, Model, external, inspect};
use tempfile::TempDir;

fn whole() -> Model {
    let dense = Layer::Dense {
        units: 3,
        activation: Activation::Softmax,
        bias: true,
    };
    layers::build(&[4], &[Layer::Scale { factor: 2.0 }, dense], 5).unwrap()
}

/// The model with all weights and its constant moved to `location`, whose bytes are given as well.
fn split(location: &str) -> (Vec<u8>, Vec<u8>) {
    let mut proto = whole().proto().clone();
    let graph = proto.graph.as_mut().unwrap();
    let constant = graph.node[0].attribute[0].t.as_mut().unwrap();
    let mut data = b"unrelated bytes".to_vec();
    for tensor in graph.initializer.iter_mut().chain([constant]) {
        let raw = tensor.raw_data.take().unwrap();
        let entry = |key: &str, value: String| StringStringEntryProto {
            key: Some(key.to_owned()),
            value: Some(value),
        };
        tensor.data_location = Some(DataLocation::External.into());
        tensor.external_data = vec![
            entry("location", location.to_owned()),
            entry("offset", data.len().to_string()),
            entry("length", raw.len().to_string()),
        ];
        data.extend_from_slice(&raw);
    }
    (Model::from_proto(proto).unwrap().encode(), data)
}

fn folder(model: &[u8], data_file: &str, data: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("model")).unwrap();
    std::fs::write(folder.path().join("model/model.onnx"), model).unwrap();
    let data_file = folder.path().join("model").join(data_file);
    std::fs::create_dir_all(data_file.parent().unwrap()).unwrap();
    std::fs::write(data_file, data).unwrap();
    folder
}

fn embed(folder: &Path) -> Result<Vec<u8>, Error> {
    let mut output = Vec::new();
    let bytes = external::embed(&folder.join("model/model.onnx"), &mut output)?;
    assert_eq!(bytes, output.len() as u64);
    Ok(output)
}

#[test]
fn the_weights_come_back_inside() {
    for location in ["weights.bin", "./weights.bin", "parts/weights.bin"] {
        let (model, data) = split(location);
        let output = embed(folder(&model, location, &data).path()).unwrap();
        assert_eq!(output, whole().encode(), "{location}");
        inspect(std::io::Cursor::new(output)).unwrap();
    }
}

#[test]
fn a_model_that_is_whole_stays_as_it_is() {
    let folder = folder(&whole().encode(), "unused", b"");
    assert_eq!(embed(folder.path()).unwrap(), whole().encode());
}

fn assert_refused(folder: &Path, reason: &str) {
    let refused = embed(folder).unwrap_err();
    assert!(matches!(refused, Error::ExternalFile { .. }), "{refused:?}");
    assert!(refused.to_string().contains(reason), "{refused}");
}

#[test]
fn paths_that_leave_the_folder_are_refused() {
    for location in [
        "../outside.bin",
        "parts/../../outside.bin",
        "/etc/hostname",
        "",
    ] {
        let (model, data) = split(location);
        let folder = folder(&model, "weights.bin", &data);
        std::fs::create_dir(folder.path().join("model/parts")).unwrap();
        std::fs::write(folder.path().join("outside.bin"), &data).unwrap();
        assert_refused(folder.path(), "is not a path inside the model's folder");
    }
}

#[cfg(unix)]
#[test]
fn links_that_leave_the_folder_are_refused() {
    let (model, data) = split("linked/weights.bin");
    let folder = folder(&model, "other", b"");
    std::fs::create_dir(folder.path().join("outside")).unwrap();
    std::fs::write(folder.path().join("outside/weights.bin"), &data).unwrap();
    std::os::unix::fs::symlink(
        folder.path().join("outside"),
        folder.path().join("model/linked"),
    )
    .unwrap();
    assert_refused(folder.path(), "leaves the model's folder");
}

#[test]
fn files_that_are_missing_or_short_are_refused() {
    let (model, data) = split("weights.bin");
    assert_refused(
        folder(&model, "other.bin", &data).path(),
        "cannot be opened",
    );
    assert_refused(
        folder(&model, "weights.bin", &data[..data.len() - 1]).path(),
        "are needed",
    );
    assert_refused(folder(&model, "weights.bin", b"").path(), "are needed");
    assert_refused(
        folder(&model, "weights.bin/file", b"").path(),
        "is not a file",
    );
}

#[test]
fn lengths_that_do_not_fit_the_dimensions_are_refused() {
    let (model, data) = split("weights.bin");
    let mut proto = Model::decode(model).unwrap().proto().clone();
    proto.graph.as_mut().unwrap().initializer[0].dims[0] = 5;
    let model = Model::from_proto(proto).unwrap().encode();
    assert_refused(
        folder(&model, "weights.bin", &data).path(),
        "does not fit its dimensions",
    );
}

#[test]
fn results_beyond_the_formats_limit_are_refused() {
    let (model, _) = split("weights.bin");
    let mut proto = Model::decode(model).unwrap().proto().clone();
    let tensor = &mut proto.graph.as_mut().unwrap().initializer[0];
    tensor.dims = vec![1 << 15, 1 << 14];
    tensor
        .external_data
        .retain(|entry| entry.key() == "location");
    let model = Model::from_proto(proto).unwrap().encode();
    let folder = folder(&model, "weights.bin", b"");
    let data = std::fs::File::options()
        .write(true)
        .open(folder.path().join("model/weights.bin"))
        .unwrap();
    data.set_len(1 << 31).unwrap();
    let refused = embed(folder.path()).unwrap_err();
    assert!(matches!(refused, Error::TooLarge { .. }), "{refused}");
}
