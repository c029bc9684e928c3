//! Puts a step graph together: the forward nodes, the loss, the gradients, the updates.

use super::contract::Contract;
use super::loss::Place;
use super::targets::{self, Targets};
use super::{
    BatchNormalization, Parameter, Slot, StepGraph, StepOptions, Target, decay, names, update,
};
use crate::differentiate::{self, Plan};
use crate::emitter::Emitter;
use crate::fast;
use crate::forward::Forward;
use crate::fuse::fuse;
use crate::graph::Graph;
use crate::operators::random;
use crate::proto::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto,
};
use crate::training::{self, training_form};
use crate::{Dim, ElementType, Error, Lowering, Model, TensorInfo};

/// The version of the format that came with the oldest operator set that is known here.
const OLDEST_FORMAT: i64 = 7;

/// What a step learns of a model: all that can be told without the values of its parameters.
struct Aim {
    contract: Contract,
    forward: Forward,
    targets: Targets,
    plan: Plan,
}

impl Aim {
    fn new(model: &Model, options: &StepOptions) -> Result<Self, Error> {
        check(options)?;
        let goals = &options.goals;
        let predictions: Vec<_> = goals
            .iter()
            .map(|goal| goal.prediction.as_deref())
            .collect();
        let forward = Forward::of(model, &predictions, &options.frozen)?;
        let places = targets::places(&forward.predictions);
        let contract = contract(&forward, options, &places)?;
        let forward = forward.renamed(contract.renames());
        let targets = Targets::new(&forward, goals, places)?;
        let plan = checked_plan(&forward, &targets)?;
        Ok(Self {
            contract,
            forward,
            targets,
            plan,
        })
    }
}

pub(super) fn targets(model: &Model, options: &StepOptions) -> Result<Vec<Target>, Error> {
    let aim = Aim::new(model, options)?;
    Ok(aim.targets.infos(&aim.forward))
}

