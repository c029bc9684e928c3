"""Writes the models of this folder, each by the exporter that its name begins with.

    python export.py torch     # PyTorch 2.15 with onnx and onnxscript, by both of its exporters
    python export.py keras     # Keras 3.15 with TensorFlow 2.21 and tf2onnx 1.17
    python export.py sklearn   # scikit-learn 1.9 with skl2onnx 1.20

Models are small: every gradient of each is held against finite differences.
"""

import os
import sys

import numpy as np
import onnx

HERE = os.path.dirname(os.path.abspath(__file__))


def write(name, model):
    """Leaves out what exporters note of the program and of the machine that it ran on."""
    graphs = [model.graph]
    while graphs:
        graph = graphs.pop()
        graph.doc_string = ""
        del graph.metadata_props[:]
        for value in [*graph.value_info, *graph.input, *graph.output, *graph.initializer]:
            value.doc_string = ""
            del value.metadata_props[:]
        for node in graph.node:
            node.doc_string = ""
            del node.metadata_props[:]
            graphs.extend(attribute.g for attribute in node.attribute if attribute.HasField("g"))
    model.doc_string = ""
    del model.metadata_props[:]
    onnx.save(model, os.path.join(HERE, f"{name}.onnx"))
    print(name)


def export_torch():
    import tempfile

    import torch
    import torch.nn.functional as F
    from torch import nn

    def dynamo(name, model, *inputs, open_axes=()):
        torch.manual_seed(7)
        program = torch.onnx.export(
            model().eval(),
            inputs,
            dynamo=True,
            verbose=False,
            dynamic_shapes=tuple(
                {0: torch.export.Dim("batch", min=1, max=4096), **{axis: torch.export.Dim.AUTO for axis in open_axes}}
                for _ in inputs
            ),
        )
        write(f"torch_{name}", program.model_proto)

    def older(name, model, *inputs, opset, training=False, open_axes={0: "batch"}):
        torch.manual_seed(7)
        names = [f"x{number}" for number in range(len(inputs))]
        mode = torch.onnx.TrainingMode
        with tempfile.NamedTemporaryFile() as file:
            torch.onnx.export(
                model().eval(),
                inputs,
                file.name,
                dynamo=False,
                input_names=names,
                dynamic_axes={name: open_axes for name in names},
                opset_version=opset,
                training=mode.TRAINING if training else mode.EVAL,
                do_constant_folding=not training,
            )
            write(f"torch_older_{name}", onnx.load(file.name))

    class Residual(nn.Module):
        """Depthwise and pointwise convolutions with normalization, and a way past them."""

        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(
                nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU6(),
                nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False), nn.BatchNorm2d(4), nn.Hardswish(),
                nn.Conv2d(4, 3, 1),
            )
            self.head = nn.Linear(3, 2)

        def forward(self, x):
            return self.head((x + self.inner(x)).mean((2, 3)))

    class Attention(nn.Module):
        """A layer of a language model, with the embedding's weights in the head as well."""

        def __init__(self):
            super().__init__()
            self.token, self.place = nn.Embedding(7, 4), nn.Embedding(6, 4)
            self.norm, self.qkv, self.out = nn.LayerNorm(4), nn.Linear(4, 12), nn.Linear(4, 4)
            self.head = nn.Linear(4, 7, bias=False)
            self.head.weight = self.token.weight
            self.register_buffer("mask", torch.tril(torch.ones(6, 6)).view(1, 1, 6, 6))

        def forward(self, ids):
            records, time = ids.shape
            x = self.token(ids) + self.place(torch.arange(0, time))
            q, k, v = (z.view(records, time, 2, 2).transpose(1, 2) for z in self.qkv(self.norm(x)).split(4, dim=2))
            scores = (q @ k.transpose(-2, -1)) * 0.7
            scores = scores.masked_fill(self.mask[:, :, :time, :time] == 0, float("-inf"))
            x = x + self.out((F.softmax(scores, -1) @ v).transpose(1, 2).contiguous().view(records, time, 4))
            return self.head(F.gelu(x, approximate="tanh"))

    class Recurrent(nn.Module):
        def __init__(self, kind, layers):
            super().__init__()
            self.layers = getattr(nn, kind)(3, 2, num_layers=layers, bidirectional=True, batch_first=True)
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.layers(x)[0].mean(1))

    class Chance(nn.Module):
        """A number of steps that is open, attention with a scale of the program's, and one chance for each record."""

        def __init__(self):
            super().__init__()
            self.layers, self.mix = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 12)
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            q, k, v = self.mix(self.layers(x)[0]).unsqueeze(1).chunk(3, -1)
            return torch.sigmoid(self.head(F.scaled_dot_product_attention(q, k, v)[:, 0].mean(1)))[:, 1]

    class Around(nn.Module):
        """Down and up again, joined with what it was."""

        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 3, 3, padding=1)
            self.up, self.last = nn.ConvTranspose2d(3, 2, 2, 2), nn.Conv2d(4, 1, 1)

        def forward(self, x):
            wide = F.relu(self.first(x))
            narrow = F.silu(self.second(F.max_pool2d(wide, 2)))
            return self.last(torch.cat([self.up(narrow), wide], 1))

    class Open(nn.Module):
        """Images of any height and width: down to tokens that attend to each other, and back to the size that it was."""

        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 4, 2, stride=2)
            self.mix, self.last = nn.Linear(4, 12), nn.Conv2d(6, 1, 1)

        def forward(self, x):
            wide = torch.tanh(self.first(x))
            narrow = self.second(F.pad(F.avg_pool2d(wide, 2, stride=1), (1, 0, 0, 1)))
            records, channels, rows, columns = narrow.shape
            q, k, v = self.mix(narrow.flatten(2).transpose(1, 2)).chunk(3, -1)
            mixed = (F.softmax(q @ k.transpose(1, 2), -1) @ v).transpose(1, 2).reshape(records, channels, rows, columns)
            back = F.interpolate(mixed, size=(x.shape[2], x.shape[3]), mode="bilinear", align_corners=False)
            return self.last(torch.cat([wide, back], 1))

    class Resized(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.head = nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.Linear(4, 2)

        def forward(self, x):
            y = F.interpolate(F.gelu(self.norm(self.conv(x))), size=x.shape[2:], mode="bilinear", align_corners=False)
            return self.head(torch.flatten(F.adaptive_avg_pool2d(y * y, 1), 1))

    class Parts(nn.Module):
        """Cut into uneven parts, and weights that are computed from weights."""

        def __init__(self):
            super().__init__()
            self.first = torch.nn.utils.weight_norm(nn.Linear(4, 6))
            self.last = nn.Linear(6, 2)

        def forward(self, x):
            return self.last(torch.cat([part.tanh() for part in self.first(x).chunk(4, 1)][::-1], 1))

    ids = torch.randint(0, 7, (2, 5))
    dynamo("residual", Residual, torch.randn(2, 3, 4, 4))
    dynamo("attention", Attention, ids)
    dynamo("lstm", lambda: Recurrent("LSTM", 2), torch.randn(2, 4, 3))
    dynamo("around", Around, torch.randn(2, 1, 4, 4))
    dynamo("open", Open, torch.randn(2, 1, 6, 8), open_axes=(2, 3))
    older("attention", Attention, ids, opset=13)
    older("open", Open, torch.randn(2, 1, 6, 8), opset=13, open_axes={0: "batch", 2: "height", 3: "width"})
    older("gru", lambda: Recurrent("GRU", 1), torch.randn(2, 4, 3), opset=17, training=True)
    older("resized", Resized, torch.randn(2, 2, 5, 5), opset=16)
    older("parts", Parts, torch.randn(2, 4), opset=17, training=True)
    older("chance", Chance, torch.randn(2, 4, 3), opset=14, open_axes={0: "batch", 1: "steps"})
    older("residual", Residual, torch.randn(2, 3, 4, 4), opset=18, training=True)


def export_keras():
    import tempfile

    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras
    from keras import layers

    def export(name, model):
        keras.utils.set_random_seed(7)
        model = model()
        model(np.zeros([2, *model.input_shape[1:]], model.inputs[0].dtype))
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.onnx")
            model.export(path, format="onnx", verbose=False)
            write(f"keras_{name}", onnx.load(path))

    def image():
        x = keras.Input((6, 6, 2))
        y = layers.SeparableConv2D(3, 3, strides=2, padding="same", use_bias=False)(x)
        y = layers.ReLU()(layers.BatchNormalization()(y))
        y = layers.Conv2DTranspose(2, 3, strides=2, padding="same", activation="swish")(y)
        y = layers.GlobalAveragePooling2D()(layers.Add()([x, y]))
        return keras.Model(x, layers.Dense(2, activation="softmax")(y))

    def attention():
        x = keras.Input((4, 6))
        y = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 2)(x, x))
        return keras.Model(x, layers.Dense(2)(layers.GlobalMaxPooling1D()(y)))

    def words():
        return keras.Sequential([
            keras.Input((4,), dtype="int32"),
            layers.Embedding(7, 3),
            layers.Bidirectional(layers.GRU(2)),
            layers.Dense(1, activation="sigmoid"),
        ])

    def scaled():
        return keras.Sequential([
            keras.Input((6, 6, 2)),
            layers.Resizing(5, 7),
            layers.Conv2D(2, 1),
        ])

    export("image", image)
    export("scaled", scaled)
    export("attention", attention)
    export("words", words)


def export_sklearn():
    from sklearn.datasets import load_diabetes, load_iris
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer, StandardScaler
    from skl2onnx import to_onnx

    def export(name, model, x, y, **options):
        model.fit(x, y)
        write(f"sklearn_{name}", to_onnx(model, x[:1].astype(np.float32), **options))

    iris, kinds = load_iris(return_X_y=True)
    options = {"hidden_layer_sizes": (5,), "max_iter": 20, "random_state": 7}
    names = np.array(["setosa", "versicolor", "virginica"])[kinds]
    scaled = make_pipeline(StandardScaler(), Normalizer(), MLPClassifier(**options))
    export("pipeline", scaled, iris, names, target_opset=15)
    export("two_classes", MLPClassifier(**options), iris, kinds > 0)
    export("linear", LogisticRegression(), iris, kinds)
    export("regression", MLPRegressor(activation="tanh", **options), *load_diabetes(return_X_y=True))


{"torch": export_torch, "keras": export_keras, "sklearn": export_sklearn}[sys.argv[1]]()
