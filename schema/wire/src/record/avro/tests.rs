//! Avro as other implementations write it, and as it should not be.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use apache_avro::Schema as Reference;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as AvroValue;
use apache_avro::writer::datum::GenericDatumWriter;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::record::tests::decode_with;
use crate::record::{
    DecodeError, Decoder, Label, Parts, RecordFormat, Reference as Referred, SchemaDocument,
    SchemaKey, SchemaKind, Written, avro_record, framed,
};

/// Records of this schema, with fields and more settings of the format.
fn format(schema: &Value, fields: &Value, more: &Value) -> RecordFormat {
    let mut format = json!({
        "type": "AVRO", "writer": {"type": "SCHEMA", "schema": schema.to_string()}, "fields": fields,
    });
    let more = more.as_object().unwrap().clone();
    format.as_object_mut().unwrap().extend(more);
    serde_json::from_value(format).unwrap()
}

fn checked(schema: &Value, fields: &Value) -> RecordFormat {
    let format = format(schema, fields, &json!({}));
    format.check(None).unwrap();
    format
}

/// As the reference writes it.
fn encode(schema: &Value, value: AvroValue) -> Vec<u8> {
    let schema = Reference::parse(schema).unwrap();
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();
    writer.write_value_to_vec(value).unwrap()
}

