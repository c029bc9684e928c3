//! Whether things fit each other: a model and a record format, a model and the outputs that are asked for.

use millrace_wire::function::HandOn;
use millrace_wire::prediction::Choice;
use millrace_wire::record::{RecordFormat, misplaced};
use millrace_wire::signature::{Dimension, Signature, Tensor};

use super::{Code, Error, Result};

/// Types of numbers that a model may take.
const NUMBERS: [&str; 11] = [
    "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "bool",
];
/// The type of texts.
const TEXTS: &str = "string";

/// Checks that a model can be fed with records of a format: their numbers and texts fill its inputs, each in its own type, and each with
/// the batch as its first dimension.
///
/// # Errors
/// `INCOMPATIBLE`, naming both shapes.
pub fn check(signature: &Signature, format: &RecordFormat) -> Result<()> {
    check_shapes(signature, format)?;
    check_texts(signature, format)
}

/// Checks that texts stand where the model takes texts, and numbers where it takes numbers.
fn check_texts(signature: &Signature, format: &RecordFormat) -> Result<()> {
    let inputs: Vec<(&str, usize, bool)> = signature
        .inputs
        .iter()
        .map(|input| {
            let elements = input.row_elements().unwrap_or_else(|| format.elements());
            (&*input.name, elements, input.element_type == TEXTS)
        })
        .collect();
    let Some((input, feature)) = misplaced(&inputs, format) else {
        return Ok(());
    };
    let input = &signature.inputs[input];
    let found = if input.element_type == TEXTS {
        "a number: `text: true` makes a field of JSON, AVRO or PROTOBUF a text"
    } else {
        "a text"
    };
    Err(incompatible(format!(
        "the model's input {} is {} {}, and feature {feature} of a record, which has the shape {}, is {found}",
        input.name,
        input.element_type,
        input.shape_text(),
        shape_text(&format.shape())
    )))
}

fn check_shapes(signature: &Signature, format: &RecordFormat) -> Result<()> {
    if let [input] = signature.inputs.as_slice()
        && input.element_type == "float32"
    {
        return check_one(input, format);
    }
    let record = shape_text(&format.shape());
    let mut taken = 0;
    for input in &signature.inputs {
        let model = format!("{} {}", input.element_type, input.shape_text());
        let refuse = |reason: &str| {
            Err(incompatible(format!(
                "the model's input {} is {model}{reason}; records are decoded to the shape {record}",
                input.name
            )))
        };
        if input.element_type != TEXTS && !NUMBERS.contains(&input.element_type.as_str()) {
            return refuse(", which no record fills");
        }
        match input.shape.first() {
            None => return refuse(", without a batch dimension"),
            Some(Dimension::Fixed(_)) => {
                return refuse(": export it with a dynamic batch dimension");
            }
            Some(Dimension::Symbolic(_) | Dimension::Unknown(())) => {}
        }
        match input.row_elements() {
            Some(elements) => taken += elements,
            None if signature.inputs.len() == 1 => taken = format.elements(),
            None => return refuse(", which does not say how many numbers it takes"),
        }
    }
    if taken == format.elements() {
        return Ok(());
    }
    Err(incompatible(format!(
        "the model's inputs ({}) take {taken} numbers, and a record has the shape {record}",
        inputs_text(signature)
    )))
}

/// Checks a model of one float32 input: its first dimension is the batch, and it has as many elements behind it as a record.
fn check_one(input: &Tensor, format: &RecordFormat) -> Result<()> {
    let record = shape_text(&format.shape());
    let model = format!("{} {}", input.element_type, input.shape_text());
    let Some((batch, rest)) = input.shape.split_first() else {
        return Err(incompatible(format!(
            "the model's input {} is {model}, without a batch dimension; records have the shape {record}",
            input.name
        )));
    };
    if let Dimension::Fixed(size) = batch {
        return Err(incompatible(format!(
            "the model's input {} is {model}: it takes exactly {size} records of the shape {record} at once; export it with a dynamic batch dimension",
            input.name
        )));
    }
    let fixed: Option<Vec<i64>> = rest
        .iter()
        .map(|dimension| match dimension {
            Dimension::Fixed(size) => Some(*size),
            Dimension::Symbolic(_) | Dimension::Unknown(()) => None,
        })
        .collect();
    let fits = match fixed {
        // The order of elements is the same, so [64] and [1, 8, 8] hold the same record.
        Some(sizes) => usize::try_from(sizes.iter().product::<i64>()) == Ok(format.elements()),
        None => takes(rest, &format.shape()),
    };
    if fits {
        return Ok(());
    }
    Err(incompatible(format!(
        "the model's input {} is {model}, but a record has the shape {record}",
        input.name
    )))
}

