"""Trains a model on all records of a topic, as one does in Python: confluent-kafka, numpy, Keras.

    python job.py BOOTSTRAP_SERVERS TOPIC EPOCHS BATCH FILE

Keys are labels, values are 784 numbers of one byte. The model is written to FILE; then one line says how well it learned.
The process ends when its input does, so that whoever started it can look at it.
"""

import json
import os
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy
import tensorflow
from confluent_kafka import Consumer, TopicPartition

FEATURES = 784
CLASSES = 10
AT_ONCE = 10_000


def read(servers, topic):
    """All records, as an array of values and one of labels."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "unused",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            # As in our own readers: without it a full queue stops the reader for a second.
            "fetch.queue.backoff.ms": 5,
        }
    )
    partitions = [
        TopicPartition(topic, number, 0)
        for number in consumer.list_topics(topic).topics[topic].partitions
    ]
    left = sum(consumer.get_watermark_offsets(partition)[1] for partition in partitions)
    values = numpy.empty((left, FEATURES), numpy.uint8)
    labels = numpy.empty(left, numpy.uint8)
    consumer.assign(partitions)
    done = 0
    while done < left:
        messages = consumer.consume(AT_ONCE, timeout=0.1)
        if not messages:
            continue
        for message in messages:
            if message.error():
                raise RuntimeError(message.error())
        end = done + len(messages)
        joined = b"".join(message.value() for message in messages)
        values[done:end] = numpy.frombuffer(joined, numpy.uint8).reshape(-1, FEATURES)
        labels[done:end] = numpy.frombuffer(b"".join(message.key() for message in messages), numpy.uint8)
        done = end
    consumer.close()
    return values, labels


def main():
    servers, topic, epochs, batch, file = sys.argv[1:]
    # What the libraries print goes to the standard error, where it disturbs nobody.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    values, labels = read(servers, topic)
    model = keras.Sequential(
        [
            keras.Input((FEATURES,), dtype="uint8"),
            # The numbers stay bytes until the model takes them: a quarter of the memory.
            keras.layers.Rescaling(1 / 255),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(1e-3),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        # Fewer returns from TensorFlow to Python, which a step this small would wait for otherwise.
        steps_per_execution=32,
    )
    history = model.fit(values, labels, batch_size=int(batch), epochs=int(epochs), verbose=0)
    model.save(file)
    way = f"confluent-kafka, numpy, Keras {keras.__version__} on TensorFlow {tensorflow.__version__}"
    answers.write(json.dumps({"way": way, "accuracy": history.history["accuracy"][-1]}) + "\n")
    answers.flush()
    sys.stdin.read()


main()
