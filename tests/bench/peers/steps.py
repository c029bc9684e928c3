"""Makes training steps with PyTorch or TensorFlow, for the bench that times them.

    python steps.py torch|tensorflow THREADS

The first line that it writes says the peer's version and, by the kind of a model, the ways in which the peer can train it.
Then each line that it reads asks for steps, as {"case": {…}, "batch": …, "way": …, "seconds": …}, and gets an answer:
{"steps_per_second": …}, or {"error": …}. Cross-entropy, Adam with a rate of 0.001, float32; batches lie ready.
"""

import json
import os
import sys
import time

import numpy

CLASSES = 10
BATCHES = 8
RATE = 1e-3
HEADS = 4
LAYERS = 2


def features(case):
    kind = case["kind"]
    if kind == "mlp":
        return [case["features"]]
    if kind == "cnn":
        return [1, 28, 28]
    if kind == "lstm":
        return [case["steps"], case["features"]]
    return [case["tokens"], case["width"]]


def batches(case, batch):
    numbers = numpy.random.default_rng(1)
    shape = [batch, *features(case)]
    return [
        (numbers.random(shape, dtype=numpy.float32), numbers.integers(0, CLASSES, batch))
        for _ in range(BATCHES)
    ]


class Torch:
    COMPILED = "compiled as a whole"
    CHANNELS_LAST = "channels last, fused Adam"

    def __init__(self, threads):
        import torch

        torch.set_num_threads(threads)
        self.version = f"torch {torch.__version__.split('+')[0]}"
        plain = ["eager", "eager, fused Adam"]
        self.ways = {
            "mlp": [*plain, self.COMPILED],
            "cnn": [*plain, self.CHANNELS_LAST, self.COMPILED],
            # A recurrent layer compiled is unrolled, which takes minutes and is slower than any other way.
            "lstm": plain,
            "transformer": [*plain, self.COMPILED],
        }

    def model(self, case):
        from torch import nn

        kind = case["kind"]
        if kind == "mlp":
            return nn.Sequential(
                nn.Linear(case["features"], case["hidden"]), nn.ReLU(), nn.Linear(case["hidden"], CLASSES)
            )
        if kind == "cnn":
            first, second = case["filters"]
            return nn.Sequential(
                nn.Conv2d(1, first, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                nn.Conv2d(first, second, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                nn.Flatten(), nn.Linear(second * 49, case["hidden"]), nn.ReLU(), nn.Linear(case["hidden"], CLASSES),
            )  # fmt: skip
        if kind == "lstm":

            class Recurrent(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.lstm = nn.LSTM(case["features"], case["units"], batch_first=True)
                    self.classes = nn.Linear(case["units"], CLASSES)

                def forward(self, x):
                    return self.classes(self.lstm(x)[0][:, -1])

            return Recurrent()

        class Encoder(nn.Module):
            def __init__(self):
                super().__init__()
                width = case["width"]
                layer = nn.TransformerEncoderLayer(width, HEADS, 4 * width, dropout=0.0, batch_first=True)
                self.layers = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
                self.classes = nn.Linear(width, CLASSES)

            def forward(self, x):
                return self.classes(self.layers(x).mean(1))

        return Encoder()

    def step(self, case, batch, way):
        import torch
        from torch.nn import functional

        model = self.model(case)
        data = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in batches(case, batch)]
        if way == self.COMPILED:
            return self.compiled(model, data)
        if way == self.CHANNELS_LAST:
            model = model.to(memory_format=torch.channels_last)
            data = [(x.to(memory_format=torch.channels_last), y) for x, y in data]
        fused = True if "fused" in way else None
        optimizer = torch.optim.Adam(model.parameters(), RATE, fused=fused)

        def step(number):
            x, y = data[number % BATCHES]
            optimizer.zero_grad(set_to_none=True)
            functional.cross_entropy(model(x), y).backward()
            optimizer.step()

        return step

    @staticmethod
    def compiled(model, data):
        """Forward, gradients and Adam as one function of tensors, compiled as one."""
        import torch
        from torch.nn import functional

        parameters = {name: value.detach().clone() for name, value in model.named_parameters()}
        means = {name: torch.zeros_like(value) for name, value in parameters.items()}
        squares = {name: torch.zeros_like(value) for name, value in parameters.items()}
        time = torch.zeros(())

        def loss(parameters, x, y):
            return functional.cross_entropy(torch.func.functional_call(model, parameters, x), y)

        @torch.compile
        def whole(parameters, means, squares, time, x, y):
            gradients = torch.func.grad(loss)(parameters, x, y)
            time.add_(1)
            root = torch.sqrt(1 - 0.999**time)
            rate = RATE * root / (1 - 0.9**time)
            for name, gradient in gradients.items():
                mean = means[name].mul_(0.9).add_(gradient, alpha=0.1)
                square = squares[name].mul_(0.999).addcmul_(gradient, gradient, value=0.001)
                parameters[name].sub_(rate * mean / (square.sqrt() + 1e-7 * root))

        def step(number):
            x, y = data[number % BATCHES]
            with torch.no_grad():
                whole(parameters, means, squares, time, x, y)

        return step


class TensorFlow:
    KERAS = "Keras train_on_batch"
    XLA = "tf.function with XLA"

    def __init__(self, threads):
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
        self.version = f"TensorFlow {tensorflow.__version__}"
        ways = ["tf.function", self.XLA, self.KERAS]
        self.ways = {kind: ways for kind in ["mlp", "cnn", "lstm", "transformer"]}

    def model(self, case):
        import keras
        from keras import layers

        kind = case["kind"]
        shape = features(case)
        classes = layers.Dense(CLASSES)
        if kind == "mlp":
            stack = [layers.Dense(case["hidden"], "relu"), classes]
        elif kind == "cnn":
            shape = [28, 28, 1]
            stack = []
            for filters in case["filters"]:
                stack += [layers.Conv2D(filters, 3, padding="same", activation="relu"), layers.MaxPooling2D()]
            stack += [layers.Flatten(), layers.Dense(case["hidden"], "relu"), classes]
        elif kind == "lstm":
            stack = [layers.LSTM(case["units"]), classes]
        else:
            width = case["width"]
            given = keras.Input(shape)
            x = given
            for _ in range(LAYERS):
                found = layers.MultiHeadAttention(HEADS, width // HEADS)(x, x)
                x = layers.LayerNormalization()(layers.Add()([x, found]))
                found = layers.Dense(width)(layers.Dense(4 * width, "relu")(x))
                x = layers.LayerNormalization()(layers.Add()([x, found]))
            return keras.Model(given, classes(layers.GlobalAveragePooling1D()(x)))
        return keras.Sequential([keras.Input(shape), *stack])

    def step(self, case, batch, way):
        import keras
        import tensorflow

        model = self.model(case)
        data = batches(case, batch)
        if case["kind"] == "cnn":
            data = [(x.reshape(-1, 28, 28, 1), y) for x, y in data]
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        optimizer = keras.optimizers.Adam(RATE)
        if way == self.KERAS:
            model.compile(optimizer, loss)
            return lambda number: model.train_on_batch(*data[number % BATCHES])
        data = [(tensorflow.constant(x), tensorflow.constant(y)) for x, y in data]
        optimizer.build(model.trainable_variables)

        @tensorflow.function(jit_compile=way == self.XLA)
        def whole(x, y):
            with tensorflow.GradientTape() as tape:
                value = loss(y, model(x, training=True))
            gradients = tape.gradient(value, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables))
            return value

        return lambda number: whole(*data[number % BATCHES]).numpy()


def main():
    peer = {"torch": Torch, "tensorflow": TensorFlow}[sys.argv[1]](int(sys.argv[2]))
    # What the libraries print goes to the standard error, where it disturbs nobody.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(value):
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    answer({"version": peer.version, "ways": peer.ways})
    current, ready = None, {}
    for line in sys.stdin:
        request = json.loads(line)
        case, way = (request["case"], request["batch"]), request["way"]
        if case != current:
            current, ready = case, {}
        try:
            if way not in ready:
                ready[way] = peer.step(*case, way)
                for number in range(5):
                    ready[way](number)
            step, start, count = ready[way], time.perf_counter(), 0
            while count == 0 or time.perf_counter() - start < request["seconds"]:
                step(count)
                count += 1
            answer({"steps_per_second": count / (time.perf_counter() - start)})
        except Exception as error:
            answer({"error": f"{type(error).__name__}: {error}".splitlines()[0]})


main()
