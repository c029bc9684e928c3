//! `millrace onnx step`

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use millrace_onnx::{
    BatchNormalization, ClassLabels, Clipping, CrossEntropy, Goal, Loss, Model, Optimizer,
    StepGraph, StepOptions, TensorInfo,
};
use serde_json::json;

use super::read;
use super::shape::ShapeArguments;
use crate::output;

#[derive(Debug, Args)]
#[command(after_help = "\
The graph takes the model's inputs, `labels`, `lr`, `step` (from 1), `seed`, each parameter under the name of its initializer
and the optimizer's state as `NAME.SLOT` (zeros at first); it gives `loss`, `prediction`, and what the next step takes as
`NAME.new` and `NAME.SLOT.new`. With several --output the names are `labels.OUTPUT`, `prediction.OUTPUT` and `loss.OUTPUT`,
and `loss` is the weighted sum.

Examples:
  millrace onnx step model.onnx --loss cross-entropy --optimizer adam -o step.onnx
  millrace onnx step model.onnx --loss binary-cross-entropy --output probabilities --optimizer sgd -o step.onnx
  millrace onnx step model.onnx --loss huber --delta 0.5 --optimizer adamw --weight-decay 0.05 --clip-norm 1 -o step.onnx
  millrace onnx step model.onnx --loss cross-entropy --optimizer adam --freeze 'encoder.*' --batch-norm freeze -o step.onnx
  millrace onnx step model.onnx --loss cross-entropy --optimizer adam --shape 3x224x224 -o step.onnx
  millrace onnx step model.onnx --output class --loss cross-entropy --output value --loss mse --weight 1 --weight 0.1 \\
    --optimizer adam -o step.onnx")]
pub(in crate::cli) struct Arguments {
    /// The ONNX file
    model: PathBuf,
    /// The file to write the training step to
    #[arg(short = 'o', long = "out", value_name = "FILE")]
    out: PathBuf,
    /// Also write the same model's evaluation: loss and prediction without a step
    #[arg(long, value_name = "FILE")]
    evaluation: Option<PathBuf>,
    /// Also write the model with an initializer for everything that the step changes, for first and trained values
    #[arg(long = "model-out", value_name = "FILE")]
    model_out: Option<PathBuf>,
    #[command(flatten)]
    shapes: ShapeArguments,
    /// Print what the step takes and gives as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    goals: GoalArguments,
    #[command(flatten)]
    optimizer: OptimizerArguments,
    #[command(flatten)]
    update: UpdateArguments,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "What is learned")]
struct GoalArguments {
    /// What is minimised; given once for each --output, or once for all
    #[arg(long, value_name = "LOSS", required = true)]
    loss: Vec<LossName>,
    /// The graph output or inner tensor that is the prediction; found where there is only one candidate
    #[arg(long, value_name = "TENSOR")]
    output: Vec<String>,
    /// By what a loss is multiplied in the sum of several, once for each --output
    #[arg(long, value_name = "NUMBER")]
    weight: Vec<f64>,
    /// What the labels of cross-entropy are
    #[arg(long, value_name = "FORM", default_value = "numbers")]
    labels: LabelForm,
    /// The share of each label that is spread over all classes, for cross-entropy and binary cross-entropy
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    label_smoothing: f64,
    /// How much each class counts in cross-entropy
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    class_weights: Vec<f64>,
    /// The axis of the prediction along which classes stand; that of the model's softmax, else 1
    #[arg(long, value_name = "AXIS", allow_negative_numbers = true)]
    class_axis: Option<i64>,
    /// Where the Huber loss goes over from squares to absolute values
    #[arg(long, value_name = "NUMBER", default_value_t = 1.0)]
    delta: f64,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "The optimizer")]
struct OptimizerArguments {
    /// How parameters follow their gradients
    #[arg(long, value_name = "OPTIMIZER")]
    optimizer: OptimizerName,
    /// How much of the sum of gradients stays at each step, for momentum and nesterov [default: 0.9]
    #[arg(long, value_name = "NUMBER")]
    momentum: Option<f64>,
    /// Decay of the mean of gradients, for adam and adamw; its part in the step, for lion [default: 0.9]
    #[arg(long, value_name = "NUMBER")]
    beta1: Option<f64>,
    /// Decay of the mean of squares, for adam and adamw [default: 0.999]; of the mean of gradients, for lion [default: 0.99]
    #[arg(long, value_name = "NUMBER")]
    beta2: Option<f64>,
    /// Decay of the mean of squares, for rmsprop [default: 0.9]
    #[arg(long, value_name = "NUMBER")]
    decay: Option<f64>,
    /// What keeps divisors from zero, for adam, adamw, rmsprop [default: 1e-8] and adagrad [default: 1e-10]
    #[arg(long, value_name = "NUMBER")]
    epsilon: Option<f64>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "The update")]
