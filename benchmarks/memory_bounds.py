"""What an audit holds at most: ten million rows of predictions, and a model of a gigabyte.

    python benchmarks/memory_bounds.py [--rows 10000000] [--megabytes 1024]

Audits are run as a user runs them; memory is that of all their processes together. The model is a
multilayer perceptron of two large squares, in one file and with its weights beside it; it is
hashed, scanned, and opened and asked in a child. Small runs beside tell what every further row and
every further byte of the model costs.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import polars as pl
from figures import over, tell
from onnx import TensorProto, helper, numpy_helper
from resident import Held, held

AUDITOR = Path(sys.executable).with_name("auditor")
AREA, GB = "scale", 1e9
MOST_TIMES = 3
WIDTH, ASKED = 64, 40
HEAD = "apiVersion: auditor/v1\nkind: Audit\npolicy: baseline\nseed: 7\n"
SCORED = (
    HEAD + "budget: ci\nmodel: {name: scored, version: 1.0.0}\n"
    "task: {kind: classification, classes: ['0', '1'], positive: '1'}\n"
    "data: {evaluation: {path: rows.parquet, labels: y, scores: [p0, p1], predictions: y_hat,"
    " groups: [sex], slices: [age]}}\n"
)
OPENED = (
    HEAD + "budget: smoke\nmodel: {name: large, version: 1.0.0, artifact: model.onnx, twin: none}\n"
    "task: {kind: classification}\ndata: {evaluation: {path: test.npz, labels: y}}\n"
)
LOOKING = ("quality.accuracy", "provenance.artifact")


def rows(folder: Path, count: int) -> Path:
    """Write what a model said of so many people, and the audit file."""
    rng = np.random.default_rng(7)
    stated = rng.beta(2, 3, count)
    table = {
        "y": (rng.random(count) < stated).astype(np.int64),
        "p0": 1 - stated,
        "p1": stated,
        "y_hat": (stated >= 1 / 2).astype(np.int64),
        "sex": np.array(["f", "m"])[rng.integers(0, 2, count)],
        "age": rng.integers(18, 90, count),
    }
    pl.DataFrame(table).write_parquet(folder / "rows.parquet")
    (folder / "audit.yaml").write_text(SCORED)
    return folder / "audit.yaml"


def model(folder: Path, size: int, *, beside: bool) -> Path:
    """Write a model of about so many bytes, its weights in the file or beside it, and the rest."""
    side = int((size / 8) ** 0.5)
    rng = np.random.default_rng(0)
    few = (rng.standard_normal(1 << 20) / np.sqrt(side)).astype(np.float32)
    shapes = {"a": (WIDTH, side), "b": (side, side), "c": (side, side), "d": (side, 10)}
    nodes, last = [], "x"
    for name in shapes:
        nodes += [
            helper.make_node("MatMul", [last, name], [f"m{name}"]),
            helper.make_node("Tanh", [f"m{name}"], [f"t{name}"]),
        ]
        last = f"t{name}"
    graph = helper.make_graph(
        nodes,
        "large",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", WIDTH])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(np.resize(few, shape), name) for name, shape in shapes.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    more = {"save_as_external_data": True, "location": "weights.bin"} if beside else {}
    onnx.save(made, folder / "model.onnx", **more)
    asked = rng.standard_normal((ASKED, WIDTH)).astype(np.float32)
    np.savez(folder / "test.npz", x=asked, y=np.arange(ASKED) % 10)
    (folder / "audit.yaml").write_text(OPENED)
    return folder / "audit.yaml"


def audited(audit: Path, *only: str) -> Held:
    """Audit as a user does; a verdict of any kind is an end."""
    words = [word for check in only for word in ("--only", check)]
    home = {"AUDITOR_HOME": str(audit.parent / "home"), "OMP_NUM_THREADS": "1"}
    found = held([AUDITOR, "audit", audit, "--out", audit.parent / "out", *words], home)
    assert found.code in {0, 1, 3}, found.said
    return found


def many_rows(place: Path, count: int) -> None:
    """Tell what so many rows hold at most, and what each further row costs."""
    few = audited(rows(_made(place / "few"), count // 10)).peak
    found = audited(rows(_made(place / "many"), count))
    each = (found.peak - few) / (count - count // 10)
    print(f"{count:,} rows: {found.peak / GB:.2f} GB in {found.seconds:.0f} s, {each:.0f} B a row")
    what, less = f"predictions-only audit of {count:,} rows", {"better": "less"}
    least = [found.peak / GB]
    tell(
        over(AREA, f"{what}: peak memory", least, "nothing", unit="GB", goal=4.0, **less),
        over(AREA, f"{what}: memory a row", [each], "nothing", unit="B", **less),
    )


def large_models(place: Path, size: int) -> None:
    """Tell what a large model holds at most, of its size."""
    for beside, way in ((False, "in one file"), (True, "with weights beside it")):
        audit = model(_made(place / f"model-{beside}"), size, beside=beside)
        found = audited(audit, *LOOKING)
        times = found.peak / size
        print(f"{size >> 20} MB {way}: {found.peak / GB:.2f} GB, {times:.2f} x its size")
        what = f"{size >> 20} MB of model {way}, hashed, scanned and asked: peak memory of all"
        tell(over(AREA, what, [times], "its size", better="less", goal=MOST_TIMES))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--megabytes", type=int, default=1024)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        large_models(Path(name), asked.megabytes << 20)
        many_rows(Path(name), asked.rows)


if __name__ == "__main__":
    main()