/// Whether dimensions of which some are open take records of a shape.
fn takes(dimensions: &[Dimension], shape: &[u32]) -> bool {
    let mut places = dimensions.iter().zip(shape);
    dimensions.len() == shape.len()
        && places.all(|(dimension, size)| match dimension {
            Dimension::Fixed(fixed) => *fixed == i64::from(*size),
            Dimension::Symbolic(_) | Dimension::Unknown(()) => true,
        })
}

/// Checks that a model has the outputs that are asked for; all that is no tensor counts as an output.
///
/// # Errors
/// `INCOMPATIBLE`, naming those that it has.
pub fn check_outputs(
    signature: &Signature,
    asked: &[Choice],
    hand_on: Option<&HandOn>,
) -> Result<()> {
    // Of a version from before the others were kept, its functions will tell.
    let Some(others) = &signature.others else {
        return Ok(());
    };
    let names = signature.outputs.iter().map(|output| &output.name);
    let names: Vec<&String> = names.chain(others).collect();
    let sureness = hand_on.map(|hand_on| &hand_on.output);
    let mut asked = asked.iter().map(|choice| &choice.name).chain(sureness);
    let Some(missing) = asked.find(|name| !names.contains(name)) else {
        return Ok(());
    };
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    Err(incompatible(format!(
        "the model has no output {:?}; its outputs are {}",
        missing,
        names.join(", ")
    )))
}

fn inputs_text(signature: &Signature) -> String {
    let inputs = signature.inputs.iter().map(|input| {
        let (name, kind) = (&input.name, &input.element_type);
        format!("{name} {kind} {}", input.shape_text())
    });
    inputs.collect::<Vec<String>>().join(", ")
}

fn incompatible(message: String) -> Error {
    Error::new(Code::Incompatible, message)
}

