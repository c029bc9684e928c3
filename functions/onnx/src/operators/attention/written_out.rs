//! `Attention` as the operators that it is made of.

use super::{K, MASK, Q, SCORES, V};
use crate::ElementType;
use crate::emitter::Emitter;
use crate::extent::Extent;
use crate::operators::Site;
use crate::proto::AttributeProto;

/// Numbers and sizes of the heads, which are known before anything runs.
pub(super) struct Heads {
    queries: i64,
    keys: i64,
    size: i64,
    value_size: i64,
    /// Whether the heads stand within the last of three dimensions.
    is_flat: bool,
}

impl Heads {
    pub(super) fn of(site: &Site<'_>) -> Option<Self> {
        let size = |input: usize, axis: usize| site.shape(input)?.get(axis)?.as_fixed();
        let is_flat = site.shape(Q)?.len() == 3;
        let heads = if is_flat {
            let (queries, keys) = (
                site.node.int("q_num_heads", 0),
                site.node.int("kv_num_heads", 0),
            );
            if queries < 1 || keys < 1 {
                return None;
            }
            Self {
                queries,
                keys,
                size: size(Q, 2)? / queries,
                value_size: size(V, 2)? / keys,
                is_flat,
            }
        } else {
            Self {
                queries: size(Q, 1)?,
                keys: size(K, 1)?,
                size: size(Q, 3)?,
                value_size: size(V, 3)?,
                is_flat,
            }
        };
        (heads.keys > 0 && heads.size > 0 && heads.queries % heads.keys == 0).then_some(heads)
    }
}

/// Whether the mask leaves out the last keys, which it then counts as not seen.
pub(super) fn is_mask_short(site: &Site<'_>) -> bool {
    let last = |shape: &[Extent], from_end: usize| {
        let axis = shape.len().checked_sub(from_end)?;
        shape.get(axis)?.as_fixed()
    };
    let mask = site.shape(MASK).and_then(|shape| last(shape, 1));
    let keys = site.shape(K).and_then(|shape| last(shape, 2));
    mask.zip(keys)
        .is_some_and(|(mask, keys)| mask != 1 && mask < keys)
}

/// Below every score, and finite, so that a query that sees nothing makes no NaN.
const LEAST: f64 = f32::MIN as f64;

/// Emits the nodes, under the names of the node's outputs.
pub(super) fn emit(site: &Site<'_>, heads: &Heads, emit: &mut Emitter) {
    let node = site.node;
    let element = site.element().unwrap_or(ElementType::Float32);
    let root = (heads.size as f64).sqrt();
    let scale = node.optional_float("scale").map_or(1.0 / root, f64::from);
    let scale = emit.float(scale, element);
    let queries = emit.node("Mul", &[&node.input[Q], &scale]);
    let queries = apart(
        emit,
        heads,
        &queries,
        heads.queries,
        heads.size,
        [0, 2, 1, 3],
    );
    let keys = if heads.is_flat {
        apart(
            emit,
            heads,
            &node.input[K],
            heads.keys,
            heads.size,
            [0, 2, 3, 1],
        )
    } else {
        transpose(emit, &node.input[K], [0, 1, 3, 2])
    };
    let keys = repeated(emit, heads, &keys, [0, heads.queries, heads.size, -1]);
    let values = apart(
        emit,
        heads,
        &node.input[V],
        heads.keys,
        heads.value_size,
        [0, 2, 1, 3],
    );
    let values = repeated(
        emit,
        heads,
        &values,
        [0, heads.queries, -1, heads.value_size],
    );

    let scores = match node.output.get(SCORES).filter(|name| !name.is_empty()) {
        Some(name) => {
            emit.named(name, "MatMul", &[&queries, &keys]);
            name.clone()
        }
        None => emit.node("MatMul", &[&queries, &keys]),
    };
    let scores = capped(emit, scores, f64::from(node.float("softcap", 0.0)), element);
    let weights = weights(site, emit, scores, element);
    if heads.is_flat {
        let found = emit.node("MatMul", &[&weights, &values]);
        let found = transpose(emit, &found, [0, 2, 1, 3]);
        let shape = emit.integers(&[0, 0, heads.queries * heads.value_size]);
        emit.named(&node.output[0], "Reshape", &[&found, &shape]);
    } else {
        emit.named(&node.output[0], "MatMul", &[&weights, &values]);
    }
}

