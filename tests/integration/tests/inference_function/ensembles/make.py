"""Makes the files of this folder: small tree ensembles as their libraries export them, and what
the libraries themselves predict.

Run with Python 3.11 and `pip install scikit-learn skl2onnx onnxmltools xgboost-cpu lightgbm onnx`:

    python make.py

The data are the iris measurements that scikit-learn carries (R. A. Fisher, 1936; in the public
domain, distributed by scikit-learn under BSD-3-Clause). The models are made here and have no other
licence than this repository's.
"""

import json
import warnings
from pathlib import Path

import lightgbm
import numpy
import xgboost
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as ToolsFloat
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.ensemble import (
    GradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.pipeline import make_pipeline

warnings.filterwarnings("ignore")
FOLDER = Path(__file__).parent
iris = load_iris()
X = iris.data.astype(numpy.float32)
species = iris.target_names[iris.target]
ROWS = X[::15]
expected = {"rows": ROWS.tolist(), "models": {}}


def write(name, onnx, **outputs):
    (FOLDER / f"{name}.onnx").write_bytes(onnx.SerializeToString())
    expected["models"][name] = {key: value.tolist() for key, value in outputs.items()}


# Integer classes, one input, ZipMap's maps by integers.
forest = RandomForestClassifier(4, max_depth=3, random_state=1).fit(X, iris.target)
write(
    "forest",
    to_onnx(forest, X[:1], target_opset=17),
    label=forest.predict(ROWS),
    scores=forest.predict_proba(ROWS),
)

# Named classes, one input for each column, ZipMap's maps by texts.
names = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
columns = ColumnTransformer([("all", "passthrough", [0, 1, 2, 3])])
boosted = make_pipeline(
    columns, GradientBoostingClassifier(n_estimators=3, max_depth=2, random_state=1)
).fit(X, species)
inputs = [(name, FloatTensorType([None, 1])) for name in names]
from skl2onnx import convert_sklearn

write(
    "columns",
    convert_sklearn(boosted, initial_types=inputs, target_opset=17),
    label=boosted.predict(ROWS),
    scores=boosted.predict_proba(ROWS),
)

# Two inputs of different types: whole millimetres and centimetres; one number comes out.
mixed = numpy.concatenate([numpy.round(X[:, :2] * 10), X[:, 2:]], axis=1)
regressor = make_pipeline(
    ColumnTransformer([("all", "passthrough", [0, 1, 2, 3])]),
    RandomForestRegressor(4, max_depth=3, random_state=1),
).fit(mixed, X[:, 3])
inputs = [("millimetres", Int64TensorType([None, 2])), ("centimetres", FloatTensorType([None, 2]))]
mixed_rows = numpy.concatenate([numpy.round(ROWS[:, :2] * 10), ROWS[:, 2:]], axis=1)
write(
    "mixed",
    convert_sklearn(regressor, initial_types=inputs, target_opset=17),
    value=regressor.predict(mixed_rows),
)
expected["mixed_rows"] = mixed_rows.tolist()

gradient = xgboost.XGBClassifier(n_estimators=3, max_depth=2, random_state=1).fit(X, iris.target)
write(
    "xgboost",
    convert_xgboost(gradient, initial_types=[("input", ToolsFloat([None, 4]))], target_opset=15),
    label=gradient.predict(ROWS),
    scores=gradient.predict_proba(ROWS),
)

light = lightgbm.LGBMClassifier(n_estimators=3, num_leaves=4, random_state=1, verbose=-1)
light.fit(X, iris.target)
write(
    "lightgbm",
    convert_lightgbm(light, initial_types=[("input", ToolsFloat([None, 4]))], target_opset=15),
    label=light.predict(ROWS),
    scores=light.predict_proba(ROWS),
)

(FOLDER / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
