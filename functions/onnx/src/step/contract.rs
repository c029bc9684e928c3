//! Who has which name in a step graph: every input and output has one of its own, and inner tensors make way.

use std::collections::{BTreeMap, HashSet};

use super::loss::Place;
use super::names;
use crate::Error;
use crate::forward::Forward;

/// The names of a step graph's inputs and outputs.
pub(super) struct Contract {
    /// Each name with what it stands for.
    claims: BTreeMap<String, &'static str>,
    renames: BTreeMap<String, String>,
}

impl Contract {
    /// Gives out the names, or says which two things would share one.
    pub(super) fn new(
        forward: &Forward,
        places: &[Place],
        parameters: &[String],
        slots: &[&str],
        statistics: &[String],
    ) -> Result<Self, Error> {
        let mut contract = Self {
            claims: BTreeMap::new(),
            renames: BTreeMap::new(),
        };
        for input in &forward.graph.inputs {
            contract.claim(&input.name, "an input of the model")?;
        }
        contract.claim(names::LEARNING_RATE, "the learning rate")?;
        contract.claim(names::STEP, "the number of the step")?;
        contract.claim(names::SEED, "the seed")?;
        contract.claim(names::LOSS, "the loss")?;
        for place in places {
            contract.claim(&place.labels, "the labels")?;
            contract.claim(&place.prediction, "the prediction")?;
            if place.loss != names::LOSS {
                contract.claim(&place.loss, "the loss of one prediction")?;
            }
        }
        for parameter in parameters {
            contract.claim(parameter, "a parameter of the model")?;
            contract.claim(&names::updated(parameter), "a parameter after the step")?;
            for slot in slots {
                let slot = names::slot(parameter, slot);
                contract.claim(&slot, "the optimizer's state")?;
                contract.claim(
                    &names::updated(&slot),
                    "the optimizer's state after the step",
                )?;
            }
        }
        for statistic in statistics {
            contract.claim(statistic, "a running statistic of the model")?;
            contract.claim(
                &names::updated(statistic),
                "a running statistic after the step",
            )?;
        }
        contract.rename(forward, places, &[parameters, statistics].concat());
        Ok(contract)
    }

    fn claim(&mut self, name: &str, what: &'static str) -> Result<(), Error> {
        match self.claims.insert(name.to_owned(), what) {
            None => Ok(()),
            Some(first) => Err(Error::NameTaken {
                name: name.to_owned(),
                first,
                second: what,
            }),
        }
    }

    /// All names of the contract.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.claims.keys().map(String::as_str)
    }

    /// New names for the predictions, and for inner tensors of the model whose names belong to an input or output.
    pub(super) fn renames(&self) -> &BTreeMap<String, String> {
        &self.renames
    }

    /// `initializers` are those that become inputs.
    fn rename(&mut self, forward: &Forward, places: &[Place], initializers: &[String]) {
        let inputs = forward.graph.inputs.iter().map(|input| input.name.as_str());
        let own: HashSet<&str> = inputs
            .chain(initializers.iter().map(String::as_str))
            .collect();
        let taken: HashSet<&str> = forward.graph.names().chain(self.names()).collect();
        let in_the_way = forward
            .graph
            .names()
            .filter(|name| self.claims.contains_key(*name));
        let mut renames = BTreeMap::new();
        for name in in_the_way.filter(|name| !own.contains(name)) {
            let numbered = (2..).map(|number| format!("model/{name}_{number}"));
            let free = std::iter::once(format!("model/{name}"))
                .chain(numbered)
                .find(|free| !taken.contains(free.as_str()))
                .expect("there is always a higher number");
            renames.insert(name.to_owned(), free);
        }
        let predictions = forward.predictions.iter().cloned();
        renames.extend(predictions.zip(places.iter().map(|place| place.prediction.clone())));
        self.renames = renames;
    }
}