fn record(fields: Vec<(&str, AvroValue)>) -> AvroValue {
    let fields = fields.into_iter();
    AvroValue::Record(
        fields
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}

fn decode(format: &RecordFormat, bytes: &[u8]) -> Result<Vec<f32>, DecodeError> {
    decode_with(&mut Decoder::new(format, None), bytes, &())
}

fn refusal(format: &RecordFormat, bytes: &[u8]) -> (&'static str, String) {
    let error = decode(format, bytes).unwrap_err();
    (error.code(), error.to_string())
}

/// A reading with everything in it that stands in the way.
fn reading() -> Value {
    json!({"type": "record", "name": "Reading", "namespace": "acme", "fields": [
        {"name": "id", "type": "string"},
        {"name": "x", "type": "double"},
        {"name": "y", "type": "float"},
        {"name": "count", "type": {"type": "int", "logicalType": "date"}},
        {"name": "good", "type": "boolean"},
        {"name": "pressure", "type": ["null", "double"]},
        {"name": "tree", "type": {"type": "record", "name": "Tree", "fields": [
            {"name": "size", "type": "long"},
            {"name": "left", "type": ["null", "Tree"]},
            {"name": "right", "type": ["null", "acme.Tree"]},
        ]}},
        {"name": "color", "type": {"type": "enum", "name": "Color", "symbols": ["RED", "GREEN"]}},
        {"name": "pixels", "type": "bytes"},
        {"name": "matrix", "type": {"type": "array", "items": {"type": "array", "items": "int"}}},
        {"name": "sensors", "type": {"type": "map", "values": ["string", "long"]}},
        {"name": "tags", "type": {"type": "array", "items": ["null", "string", "Tree"]}},
    ]})
}

fn tree(size: i64, left: Option<AvroValue>) -> AvroValue {
    let left = match left {
        None => AvroValue::Union(0, Box::new(AvroValue::Null)),
        Some(tree) => AvroValue::Union(1, Box::new(tree)),
    };
    let right = AvroValue::Union(0, Box::new(AvroValue::Null));
    record(vec![
        ("size", AvroValue::Long(size)),
        ("left", left),
        ("right", right),
    ])
}

fn reading_value(pressure: Option<f64>) -> AvroValue {
    let ints =
        |numbers: &[i32]| AvroValue::Array(numbers.iter().map(|n| AvroValue::Int(*n)).collect());
    let pressure = match pressure {
        None => AvroValue::Union(0, Box::new(AvroValue::Null)),
        Some(pressure) => AvroValue::Union(1, Box::new(AvroValue::Double(pressure))),
    };
    let text = |text: &str| AvroValue::String(text.to_owned());
    record(vec![
        ("id", text("a-1")),
        ("x", AvroValue::Double(1.5)),
        ("y", AvroValue::Float(-2.5)),
        ("count", AvroValue::Int(-300)),
        ("good", AvroValue::Boolean(true)),
        ("pressure", pressure),
        ("tree", tree(1, Some(tree(2, Some(tree(3, None)))))),
        ("color", AvroValue::Enum(1, "GREEN".to_owned())),
        ("pixels", AvroValue::Bytes(vec![0, 128, 255])),
        (
            "matrix",
            AvroValue::Array(vec![ints(&[1, 2, 3]), ints(&[4, 5, 6])]),
        ),
        (
            "sensors",
            AvroValue::Map(
                [
                    (
                        "a".to_owned(),
                        AvroValue::Union(1, Box::new(AvroValue::Long(70))),
                    ),
                    ("b".to_owned(), AvroValue::Union(0, Box::new(text("off")))),
                ]
                .into(),
            ),
        ),
        (
            "tags",
            AvroValue::Array(vec![
                AvroValue::Union(1, Box::new(text("tag"))),
                AvroValue::Union(2, Box::new(tree(5, None))),
            ]),
        ),
    ])
}

#[test]
fn fields_are_found_wherever_they_stand_and_the_rest_is_skipped() {
    let schema = reading();
    let bytes = encode(&schema, reading_value(Some(3.25)));
    for (fields, expected) in [
        (
            json!([{"pointer": "/x"}, {"pointer": "/y"}]),
            vec![1.5, -2.5],
        ),
        (
            json!([{"pointer": "/y"}, {"pointer": "/x"}]),
            vec![-2.5, 1.5],
        ),
        (
            json!([{"pointer": "/count"}, {"pointer": "/good"}, {"pointer": "/color"}]),
            vec![-300.0, 1.0, 1.0],
        ),
        (json!([{"pointer": "/pressure"}]), vec![3.25]),
        (
            json!([{"pointer": "/tree/left/left/size"}, {"pointer": "/tree/size"}]),
            vec![3.0, 1.0],
        ),
        (
            json!([{"pointer": "/pixels", "shape": [3, 1]}]),
            vec![0.0, 128.0, 255.0],
        ),
        (
            json!([{"pointer": "/matrix", "shape": [2, 3]}]),
            vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        ),
        (
            json!([{"pointer": "/matrix/1/2"}, {"pointer": "/matrix/0/0"}]),
            vec![6.0, 1.0],
        ),
        (
            json!([{"pointer": "/sensors/a"}, {"pointer": "/tags/1/size"}]),
            vec![70.0, 5.0],
        ),
    ] {
        assert_eq!(
            decode(&checked(&schema, &fields), &bytes).unwrap(),
            expected,
            "{fields}"
        );
    }
}

#[test]
fn what_does_not_fit_is_told() {
    let schema = reading();
    let bytes = encode(&schema, reading_value(None));
    for (fields, code, text) in [
        (
            json!([{"pointer": "/pressure"}]),
            "field-missing",
            r#"the field "/pressure" is null"#,
        ),
        (
            json!([{"pointer": "/tree/right/size"}]),
            "field-missing",
            "is missing",
        ),
        (
            json!([{"pointer": "/sensors/c"}]),
            "field-missing",
            "is missing",
        ),
        (
            json!([{"pointer": "/sensors/b"}]),
            "field-type",
            "holds text",
        ),
        (
            json!([{"pointer": "/matrix/2/0"}]),
            "field-missing",
            "is missing",
        ),
        (
            json!([{"pointer": "/matrix", "shape": [3, 2]}]),
            "field-shape",
            "3 where 2",
        ),
        (
            json!([{"pointer": "/matrix", "shape": [2, 2]}]),
            "field-shape",
            "3 where 2",
        ),
        (
            json!([{"pointer": "/pixels", "shape": [4]}]),
            "field-shape",
            "3 where 4",
        ),
    ] {
        let (found, message) = refusal(&checked(&schema, &fields), &bytes);
        assert_eq!(found, code, "{fields}: {message}");
        assert!(message.contains(text), "{message}");
    }
    let fields = json!([{"pointer": "/pressure"}, {"pointer": "/x"}, {"pointer": "/sensors/c"}]);
    let with_nan = format(&schema, &fields, &json!({"missing": "NAN"}));
    let row = decode(&with_nan, &bytes).unwrap();
    assert!(row[0].is_nan() && row[2].is_nan());
    assert_eq!(row[1].to_bits(), 1.5_f32.to_bits());

    let x = checked(&schema, &json!([{"pointer": "/x"}]));
    let mut longer = bytes.clone();
    longer.push(0);
    for (bytes, text) in [
        (&longer[..], "1 bytes are left over"),
        (&bytes[..9], "it ends in the middle"),
        (&[], "it ends in the middle"),
    ] {
        let (code, message) = refusal(&x, bytes);
        assert_eq!(code, "avro");
        assert!(message.contains(text), "{message}");
    }

    let long = checked(
        &json!({"type": "array", "items": "long"}),
        &json!([{"pointer": "", "shape": [2]}]),
    );
    let value = AvroValue::Array(vec![AvroValue::Long(1), AvroValue::Long((1 << 24) + 1)]);
    let (code, message) = refusal(
        &long,
        &encode(&json!({"type": "array", "items": "long"}), value),
    );
    assert_eq!(
        (code, message.as_str()),
        (
            "number",
            r#"element 1 of the field "" is 16777217, which float32 cannot hold"#
        )
    );
}

#[test]
fn a_format_that_no_record_fits_is_refused() {
    let refused = |schema: &Value, fields: Value| {
        let format = format(schema, &fields, &json!({}));
        format.check(None).unwrap_err().to_string()
    };
    let schema = reading();
    for (fields, reason) in [
        (
            json!([{"pointer": "/z"}]),
            r#"the field "/z" is missing, in every record of the schema record acme.Reading"#,
        ),
        (json!([{"pointer": "/id"}]), "holds text"),
        (
            json!([{"pointer": "/x", "shape": [2]}]),
            "has the shape [] where [2]",
        ),
        (
            json!([{"pointer": "/matrix", "shape": [2, 1, 1, 1]}]),
            "nested 2 deep",
        ),
        (json!([{"pointer": "/x/y"}]), "is missing"),
    ] {
        let error = refused(&schema, fields);
        assert!(error.contains(reason), "{error}");
    }
    for (schema, reason) in [
        (json!("nothing"), "nothing says what the type"),
        (json!({"type": "record", "name": "A"}), "has no fields"),
        (
            json!({"type": "record", "name": "int", "fields": []}),
            "Avro's own",
        ),
        (
            json!({"type": "enum", "name": "A", "symbols": 1}),
            "no list of names",
        ),
        (json!([]), "no branches"),
        (json!({"type": "array"}), "no `items`"),
        (json!(7), "7 is no type"),
    ] {
        let error = refused(&schema, json!([{"pointer": ""}]));
        assert!(error.contains(reason), "{error}");
    }
    let mut deep = json!("int");
    for _ in 0..100 {
        deep = json!({"type": "array", "items": deep});
    }
    assert!(refused(&deep, json!([{"pointer": ""}])).contains("deep in each other"));
}

/// The writers of a topic change; the datasource keeps its schema.
#[test]
fn writers_schemas_are_resolved_against_the_readers() {
    let reader = json!({"type": "record", "name": "Point", "fields": [
        {"name": "x", "type": "double", "aliases": ["old_x"]},
        {"name": "y", "type": ["null", "double"], "default": null},
        {"name": "z", "type": "int", "default": 7},
        {"name": "w", "type": {"type": "array", "items": "float"}, "default": [1.5, 2]},
        {"name": "color", "type": {"type": "enum", "name": "Color", "symbols": ["NONE", "GREEN"], "default": "NONE"}, "default": "GREEN"},
        {"name": "in", "type": {"type": "record", "name": "In", "fields": [{"name": "a", "type": "long", "default": 4}]}, "default": {}},
    ]});
    let fields = json!([
        {"pointer": "/x"}, {"pointer": "/y"}, {"pointer": "/z"}, {"pointer": "/w", "shape": [2]}, {"pointer": "/color"}, {"pointer": "/in/a"},
    ]);
    let read = |writer: &Value, value: AvroValue, missing: &str| {
        let more = json!({"reader_schema": reader.to_string(), "missing": missing});
        let format = format(writer, &fields, &more);
        decode(&format, &encode(writer, value))
    };
    let first = json!({"type": "record", "name": "Point", "fields": [
        {"name": "gone", "type": "string"}, {"name": "old_x", "type": "long"},
        {"name": "color", "type": {"type": "enum", "name": "Color", "symbols": ["BLUE", "GREEN"]}},
    ]});
    let value = |color: u32, name: &str| {
        record(vec![
            ("gone", AvroValue::String("text".to_owned())),
            ("old_x", AvroValue::Long(3)),
            ("color", AvroValue::Enum(color, name.to_owned())),
        ])
    };
    let row = read(&first, value(1, "GREEN"), "NAN").unwrap();
    assert!(row[1].is_nan());
    assert_eq!((row[0], &row[2..]), (3.0, &[7.0, 1.5, 2.0, 1.0, 4.0][..]));
    let row = read(&first, value(0, "BLUE"), "NAN").unwrap();
    assert_eq!(
        row[5].to_bits(),
        0.0_f32.to_bits(),
        "an unknown symbol becomes the reader's default"
    );
    let error = read(&first, value(1, "GREEN"), "REFUSE").unwrap_err();
    assert_eq!(error.code(), "field-missing");

    let broken =
        json!({"type": "record", "name": "Point", "fields": [{"name": "x", "type": "string"}]});
    let error = read(
        &broken,
        record(vec![("x", AvroValue::String("1".to_owned()))]),
        "NAN",
    )
    .unwrap_err();
    assert_eq!(error.code(), "schema-mismatch");
    assert_eq!(
        error.to_string(),
        "the writer's schema record Point does not fit the reader's schema record Point: the writer's string cannot be read as the reader's double"
    );
    let broken = json!({"type": "record", "name": "Point", "fields": []});
    let error = read(&broken, record(vec![]), "NAN").unwrap_err();
    assert!(
        error
            .to_string()
            .contains(r#"has no field "x", for which the reader's schema has no default"#),
        "{error}"
    );
}

#[test]
fn labels_and_keys_are_avro_too() {
    let schema = reading();
    let label: Label =
        serde_json::from_value(json!({"source": {"type": "FIELD", "pointer": "/color"}})).unwrap();
    let format = format(&schema, &json!([{"pointer": "/x"}]), &json!({}));
    format.check(Some(&label)).unwrap();
    let value = encode(&schema, reading_value(None));
    // Kafka-ML's producers write the label as a record of its own into the key.
    let of_key =
        json!({"type": "record", "name": "Label", "fields": [{"name": "label", "type": "int"}]});
    let in_key: Label = serde_json::from_value(json!({"source": {"type": "KEY"}, "encoding": {
        "type": "AVRO", "writer": {"type": "SCHEMA", "schema": of_key.to_string()}, "fields": [{"pointer": "/label"}],
    }}))
    .unwrap();
    format.check(Some(&in_key)).unwrap();
    let key = encode(&of_key, record(vec![("label", AvroValue::Int(8))]));
    let parts = Parts {
        key: Some(&key),
        value: Some(&value),
        timestamp_ms: None,
        headers: &(),
    };
    for (label, expected) in [(label, 1.0), (in_key, 8.0)] {
        let (mut row, mut labels) = (Vec::new(), Vec::new());
        let mut decoder = Decoder::new(&format, Some(&label));
        decoder.decode(&parts, &mut row, &mut labels).unwrap();
        assert_eq!((row, labels), (vec![1.5], vec![expected]));
    }
}

#[test]
fn the_registry_says_which_schema_a_record_has() {
    let point = |fields: &[&str]| {
        let fields = fields
            .iter()
            .map(|name| json!({"name": name, "type": "float"}));
        json!({"type": "record", "name": "Point", "fields": fields.collect::<Vec<_>>()})
    };
    let format: RecordFormat = serde_json::from_value(json!({
        "type": "AVRO", "writer": {"type": "REGISTRY"}, "fields": [{"pointer": "/x"}, {"pointer": "/y"}],
    }))
    .unwrap();
    format.check(None).unwrap();
    let bytes = |schema: &Value, numbers: &[(&str, f32)]| {
        let fields = numbers
            .iter()
            .map(|(name, number)| (*name, AvroValue::Float(*number)));
        encode(schema, record(fields.collect()))
    };
    let mut decoder = Decoder::new(&format, None);
    let avro = |text: String| SchemaDocument {
        kind: SchemaKind::Avro,
        text,
        references: Vec::new(),
    };
    let (first, second) = (point(&["x", "y"]), point(&["y", "more", "x"]));
    let of_first = framed(7_u32, &bytes(&first, &[("x", 1.0), ("y", 2.0)]));
    let of_second = bytes(&second, &[("y", 4.0), ("more", 9.0), ("x", 3.0)]);
    let error = decode_with(&mut decoder, &of_first, &()).unwrap_err();
    assert_eq!(error.awaits(), Some(SchemaKey::Id(7)));
    decoder.learn(SchemaKey::Id(7), &avro(first.to_string()));
    assert_eq!(
        decode_with(&mut decoder, &of_first, &()).unwrap(),
        [1.0, 2.0]
    );

    // The id may stand in a header, and be a GUID.
    let guid = uuid::Uuid::from_u128(12);
    let in_header = [&[1], &guid.as_bytes()[..]].concat();
    let headers: &[(&str, Option<&[u8]>)] = &[("__value_schema_id", Some(&in_header))];
    let error = decode_with(&mut decoder, &of_second, &headers).unwrap_err();
    assert_eq!(error.awaits(), Some(SchemaKey::Guid(12)));
    decoder.learn(SchemaKey::Guid(12), &avro(second.to_string()));
    assert_eq!(
        decode_with(&mut decoder, &of_second, &headers).unwrap(),
        [3.0, 4.0]
    );
    assert_eq!(
        decode_with(&mut decoder, &of_first, &()).unwrap(),
        [1.0, 2.0]
    );

    for (bytes, text) in [
        (&[2, 0, 0, 0, 7][..], "begins with the byte 2"),
        (&[0, 0, 0], "ends in the middle"),
        (&[], "it is empty"),
    ] {
        let error = decode_with(&mut decoder, bytes, &()).unwrap_err();
        assert_eq!(error.code(), "schema-framing");
        assert!(error.to_string().contains(text), "{error}");
    }
    let unknown = SchemaDocument {
        kind: SchemaKind::Json,
        ..avro("{}".to_owned())
    };
    decoder.learn(SchemaKey::Id(8), &unknown);
    let error = decode_with(&mut decoder, &framed(8_u32, &[]), &()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the schema 8 cannot be used: it is a schema of JSON"),
        "{error}"
    );

    // One that uses another.
    let outer = json!({"type": "record", "name": "Outer", "fields": [{"name": "x", "type": "float"}, {"name": "y", "type": "Inner"}]});
    let inner = json!({"type": "fixed", "name": "Inner", "size": 1});
    decoder.learn(
        SchemaKey::Id(9),
        &SchemaDocument {
            references: vec![Referred {
                name: "Inner".to_owned(),
                text: inner.to_string(),
            }],
            ..avro(outer.to_string())
        },
    );
    let error = decode_with(&mut decoder, &framed(9_u32, &[0, 0, 128, 63, 5]), &());
    assert_eq!(error.unwrap(), [1.0, 5.0]);
}

/// What rows become, the reference reads as it was meant.
#[test]
fn rows_become_records_of_the_schema() {
    let schema = json!({"type": "record", "name": "A", "fields": [
        {"name": "id", "type": "string", "default": "none"},
        {"name": "x", "type": ["null", "double"]},
        {"name": "in", "type": ["null", {"type": "record", "name": "In", "fields": [
            {"name": "n", "type": "long"}, {"name": "note", "type": ["null", "string"], "default": null},
        ]}]},
        {"name": "matrix", "type": {"type": "array", "items": {"type": "array", "items": "float"}}},
        {"name": "flat", "type": {"type": "array", "items": "int"}},
        {"name": "bytes", "type": "bytes"},
        {"name": "good", "type": "boolean"},
    ]});
    let fields = json!([
        {"pointer": "/x"}, {"pointer": "/in/n"}, {"pointer": "/matrix", "shape": [2, 2]},
        {"pointer": "/flat", "shape": [2, 1]}, {"pointer": "/bytes", "shape": [2]}, {"pointer": "/good"},
    ]);
    let numbers = [
        json!(null),
        json!(-70),
        json!(1.5),
        json!(2),
        json!(3),
        json!(4),
        json!(5),
        json!(6),
        json!(7),
        json!(255),
        json!(1),
    ];
    let write = |numbers: &[Value]| {
        let written: Vec<Written<'_>> = [
            ("/x", &[][..], 0..1),
            ("/in/n", &[], 1..2),
            ("/matrix", &[2, 2], 2..6),
            ("/flat", &[2, 1], 6..8),
            ("/bytes", &[2], 8..10),
            ("/good", &[], 10..11),
        ]
        .into_iter()
        .map(|(pointer, shape, range)| Written {
            pointer,
            shape,
            numbers: &numbers[range],
            in_text: false,
        })
        .collect();
        avro_record(&schema.to_string(), &written)
    };
    let bytes = write(&numbers).unwrap();
    let with_nan = format(&schema, &fields, &json!({"missing": "NAN"}));
    let row = decode(&with_nan, &bytes).unwrap();
    assert!(row[0].is_nan());
    assert_eq!(
        row[1..],
        [-70.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 255.0, 1.0]
    );
    let parsed = Reference::parse(&schema).unwrap();
    let reader = GenericDatumReader::builder(&parsed).build().unwrap();
    reader.read_value(&mut bytes.as_slice()).unwrap();
    for (place, wrong) in [
        (1, json!(1.5)),
        (8, json!(256)),
        (10, json!(2)),
        (2, json!(null)),
    ] {
        let mut numbers = numbers.clone();
        numbers[place] = wrong;
        let error = write(&numbers).unwrap_err().to_string();
        assert!(error.contains("is not of the type"), "{error}");
    }
    let error = avro_record(
        &json!({"type": "record", "name": "A", "fields": [{"name": "id", "type": "long"}]})
            .to_string(),
        &[],
    );
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("none of the datasource's")
    );
}

