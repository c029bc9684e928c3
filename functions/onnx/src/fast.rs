//! The fast lowering: step graphs with operators of our own where ONNX Runtime's are slow.
//!
//! The operators belong to the domain [`DOMAIN`], and whoever runs such a graph has to have registered them. Each computes
//! what the standard lowering computes with standard operators, on float32 tensors; where no type is named, tensors are
//! float32. A graph without them runs anywhere.
//!
//! | operator | inputs | outputs |
//! | --- | --- | --- |
//! | [`SGD`] | p, g, lr | p − lr · g |
//! | [`MOMENTUM`] | p, g, b, lr, float64 `[μ]` | p − lr · b′, b′ = μ b + g |
//! | [`ADAM`] | lr, int64 step t, float64 `[β₁, β₂, ε, λ…]`, and p, g, m, v of each parameter | p′, m′ = β₁ m + (1 − β₁) g, v′ = β₂ v + (1 − β₂) g² of each |
//! | [`RELU_GRADIENT`] | G, y | G where y > 0, else 0 |
//! | [`CROSS_ENTROPY`] | logits `[n, c]`, int64 labels `[n]` | the loss, a scalar, and its gradient `[n, c]` |
//! | [`PRODUCT`] | A, B, b or nothing | y |
//! | [`PRODUCT_GRADIENT`] | G, A, B, y or nothing | each or nothing: ∂L/∂A, ∂L/∂B, ∂L/∂b |
//! | [`CONVOLUTION`] | x, w, b or nothing | y, and where it pools the uint8 index of each maximum |
//! | [`CONVOLUTION_GRADIENT`] | G, x, w, y or nothing, the index or nothing | ∂L/∂w, ∂L/∂b or nothing, ∂L/∂x or nothing |
//! | [`NORMALIZATION`] | x, γ, and each or nothing: β, d | y, and x + d |
//! | [`NORMALIZATION_GRADIENT`] | G, x, γ, a gradient of x or nothing | each or nothing: ∂L/∂x, ∂L/∂γ, ∂L/∂β |
//! | [`ATTENTION`] | Q, K, V, or one tensor that has all of them, and M or nothing | Y = P V, and P = softmax(s · Q K + M) along the keys |
//! | [`ATTENTION_GRADIENT`] | G, P, Q, K, V, or one tensor that has all of them | each or nothing: ∂L/∂Q, ∂L/∂K, ∂L/∂V, or that of the one tensor |
//! | [`LSTM`], [`GRU`], [`RNN`] | X, W, R, and each or nothing: B, h₀, c₀ | Y, the last h, the last c, the gates, all c |
//! | [`LSTM_GRADIENT`], [`GRU_GRADIENT`], [`RNN_GRADIENT`] | X, W, R, B, h₀, c₀, Y, the gates, all c, and each or nothing: the gradients of Y, of the last h, of the last c | each or nothing: ∂L/∂X, ∂L/∂W, ∂L/∂R, ∂L/∂B, ∂L/∂h₀, ∂L/∂c₀ |
//!
//! - `p`, `g` and the state have one shape; `lr` and `t` are scalars. Constants are float64, since 1 − βᵗ cancels most digits of
//!   a β that was rounded.
//! - `Adam`'s p′ = p − lr λ p − lr · m̂ / (√v̂ + ε), with m̂ = m′ / (1 − β₁ᵗ) and v̂ = v′ / (1 − β₂ᵗ): with λ = 0 Adam, else `AdamW`;
//!   each parameter has a λ of its own.
//! - `CrossEntropy` is that of a softmax of the logits, as its standard lowering has it: the mean over the records whose label
//!   is a class. The others have no part in loss and gradient.
//! - `Product` is α A B + b over the last two dimensions, the others broadcast; `alpha` is α, `transA` and `transB` say that the
//!   matrices of A or B are given transposed; b has a number for each column. Where `relu` is 1, a `Relu` follows.
//! - `ProductGradient` has the same attributes. B is one matrix, and y is needed for a `Relu`.
//! - `Convolution` is `Conv` in one or two dimensions, with `strides`, `dilations`, `pads` and `group`; then, where `relu` is 1,
//!   a `Relu`; then, where there is a `pool`, a `MaxPool` with windows of these sizes side by side, which leaves out what no
//!   window covers. The index of a maximum counts the elements of its window row by row; it is the first of equal ones, and
//!   the number of elements where the `Relu` is off. Only the first of equal maxima gets the gradient.
//! - `ConvolutionGradient` has the same attributes. It needs y for a `Relu` without a pool, and the index for a pool.
//! - `Normalization` is a `LayerNormalization` of x or x + d, and has its `epsilon`; where `centre` is 0, an `RMSNormalization`.
//! - `NormalizationGradient` is that of a `LayerNormalization` whose γ has the shape of what is normalized at a time, with the
//!   same `epsilon`; where `centre` is 0, that of an `RMSNormalization`. What x has of a gradient from elsewhere is added.
//! - `Attention` multiplies matrices of each record and head: Q `[queries, inner]`, K `[inner, keys]`, V `[keys, width]`. `sizes`
//!   are those of heads, queries, keys, inner and width; `scale` is s. `queries`, `keys`, `values` and `output` say where the
//!   matrices lie in a record: where the first one begins, and how far heads, rows and columns are from one another. A record
//!   of Y has the sizes `shape`. `mask` says how far the numbers of M for records, heads, queries and keys are from one another:
//!   0 where all have the same. M does not train. The gradient has the same attributes.
//! - `Lstm`, `Gru` and `Rnn` are the layers of the standard set with their default activations, for sequences of one length, and
//!   tensors of the same shapes. `reverse` has a number for each direction: 1 where it goes backwards. A `Gru` has its reset gate
//!   behind the product (`linear_before_reset`). The gates, `[steps, directions, batch, …]`, are for their gradients alone, and
//!   so are all c, `[steps, directions, batch, units]`; only an `Lstm` has any c.