struct UpdateArguments {
    /// Decoupled weight decay; biases and normalizations are left alone [default: 0.01 for adamw, else 0]
    #[arg(long, value_name = "RATE")]
    weight_decay: Option<f64>,
    /// Scale all gradients down together until their norm is at most this
    #[arg(long, value_name = "NORM", conflicts_with = "clip_value")]
    clip_norm: Option<f64>,
    /// Limit each element of the gradients to this in both directions
    #[arg(long, value_name = "NUMBER")]
    clip_value: Option<f64>,
    /// Average the gradients of so many runs of the graph for one update
    #[arg(long, value_name = "RUNS", default_value_t = 1)]
    accumulate: u32,
    /// Leave initializers of this name as they are: * stands for any characters, ? for one; may be repeated
    #[arg(long, value_name = "PATTERN")]
    freeze: Vec<String>,
    /// Whether batch normalization uses the statistics of the batch, which the running ones follow, or the running ones
    #[arg(long, value_name = "MODE", default_value = "train")]
    batch_norm: BatchNorm,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LossName {
    CrossEntropy,
    BinaryCrossEntropy,
    Mse,
    Mae,
    Huber,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LabelForm {
    /// Class numbers, int64
    Numbers,
    /// A float32 for each class
    OneHot,
}

#[derive(Debug, Clone, Copy, Eq, PartialEq, ValueEnum)]
enum OptimizerName {
    Sgd,
    Momentum,
    Nesterov,
    Adam,
    Adamw,
    Rmsprop,
    Adagrad,
    Lion,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum BatchNorm {
    Train,
    Freeze,
}

impl GoalArguments {
    fn loss(&self, name: LossName) -> Loss {
        match name {
            LossName::CrossEntropy => Loss::CrossEntropy(CrossEntropy {
                labels: match self.labels {
                    LabelForm::Numbers => ClassLabels::Numbers,
                    LabelForm::OneHot => ClassLabels::OneHot,
                },
                label_smoothing: self.label_smoothing,
                class_weights: self.class_weights.clone(),
                axis: self.class_axis,
            }),
            LossName::BinaryCrossEntropy => Loss::BinaryCrossEntropy {
                label_smoothing: self.label_smoothing,
            },
            LossName::Mse => Loss::MeanSquaredError,
            LossName::Mae => Loss::MeanAbsoluteError,
            LossName::Huber => Loss::Huber { delta: self.delta },
        }
    }

    fn goals(&self) -> Result<Vec<Goal>> {
        let count = self.output.len().max(1);
        if ![1, count].contains(&self.loss.len()) {
            bail!(
                "--loss is given {} times for {count} outputs: give it once, or once for each --output",
                self.loss.len()
            );
        }
        if ![0, count].contains(&self.weight.len()) {
            bail!(
                "--weight is given {} times for {count} outputs: leave it out, or give it once for each --output",
                self.weight.len()
            );
        }
        let goal = |at: usize| Goal {
            loss: self.loss(*self.loss.get(at).unwrap_or(&self.loss[0])),
            prediction: self.output.get(at).cloned(),
            weight: self.weight.get(at).copied().unwrap_or(1.0),
        };
        Ok((0..count).map(goal).collect())
    }
}

impl OptimizerArguments {
    /// The optimizer with its constants, of which none may be another's.
    fn optimizer(&self) -> Result<Optimizer> {
        use OptimizerName::{Adagrad, Adam, Adamw, Lion, Momentum, Nesterov, Rmsprop, Sgd};
        let name = self.optimizer;
        let given = [
            ("momentum", self.momentum, &[Momentum, Nesterov][..]),
            ("beta1", self.beta1, &[Adam, Adamw, Lion]),
            ("beta2", self.beta2, &[Adam, Adamw, Lion]),
            ("decay", self.decay, &[Rmsprop]),
            ("epsilon", self.epsilon, &[Adam, Adamw, Rmsprop, Adagrad]),
        ];
        for (constant, value, of) in given {
            if value.is_some() && !of.contains(&name) {
                let optimizer = name.to_possible_value();
                let optimizer = optimizer.as_ref().map_or("", |value| value.get_name());
                bail!("--{constant} is no constant of {optimizer}");
            }
        }
        let momentum = self.momentum.unwrap_or(0.9);
        let beta1 = self.beta1.unwrap_or(0.9);
        let beta2 = self.beta2;
        let epsilon = self.epsilon;
        Ok(match name {
            Sgd => Optimizer::Sgd,
            Momentum => Optimizer::Momentum { momentum },
            Nesterov => Optimizer::Nesterov { momentum },
            Adam => Optimizer::Adam {
                beta1,
                beta2: beta2.unwrap_or(0.999),
                epsilon: epsilon.unwrap_or(1e-8),
            },
            Adamw => Optimizer::AdamW {
                beta1,
                beta2: beta2.unwrap_or(0.999),
                epsilon: epsilon.unwrap_or(1e-8),
            },
            Rmsprop => Optimizer::RmsProp {
                decay: self.decay.unwrap_or(0.9),
                epsilon: epsilon.unwrap_or(1e-8),
            },
            Adagrad => Optimizer::Adagrad {
                epsilon: epsilon.unwrap_or(1e-10),
            },
            Lion => Optimizer::Lion {
                beta1,
                beta2: beta2.unwrap_or(0.99),
            },
        })
    }
}

impl Arguments {
    fn options(&self) -> Result<StepOptions> {
        let update = &self.update;
        let clipping = update.clip_norm.map(Clipping::Norm);
        let goals = self.goals.goals()?;
        let loss = goals[0].loss.clone();
        Ok(StepOptions {
            goals,
            weight_decay: update.weight_decay,
            clipping: clipping.or(update.clip_value.map(Clipping::Value)),
            accumulation: update.accumulate,
            frozen: update.freeze.clone(),
            batch_normalization: match update.batch_norm {
                BatchNorm::Train => BatchNormalization::Train,
                BatchNorm::Freeze => BatchNormalization::Freeze,
            },
            ..StepOptions::new(loss, self.optimizer.optimizer()?)
        })
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let options = arguments.options()?;
    let model = read(&arguments.model)?;
    let shapes = arguments.shapes.of(&model.signature())?;
    let sized = model.with_shapes(&shapes)?;
    let step = StepGraph::build(&sized, &options)
        .with_context(|| format!("{} has no training step", arguments.model.display()))?;
    write(&arguments.out, &step.step)?;
    if let Some(file) = &arguments.evaluation {
        write(file, &step.evaluation)?;
    }
    if let Some(file) = &arguments.model_out {
        write(file, &model.with_initializers()?)?;
    }
    if arguments.json {
        output::line(serde_json::to_string_pretty(&to_json(&step))?)?;
    } else {
        print(&arguments.out, &step)?;
    }
    Ok(())
}

fn write(file: &Path, model: &Model) -> Result<()> {
    std::fs::write(file, model.encode()).with_context(|| format!("writing {}", file.display()))
}

fn to_json(step: &StepGraph) -> serde_json::Value {
    let infos = |infos: &[TensorInfo]| -> Vec<_> {
        let infos = infos.iter();
        infos
            .map(|info| json!({"name": info.name, "text": info.to_string()}))
            .collect()
    };
    let signature = step.step.signature();
    json!({
        "inputs": infos(&signature.inputs),
        "outputs": infos(&signature.outputs),
        "parameters": step.parameters.iter().map(|parameter| &parameter.name).collect::<Vec<_>>(),
        "statistics": step.statistics.iter().map(|statistic| &statistic.name).collect::<Vec<_>>(),
        "slots": step.slots.iter().map(|slot| &slot.name).collect::<Vec<_>>(),
    })
}

fn print(file: &Path, step: &StepGraph) -> io::Result<()> {
    let signature = step.step.signature();
    output::line(file.display())?;
    for (side, tensors) in [("takes", signature.inputs), ("gives", signature.outputs)] {
        for tensor in tensors {
            output::line(format_args!("  {side} {} {tensor}", tensor.name))?;
        }
    }
    Ok(())
}
