"""Models that an owner hands over, as ONNX files: networks, shadows of them, and decoders."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from auditor.attacks.privacy.shadow_training import ModelStack, ShadowTrainingSettings, train_stack

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
WIDTH, CLASSES = 6, 3
WEIGHTS = np.random.default_rng(99).normal(size=(WIDTH, CLASSES))
GREEDY = ShadowTrainingSettings(hidden=(64,), epochs=100)
MODEST = ShadowTrainingSettings(epochs=5, updates=100, rate=0.03)


@dataclass(frozen=True)
class Handed:
    """Rows that a model learnt from, rows that it did not, and what shadows learnt from of both."""

    training: tuple[Floats, Labels]
    evaluation: tuple[Floats, Labels]
    include: NDArray[np.bool_]


def drawn(seed: int, rows: int) -> tuple[Floats, Labels]:
    """Rows of three classes that overlap."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(rows, WIDTH)).astype(np.float32).astype(np.float64)
    return inputs, (inputs @ WEIGHTS + rng.gumbel(size=(rows, CLASSES))).argmax(axis=1)


def handed(shadows: int = 6, members: int = 200, others: int = 260, held: int = 60) -> Handed:
    """Halves of members and others for each shadow, but for the last ``held`` of the others."""
    rng = np.random.default_rng(5)
    include = rng.random((shadows, members + others)) < 0.5
    include[:, members + others - held :] = False
    return Handed(drawn(1, members), drawn(2, others), include)


def taught(
    rows: Floats, labels: Labels, include: NDArray[np.bool_], settings: ShadowTrainingSettings
) -> ModelStack:
    """Train a network a row of ``include``."""
    return train_stack(rows, labels, CLASSES, include, settings, seed=3)


def network(stack: ModelStack, at: int, path: Path) -> None:
    """Write one network of a stack as a file that gives logits."""
    weights = [layer[at] for layer in stack.weights]
    biases = [layer[at] for layer in stack.biases]
    first = weights[0] / stack.scaling.width[:, None]
    shift = biases[0] - stack.scaling.middle @ first
    dense(path, [first, *weights[1:]], [shift, *biases[1:]])


def dense(
    path: Path,
    weights: list[NDArray[np.generic]],
    biases: list[NDArray[np.generic]],
    *,
    bend: str = "Relu",
    last: str | None = None,
    shape: tuple[int, ...] = (),
) -> None:
    """Write a stack of layers with a bend between them; ``shape`` is that of a row, else flat."""
    nodes, stored, value = [], [], "x"
    for at, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        stored += [
            numpy_helper.from_array(np.asarray(weight, np.float32), f"w{at}"),
            numpy_helper.from_array(np.asarray(bias, np.float32), f"b{at}"),
        ]
        nodes.append(helper.make_node("Gemm", [value, f"w{at}", f"b{at}"], [f"z{at}"]))
        value = f"z{at}"
        step = bend if at < len(weights) - 1 else last
        if step is not None:
            nodes.append(helper.make_node(step, [value], [f"a{at}"]))
            value = f"a{at}"
    if shape:
        stored.append(numpy_helper.from_array(np.array([-1, *shape], np.int64), "shape"))
        nodes.append(helper.make_node("Reshape", [value, "shape"], ["rows"]))
        value = "rows"
    width = shape or (int(weights[-1].shape[1]),)
    graph = helper.make_graph(
        nodes,
        "dense",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", int(weights[0].shape[0])])],
        [helper.make_tensor_value_info(value, TensorProto.FLOAT, ["n", *width])],
        stored,
    )
    sets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=sets, ir_version=9), path)


def decoder(path: Path, rows: Floats, size: int, **fields: object) -> None:
    """Write a decoder of public rows: principal axes, of latent points of variance 1."""
    mean = rows.mean(axis=0)
    _, sizes, axes = np.linalg.svd(rows - mean, full_matrices=False)
    scale = sizes[:size, None] / np.sqrt(len(rows) - 1)
    dense(path, [axes[:size] * scale], [mean], **fields)  # type: ignore[arg-type]


def write(
    folder: Path,
    made: Handed,
    settings: ShadowTrainingSettings = GREEDY,
    like: ShadowTrainingSettings = GREEDY,
) -> None:
    """Write an artifact, its data, shadows by ``like`` and their matrix into a folder."""
    rows = np.concatenate([made.training[0], made.evaluation[0]])
    labels = np.concatenate([made.training[1], made.evaluation[1]])
    every = np.ones((1, len(made.training[0])), dtype=np.bool_)
    network(taught(*made.training, every, settings), 0, folder / "model.onnx")
    (folder / "shadows").mkdir()
    stack = taught(rows, labels, made.include, like)
    for at in range(len(made.include)):
        network(stack, at, folder / "shadows" / f"shadow-{at}.onnx")
    np.save(folder / "inclusion.npy", made.include)
    for name, (inputs, truth) in (("train", made.training), ("test", made.evaluation)):
        np.savez(folder / f"{name}.npz", x=inputs.astype(np.float32), y=truth)