/// A type that is not wanted, with a value of it.
fn unwanted() -> impl Strategy<Value = (Value, AvroValue)> {
    let leaf = prop_oneof![
        Just((json!("null"), AvroValue::Null)),
        any::<bool>().prop_map(|b| (json!("boolean"), AvroValue::Boolean(b))),
        any::<i32>().prop_map(|n| (json!("int"), AvroValue::Int(n))),
        any::<i64>().prop_map(|n| (json!("long"), AvroValue::Long(n))),
        any::<f32>().prop_map(|n| (json!("float"), AvroValue::Float(n))),
        any::<f64>().prop_map(|n| (json!("double"), AvroValue::Double(n))),
        prop::collection::vec(any::<u8>(), 0..9)
            .prop_map(|b| (json!("bytes"), AvroValue::Bytes(b))),
        ".{0,9}".prop_map(|text| (json!("string"), AvroValue::String(text))),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            (inner.clone(), 0..4_usize).prop_map(|((schema, value), count)| (
                json!({"type": "array", "items": schema}),
                AvroValue::Array(vec![value; count])
            )),
            (inner.clone(), 0..3_usize).prop_map(|((schema, value), count)| (
                json!({"type": "map", "values": schema}),
                AvroValue::Map((0..count).map(|key| (key.to_string(), value.clone())).collect())
            )),
            // Records need names of their own.
            (prop::collection::vec(inner, 0..4), any::<u64>()).prop_map(|(fields, name)| {
                let names = (0..fields.len()).map(|number| format!("f{number}"));
                let (schemas, values): (Vec<Value>, Vec<AvroValue>) = fields.into_iter().unzip();
                let schemas = names.clone().zip(schemas);
                let schemas = schemas.map(|(name, schema)| json!({"name": name, "type": schema}));
                (
                    json!({"type": "record", "name": format!("R{name}"), "fields": schemas.collect::<Vec<_>>()}),
                    AvroValue::Record(names.zip(values).collect()),
                )
            }),
        ]
    })
}