fn transpose(emit: &mut Emitter, tensor: &str, order: [i64; 4]) -> String {
    let order = vec![AttributeProto::from_ints("perm", &order)];
    emit.node_with("Transpose", &[tensor], order)
}

/// The heads by themselves, `[batch, heads, length, size]` where the order is 0 2 1 3; they may stand so already.
fn apart(
    emit: &mut Emitter,
    heads: &Heads,
    tensor: &str,
    count: i64,
    size: i64,
    order: [i64; 4],
) -> String {
    if !heads.is_flat {
        return tensor.to_owned();
    }
    let shape = emit.integers(&[0, 0, count, size]);
    let apart = emit.node("Reshape", &[tensor, &shape]);
    transpose(emit, &apart, order)
}

/// Each head as often as queries' heads share it, in the given shape.
fn repeated(emit: &mut Emitter, heads: &Heads, tensor: &str, shape: [i64; 4]) -> String {
    let times = (heads.queries / heads.keys) as usize;
    if times == 1 {
        return tensor.to_owned();
    }
    let axis = emit.integers(&[2]);
    let single = emit.node("Unsqueeze", &[tensor, &axis]);
    let several = emit.concat(&vec![single.as_str(); times], 2);
    let shape = emit.integers(&shape);
    emit.node("Reshape", &[&several, &shape])
}

fn capped(emit: &mut Emitter, scores: String, cap: f64, element: ElementType) -> String {
    if cap <= 0.0 {
        return scores;
    }
    let cap = emit.float(cap, element);
    let ratio = emit.node("Div", &[&scores, &cap]);
    let bent = emit.node("Tanh", &[&ratio]);
    emit.node("Mul", &[&bent, &cap])
}

/// The softmax of the scores that are seen.
fn weights(site: &Site<'_>, emit: &mut Emitter, scores: String, element: ElementType) -> String {
    let along = || vec![AttributeProto::from_int("axis", -1)];
    let mask = site.input(MASK).map(|_| site.node.input[MASK].as_str());
    let is_added = site
        .input(MASK)
        .is_some_and(|fact| fact.element != Some(ElementType::Bool));
    let scores = match mask.filter(|_| is_added) {
        Some(mask) => emit.node("Add", &[&scores, mask]),
        None => scores,
    };
    let is_causal = site.node.int("is_causal", 0) != 0;
    let past = is_causal.then(|| past(site, emit));
    let choice = mask.filter(|_| !is_added);
    let seen = match (past, choice) {
        (Some(past), Some(choice)) => Some(emit.node("And", &[&past, choice])),
        (past, choice) => past.or_else(|| choice.map(str::to_owned)),
    };
    let Some(seen) = seen else {
        return emit.node_with("Softmax", &[&scores], along());
    };
    let least = emit.float(LEAST, element);
    let scores = emit.node("Where", &[&seen, &scores, &least]);
    let weights = emit.node_with("Softmax", &[&scores], along());
    if choice.is_none() {
        // The past of a query is never empty.
        return weights;
    }
    let zero = emit.float(0.0, element);
    emit.node("Where", &[&seen, &weights, &zero])
}

/// Which keys do not stand behind each query, `[queries, keys]`.
fn past(site: &Site<'_>, emit: &mut Emitter) -> String {
    let keys = places(site, emit, K);
    let queries = places(site, emit, Q);
    let behind = emit.integers(&[-1, 1]);
    let queries = emit.node("Reshape", &[&queries, &behind]);
    let is_later = emit.node("Greater", &[&keys, &queries]);
    emit.node("Not", &[&is_later])
}

/// The numbers of the places in a sequence.
fn places(site: &Site<'_>, emit: &mut Emitter, input: usize) -> String {
    let shape = site.shape(input).unwrap_or_default();
    let rank = shape.len();
    let axis = rank - 2;
    if let Some(length) = shape.get(axis).and_then(Extent::as_fixed) {
        let places: Vec<i64> = (0..length).collect();
        return emit.integers(&places);
    }
    let shape = emit.node("Shape", &[&site.node.input[input]]);
    let length = emit.split(&shape, 0, rank).remove(axis);
    let scalar = emit.integers(&[]);
    let length = emit.node("Reshape", &[&length, &scalar]);
    let (zero, one) = (emit.integer(0), emit.integer(1));
    emit.node("Range", &[&zero, &length, &one])
}