/// The domain of the operators.
pub const DOMAIN: &str = "millrace";
/// The version of the domain that this library writes.
pub const VERSION: i64 = 1;

/// A step of gradient descent.
pub const SGD: &str = "Sgd";
/// A step of gradient descent with momentum.
pub const MOMENTUM: &str = "Momentum";
/// A step of Adam or `AdamW`.
pub const ADAM: &str = "Adam";
/// The gradient of `Relu`, from its output.
pub const RELU_GRADIENT: &str = "ReluGradient";
/// Softmax, cross-entropy and their gradient at once.
pub const CROSS_ENTROPY: &str = "CrossEntropy";
/// A product of matrices with a bias and a `Relu` behind it.
pub const PRODUCT: &str = "Product";
/// The gradients of [`PRODUCT`].
pub const PRODUCT_GRADIENT: &str = "ProductGradient";
/// A convolution with the `Relu` and the pool behind it.
pub const CONVOLUTION: &str = "Convolution";
/// The gradients of [`CONVOLUTION`].
pub const CONVOLUTION_GRADIENT: &str = "ConvolutionGradient";
/// A normalization of rows, and the sum in front of it.
pub const NORMALIZATION: &str = "Normalization";
/// The gradients of a normalization of rows.
pub const NORMALIZATION_GRADIENT: &str = "NormalizationGradient";
/// Attention, head by head.
pub const ATTENTION: &str = "Attention";
/// The gradients of [`ATTENTION`].
pub const ATTENTION_GRADIENT: &str = "AttentionGradient";
/// An `LSTM` that keeps its gates.
pub const LSTM: &str = "Lstm";
/// The gradients of [`LSTM`].
pub const LSTM_GRADIENT: &str = "LstmGradient";
/// A `GRU` that keeps its gates.
pub const GRU: &str = "Gru";
/// The gradients of [`GRU`].
pub const GRU_GRADIENT: &str = "GruGradient";
/// An `RNN` that keeps its sums.
pub const RNN: &str = "Rnn";
/// The gradients of [`RNN`].
pub const RNN_GRADIENT: &str = "RnnGradient";

/// With which operators a step graph is written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Lowering {
    /// With standard operators only, so that every ONNX Runtime can run it.
    #[default]
    Standard,
    /// With the operators of this module where they are faster.
    Fast,
}
