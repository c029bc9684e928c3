//! What unit tests share.

use std::collections::BTreeMap;

use millrace_wire::record::{
    ByteOrder, Dtype, Encoding, Label, LabelSource, RawArray, RecordFormat,
};
use millrace_wire::registry::Version;
use millrace_wire::segment::{Manifest, Range};
use millrace_wire::signature::Signature;
use millrace_wire::split::Split;
use millrace_wire::training::{Hyperparameters, Loss, Optimizer, TrainingSpec};
use millrace_wire::tuning::Tuning;
use uuid::Uuid;

/// A training of a segment with two partitions of three and two records, two bytes each.
pub fn spec(id: Uuid) -> TrainingSpec {
    TrainingSpec {
        id,
        project: "default".to_owned(),
        model: "digits".to_owned(),
        version: Version {
            version: 1,
            digest: "0".repeat(64),
            size: 0,
            signature: Signature {
                inputs: Vec::new(),
                outputs: Vec::new(),
                others: None,
            },
            samples: None,
        },
        connection: BTreeMap::new(),
        segment: Manifest {
            id: Uuid::nil(),
            cluster_id: "cluster".to_owned(),
            topic_id: "topic-id".to_owned(),
            topic: "digits".to_owned(),
            partitions: vec![range(0, 10, 3), range(4, 0, 2)],
            count: 5,
            digest: String::new(),
            split: Split {
                seed: 1,
                validation: 0.0,
                test: 0.0,
            },
            pinned: None,
            retained_until: None,
        },
        format: RecordFormat::Raw(RawArray {
            dtype: Dtype::Uint8,
            shape: vec![2],
            byte_order: ByteOrder::Little,
        }),
        label: Label {
            source: LabelSource::Header {
                name: "label".to_owned(),
            },
            encoding: Encoding::Text,
        },
        hyperparameters: Hyperparameters {
            epochs: 3,
            batch_size: 2,
            optimizer: Optimizer::Sgd,
            learning_rate: 0.1,
            loss: Loss::CrossEntropy,
            max_bad_records: 0.0,
            tuning: Tuning::default(),
            early_stopping: None,
        },
        seed: 7,
        dead_letter_topic: "dlq".to_owned(),
    }
}

fn range(partition: i32, start: i64, count: u64) -> Range {
    Range {
        partition,
        start,
        end: start + 100,
        count,
    }
}
