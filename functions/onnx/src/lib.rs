//! millrace-onnx.