/// A field that is wanted: its type, a value, its shape and its numbers.
#[allow(clippy::cast_precision_loss, reason = "all of them fit")]
fn wanted() -> impl Strategy<Value = (Value, AvroValue, Vec<u32>, Vec<f32>)> {
    let small = -16_777_216..16_777_216_i32;
    prop_oneof![
        any::<f32>().prop_map(|n| (json!("float"), AvroValue::Float(n), vec![], vec![n])),
        any::<f32>().prop_map(|n| (
            json!("double"),
            AvroValue::Double(n.into()),
            vec![],
            vec![n]
        )),
        small
            .clone()
            .prop_map(|n| (json!("int"), AvroValue::Int(n), vec![], vec![n as f32])),
        small.prop_map(|n| (
            json!("long"),
            AvroValue::Long(n.into()),
            vec![],
            vec![n as f32]
        )),
        any::<Option<f32>>().prop_map(|n| (
            json!(["null", "double"]),
            match n {
                None => AvroValue::Union(0, Box::new(AvroValue::Null)),
                Some(n) => AvroValue::Union(1, Box::new(AvroValue::Double(n.into()))),
            },
            vec![],
            vec![n.unwrap_or(f32::NAN)],
        )),
        prop::collection::vec(any::<f32>(), 1..6).prop_map(|numbers| (
            json!({"type": "array", "items": "float"}),
            AvroValue::Array(numbers.iter().map(|n| AvroValue::Float(*n)).collect()),
            vec![u32::try_from(numbers.len()).unwrap()],
            numbers,
        )),
    ]
}

