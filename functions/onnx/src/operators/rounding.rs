//! Numbers rounded and signs taken: `Ceil`, `Floor`, `Round`, `Sign`. No gradient passes them.

use super::Family;
use super::unary::Stepwise;

pub(super) const OPERATORS: Family = &[
    ("Ceil", &CEIL),
    ("Floor", &FLOOR),
    ("Round", &ROUND),
    ("Sign", &SIGN),
];

static CEIL: Stepwise = Stepwise {
    floats: f64::ceil,
    integers: std::convert::identity,
};

static FLOOR: Stepwise = Stepwise {
    floats: f64::floor,
    integers: std::convert::identity,
};

/// Halves go to the even neighbour.
static ROUND: Stepwise = Stepwise {
    floats: f64::round_ties_even,
    integers: std::convert::identity,
};

static SIGN: Stepwise = Stepwise {
    floats: |x| {
        if x == 0.0 || x.is_nan() {
            x
        } else {
            x.signum()
        }
    },
    integers: i64::signum,
};
