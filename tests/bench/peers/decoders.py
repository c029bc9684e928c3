"""Decodes records into float32 arrays of numpy as fast as Python's libraries can, for the bench that times them.

    python decoders.py Avro|JSON|Protobuf "8 fields of 11"|"784 integers"|"256 floats" FILE SECONDS AVRO_SCHEMA

FILE holds the records, each behind its length (four bytes, little-endian). A line of JSON tells the rate of each way, in which batches
of 500 records become an array each.
"""

import json
import struct
import sys
import time
from importlib.metadata import version
from io import BytesIO
from operator import attrgetter, itemgetter

import numpy

FIELDS = ("temperature", "humidity", "pressure", "vibration", "load", "errors", "on", "level")
ARRAYS = {"784 integers": "pixels", "256 floats": "spectrum"}
WIDTHS = {"784 integers": 784, "256 floats": 256, "8 fields of 11": 8}
BATCH = 500


def records(path):
    data = memoryview(open(path, "rb").read())
    found, at = [], 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        found.append(bytes(data[at + 4 : at + 4 + length]))
        at += 4 + length
    return found


def rows(kind, numbers):
    """Makes an array of a batch; `numbers` gives those of a record. No other way into numpy was found to be as fast."""
    width = WIDTHS[kind]
    row = struct.Struct(f"{width}f")

    def decode(batch):
        bytes_ = bytearray(row.size * len(batch))
        at = 0
        for record in batch:
            row.pack_into(bytes_, at, *numbers(record))
            at += row.size
        return numpy.frombuffer(bytes_, numpy.float32).reshape(len(batch), width)

    return decode


def of_items(kind, decode):
    """What is wanted of a dictionary."""
    wanted = itemgetter(ARRAYS[kind]) if kind in ARRAYS else itemgetter(*FIELDS)
    return rows(kind, lambda record: wanted(decode(record)))


def of_attributes(kind, decode):
    """What is wanted of an object."""
    wanted = attrgetter(ARRAYS[kind]) if kind in ARRAYS else attrgetter(*FIELDS)
    return rows(kind, lambda record: wanted(decode(record)))


def avro(kind, schema):
    import fastavro

    parsed = fastavro.parse_schema(json.loads(schema))
    read = fastavro.schemaless_reader
    name = f"fastavro {fastavro.__version__}"
    yield name, of_items(kind, lambda record: read(BytesIO(record), parsed, None))


def of_json(kind, _):
    import msgspec
    import orjson
    import simdjson

    yield f"orjson {orjson.__version__}", of_items(kind, orjson.loads)
    if kind in ARRAYS:
        item = int if kind == "784 integers" else float
        fields = [(ARRAYS[kind], list[item])]
    else:
        types = {"errors": int, "on": bool, "level": int}
        fields = [(name, types.get(name, float)) for name in FIELDS]
    decoder = msgspec.json.Decoder(msgspec.defstruct("Record", fields, gc=False))
    yield f"msgspec {msgspec.__version__}", of_attributes(kind, decoder.decode)
    parser = simdjson.Parser()
    name = f"pysimdjson {version('pysimdjson')}"
    if kind not in ARRAYS:
        yield name, of_items(kind, parser.parse)
        return
    # The one that gives a whole array of numbers without an object for each.
    letter, item = ("i", numpy.int64) if kind == "784 integers" else ("d", numpy.float64)

    def decode(batch):
        found = numpy.empty((len(batch), WIDTHS[kind]), numpy.float32)
        for place, record in enumerate(batch):
            document = parser.parse(record)
            array = document[ARRAYS[kind]]
            found[place] = numpy.frombuffer(array.as_buffer(of_type=letter), item)
            # The parser takes the next document only when nothing of the last one is held.
            del document, array
        return found

    yield name, decode


def protobuf(kind, _):
    from google import protobuf
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    from google.protobuf.internal import api_implementation

    field = descriptor_pb2.FieldDescriptorProto
    if kind in ARRAYS:
        item = field.TYPE_UINT32 if kind == "784 integers" else field.TYPE_FLOAT
        fields = [("name", field.TYPE_STRING), (ARRAYS[kind], item)]
    else:
        types = {"vibration": field.TYPE_FLOAT, "load": field.TYPE_FLOAT, "errors": field.TYPE_INT32}
        types |= {"on": field.TYPE_BOOL, "level": field.TYPE_SINT32}
        fields = [("device", field.TYPE_STRING), ("at", field.TYPE_INT64)]
        fields += [(name, types.get(name, field.TYPE_DOUBLE)) for name in FIELDS]
        fields.append(("note", field.TYPE_STRING))
    file = descriptor_pb2.FileDescriptorProto(name="record.proto", syntax="proto3")
    message = file.message_type.add(name="Record")
    for number, (name, type_) in enumerate(fields, 1):
        label = field.LABEL_REPEATED if name in ARRAYS.values() else field.LABEL_OPTIONAL
        message.field.add(name=name, number=number, type=type_, label=label)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    record = message_factory.GetMessageClass(pool.FindMessageTypeByName("Record"))
    name = f"protobuf {protobuf.__version__} ({api_implementation.Type()})"
    yield name, of_attributes(kind, record.FromString)


def rate(decode, given, width, seconds):
    batches = [given[start : start + BATCH] for start in range(0, len(given), BATCH)]
    assert decode(batches[0]).shape == (BATCH, width)
    start, count = time.perf_counter(), 0
    while count == 0 or time.perf_counter() - start < seconds:
        for batch in batches:
            decode(batch)
            count += len(batch)
    return count / (time.perf_counter() - start)


def main():
    language, kind, path, seconds, schema = sys.argv[1:]
    given = records(path)
    for way, decode in {"Avro": avro, "JSON": of_json, "Protobuf": protobuf}[language](kind, schema):
        print(json.dumps({"way": way, "records_per_second": rate(decode, given, WIDTHS[kind], float(seconds))}))


main()