proptest! {
    /// What the reference writes is read, whatever stands between the fields.
    #[test]
    fn what_the_reference_writes_is_read(
        fields in prop::collection::vec((wanted(), prop::option::of(unwanted())), 1..6),
        reversed: bool,
    ) {
        let mut schemas = Vec::new();
        let mut values = Vec::new();
        let mut asked = Vec::new();
        for (number, ((schema, value, shape, numbers), other)) in fields.into_iter().enumerate() {
            if let Some((schema, value)) = other {
                schemas.push(json!({"name": format!("other{number}"), "type": schema}));
                values.push((format!("other{number}"), value));
            }
            let name = format!("field{number}");
            schemas.push(json!({"name": name, "type": schema}));
            values.push((name.clone(), value));
            asked.push((json!({"pointer": format!("/{name}"), "shape": shape}), numbers));
        }
        if reversed {
            asked.reverse();
        }
        let schema = json!({"type": "record", "name": "All", "fields": schemas});
        let fields: Vec<Value> = asked.iter().map(|(field, _)| field.clone()).collect();
        let format = format(&schema, &json!(fields), &json!({"missing": "NAN"}));
        format.check(None).unwrap();
        let bytes = encode(&schema, AvroValue::Record(values));
        let row = decode(&format, &bytes).unwrap();
        let expected = asked.iter().flat_map(|(_, numbers)| numbers);
        let same = row.iter().zip(expected).all(|(a, b)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan());
        prop_assert!(same, "{row:?} {asked:?}");
        // Cut short anywhere, it is refused.
        let cut = bytes.len() / 2;
        prop_assert!(bytes.is_empty() || decode(&format, &bytes[..cut]).is_err() || cut == bytes.len());
    }

    /// Whatever the bytes are, they are decoded or refused, in time.
    #[test]
    fn rubbish_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..96), high in prop::collection::vec(128_u8.., 0..12)) {
        let fields = json!([
            {"pointer": "/pressure"}, {"pointer": "/tree/left/size"}, {"pointer": "/matrix", "shape": [2, 2]},
            {"pointer": "/sensors/a"}, {"pointer": "/tags/3/size"},
        ]);
        let format = format(&reading(), &fields, &json!({"missing": "NAN"}));
        for bytes in [bytes.clone(), [high, bytes].concat()] {
            let _ = decode(&format, &bytes);
        }
    }

    /// So are whatever schemas a registry gives.
    #[test]
    fn rubbish_schemas_are_refused(text in r#"[{}\[\]",:a-z]{0,40}"#) {
        let mut decoder = Decoder::new(&serde_json::from_value(json!({
            "type": "AVRO", "writer": {"type": "REGISTRY"}, "fields": [{"pointer": "/a"}],
        })).unwrap(), None);
        decoder.learn(SchemaKey::Id(1), &SchemaDocument { kind: SchemaKind::Avro, text, references: Vec::new() });
        prop_assert!(decode_with(&mut decoder, &framed(1_u32, &[]), &()).is_err());
    }
}

