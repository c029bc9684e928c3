//! `millrace onnx`: what can be done with an ONNX file alone, without an API and without Kafka.

mod check;
mod shape;
mod step;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use millrace_onnx::Model;
use tempfile::NamedTempFile;

use crate::client::model::self_contained;

/// Commands on ONNX files.
#[derive(Debug, Subcommand)]
pub(super) enum OnnxCommand {
    /// Write the training step of a model as an ONNX graph of standard operators
    Step(Box<step::Arguments>),
    /// Say what of a model can be trained, and what stands in the way
    Check(check::Arguments),
}

pub(super) fn run(command: &OnnxCommand) -> Result<ExitCode> {
    match command {
        OnnxCommand::Step(arguments) => step::run(arguments).map(|()| ExitCode::SUCCESS),
        OnnxCommand::Check(arguments) => check::run(arguments),
    }
}

/// The model's file with its weights inside, wherever an exporter put them.
fn whole(file: &Path) -> Result<NamedTempFile> {
    self_contained(file).with_context(|| format!("{} cannot be used", file.display()))
}

/// The model in memory.
fn read(file: &Path) -> Result<Model> {
    let whole = whole(file)?;
    let bytes = std::fs::read(whole.path()).context("reading the model")?;
    Model::decode(bytes).with_context(|| format!("{} cannot be used", file.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use clap::Parser as _;
    use millrace_onnx::layers::{self, Activation, Layer};
    use tempfile::TempDir;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(subcommand)]
        command: OnnxCommand,
    }

    /// A folder with a classifier in it.
    fn folder() -> TempDir {
        let dense = |units, activation| Layer::Dense {
            units,
            activation,
            bias: true,
        };
        let layers = [dense(5, Activation::Relu), dense(3, Activation::Softmax)];
        let model = layers::build(&[4], &layers, 1).unwrap();
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("model.onnx"), model.encode()).unwrap();
        folder
    }

    /// Runs a command line in a folder: {} stands for it.
    fn call(folder: &TempDir, line: &str) -> Result<ExitCode> {
        let line = line.replace("{}", folder.path().to_str().unwrap());
        let words = std::iter::once("millrace").chain(line.split_whitespace());
        run(&Line::try_parse_from(words)?.command)
    }

    /// An image classifier of any height and width.
    fn open_classifier(folder: &TempDir) {
        let layers = [
            Layer::Conv2d {
                filters: 2,
                kernel: [3, 3],
                stride: [1, 1],
                padding: layers::Padding::Same,
                activation: Activation::Relu,
                bias: true,
            },
            Layer::MaxPooling {
                size: [2, 2],
                stride: [2, 2],
                padding: layers::Padding::Valid,
            },
        ];
        let model = layers::build(&[1, 8, 8], &layers, 1).unwrap();
        let mut proto = model.proto().clone();
        let graph = proto.graph.as_mut().unwrap();
        let size = |name: &str| millrace_onnx::Dim::Symbolic(name.to_owned());
        for described in graph.input.iter_mut().chain(&mut graph.output) {
            let mut info = described.to_info().unwrap();
            let dims = info.dims.as_mut().unwrap();
            let is_input = info.name == "input";
            dims[2] = size(if is_input { "height" } else { "rows" });
            dims[3] = size(if is_input { "width" } else { "columns" });
            *described = millrace_onnx::proto::ValueInfoProto::from_info(&info);
        }
        graph.value_info.clear();
        let model = Model::from_proto(proto).unwrap();
        std::fs::write(folder.path().join("open.onnx"), model.encode()).unwrap();
    }

    #[test]
    fn sizes_that_a_model_leaves_open_are_asked_for_and_taken() {
        let folder = folder();
        open_classifier(&folder);
        let line = "step {}/open.onnx --loss mse --optimizer sgd -o {}/step.onnx";
        let refused = refusal(&folder, line);
        let wanted =
            "dimension 2 of the input 'input' (height), dimension 3 of the input 'input' (width)";
        assert!(refused.contains(wanted), "{refused}");
        assert!(refused.contains("--shape"), "{refused}");
        let check = "check {}/open.onnx";
        let code = |line: &str| format!("{:?}", call(&folder, line).unwrap());
        assert_eq!(code(check), format!("{:?}", ExitCode::from(3)));
        let sized = format!("{check} --shape input=1x6x8");
        assert_eq!(code(&sized), format!("{:?}", ExitCode::SUCCESS));
        call(&folder, &format!("{line} --shape 1x6x8")).unwrap();
        let step = read(&folder.path().join("step.onnx")).unwrap().signature();
        assert_eq!(step.inputs[0].to_string(), "float32[batch, 1, 6, 8]");
        let refused = refusal(&folder, &format!("{line} --shape 3x6x8"));
        assert!(
            refused.contains("float32[batch, 1, height, width]"),
            "{refused}"
        );
        let refused = refusal(&folder, &format!("{line} --shape image=1x6x8"));
        assert!(refused.contains("no input 'image'"), "{refused}");
    }

    fn refusal(folder: &TempDir, line: &str) -> String {
        format!("{:#}", call(folder, line).unwrap_err())
    }

    #[test]
    fn a_step_is_written_with_the_names_of_the_contract() {
        let folder = folder();
        let line = "step {}/model.onnx --loss cross-entropy --label-smoothing 0.1 --optimizer adamw --clip-norm 1 \
                    --freeze dense_1.* --batch-norm freeze -o {}/step.onnx --evaluation {}/evaluation.onnx --json";
        call(&folder, line).unwrap();
        let names = |file: &str| {
            let model = read(&folder.path().join(file)).unwrap();
            let signature = model.signature();
            let inputs = signature.inputs.into_iter().map(|info| info.name);
            inputs.collect::<Vec<_>>()
        };
        let expected = [
            "input",
            "labels",
            "lr",
            "step",
            "seed",
            "dense_2.weight",
            "dense_2.bias",
            "dense_2.weight.m",
            "dense_2.weight.v",
            "dense_2.bias.m",
            "dense_2.bias.v",
        ];
        assert_eq!(names("step.onnx"), expected);
        assert_eq!(
            names("evaluation.onnx"),
            ["input", "labels", "dense_2.weight", "dense_2.bias"]
        );
    }

    #[test]
    fn arguments_that_say_nothing_are_refused() {
        let folder = folder();
        let refused = |rest: &str| {
            refusal(
                &folder,
                &format!("step {{}}/model.onnx -o {{}}/step.onnx {rest}"),
            )
        };
        let entropy = "--loss cross-entropy --optimizer";
        assert!(refused(&format!("{entropy} adam --momentum 0.5")).contains("no constant of adam"));
        assert!(refused(&format!("{entropy} sgd --loss mse")).contains("--loss is given 2 times"));
        assert!(refused(&format!("{entropy} sgd --weight 1 --weight 2")).contains("--weight is"));
        assert!(refused(&format!("{entropy} sgd --freeze nothing")).contains("shall be frozen"));
        assert!(refused(&format!("{entropy} adam --beta1 1.5")).contains("beta1 is 1.5"));
        assert!(refused("--loss mse").contains("--optimizer"));
        assert!(refused(&format!("{entropy} sgd --clip-norm 1 --clip-value 1")).contains("--clip"));
        assert!(!folder.path().join("step.onnx").exists());
    }

    #[test]
    fn a_check_tells_by_its_code_whether_a_model_trains() {
        let folder = folder();
        let code = |line: &str| format!("{:?}", call(&folder, line).unwrap());
        let success = format!("{:?}", ExitCode::SUCCESS);
        assert_eq!(code("check {}/model.onnx"), success);
        assert_eq!(code("check {}/model.onnx --json"), success);
        // In front of the first parameter nothing trains.
        let dense = Layer::Dense {
            units: 3,
            activation: Activation::None,
            bias: false,
        };
        let layers = [Layer::Scale { factor: 0.5 }, dense];
        let model = layers::build(&[4], &layers, 1).unwrap();
        let mut nodes = model.graph().node.iter();
        let scales = nodes.find(|node| node.op_type() != "Constant").unwrap();
        let first = scales.output[0].clone();
        std::fs::write(folder.path().join("scaled.onnx"), model.encode()).unwrap();
        let line = format!("check {{}}/scaled.onnx --output {first}");
        assert_eq!(code(&line), format!("{:?}", ExitCode::from(3)));
        assert!(refusal(&folder, "check {}/nothing.onnx").contains("cannot be used"));
    }
}
