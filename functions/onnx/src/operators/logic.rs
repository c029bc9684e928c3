//! Truth values: `And`, `Or`, `Xor`, `Not`, and the questions `IsNaN` and `IsInf`. No gradient passes them.

use super::unary::same_as_input;
use super::{Call, Derivative, Family, Operator, Site, broadcast};
use crate::extent::Unknowns;
use crate::facts::Fact;
use crate::proto::NodeProto;
use crate::{ElementType, Tensor, Values};

pub(super) const OPERATORS: Family = &[
    ("And", &AND),
    ("IsInf", &IS_INF),
    ("IsNaN", &IS_NAN),
    ("Not", &Not),
    ("Or", &OR),
    ("Xor", &XOR),
];

/// An operator of two tensors of truth values.
struct Connective(fn(bool, bool) -> bool);

static AND: Connective = Connective(|a, b| a && b);
static OR: Connective = Connective(|a, b| a || b);
static XOR: Connective = Connective(|a, b| a != b);

impl Operator for Connective {
    fn infer(&self, site: &Site<'_>, unknowns: &mut Unknowns) -> Vec<Fact> {
        vec![broadcast::fact(site, Some(ElementType::Bool), unknowns)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let (dims, left, right) = broadcast::pair(call)?;
        let (Values::Boolean(left), Values::Boolean(right)) = (left.values(), right.values())
        else {
            return Err("the inputs are not boolean".to_owned());
        };
        let pairs = left.iter().zip(right);
        let values = pairs.map(|(&a, &b)| (self.0)(a, b)).collect();
        Ok(vec![Tensor::new(dims, Values::Boolean(values))])
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Zero
    }
}

struct Not;

impl Operator for Not {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        vec![same_as_input(site)]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let tensor = call.tensor(0)?;
        let Values::Boolean(values) = tensor.values() else {
            return Err("the input is not boolean".to_owned());
        };
        let values = values.iter().map(|&value| !value).collect();
        Ok(vec![Tensor::new(
            tensor.dims().to_vec(),
            Values::Boolean(values),
        )])
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Zero
    }
}

/// A question about every floating-point number, whose answer may depend on attributes.
struct Question(fn(f64, &NodeProto) -> bool);

static IS_NAN: Question = Question(|value, _| value.is_nan());

/// The attributes `detect_negative` and `detect_positive` say which infinities count: both where they are left out.
static IS_INF: Question = Question(|value, node| {
    let counts = |name| node.int(name, 1) != 0;
    value == f64::INFINITY && counts("detect_positive")
        || value == f64::NEG_INFINITY && counts("detect_negative")
});

impl Operator for Question {
    fn infer(&self, site: &Site<'_>, _: &mut Unknowns) -> Vec<Fact> {
        vec![Fact {
            element: Some(ElementType::Bool),
            ..same_as_input(site)
        }]
    }

    fn evaluate(&self, call: &Call<'_>) -> Result<Vec<Tensor>, String> {
        let values = call.floats(0)?.iter();
        let values = values.map(|&value| (self.0)(value, call.node)).collect();
        Ok(vec![Tensor::new(
            call.tensor(0)?.dims().to_vec(),
            Values::Boolean(values),
        )])
    }

    fn derivative(&self, _: &Site<'_>, _: usize) -> Derivative {
        Derivative::Zero
    }
}
