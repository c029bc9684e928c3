//! Where a training stands, so that it can go on in another process as if
//! nothing had happened.
//!
//! A checkpoint is one object, `checkpoints/<training>`, replaced as a whole:
//! a JSON head, the numbers of all tensors behind it, a digest at the end. One
//! that can't be read, or that belongs to another training, is none: the
//! training starts anew and ends with the same bytes.

use bytes::Bytes;
use millrace_engine::{Data, Tensor};
use millrace_wire::event::Epoch;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::score::Score;

const MAGIC: &[u8; 8] = b"millrace";
const VERSION: u32 = 5;
const DIGEST: usize = 32;

/// How far a training has come.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Epochs done.
    pub epoch: u32,
    /// Mini-batches done in the epoch under way.
    pub batch: u32,
    /// Optimizer steps done.
    pub step: u64,
    /// The score of the epoch under way.
    pub score: Score,
    /// What was reported of the epochs done.
    pub history: Vec<Epoch>,
    /// The best of the epochs done, where one is looked for.
    pub best: Option<u32>,
    /// With what the steps were computed (`avx512/fast`), each once, in the order of their first use. More than one
    /// where the training went on on another machine.
    pub computed_on: Vec<String>,
}

/// All that a training needs to go on.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// How far it has come.
    pub progress: Progress,
    /// Parameters and optimizer state by name.
    pub tensors: Vec<(String, Tensor)>,
    /// The same after the best epoch; empty where that is not kept.
    pub best: Vec<(String, Tensor)>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    /// The digest of the training's specification.
    training: String,
    progress: Progress,
    tensors: Vec<Place>,
    best: Vec<Place>,
}

#[derive(Serialize, Deserialize)]
struct Place {
    name: String,
    shape: Vec<usize>,
}

/// The name of a training's checkpoint in the artifact store.
pub fn name(training: Uuid) -> String {
    format!("checkpoints/{training}")
}

impl Checkpoint {
    /// The object's bytes; `training` is the digest of the specification.
    pub fn encode(&self, training: &str) -> Bytes {
        let head = Head {
            training: training.to_owned(),
            progress: self.progress.clone(),
            tensors: places(&self.tensors),
            best: places(&self.best),
        };
        let head = serde_json::to_vec(&head).expect("a head has string keys and finite numbers");
        let mut bytes = Vec::from(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((head.len() as u64).to_le_bytes());
        bytes.extend(head);
        for (_, tensor) in self.tensors.iter().chain(&self.best) {
            if let Data::F32(numbers) = &tensor.data {
                bytes.reserve(numbers.len() * 4);
                bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
            }
        }
        let digest = Sha256::digest(&bytes);
        bytes.extend(digest);
        bytes.into()
    }

    /// Reads an object. The error says why it is of no use.
    pub fn decode(bytes: &[u8], training: &str) -> Result<Self, String> {
        let end = bytes.len().saturating_sub(DIGEST);
        let (content, digest) = bytes.split_at(end);
        if Sha256::digest(content)[..] != *digest {
            return Err("it is damaged".to_owned());
        }
        let mut content = content;
        if take(&mut content, MAGIC.len())? != MAGIC
            || take(&mut content, 4)? != VERSION.to_le_bytes()
        {
            return Err("another version of Millrace wrote it".to_owned());
        }
        let length = u64::from_le_bytes(take(&mut content, 8)?.try_into().unwrap_or_default());
        let length = usize::try_from(length).map_err(|error| error.to_string())?;
        let head: Head = serde_json::from_slice(take(&mut content, length)?)
            .map_err(|error| format!("its head can't be read: {error}"))?;
        if head.training != training {
            return Err("it belongs to another training".to_owned());
        }
        Ok(Self {
            progress: head.progress,
            tensors: tensors(head.tensors, &mut content)?,
            best: tensors(head.best, &mut content)?,
        })
    }
}

fn places(tensors: &[(String, Tensor)]) -> Vec<Place> {
    let place = |(name, tensor): &(String, Tensor)| Place {
        name: name.clone(),
        shape: tensor.shape.clone(),
    };
    tensors.iter().map(place).collect()
}

fn tensors(places: Vec<Place>, content: &mut &[u8]) -> Result<Vec<(String, Tensor)>, String> {
    let mut tensors = Vec::new();
    for place in places {
        let numbers = take(content, place.shape.iter().product::<usize>() * 4)?
            .as_chunks::<4>()
            .0
            .iter()
            .map(|number| f32::from_le_bytes(*number))
            .collect();
        let tensor = Tensor {
            shape: place.shape,
            data: Data::F32(numbers),
        };
        tensors.push((place.name, tensor));
    }
    Ok(tensors)
}

fn take<'a>(content: &mut &'a [u8], length: usize) -> Result<&'a [u8], String> {
    let (taken, rest) = content
        .split_at_checked(length)
        .ok_or_else(|| "it is too short".to_owned())?;
    *content = rest;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use std::collections::BTreeMap;

    use super::*;

    fn checkpoint() -> Checkpoint {
        let mut score = Score::default();
        score.add(7);
        score.add_part(0, 7.0, 0.1, Some(3));
        let epoch = Epoch {
            epoch: 1,
            epochs: 5,
            step: 10,
            records_per_second: 1234.5,
            metrics: BTreeMap::from([("loss".to_owned(), 0.25)]),
        };
        let numbers = [f32::MIN_POSITIVE / 2.0, -0.0, 1.5, f32::MAX, 0.1, 3.0];
        let tensor = |shape: &[usize]| Tensor {
            shape: shape.to_vec(),
            data: Data::F32(numbers[..shape.iter().product()].to_vec()),
        };
        Checkpoint {
            progress: Progress {
                epoch: 1,
                batch: 4,
                step: 14,
                score,
                history: vec![epoch],
                best: Some(1),
                computed_on: vec!["avx512/fast".to_owned()],
            },
            tensors: vec![
                ("w".to_owned(), tensor(&[2, 3])),
                ("b".to_owned(), tensor(&[])),
            ],
            best: vec![("w".to_owned(), tensor(&[3, 2]))],
        }
    }

    #[test]
    fn a_checkpoint_reads_back_to_the_bit() {
        let bytes = checkpoint().encode("spec");
        let again = Checkpoint::decode(&bytes, "spec").unwrap();
        assert_eq!(again, checkpoint());
        assert_eq!(again.encode("spec"), bytes);
    }

    #[test]
    fn what_is_damaged_or_foreign_is_no_checkpoint() {
        let bytes = checkpoint().encode("spec");
        assert!(Checkpoint::decode(&bytes, "other").is_err());
        assert!(Checkpoint::decode(&[], "spec").is_err());
        for length in 0..bytes.len() {
            assert!(Checkpoint::decode(&bytes[..length], "spec").is_err());
        }
        let mut damaged = bytes.to_vec();
        damaged[100] ^= 1;
        assert!(Checkpoint::decode(&damaged, "spec").is_err());
    }
}
