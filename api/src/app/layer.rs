//! Models that are described as layers: how a description is kept with its version, and the file that it makes.
//!
//! What is kept is what was asked for, defaults written out; names and options are those of the API, in snake case.

use millrace_onnx::layers::{self, Activation, Layer, Padding};
use serde_json::{Value, json};

use super::{App, Code, Error, Result};

/// The description as it is kept with the version.
pub(super) fn describe(input_shape: &[usize], layers: &[Layer]) -> Value {
    let layers: Vec<Value> = layers.iter().map(layer).collect();
    json!({"input_shape": input_shape, "layers": layers})
}

/// Builds a model and puts it into the artifact store.
///
/// # Errors
/// `INVALID_INPUT` that names the layer, `TOO_LARGE`, and those of the store.
pub(super) async fn build(
    app: &App,
    input_shape: Vec<usize>,
    layers: Vec<Layer>,
    seed: u64,
) -> Result<String> {
    let bytes = tokio::task::spawn_blocking(move || {
        let model = layers::build(&input_shape, &layers, seed)?;
        Ok::<_, millrace_onnx::Error>(model.encode())
    })
    .await
    .map_err(Error::internal)??;
    if bytes.len() as u64 > app.config.limits.max_artifact_bytes {
        return Err(Error::new(
            Code::TooLarge,
            format!("the model would be a file of {} bytes", bytes.len()),
        ));
    }
    Ok(app.artifacts.put_bytes(bytes.into()).await?.digest)
}

fn layer(layer: &Layer) -> Value {
    match layer {
        Layer::Reshape { shape } => json!({"reshape": {"target_shape": shape}}),
        Layer::Permute { dims } => json!({"permute": {"dims": dims}}),
        Layer::Scale { factor } => json!({"scale": {"factor": number(*factor)}}),
        Layer::Flatten => json!("flatten"),
        Layer::Dense {
            units,
            activation,
            bias,
        } => json!({"dense": {
            "units": units, "activation": function(*activation), "bias": bias,
        }}),
        Layer::Embedding { count, width } => {
            json!({"embedding": {"input_dim": count, "output_dim": width}})
        }
        Layer::Lstm { units, all_steps } => {
            json!({"lstm": {"units": units, "return_sequences": all_steps}})
        }
        Layer::Gru { units, all_steps } => {
            json!({"gru": {"units": units, "return_sequences": all_steps}})
        }
        Layer::Conv2d {
            filters,
            kernel,
            stride,
            padding,
            activation,
            bias,
        } => json!({"conv2d": {
            "filters": filters, "kernel_size": kernel, "strides": stride, "padding": edges(*padding),
            "activation": function(*activation), "bias": bias,
        }}),
        Layer::MaxPooling {
            size,
            stride,
            padding,
        } => json!({"max_pooling2d": pool(*size, *stride, *padding)}),
        Layer::AveragePooling {
            size,
            stride,
            padding,
        } => json!({"average_pooling2d": pool(*size, *stride, *padding)}),
        Layer::GlobalAveragePooling => json!("global_average_pooling2d"),
        Layer::BatchNormalization { momentum, epsilon } => {
            json!({"batch_normalization": {"momentum": number(*momentum), "epsilon": number(*epsilon)}})
        }
        Layer::Activation { function: of } => json!({"activation": function(*of)}),
        Layer::Dropout { ratio } => json!({"dropout": {"rate": number(*ratio)}}),
    }
}

fn pool(size: [usize; 2], strides: [usize; 2], padding: Padding) -> Value {
    json!({"pool_size": size, "strides": strides, "padding": edges(padding)})
}

/// The number as people write it: 0.9, where the nearest one of single precision is 0.899999976….
fn number(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}

fn edges(padding: Padding) -> &'static str {
    match padding {
        Padding::Same => "SAME",
        Padding::Valid => "VALID",
    }
}

fn function(activation: Activation) -> &'static str {
    match activation {
        Activation::None => "NONE",
        Activation::Relu => "RELU",
        Activation::Tanh => "TANH",
        Activation::Sigmoid => "SIGMOID",
        Activation::Softmax => "SOFTMAX",
    }
}