/// Lengths that promise more than there is, and types without end.
#[test]
fn hostile_lengths_and_depths_are_refused_at_once() {
    let most = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let of = |items: Value| {
        json!({"type": "record", "name": "A", "fields": [
            {"name": "many", "type": {"type": "array", "items": items}}, {"name": "x", "type": "float"},
        ]})
    };
    for items in [
        json!("null"),
        json!("string"),
        json!({"type": "record", "name": "Empty", "fields": []}),
    ] {
        let format = checked(&of(items.clone()), &json!([{"pointer": "/x"}]));
        let bytes = [&most[..], &[0], &1_f32.to_le_bytes()].concat();
        let decoded = decode(&format, &bytes);
        // Items without bytes are there, however many they are.
        assert_eq!(decoded.is_ok(), items != json!("string"), "{items}");
    }
    let list = json!({"type": "record", "name": "List", "fields": [
        {"name": "next", "type": ["null", "List"]}, {"name": "x", "type": "float"},
    ]});
    let wrapped = json!({"type": "record", "name": "A", "fields": [{"name": "list", "type": list}, {"name": "x", "type": "float"}]});
    let format = checked(&wrapped, &json!([{"pointer": "/x"}]));
    let (code, message) = refusal(&format, &vec![2; 1_000_000]);
    assert_eq!(code, "avro");
    assert!(message.contains("deep"), "{message}");
    let endless = json!({"type": "record", "name": "A", "fields": [
        {"name": "a", "type": {"type": "record", "name": "B", "fields": [{"name": "b", "type": "B"}]}}, {"name": "x", "type": "float"},
    ]});
    let format = checked(&endless, &json!([{"pointer": "/x"}]));
    assert_eq!(refusal(&format, &[0; 8]).0, "avro");
}
