//! Puts a step graph together: the forward nodes, the loss, the gradients, the updates.

use std::collections::BTreeMap;

use super::contract::Contract;
use super::{BatchNormalization, Parameter, Slot, StepGraph, StepOptions, loss, names};
use crate::differentiate::{self, Plan};
use crate::emitter::Emitter;
use crate::fast;
use crate::forward::Forward;
use crate::graph::Graph;
use crate::proto::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto,
};
use crate::training::{self, training_form};
use crate::{Dim, ElementType, Error, Model, TensorInfo};

pub(super) fn build(model: &Model, options: &StepOptions) -> Result<StepGraph, Error> {
    options.optimizer.check()?;
    let forward = Forward::of(model, options.prediction.as_deref())?;
    let contract = contract(&forward, options)?;
    let forward = forward.renamed(contract.renames());

    let mut objective = loss::objective(options.loss, &forward)?;
    let plan = checked_plan(&forward, objective.target())?;
    let parameters = tensors(&forward, &plan.parameters)?;
    let statistics = statistics(&forward, options);
    let assembly = Assembly {
        model: model.proto(),
        forward: &forward,
        labels: objective.labels(),
        slots: slots(&parameters, options),
        parameters: &parameters,
        statistics: tensors(&forward, &statistics)?,
    };

    let taken = |graph: &Graph| {
        let names = graph.names().chain(contract.names());
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    let trained = training_form(&forward, &statistics, taken(&forward.graph))?;
    let mut emitter = Emitter::new(taken(&trained.graph), forward.graph.opset, options.lowering);
    objective.emit_loss(&mut emitter);
    let evaluation = assembly.evaluation(&emitter)?;

    let gradient = objective.emit_gradient(&mut emitter);
    let plan = checked_plan(&trained, objective.target())?;
    let target = (objective.target(), gradient);
    let gradients =
        differentiate::emit(&trained.graph, &trained.facts, &plan, &mut emitter, target);
    emit_updates(&mut emitter, options, &gradients, &parameters);
    let step = assembly.step(&trained.graph, &emitter)?;

    let Assembly {
        labels,
        slots,
        statistics,
        ..
    } = assembly;
    Ok(StepGraph {
        step,
        evaluation,
        inputs: forward.graph.inputs.clone(),
        labels,
        prediction: forward.prediction_info(),
        parameters,
        slots,
        statistics,
    })
}

/// Gives out the names of the step graph's inputs and outputs.
fn contract(forward: &Forward, options: &StepOptions) -> Result<Contract, Error> {
    let objective = loss::objective(options.loss, forward)?;
    let plan = checked_plan(forward, objective.target())?;
    let statistics = statistics(forward, options);
    Contract::new(
        forward,
        &plan.parameters,
        options.optimizer.slots(),
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

fn checked_plan(forward: &Forward, target: &str) -> Result<Plan, Error> {
    let plan = forward.plan(target);
    if plan.obstacles.is_empty() && !plan.parameters.is_empty() {
        return Ok(plan);
    }
    Err(Error::NotTrainable(plan.obstacles))
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
    let slots = options.optimizer.slots();
    let of_parameter = |parameter: &Parameter| {
        let Parameter { name, dims, .. } = parameter.clone();
        slots.iter().map(move |slot| Slot {
            name: names::slot(&name, slot),
            dims: dims.clone(),
        })
    };
    parameters.iter().flat_map(of_parameter).collect()
}

fn emit_updates(
    emitter: &mut Emitter,
    options: &StepOptions,
    gradients: &BTreeMap<String, String>,
    parameters: &[Parameter],
) {
    let mut rule = options.optimizer.rule();
    rule.begin(emitter);
    for parameter in parameters {
        let gradient = gradients
            .get(&parameter.name)
            .expect("the plan makes a parameter only of what a gradient reaches");
        emitter.enter(format!("update/{}", parameter.name));
        rule.update(emitter, &parameter.name, gradient);
    }
}

/// What both graphs are made of.
struct Assembly<'a> {
    model: &'a ModelProto,
    forward: &'a Forward,
    labels: TensorInfo,
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
        self.model("evaluation", graph, emitter, &inputs, &outputs)
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
        inputs.chain(std::iter::once(self.labels.clone()))
    }

    fn results(&self) -> impl Iterator<Item = TensorInfo> {
        let loss = TensorInfo::new(names::LOSS, ElementType::Float32, Vec::new());
        [loss, self.forward.prediction_info()].into_iter()
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
        let is_ours = |node: &NodeProto| node.domain() == fast::DOMAIN;
        if graph.node.iter().any(is_ours) {
            opset_import.push(OperatorSetIdProto {
                domain: Some(fast::DOMAIN.to_owned()),
                version: Some(fast::VERSION),
            });
        }
        Model::from_proto(ModelProto {
            ir_version: self.model.ir_version,
            opset_import,
            producer_name: Some(crate::PRODUCER.to_owned()),
            graph: Some(graph),
            functions: self.model.functions.clone(),
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
