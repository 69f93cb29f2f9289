"""Subjects whose tiny model is open on this machine's processor, with a bench beside it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

from auditor.domain.artifacts import Artifact, FileDigest, SignatureMaterial
from auditor.domain.budgets import Budget
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.readings import Gap, GapReason
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array, ClassificationTask, InputSpace, RegressionTask
from auditor.targets.instrumented_model import open_bench
from auditor.targets.session import open_model

ABSENT = Gap(reason=GapReason.UNSUPPORTED, detail="not asked", cure="none")
DIGEST = "0" * 64
FEATURES = 4
CPU = TargetSpec("cpu", time_limit=60.0)
Weights = dict[str, ArrayLike]


def value(name: str, shape: Sequence[int | str] | None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def save(
    folder: Path, nodes: Sequence[onnx.NodeProto], weights: Weights, classes: int = 2
) -> Artifact:
    """Save a graph from ``x`` ``[N, 4]`` to ``y`` ``[N, classes]``."""
    graph = helper.make_graph(
        list(nodes),
        "g",
        [value("x", ["N", FEATURES])],
        [value("y", ["N", classes])],
        [numpy_helper.from_array(np.asarray(w), name) for name, w in weights.items()],
    )
    sets = [helper.make_opsetid("", 17)]
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(helper.make_model(graph, opset_imports=sets, ir_version=8), folder / "model.onnx")
    return Artifact("tiny", "1", (FileDigest("model.onnx", 1, DIGEST),))


def separating(scale: float = 1.0) -> Weights:
    """Weights of two classes, by the sign of the first feature; the others hardly matter."""
    w = np.full((FEATURES, 2), 0.01, dtype=np.float32)
    w[0] = -scale, scale
    return {"w": w}


def linear(folder: Path) -> Artifact:
    return save(folder, [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")],
                separating())  # fmt: skip


def looping(folder: Path, trips: int) -> Artifact:
    """A linear model that first goes ``trips`` times round a loop where the second feature is
    above 0.5, and once elsewhere: the numbers are the same, the time is not.
    """
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Mul", ["v", "one"], ["u"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            value("v", None),
        ],
        [helper.make_tensor_value_info("go_on", TensorProto.BOOL, []), value("u", None)],
    )
    nodes = [
        helper.make_node("Gather", ["x", "second"], ["s"], axis=1),
        helper.make_node("ReduceMax", ["s"], ["m"], keepdims=0),
        helper.make_node("Greater", ["m", "limit"], ["slow"]),
        helper.make_node("Where", ["slow", "many", "few"], ["trips"]),
        helper.make_node("Loop", ["trips", "", "x"], ["z"], body=body),
        helper.make_node("MatMul", ["z", "w"], ["y"], name="product"),
    ]
    return save(
        folder,
        nodes,
        {
            **separating(),
            "second": np.array([1]),
            "limit": np.float32(0.5),
            "many": np.int64(trips),
            "few": np.int64(1),
            "one": np.float32(1),
        },
    )


def rows(count: int = 120, seed: int = 3) -> Array:
    """Rows in 0..1 away from the decision's limit, then shifted to be both sides of 0."""
    found = np.random.default_rng(seed).uniform(0.0, 1.0, size=(count, FEATURES))
    found[:, 0] = np.where(np.arange(count) % 2, 0.8, -0.8) * 4
    return found.astype(np.float32)


BOX = InputSpace(
    low=np.array([-4.0, 0.0, 0.0, 0.0]),
    high=np.array([4.0, 1.0, 1.0, 1.0]),
    quantum=np.zeros(FEATURES),
    mutable=np.ones(FEATURES, dtype=bool),
)


@contextmanager
def benched(
    folder: Path, artifact: Artifact, inputs: Array, labels: ArrayLike | None = None,
    *, spec: TargetSpec = CPU, space: InputSpace | Gap = BOX,
    task: ClassificationTask | RegressionTask | None = None,
) -> Iterator[Subject]:  # fmt: skip
    count = len(inputs)
    data = Dataset(
        DatasetRole.EVALUATION,
        (FileDigest("test.npz", 1, DIGEST),),
        inputs,
        None if labels is None else np.asarray(labels, dtype=np.int64),
        tuple(f"row-{index}" for index in range(count)),
    )
    task = task or ClassificationTask(("0", "1"), "1", "1")
    with ExitStack() as stack:
        model = stack.enter_context(open_model(spec, folder, artifact, task, inputs))
        bench = stack.enter_context(open_bench(spec, folder, artifact, model))
        yield Subject(
            artifact=artifact,
            structure=ABSENT,
            signature=SignatureMaterial(),
            model=model,
            twin=ABSENT,
            task=task,
            space=space,
            datasets={DatasetRole.EVALUATION: data},
            audit_seed=7,
            seed=7,
            budget=Budget.SMOKE,
            bench=bench,
            placement=model.placement,
            target=spec,
        )
