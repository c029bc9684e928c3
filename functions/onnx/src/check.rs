//! Whether a model can be trained, and what stands in the way.

use crate::forward::Forward;
use crate::{Error, Model, Obstacle};

/// What can be trained of a model.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Check {
    /// The initializers that train, with their dimensions.
    pub parameters: Vec<(String, Vec<usize>)>,
    /// The floating-point initializers that stay as they are, and why.
    pub constants: Vec<(String, String)>,
    /// The nodes that a gradient cannot pass.
    pub obstacles: Vec<Obstacle>,
}

impl Check {
    /// Whether a training step can be built.
    #[must_use]
    pub fn trainable(&self) -> bool {
        self.obstacles.is_empty() && !self.parameters.is_empty()
    }
}

/// Says what of a model can be trained, with the prediction found or named as for a training step.
///
/// # Errors
/// The model is not valid, or the prediction cannot be found.
pub fn check(model: &Model, prediction: Option<&str>) -> Result<Check, Error> {
    let forward = Forward::of(model, prediction)?;
    let plan = forward.plan(&forward.prediction);
    let parameters = plan
        .parameters
        .into_iter()
        .filter_map(|name| {
            let sizes = forward.graph.initializer(&name)?.sizes();
            Some(sizes.map(|sizes| (name, sizes)))
        })
        .collect::<Result<_, _>>()?;
    Ok(Check {
        parameters,
        constants: plan.constants,
        obstacles: plan.obstacles,
    })
}
