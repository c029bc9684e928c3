//! Whether a model can be trained, and what stands in the way.

use std::collections::BTreeSet;

use crate::forward::Forward;
use crate::open;
use crate::training::statistics;
use crate::{Error, Model, Obstacle, OpenDimension};

/// What can be trained of a model.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Check {
    /// The initializers that train, with their dimensions.
    pub parameters: Vec<(String, Vec<usize>)>,
    /// The parameters that are used in several places, with the number of these: exporters give layers with equal weights
    /// one initializer, and such layers train as one.
    pub shared: Vec<(String, usize)>,
    /// The running statistics of batch normalization, with their dimensions. They follow the batches, unless that is
    /// switched off.
    pub statistics: Vec<(String, Vec<usize>)>,
    /// The floating-point initializers that stay as they are, and why.
    pub constants: Vec<(String, String)>,
    /// The operators that the gradient passes on its way.
    pub passed: BTreeSet<String>,
    /// The nodes that a gradient cannot pass.
    pub obstacles: Vec<Obstacle>,
    /// The dimensions behind the batch whose sizes the model leaves open.
    pub open: Vec<OpenDimension>,
}

impl Check {
    /// Whether a training step can be built.
    #[must_use]
    pub fn trainable(&self) -> bool {
        self.obstacles.is_empty() && !self.parameters.is_empty()
    }

    /// Whether nothing stands in the way but sizes that the model leaves open, see [`Model::with_shapes`].
    #[must_use]
    pub fn awaits_sizes(&self) -> bool {
        let mut obstacles = self.obstacles.iter();
        !self.obstacles.is_empty() && obstacles.all(|obstacle| obstacle.awaits_sizes)
    }
}

/// Says what of a model can be trained, with the prediction found or named as for a training step.
///
/// # Errors
/// The model is not valid, or the prediction cannot be found.
pub fn check(model: &Model, prediction: Option<&str>) -> Result<Check, Error> {
    let forward = Forward::of(model, &[prediction], &[])?;
    let predictions: Vec<&str> = forward.predictions.iter().map(String::as_str).collect();
    let plan = forward.plan(&predictions);
    let statistics = statistics(&forward.graph);
    let constants = plan.constants.into_iter();
    let constants = constants.filter(|(name, _)| !statistics.contains(name));
    let shared = plan
        .parameters
        .iter()
        .map(|name| (name.clone(), forward.graph.count_uses(name)));
    Ok(Check {
        shared: shared.filter(|(_, uses)| *uses > 1).collect(),
        parameters: with_sizes(&forward, plan.parameters)?,
        constants: constants.collect(),
        statistics: with_sizes(&forward, statistics)?,
        passed: plan.passed,
        obstacles: plan.obstacles,
        open: open::dimensions(&forward.graph.inputs),
    })
}

fn with_sizes(forward: &Forward, names: Vec<String>) -> Result<Vec<(String, Vec<usize>)>, Error> {
    let initializers = names.into_iter().filter_map(|name| {
        let sizes = forward.graph.initializer(&name)?.sizes();
        Some(sizes.map(|sizes| (name, sizes)))
    });
    initializers.collect()
}
