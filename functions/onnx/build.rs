//! Compiles the vendored ONNX format into Rust types, without `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto/onnx.proto");
    let descriptors = protox::compile(["onnx.proto"], ["proto"])?;
    prost_build::Config::new()
        // Weights are the bulk of a model: `Bytes` shares them with the file that was read.
        .bytes([".onnx.TensorProto.raw_data"])
        .disable_comments(["."])
        .compile_fds(descriptors)?;
    Ok(())
}