fn shape_text(shape: &[u32]) -> String {
    let sizes: Vec<String> = shape.iter().map(u32::to_string).collect();
    format!("[{}]", sizes.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use millrace_wire::record::{ByteOrder, Dtype, RawArray};
    use serde_json::json;

    use super::*;

    fn signature(shape: &serde_json::Value) -> Signature {
        let input = json!({"name": "x", "type": "float32", "shape": shape});
        serde_json::from_value(json!({"inputs": [input], "outputs": []})).unwrap()
    }

    fn format(shape: &[u32]) -> RecordFormat {
        RecordFormat::Raw(RawArray {
            dtype: Dtype::Uint8,
            shape: shape.to_vec(),
            byte_order: ByteOrder::Little,
        })
    }

    #[test]
    fn shapes_must_fit() {
        check(&signature(&json!(["n", 64])), &format(&[64])).unwrap();
        check(&signature(&json!([null, 1, 8, 8])), &format(&[64])).unwrap();
        check(&signature(&json!([null, null, 4])), &format(&[3, 4])).unwrap();
        let error = check(&signature(&json!(["n", 64])), &format(&[63])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the model's input x is float32 [n, 64], but a record has the shape [63]"
        );
        check(&signature(&json!(["n", "height", 5])), &format(&[3, 4])).unwrap_err();
    }

    #[test]
    fn outputs_that_are_asked_for_must_be_there() {
        let output = |name: &str| json!({"name": name, "type": "float32", "shape": ["n"]});
        let signature =
            json!({"inputs": [], "outputs": [output("label"), output("score")], "others": ["map"]});
        let signature: Signature = serde_json::from_value(signature).unwrap();
        let score = [Choice::whole("score")];
        check_outputs(&signature, &[], None).unwrap();
        check_outputs(&signature, &score, None).unwrap();
        check_outputs(&signature, &[Choice::whole("map")], None).unwrap();
        let hand_on = HandOn {
            topic: "next".to_owned(),
            output: "sureness".to_owned(),
            below: 0.5,
        };
        let error = check_outputs(&signature, &score, Some(&hand_on)).unwrap_err();
        assert!(error.to_string().contains(r#"no output "sureness""#));
        let error = check_outputs(&signature, &[Choice::whole("scores")], None).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"the model has no output "scores"; its outputs are "label", "score", "map""#
        );
    }

    #[test]
    fn several_inputs_of_any_type_share_a_record() {
        let input = |name: &str, kind: &str, shape: serde_json::Value| json!({"name": name, "type": kind, "shape": shape});
        let signature = |inputs: Vec<serde_json::Value>| -> Signature {
            serde_json::from_value(json!({"inputs": inputs, "outputs": []})).unwrap()
        };
        let columns = vec![
            input("a", "int64", json!([null, 1])),
            input("b", "float64", json!(["n", 2])),
            input("c", "bool", json!(["n"])),
        ];
        check(&signature(columns), &format(&[4])).unwrap();
        for (inputs, words) in [
            (
                vec![input("a", "string", json!([null, 4]))],
                "feature 0 of a record, which has the shape [4], is a number",
            ),
            (
                vec![input("a", "float16", json!([null, 4]))],
                "no record fills",
            ),
            (vec![input("a", "int64", json!([4]))], "dynamic batch"),
            (
                vec![input("a", "int64", json!([null, 3]))],
                "take 3 numbers",
            ),
            (
                vec![input("a", "int64", json!([null, null])); 2],
                "how many",
            ),
        ] {
            let error = check(&signature(inputs), &format(&[4])).unwrap_err();
            let error = error.to_string();
            assert!(error.contains(words) && error.contains("[4]"), "{error}");
        }
    }

    #[test]
    fn texts_and_numbers_stand_in_their_places() {
        let input = |name: &str, kind: &str, size: u32| json!({"name": name, "type": kind, "shape": [null, size]});
        let signature = |inputs: Vec<serde_json::Value>| -> Signature {
            serde_json::from_value(json!({"inputs": inputs, "outputs": []})).unwrap()
        };
        let fields = json!([{"pointer": "/age"}, {"pointer": "/town", "text": true}]);
        let format = json!({"type": "JSON", "fields": fields});
        let format: RecordFormat = serde_json::from_value(format).unwrap();
        let columns = vec![input("town", "string", 1), input("age", "float32", 1)];
        check(&signature(columns), &format).unwrap();
        for (inputs, words) in [
            (
                vec![input("x", "float32", 2)],
                "x is float32 [?, 2], and feature 1",
            ),
            (
                vec![input("x", "string", 2)],
                "x is string [?, 2], and feature 0",
            ),
            (
                vec![input("a", "string", 1), input("b", "int64", 1)],
                "a is string [?, 1], and feature 0",
            ),
        ] {
            let error = check(&signature(inputs), &format).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn whatever_does_not_fit_is_named_with_both_shapes() {
        let input = |kind: &str, shape: serde_json::Value| json!({"name": "x", "type": kind, "shape": shape});
        let misfits = [
            (vec![input("float32", json!(["n", 9]))], "[n, 9]"),
            (vec![input("float32", json!([32, 8]))], "[32, 8]"),
            (vec![input("float32", json!([]))], "[]"),
            (vec![input("string", json!(["n", 8]))], "[n, 8]"),
            (vec![input("float32", json!(["n", null, 2]))], "[n, ?, 2]"),
            (vec![input("float32", json!(["n", 8])); 2], "[n, 8]"),
        ];
        for (inputs, model) in misfits {
            let signature = json!({"inputs": inputs, "outputs": []});
            let signature = serde_json::from_value(signature).unwrap();
            let error = check(&signature, &format(&[8])).unwrap_err();
            let both = error.to_string();
            assert!(both.contains(model) && both.contains("[8]"), "{both}");
        }
    }
}
