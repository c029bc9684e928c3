//! Models whose weights stand in files beside them, made self-contained.
//!
//! Data files are only read inside the model's folder, wherever links lead. Weights of the graph are streamed from their
//! files to the output; what is written has the fields in the format's own order, so decoding and encoding keep the bytes.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};

use prost::Message;
use prost::encoding::encode_varint;

use crate::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto,
};
use crate::{Error, Model, inspect};

/// What the format's encoding allows.
const MOST_BYTES: u64 = i32::MAX as u64;

/// Reads the model at `path` with the data files beside it, and writes it as one self-contained file. Gives its size.
///
/// Weights are streamed; a model without external data comes out as it is.
///
/// # Errors
/// [`Error::ExternalFile`] where a data file is missing, too short, or outside the model's folder; [`Error::TooLarge`]
/// where the result would exceed the format's 2 GiB; else as [`inspect`](fn@inspect).
pub fn embed(path: &Path, mut output: impl Write) -> Result<u64, Error> {
    let size = std::fs::metadata(path)?.len();
    check_size(size)?;
    match inspect(BufReader::new(File::open(path)?)) {
        Ok(_) => return Ok(std::io::copy(&mut File::open(path)?, &mut output)?),
        Err(Error::ExternalData { .. }) => {}
        Err(error) => return Err(error),
    }
    let mut model = Model::decode(std::fs::read(path)?)?.into_proto();
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.canonicalize()?,
        _ => Path::new(".").canonicalize()?,
    };
    let mut graph = model.graph.take().unwrap_or_default();
    load_within(&mut graph.node, &folder)?;
    for tensor in graph.sparse_initializer.iter_mut().flat_map(tensors_of) {
        load(tensor, &folder)?;
    }
    for function in &mut model.functions {
        load_within(&mut function.node, &folder)?;
    }

    let initializers = std::mem::take(&mut graph.initializer);
    let initializers = initializers
        .into_iter()
        .map(|tensor| Chunk::of(tensor, &folder))
        .collect::<Result<Vec<_>, _>>()?;
    let file = Layout::new(model, graph, initializers);
    check_size(file.bytes())?;
    file.write(&mut output)?;
    output.flush()?;
    Ok(file.bytes())
}

fn check_size(bytes: u64) -> Result<(), Error> {
    if bytes <= MOST_BYTES {
        return Ok(());
    }
    Err(Error::TooLarge {
        reason: format!("it takes {bytes} bytes in one file, and the format allows {MOST_BYTES}"),
    })
}

/// Loads the tensors in the attributes of nodes, which are few and small.
fn load_within(nodes: &mut [NodeProto], folder: &Path) -> Result<(), Error> {
    for attribute in nodes.iter_mut().flat_map(|node| &mut node.attribute) {
        let AttributeProto {
            t,
            g,
            tensors,
            graphs,
            sparse_tensor,
            sparse_tensors,
            ..
        } = attribute;
        let sparse = sparse_tensor
            .iter_mut()
            .chain(sparse_tensors)
            .flat_map(tensors_of);
        for tensor in t.iter_mut().chain(tensors).chain(sparse) {
            load(tensor, folder)?;
        }
        for graph in g.iter_mut().chain(graphs) {
            let sparse = graph.sparse_initializer.iter_mut().flat_map(tensors_of);
            for tensor in graph.initializer.iter_mut().chain(sparse) {
                load(tensor, folder)?;
            }
            load_within(&mut graph.node, folder)?;
        }
    }
    Ok(())
}

fn tensors_of(sparse: &mut SparseTensorProto) -> impl Iterator<Item = &mut TensorProto> {
    sparse.values.iter_mut().chain(&mut sparse.indices)
}

fn load(tensor: &mut TensorProto, folder: &Path) -> Result<(), Error> {
    if !tensor.is_external() {
        return Ok(());
    }
    let range = Range::of(tensor, folder)?;
    check_size(range.length)?;
    let mut raw = Vec::new();
    range.copy_to(&mut raw)?;
    *tensor = TensorProto {
        raw_data: Some(raw.into()),
        external_data: Vec::new(),
        data_location: None,
        ..std::mem::take(tensor)
    };
    Ok(())
}

/// The values of a tensor in a file.
struct Range {
    tensor: String,
    file: PathBuf,
    offset: u64,
    length: u64,
}

impl Range {
    fn of(tensor: &TensorProto, folder: &Path) -> Result<Self, Error> {
        let refused = |reason: String| Error::ExternalFile {
            tensor: tensor.name().to_owned(),
            reason,
        };
        let location = tensor.external("location").unwrap_or_default();
        let file = resolve(location, folder).map_err(refused)?;
        let available = file.metadata()?.len();
        let number = |key: &str| {
            let parse = |text: &str| {
                text.parse::<u64>()
                    .map_err(|_| refused(format!("its {key} '{text}' is not a number")))
            };
            tensor.external(key).map(parse).transpose()
        };
        let offset = number("offset")?.unwrap_or(0);
        let rest = available.saturating_sub(offset);
        let count = tensor.count()? as u64;
        let expected = tensor
            .element()
            .bytes()
            .and_then(|bytes| count.checked_mul(bytes as u64));
        let length = number("length")?.or(expected).unwrap_or(rest);
        if expected.is_some_and(|expected| expected != length) {
            return Err(refused(format!(
                "it has {length} bytes, which does not fit its dimensions {:?}",
                tensor.dims
            )));
        }
        if length > rest {
            return Err(refused(format!(
                "'{location}' has {available} bytes, and bytes {offset} to {} are needed",
                offset.saturating_add(length)
            )));
        }
        Ok(Self {
            tensor: tensor.name().to_owned(),
            file,
            offset,
            length,
        })
    }

