"""One operator at a time: in ONNX Runtime, and as a twin computes it."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import helper

from auditor.onnx.graph import read_graph
from auditor.onnx.twin.torch_tensors import to_tensor
from auditor.onnx.twin.torch_twin import compile_graph

Array = NDArray[Any]


def one_operator(
    operator: str,
    inputs: dict[str, Array],
    *,
    opset: int,
    outputs: int = 1,
    attributes: dict[str, Any] | None = None,
) -> onnx.ModelProto:
    """Return a model of one node; an input whose name starts with ``_`` is absent."""
    given = {name: value for name, value in inputs.items() if not name.startswith("_")}
    names = [f"y{place}" for place in range(outputs)]
    listed = ["" if name.startswith("_") else name for name in inputs]
    node = helper.make_node(operator, listed, names, **(attributes or {}))
    values = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
        )
        for name, value in given.items()
    ]
    results = [helper.make_empty_tensor_value_info(name) for name in names]
    graph = helper.make_graph([node], "one", values, results)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8 if opset < 22 else 10
    )


def by_runtime(model: onnx.ModelProto, inputs: dict[str, Array]) -> list[Array]:
    """Return what ONNX Runtime computes, its own rewriting of the graph switched off."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    given = {name: value for name, value in inputs.items() if not name.startswith("_")}
    return [np.asarray(value) for value in session.run(None, given)]


def by_twin(model: onnx.ModelProto, inputs: dict[str, Array]) -> list[Array]:
    """Return what a twin computes of the same model."""
    given = {name: to_tensor(v) for name, v in inputs.items() if not name.startswith("_")}
    values = compile_graph(read_graph(model)).run(given)
    return [values[slot.name].numpy() for slot in model.graph.output]


def assert_same(model: onnx.ModelProto, inputs: dict[str, Array], rtol: float = 1e-4) -> None:
    """Compare all outputs, whose size sets the tolerance."""
    found, wanted = by_twin(model, inputs), by_runtime(model, inputs)
    for one, other in zip(found, wanted, strict=True):
        assert one.shape == other.shape
        scale = float(np.abs(other[np.isfinite(other)]).max(initial=1.0)) if other.size else 1.0
        np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol * scale)


def slopes(
    model: onnx.ModelProto, inputs: dict[str, Array], seed: int, step: float = 1e-2
) -> tuple[float, float]:
    """Return a derivative along one random way: by the twin's gradient, and by differences.

    The way leads through all floating-point inputs at once, and the outputs are summed by random
    weights. Differences are those of the twin's own values, in float32.
    """
    rng = np.random.default_rng(seed)
    program = compile_graph(read_graph(model))
    fixed = {name: to_tensor(value) for name, value in inputs.items()}
    ways = {
        name: torch.from_numpy(rng.normal(size=value.shape).astype(np.float32))
        for name, value in fixed.items()
        if value.is_floating_point()
    }
    output = model.graph.output[0].name
    weights = torch.from_numpy(rng.normal(size=program.run(fixed)[output].shape)).float()

    def total(amount: torch.Tensor) -> torch.Tensor:
        moved = {name: fixed[name] + amount * way for name, way in ways.items()}
        return (program.run({**fixed, **moved})[output].double() * weights).sum()

    amount = torch.zeros((), requires_grad=True)
    (gradient,) = torch.autograd.grad(total(amount), amount)
    with torch.no_grad():
        ahead, behind = total(torch.tensor(step)), total(torch.tensor(-step))
    return float(gradient), float(ahead - behind) / (2 * step)