pub(super) fn build(model: &Model, options: &StepOptions) -> Result<StepGraph, Error> {
    let Aim {
        contract,
        forward,
        mut targets,
        plan,
    } = Aim::new(model, options)?;
    let parameters = tensors(&forward, &plan.parameters)?;
    let statistics = statistics(&forward, options);
    let assembly = Assembly {
        model: model.proto(),
        forward: &forward,
        targets: targets.infos(&forward),
        slots: slots(&parameters, options),
        parameters: &parameters,
        statistics: tensors(&forward, &statistics)?,
    };

    let taken = |graph: &Graph| {
        let names = graph.names().chain(contract.names());
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    let mut trained = training_form(&forward, &statistics, taken(&forward.graph))?;
    let mut emitter = Emitter::new(taken(&trained.graph), forward.graph.opset, options.lowering);
    if options.lowering == Lowering::Fast {
        fuse(&mut trained, &targets.tensors(), &mut emitter);
    }
    targets.emit_loss(&mut emitter);
    let evaluation = assembly.evaluation(&emitter)?;

    let gradients = targets.emit_gradients(&mut emitter);
    let plan = checked_plan(&trained, &targets)?;
    let gradients = differentiate::emit(
        &trained.graph,
        &trained.facts,
        &plan,
        &mut emitter,
        gradients,
    );
    let update = update::Plan {
        options,
        parameters: &parameters,
        decay: decay::rate(options)?,
        decaying: decay::decaying(&forward.graph, &parameters),
    };
    update.emit(&mut emitter, gradients);
    let step = assembly.step(&trained.graph, &emitter)?;

    let Assembly {
        targets,
        slots,
        statistics,
        ..
    } = assembly;
    Ok(StepGraph {
        step,
        evaluation,
        inputs: forward.graph.inputs.clone(),
        targets,
        parameters,
        slots,
        statistics,
    })
}

/// Checks what does not depend on the model.
fn check(options: &StepOptions) -> Result<(), Error> {
    options.optimizer.check()?;
    if let Some(clipping) = options.clipping {
        clipping.check()?;
    }
    if options.accumulation == 0 {
        return Err(Error::request(
            "an update takes the gradients of no runs, and at least 1 is needed",
        ));
    }
    decay::rate(options)?;
    targets::check(&options.goals)
}

/// Gives out the names of the step graph's inputs and outputs.
fn contract(forward: &Forward, options: &StepOptions, places: &[Place]) -> Result<Contract, Error> {
    // The objectives are looked for before anything has its name in the step graph, and so by the model's own names.
    let own = forward.predictions.iter().zip(places);
    let own = own.map(|(prediction, place)| Place {
        prediction: prediction.clone(),
        ..place.clone()
    });
    let targets = Targets::new(forward, &options.goals, own.collect())?;
    let plan = checked_plan(forward, &targets)?;
    let statistics = statistics(forward, options);
    Contract::new(
        forward,
        places,
        &plan.parameters,
        &update::slots(options),
        &statistics,
    )
}

/// The running statistics that the step updates.
fn statistics(forward: &Forward, options: &StepOptions) -> Vec<String> {
    match options.batch_normalization {
        BatchNormalization::Train => training::statistics(&forward.graph),
        BatchNormalization::Freeze => Vec::new(),
    }
}

fn checked_plan(forward: &Forward, targets: &Targets) -> Result<Plan, Error> {
    let plan = forward.plan(&targets.tensors());
    if !plan.obstacles.is_empty() {
        return Err(Error::NotTrainable(plan.obstacles));
    }
    match plan.parameters.is_empty() {
        false => Ok(plan),
        true if forward.graph.frozen.is_empty() => Err(Error::NotTrainable(Vec::new())),
        true => Err(Error::request(
            "nothing is left to train: every parameter that a gradient reaches is frozen",
        )),
    }
}

/// Initializers of the model as they stand there.
fn tensors(forward: &Forward, names: &[String]) -> Result<Vec<Parameter>, Error> {
    let initializers = names
        .iter()
        .filter_map(|name| forward.graph.initializer(name));
    initializers
        .map(|tensor| {
            Ok(Parameter {
                name: tensor.name().to_owned(),
                dims: tensor.sizes()?,
                initial: tensor.to_f32()?,
            })
        })
        .collect()
}

fn slots(parameters: &[Parameter], options: &StepOptions) -> Vec<Slot> {
    let slots = update::slots(options);
    let of_parameter = |parameter: &Parameter| {
        let Parameter { name, dims, .. } = parameter.clone();
        slots.iter().map(move |slot| Slot {
            name: names::slot(&name, slot),
            dims: dims.clone(),
        })
    };
    parameters.iter().flat_map(of_parameter).collect()
}

/// What both graphs are made of.
struct Assembly<'a> {
    model: &'a ModelProto,
    forward: &'a Forward,
    targets: Vec<Target>,
    parameters: &'a [Parameter],
    slots: Vec<Slot>,
    statistics: Vec<Parameter>,
}

