//! `Attention` (operator set 23): scaled dot products of queries and keys, and values weighted by their softmax.
//!
//! With heads of size d, scale s (1/√d where none is given): S = s · Q Kᵀ, with `softcap` c then c · tanh(S / c); a
//! boolean mask and `is_causal` (no query sees a later key) leave out scores, any other mask is added; P = softmax(S) along
//! the keys, Y = P V. Where there are fewer heads of keys than of queries, each serves as many queries' heads in a row. A
//! query that sees no key gets zeros.
//!
//! It trains as the operators that it is made of, each with its own derivative.

mod evaluation;
mod written_out;

use self::written_out::Heads;
use super::{Call, Derivative, Family, Operator, Site, Training};
use crate::Tensor;
use crate::extent::{Extent, Unknowns};
use crate::facts::Fact;
use crate::proto::NodeProto;

pub(super) const OPERATORS: Family = &[("Attention", &Attention)];

const Q: usize = 0;
const K: usize = 1;
const V: usize = 2;
const MASK: usize = 3;
/// Outputs: Y, the cache of keys, that of values, and the scores.
const SCORES: usize = 3;

struct Attention;

/// What is refused of a node, in words that complete "node 'x' (Attention) …".
fn refusal(node: &NodeProto) -> Option<&'static str> {
    let has =
        |names: &[String], index: usize| names.get(index).is_some_and(|name| !name.is_empty());
    if (4..7).any(|input| has(&node.input, input)) || (1..3).any(|output| has(&node.output, output))
    {
        return Some("keeps keys and values from call to call");
    }
    if has(&node.output, SCORES) && node.int("qk_matmul_output_mode", 0) != 0 {
        return Some("gives its scores in a mode other than 0");
    }
    None
}

impl Operator for Attention {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        let shape = (|| {
            let (queries, values) = (site.shape(Q)?, site.shape(V)?);
            let mut shape = queries.to_vec();
            let last = shape.len().checked_sub(1)?;
            shape[last] = if queries.len() == 4 {
                values.get(3)?.clone()
            } else {
                let heads = Extent::fixed(site.node.int("q_num_heads", 0));
                let sharing = Extent::fixed(site.node.int("kv_num_heads", 0));
                values.get(2)?.times(&heads).divided_by(&sharing)?
            };
            Some(shape)
        })();
        vec![Fact::new(site.element(), shape)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        match refusal(call.node) {
            Some(reason) => Err(format!("it {reason}")),
            None => evaluation::evaluate(call),
        }
    }

    fn least_inputs(&self) -> usize {
        3
    }

    fn derivative(&self, site: &Site<'_>, _: usize) -> Derivative {
        if let Some(reason) = refusal(site.node) {
            return Derivative::missing(reason);
        }
        if written_out::is_mask_short(site) {
            return Derivative::missing("has a mask for fewer keys than there are");
        }
        Derivative::known_if(
            Heads::of(site).is_some(),
            "has heads whose number or size is not known",
        )
    }

    fn training(&self, training: &mut Training<'_>) -> Result<bool, String> {
        let inputs = training.inputs();
        let site = Site {
            node: training.node,
            inputs: &inputs,
        };
        let is_possible = refusal(site.node).is_none() && !written_out::is_mask_short(&site);
        let heads = Heads::of(&site).filter(|_| is_possible);
        if let Some(heads) = &heads {
            written_out::emit(&site, heads, training.emit);
        }
        Ok(heads.is_some())
    }
}
