"""Makes the files of this folder: small scikit-learn pipelines that take texts, as skl2onnx exports them, and what
scikit-learn itself predicts.

Run with Python 3.11 and `pip install scikit-learn skl2onnx onnx`:

    python make.py

The rows are made up here; files and rows have no other licence than this repository's.
"""

import json
import warnings
from pathlib import Path

import numpy
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

warnings.filterwarnings("ignore")
FOLDER = Path(__file__).parent
random = numpy.random.default_rng(7)
COUNT = 80
towns = random.choice(["Ulm", "Köln", "Bad Tölz"], COUNT)
trades = random.choice(["smith", "baker"], COUNT)
ages = random.integers(18, 80, COUNT)
rows = numpy.array([towns, trades, ages.astype(object)], dtype=object).T
answer = numpy.where((towns == "Köln") & (ages > 40) | (trades == "smith"), "yes", "no")
SENT = rows[::8]
expected = {"rows": SENT.tolist(), "models": {}}


def write(name, model, types, sent, options=None):
    options = {id(model): {"zipmap": False}, **(options or {})}
    onnx = convert_sklearn(model, initial_types=types, target_opset=17, options=options)
    (FOLDER / f"{name}.onnx").write_bytes(onnx.SerializeToString())
    expected["models"][name] = {
        "label": model.predict(sent).tolist(),
        "scores": model.predict_proba(sent).tolist(),
    }


# One input a column: texts one-hot, and a number as it is. Categories that were not there in training are all 0.
encode = ColumnTransformer(
    [("texts", OneHotEncoder(handle_unknown="ignore"), [0, 1]), ("age", "passthrough", [2])]
)
write(
    "columns",
    make_pipeline(encode, RandomForestClassifier(5, max_depth=4, random_state=1)).fit(rows, answer),
    [
        ("town", StringTensorType([None, 1])),
        ("trade", StringTensorType([None, 1])),
        ("age", FloatTensorType([None, 1])),
    ],
    SENT,
)

# One input of two texts.
texts = rows[:, :2]
write(
    "ordinal",
    make_pipeline(OrdinalEncoder(), LogisticRegression()).fit(texts, answer),
    [("x", StringTensorType([None, 2]))],
    SENT[:, :2],
)

# The same, which refuses what was not there in training.
write(
    "strict",
    make_pipeline(OneHotEncoder(), LogisticRegression()).fit(texts, answer),
    [("x", StringTensorType([None, 2]))],
    SENT[:, :2],
)

# Sentences. Without `locale` ONNX Runtime needs the locale en_US.UTF-8, which containers lack.
sentences = numpy.array([f"a {trade} of {town}" for town, trade in texts])
chosen = numpy.array([f"a {trade} of {town}" for town, trade in SENT[:, :2]])
vectorizer = TfidfVectorizer(token_pattern="[a-zA-Z]+")
write(
    "words",
    make_pipeline(vectorizer, LogisticRegression()).fit(sentences, answer),
    [("sentence", StringTensorType([None]))],
    chosen,
    {id(vectorizer): {"locale": "C"}},
)
expected["sentences"] = chosen.tolist()

(FOLDER / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")