impl Assembly<'_> {
    fn evaluation(&self, emitter: &Emitter) -> Result<Model, Error> {
        let inputs: Vec<_> = self
            .batch()
            .chain(infos(self.parameters, str::to_owned))
            .chain(infos(&self.statistics, str::to_owned))
            .collect();
        let outputs: Vec<_> = self.results().collect();
        let graph = &self.forward.graph;
        let mut model = self
            .model("evaluation", graph, emitter, &inputs, &outputs)?
            .into_proto();
        let nodes = model.graph.iter_mut().flat_map(|graph| &mut graph.node);
        for node in nodes {
            if let Some(expected) = random::expected(node) {
                *node = expected;
            }
        }
        Model::from_proto(model)
    }

    fn step(&self, graph: &Graph, emitter: &Emitter) -> Result<Model, Error> {
        let scalars = [
            TensorInfo::new(names::LEARNING_RATE, ElementType::Float32, Vec::new()),
            TensorInfo::new(names::STEP, ElementType::Int64, Vec::new()),
            TensorInfo::new(names::SEED, ElementType::Int64, Vec::new()),
        ];
        let inputs: Vec<_> = self
            .batch()
            .chain(scalars)
            .chain(infos(self.parameters, str::to_owned))
            .chain(self.slot_infos(str::to_owned))
            .chain(infos(&self.statistics, str::to_owned))
            .collect();
        let outputs: Vec<_> = self
            .results()
            .chain(infos(self.parameters, names::updated))
            .chain(self.slot_infos(names::updated))
            .chain(infos(&self.statistics, names::updated))
            .collect();
        self.model("step", graph, emitter, &inputs, &outputs)
    }

    fn batch(&self) -> impl Iterator<Item = TensorInfo> {
        let inputs = self.forward.graph.inputs.iter().cloned();
        inputs.chain(self.targets.iter().map(|target| target.labels.clone()))
    }

    /// The loss, then each prediction, with its own loss where there are several.
    fn results(&self) -> impl Iterator<Item = TensorInfo> {
        let loss = |name: &str| TensorInfo::new(name, ElementType::Float32, Vec::new());
        let of_target = move |target: &Target| {
            let own = (target.loss != names::LOSS).then(|| loss(&target.loss));
            std::iter::once(target.prediction.clone()).chain(own)
        };
        let targets = self.targets.iter().flat_map(of_target);
        std::iter::once(loss(names::LOSS)).chain(targets)
    }

    fn slot_infos(&self, name: fn(&str) -> String) -> impl Iterator<Item = TensorInfo> {
        let slots = self.slots.iter();
        slots.map(move |slot| state_info(name(&slot.name), &slot.dims))
    }

    fn model(
        &self,
        name: &str,
        graph: &Graph,
        emitter: &Emitter,
        inputs: &[TensorInfo],
        outputs: &[TensorInfo],
    ) -> Result<Model, Error> {
        let is_input = |tensor: &TensorProto| {
            let mut carried = self.parameters.iter().chain(&self.statistics);
            carried.any(|parameter| parameter.name == tensor.name())
        };
        let initializers = graph.initializers.iter();
        let kept = initializers.filter(|tensor| !is_input(tensor));
        let forward = graph.nodes.iter().map(without_notes);
        let graph = GraphProto {
            node: forward.chain(emitter.nodes.iter().cloned()).collect(),
            name: Some(name.to_owned()),
            initializer: kept.chain(&emitter.initializers).cloned().collect(),
            input: inputs.iter().map(ValueInfoProto::from_info).collect(),
            output: outputs.iter().map(ValueInfoProto::from_info).collect(),
            ..GraphProto::default()
        };
        let mut opset_import = self.model.opset_import.clone();
        for import in &mut opset_import {
            if matches!(import.domain(), "" | "ai.onnx") {
                import.version = Some(self.forward.graph.opset);
            }
        }
        let is_ours = |node: &NodeProto| node.domain() == fast::DOMAIN;
        if graph.node.iter().any(is_ours) {
            opset_import.push(OperatorSetIdProto {
                domain: Some(fast::DOMAIN.to_owned()),
                version: Some(fast::VERSION),
            });
        }
        Model::from_proto(ModelProto {
            ir_version: self
                .model
                .ir_version
                .map(|version| version.max(OLDEST_FORMAT)),
            opset_import,
            producer_name: Some(crate::PRODUCER.to_owned()),
            graph: Some(graph),

            ..ModelProto::default()
        })
    }
}

fn infos(tensors: &[Parameter], name: fn(&str) -> String) -> impl Iterator<Item = TensorInfo> {
    let tensors = tensors.iter();
    tensors.map(move |tensor| state_info(name(&tensor.name), &tensor.dims))
}

fn state_info(name: String, dims: &[usize]) -> TensorInfo {
    let dims = dims.iter().map(|&size| Dim::Fixed(size as i64)).collect();
    TensorInfo::new(name, ElementType::Float32, dims)
}

/// Exporters note where in the program a node comes from; that says nothing of the step.
fn without_notes(node: &NodeProto) -> NodeProto {
    NodeProto {
        doc_string: None,
        metadata_props: Vec::new(),
        ..node.clone()
    }
}
