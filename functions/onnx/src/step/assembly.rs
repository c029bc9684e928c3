//! Puts a step graph together: the forward nodes, the loss, the gradients, the updates.

use std::collections::BTreeMap;

use super::contract::Contract;
use super::{Parameter, Slot, StepGraph, StepOptions, loss, names};
use crate::differentiate::{self, Plan};
use crate::emitter::Emitter;
use crate::forward::Forward;
use crate::proto::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use crate::{Dim, ElementType, Error, Model, TensorInfo};

pub(super) fn build(model: &Model, options: &StepOptions) -> Result<StepGraph, Error> {
    options.optimizer.check()?;
    let forward = Forward::of(model, options.prediction.as_deref())?;
    let contract = contract(&forward, options)?;
    let forward = forward.renamed(contract.renames());

    let mut objective = loss::objective(options.loss, &forward)?;
    let plan = checked_plan(&forward, objective.target())?;
    let parameters = parameters(&forward, &plan)?;
    let assembly = Assembly {
        model: model.proto(),
        forward: &forward,
        labels: objective.labels(),
        slots: slots(&parameters, options),
        parameters: &parameters,
    };

    let taken = forward
        .graph
        .names()
        .chain(contract.names())
        .map(str::to_owned);
    let mut emitter = Emitter::new(taken, forward.graph.opset);
    objective.emit_loss(&mut emitter);
    let evaluation = assembly.evaluation(&emitter)?;

    let gradient = objective.emit_gradient(&mut emitter);
    let target = (objective.target(), gradient);
    let gradients =
        differentiate::emit(&forward.graph, &forward.facts, &plan, &mut emitter, target);
    emit_updates(&mut emitter, options, &gradients, &parameters);
    let step = assembly.step(&emitter)?;

    let (labels, slots) = (assembly.labels, assembly.slots);
    Ok(StepGraph {
        step,
        evaluation,
        inputs: forward.graph.inputs.clone(),
        labels,
        prediction: forward.prediction_info(),
        parameters,
        slots,
    })
}

/// Gives out the names of the step graph's inputs and outputs.
fn contract(forward: &Forward, options: &StepOptions) -> Result<Contract, Error> {
    let objective = loss::objective(options.loss, forward)?;
    let plan = checked_plan(forward, objective.target())?;
    Contract::new(forward, &plan.parameters, options.optimizer.slots())
}

fn checked_plan(forward: &Forward, target: &str) -> Result<Plan, Error> {
    let plan = forward.plan(target);
    if plan.obstacles.is_empty() && !plan.parameters.is_empty() {
        return Ok(plan);
    }
    Err(Error::NotTrainable(plan.obstacles))
}

fn parameters(forward: &Forward, plan: &Plan) -> Result<Vec<Parameter>, Error> {
    let initializers = forward.graph.initializers.iter();
    initializers
        .filter(|tensor| plan.parameters.iter().any(|name| name == tensor.name()))
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
}

impl Assembly<'_> {
    fn evaluation(&self, emitter: &Emitter) -> Result<Model, Error> {
        let inputs: Vec<_> = self
            .batch()
            .chain(self.parameter_infos(str::to_owned))
            .collect();
        let outputs: Vec<_> = self.results().collect();
        self.model("evaluation", emitter, &inputs, &outputs)
    }

    fn step(&self, emitter: &Emitter) -> Result<Model, Error> {
        let scalars = [
            TensorInfo::new(names::LEARNING_RATE, ElementType::Float32, Vec::new()),
            TensorInfo::new(names::STEP, ElementType::Int64, Vec::new()),
        ];
        let inputs: Vec<_> = self
            .batch()
            .chain(scalars)
            .chain(self.parameter_infos(str::to_owned))
            .chain(self.slot_infos(str::to_owned))
            .collect();
        let outputs: Vec<_> = self
            .results()
            .chain(self.parameter_infos(names::updated))
            .chain(self.slot_infos(names::updated))
            .collect();
        self.model("step", emitter, &inputs, &outputs)
    }

    fn batch(&self) -> impl Iterator<Item = TensorInfo> {
        let inputs = self.forward.graph.inputs.iter().cloned();
        inputs.chain(std::iter::once(self.labels.clone()))
    }

    fn results(&self) -> impl Iterator<Item = TensorInfo> {
        let loss = TensorInfo::new(names::LOSS, ElementType::Float32, Vec::new());
        [loss, self.forward.prediction_info()].into_iter()
    }

    fn parameter_infos(&self, name: fn(&str) -> String) -> impl Iterator<Item = TensorInfo> {
        let parameters = self.parameters.iter();
        parameters.map(move |parameter| state_info(name(&parameter.name), &parameter.dims))
    }

    fn slot_infos(&self, name: fn(&str) -> String) -> impl Iterator<Item = TensorInfo> {
        let slots = self.slots.iter();
        slots.map(move |slot| state_info(name(&slot.name), &slot.dims))
    }

    fn model(
        &self,
        name: &str,
        emitter: &Emitter,
        inputs: &[TensorInfo],
        outputs: &[TensorInfo],
    ) -> Result<Model, Error> {
        let is_parameter = |tensor: &TensorProto| {
            let mut parameters = self.parameters.iter();
            parameters.any(|parameter| parameter.name == tensor.name())
        };
        let initializers = self.forward.graph.initializers.iter();
        let kept = initializers.filter(|tensor| !is_parameter(tensor));
        let forward = self.forward.graph.nodes.iter().map(without_notes);
        let graph = GraphProto {
            node: forward.chain(emitter.nodes.iter().cloned()).collect(),
            name: Some(name.to_owned()),
            initializer: kept.chain(&emitter.initializers).cloned().collect(),
            input: inputs.iter().map(ValueInfoProto::from_info).collect(),
            output: outputs.iter().map(ValueInfoProto::from_info).collect(),
            ..GraphProto::default()
        };
        Model::from_proto(ModelProto {
            ir_version: self.model.ir_version,
            opset_import: self.model.opset_import.clone(),
            producer_name: Some(crate::PRODUCER.to_owned()),
            graph: Some(graph),
            functions: self.model.functions.clone(),
            ..ModelProto::default()
        })
    }
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
