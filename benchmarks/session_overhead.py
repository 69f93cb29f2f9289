"""What the auditor's way to a model costs over calling ONNX Runtime itself, as ratios of one run.

Times are taken inside the child process, so what they add to the runtime's own is what matters for
latency figures; the pipe between the processes matters for how fast rows are scored. Calls of each
way take turns, in random order. The quickest call of each is what it costs undisturbed; where the
machine is busy, the median of the ratios within a turn counts, for what disturbs one call of a turn
mostly disturbs the others as well.
"""

import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from figures import Figure, over, tell
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array, ClassificationTask
from auditor.metrics.stats.quantiles import quantile
from auditor.targets.sandbox.scoring import OpenedSession, run_batches
from auditor.targets.sandbox.timing import CallTimer
from auditor.targets.session import open_model

SIDE, CLASSES = 32, 10
CHANNELS = (1, 16, 32, 32, 48, 48)
ROUNDS = {1: 8000, 64: 1000}
GOALS = {1: 0.06, 64: 0.02}
TIMED = "timed as in the child"
Way = Callable[[], float]


def network(path: Path) -> Artifact:
    """Save a convolutional network of about 0.2 ms a row, with random weights."""
    rng = np.random.default_rng(0)
    nodes, weights, last = [], {}, "x"
    for layer, (wide, width) in enumerate(itertools.pairwise(CHANNELS)):
        weights[f"w{layer}"] = rng.normal(size=(width, wide, 3, 3)) / np.sqrt(9 * wide)
        nodes.append(
            helper.make_node("Conv", [last, f"w{layer}"], [f"c{layer}"], pads=[1, 1, 1, 1])
        )
        nodes.append(helper.make_node("Relu", [f"c{layer}"], [f"r{layer}"]))
        last = f"r{layer}"
        if layer % 2:
            nodes.append(
                helper.make_node(
                    "MaxPool", [last], [f"p{layer}"], kernel_shape=[2, 2], strides=[2, 2]
                )
            )
            last = f"p{layer}"
    nodes.append(helper.make_node("Flatten", [last], ["flat"]))
    size = CHANNELS[-1] * (SIDE // 4) ** 2
    weights["head"] = rng.normal(size=(size, CLASSES)) / np.sqrt(size) * 10
    nodes.append(helper.make_node("MatMul", ["flat", "head"], ["y"]))
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1, SIDE, SIDE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", CLASSES])],
        [numpy_helper.from_array(w.astype(np.float32), name) for name, w in weights.items()],
    )
    sets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=sets, ir_version=8), path)
    return Artifact("net", "1", (FileDigest(path.name, path.stat().st_size, "0" * 64),))


def raw_session(path: Path) -> ort.InferenceSession:
    """Open the network as the target does."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def raw_way(session: ort.InferenceSession, rows: Array) -> Way:
    """Return the time of one call of the runtime itself (s)."""

    def call() -> float:
        start = time.perf_counter()
        session.run(["y"], {"x": rows})
        return time.perf_counter() - start

    return call


def timed_way(session: ort.InferenceSession, rows: Array) -> Way:
    """Return the time that the child's own timer takes of a call of the same session (s)."""
    opened = OpenedSession(session.run, ["y"], {})
    asked = {"calls": 1, "batch_rows": 1, "seconds": 60.0, "warmup": 1}
    timer = CallTimer(lambda part: run_batches(opened, ["y"], "x", part, None), rows, asked)
    return lambda: float(timer._clock([rows], 1, 60.0)[0, 0])  # noqa: SLF001 -- what is measured


def piped_way(predict: Callable[[Array], object], rows: Array) -> Way:
    """Return the time of one question through the pipe (s)."""

    def call() -> float:
        start = time.perf_counter()
        predict(rows)
        return time.perf_counter() - start

    return call


def in_turns(ways: dict[str, Way], rounds: int) -> dict[str, NDArray[np.float64]]:
    """Return the times of each way ``[rounds]``; they take turns, in random order."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    names, generator = list(ways), np.random.default_rng(0)
    for _ in range(rounds):
        for name in generator.permutation(names).tolist():
            taken[name].append(ways[name]())
    return {name: np.array(times) for name, times in taken.items()}


def compare(taken: dict[str, NDArray[np.float64]], goal: float, batch: int) -> None:
    """Print what each way adds to the raw one, and whether what is timed keeps the goal."""
    raw = taken["raw"]
    for name, times in taken.items():
        if name == "raw":
            continue
        ratio = quantile(times / raw, 0.5, 0.95)
        assert ratio is not None
        tell(
            Figure(
                area="whole audits", name=f"a call of {batch} rows, {name}: wall of it",
                value=ratio.value, low=ratio.low, high=ratio.high, n=len(times),
                against="ONNX Runtime alone", better="less",
                goal=1 + goal if name == TIMED else None,
            )
        )  # fmt: skip
        print(
            f"  {name}: quickest {times.min() / raw.min() - 1:+.2%}, median of ratios "
            f"{ratio.value - 1:+.2%} [{ratio.low - 1:+.2%}, {ratio.high - 1:+.2%}], "
            f"{np.median(times - raw) * 1e6:+.1f} us a call"
        )
        if name == TIMED:
            kept = ratio.value - 1 <= goal
            print(f"  goal of {goal:.0%} for what is timed: {'met' if kept else 'MISSED'}")


def request_sizes(predict: Callable[[Array], object], session: ort.InferenceSession) -> None:
    """Print how fast many rows are scored through the pipe, over the runtime's own best batch."""
    rows = np.random.default_rng(1).normal(size=(2048, 1, SIDE, SIDE)).astype(np.float32)

    def raw(size: int) -> Way:
        parts = [rows[start : start + size] for start in range(0, len(rows), size)]

        def block() -> float:
            start = time.perf_counter()
            for part in parts:
                session.run(["y"], {"x": part})
            return time.perf_counter() - start

        return block

    ways = {f"raw, {size} rows a call": raw(size) for size in (16, 64, 256)}
    taken = in_turns({**ways, "predict": piped_way(predict, rows)}, 8)
    best = {name: float(times.min()) for name, times in taken.items()}
    base = min(seconds for name, seconds in best.items() if name != "predict")
    for name, seconds in best.items():
        rate = len(rows) / seconds
        print(f"{len(rows)} rows, {name}: {rate:,.0f} rows/s, {seconds / base - 1:+.1%}")
    what = f"{len(rows)} rows through the pipe: wall of it"
    against = "ONNX Runtime alone, its best batch"
    tell(over("whole audits", what, [best["predict"] / base], against, better="less"))


def main() -> None:
    """Print the ratios."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "net.onnx"
        artifact = network(path)
        session = raw_session(path)
        rng = np.random.default_rng(1)
        inputs = rng.normal(size=(64, 1, SIDE, SIDE)).astype(np.float32)
        task = ClassificationTask(tuple("0123456789"), "9", "9")
        with open_model(TargetSpec("cpu"), path.parent, artifact, task, inputs) as model:
            for rows, rounds in ROUNDS.items():
                part = inputs[:rows]
                ways = {
                    "raw": raw_way(session, part),
                    TIMED: timed_way(session, part),
                    "through the pipe": piped_way(model.predict, part),
                }
                taken = in_turns(ways, rounds)
                quick = taken["raw"].min() * 1e3
                print(f"batch {rows}: raw {quick:.3f} ms a call, the quickest of {rounds}")
                compare(taken, GOALS[rows], rows)
            request_sizes(model.predict, session)


if __name__ == "__main__":
    main()