    fn copy_to(&self, output: &mut impl Write) -> Result<(), Error> {
        let mut file = File::open(&self.file)?;
        file.seek(SeekFrom::Start(self.offset))?;
        let copied = std::io::copy(&mut file.take(self.length), output)?;
        if copied == self.length {
            return Ok(());
        }
        Err(Error::ExternalFile {
            tensor: self.tensor.clone(),
            reason: format!("'{}' became shorter while it was read", self.file.display()),
        })
    }
}

/// The data file that a location means, which has to be in the model's folder.
fn resolve(location: &str, folder: &Path) -> Result<PathBuf, String> {
    let relative = Path::new(location);
    let leaves =
        |component: Component<'_>| !matches!(component, Component::Normal(_) | Component::CurDir);
    if location.is_empty() || relative.components().any(leaves) {
        return Err(format!(
            "'{location}' is not a path inside the model's folder"
        ));
    }
    let file = folder
        .join(relative)
        .canonicalize()
        .map_err(|error| format!("'{location}' beside the model cannot be opened: {error}"))?;
    if !file.starts_with(folder) {
        return Err(format!(
            "'{location}' is a link that leaves the model's folder"
        ));
    }
    if !file.is_file() {
        return Err(format!("'{location}' is not a file"));
    }
    Ok(file)
}

/// Bytes, or values in a file between bytes.
enum Chunk {
    Inside(Vec<u8>),
    Outside {
        before: Vec<u8>,
        range: Range,
        after: Vec<u8>,
    },
}

impl Chunk {
    /// A tensor: what the format puts before its values, the values, and what comes behind them.
    fn of(tensor: TensorProto, folder: &Path) -> Result<Self, Error> {
        const RAW_DATA: u64 = 9;
        if !tensor.is_external() {
            return Ok(Self::Inside(tensor.encode_to_vec()));
        }
        let range = Range::of(&tensor, folder)?;
        let after = TensorProto {
            doc_string: tensor.doc_string,
            metadata_props: tensor.metadata_props,
            ..TensorProto::default()
        };
        let mut before = TensorProto {
            dims: tensor.dims,
            data_type: tensor.data_type,
            name: tensor.name,
            ..TensorProto::default()
        }
        .encode_to_vec();
        before.extend(header(RAW_DATA, range.length));
        Ok(Self::Outside {
            before,
            range,
            after: after.encode_to_vec(),
        })
    }

    fn bytes(&self) -> u64 {
        match self {
            Self::Inside(bytes) => bytes.len() as u64,
            Self::Outside {
                before,
                range,
                after,
            } => before.len() as u64 + range.length + after.len() as u64,
        }
    }

    fn write(&self, output: &mut impl Write) -> Result<(), Error> {
        match self {
            Self::Inside(bytes) => output.write_all(bytes)?,
            Self::Outside {
                before,
                range,
                after,
            } => {
                output.write_all(before)?;
                range.copy_to(output)?;
                output.write_all(after)?;
            }
        }
        Ok(())
    }
}

/// The file in the order of its fields' numbers.
struct Layout {
    before_graph: Vec<u8>,
    before_initializers: Vec<u8>,
    initializers: Vec<Chunk>,
    after_initializers: Vec<u8>,
    after_graph: Vec<u8>,
}

impl Layout {
    const GRAPH: u64 = 7;
    const INITIALIZER: u64 = 5;

    fn new(model: ModelProto, graph: GraphProto, initializers: Vec<Chunk>) -> Self {
        let before_graph = ModelProto {
            ir_version: model.ir_version,
            producer_name: model.producer_name,
            producer_version: model.producer_version,
            domain: model.domain,
            model_version: model.model_version,
            doc_string: model.doc_string,
            ..ModelProto::default()
        };
        let after_graph = ModelProto {
            opset_import: model.opset_import,
            metadata_props: model.metadata_props,
            training_info: model.training_info,
            functions: model.functions,
            configuration: model.configuration,
            ..ModelProto::default()
        };
        let before_initializers = GraphProto {
            node: graph.node,
            name: graph.name,
            ..GraphProto::default()
        };
        let after_initializers = GraphProto {
            node: Vec::new(),
            name: None,
            ..graph
        };
        Self {
            before_graph: before_graph.encode_to_vec(),
            before_initializers: before_initializers.encode_to_vec(),
            initializers,
            after_initializers: after_initializers.encode_to_vec(),
            after_graph: after_graph.encode_to_vec(),
        }
    }

    fn graph_bytes(&self) -> u64 {
        let initializers = self.initializers.iter().map(Chunk::bytes);
        let initializers: u64 = initializers
            .map(|bytes| header(Self::INITIALIZER, bytes).len() as u64 + bytes)
            .sum();
        self.before_initializers.len() as u64 + initializers + self.after_initializers.len() as u64
    }

    fn bytes(&self) -> u64 {
        let graph = self.graph_bytes();
        let header = header(Self::GRAPH, graph).len() as u64;
        self.before_graph.len() as u64 + header + graph + self.after_graph.len() as u64
    }

    fn write(&self, output: &mut impl Write) -> Result<(), Error> {
        output.write_all(&self.before_graph)?;
        output.write_all(&header(Self::GRAPH, self.graph_bytes()))?;
        output.write_all(&self.before_initializers)?;
        for initializer in &self.initializers {
            output.write_all(&header(Self::INITIALIZER, initializer.bytes()))?;
            initializer.write(output)?;
        }
        output.write_all(&self.after_initializers)?;
        output.write_all(&self.after_graph)?;
        Ok(())
    }
}

/// The number and length that stand before a field's bytes.
fn header(number: u64, length: u64) -> Vec<u8> {
    let mut header = Vec::new();
    encode_varint(number << 3 | 2, &mut header);
    encode_varint(length, &mut header);
    header
}
