"""An adjoint twin without torch: an ONNX graph of the artifact's derivatives for ONNX Runtime.

``onnx-ad`` writes the graph (reverse mode by source transformation; Griewank & Walther, Evaluating
Derivatives, 2nd ed., chapter 6). It needs fixed shapes and opset 16 (its scatter adds up), and its
rounding operators have a zero derivative: a quantised model's gradient is cut, which the fidelity
gate sees.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, shape_inference, version_converter

from auditor.domain.targets import ModelInterface
from auditor.domain.tasks import Array, Floats
from auditor.errors import MissingExtraError, TwinError, suggest_install
from auditor.onnx.graph import load_graph, normalise_model
from auditor.onnx.output_heads import LogitTransform, find_output_head

ort: Any = onnxruntime  # whose types are not published
OPSET, NEW_OPSET = 16, 17
ROWS = 32
"""Rows a run where the model leaves their number open."""
FLOOR = 1e-30
SILENT = 4
CURE = "Install torch for another kind of twin, or attack the target directly."


def _log(scores: Floats) -> Floats:
    return np.log(np.maximum(scores, FLOOR))


def _log_slope(scores: Floats, cotangent: Floats) -> Floats:
    return np.where(scores > FLOOR, cotangent / np.maximum(scores, FLOOR), 0.0)


def _sigmoid(values: Floats) -> Floats:
    grown: Floats = np.exp(-np.logaddexp(0.0, -values))
    return grown


FINISHES: Mapping[LogitTransform, Callable[[Floats], Floats]] = {
    LogitTransform.AS_IS: lambda values: values,
    LogitTransform.LOG: _log,
    LogitTransform.LOG_SIGMOID: lambda values: -np.logaddexp(0.0, -values),
    LogitTransform.BINARY_AS_IS: lambda column: np.hstack([np.zeros_like(column), column]),
    LogitTransform.BINARY_LOG_ODDS: lambda column: np.hstack([_log(1 - column), _log(column)]),
}
"""From the values of a head to logits."""
SLOPES: Mapping[LogitTransform, Callable[[Floats, Floats], Floats]] = {
    LogitTransform.AS_IS: lambda _, cotangent: cotangent,
    LogitTransform.LOG: _log_slope,
    LogitTransform.LOG_SIGMOID: lambda values, cotangent: cotangent * _sigmoid(-values),
    LogitTransform.BINARY_AS_IS: lambda _, cotangent: cotangent[:, 1:],
    LogitTransform.BINARY_LOG_ODDS: lambda column, cotangent: (
        _log_slope(column, cotangent[:, 1:]) - _log_slope(1 - column, cotangent[:, :1])
    ),
}
"""From values and a cotangent of the logits to a cotangent of the values."""


class AdjointTwin:
    """An adjoint graph in a session of one thread; rows go through in batches of equal size."""

    def __init__(
        self, model: onnx.ModelProto, finish: LogitTransform, value: str, batch: int
    ) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = SILENT
        self._session = ort.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._run_options = ort.RunOptions()
        # A forward pass must not pay for the backward one.
        self._run_options.only_execute_path_to_fetches = True
        self._input, self._seed = (item.name for item in self._session.get_inputs())
        self._gradient = self._session.get_outputs()[-1].name
        self._value, self._finish, self._batch = value, finish, batch
        self._shape = tuple(self._session.get_outputs()[0].shape)
        self._rows: Array | None = None
        self._values: Floats | None = None

    def forward(self, x: Array) -> Floats:
        """Return ``[n, classes]`` logits, up to a constant a row, of rows as the model takes them.

        Raises ``TwinError`` where the graph cannot be run.
        """
        self._rows = np.array(x, dtype=np.float32)
        none = np.zeros((len(x), *self._shape[1:]), dtype=np.float32)
        self._values = self._run(self._value, self._rows, none).reshape(len(x), -1)
        return FINISHES[self._finish](self._values)

    def backward(self, cotangent: Floats) -> Floats:
        """Return the gradient of ``sum(cotangent * logits)`` in the rows of the last forward pass.

        Raises ``TwinError`` when there was none.
        """
        if self._rows is None or self._values is None:
            raise TwinError("a gradient was asked for before a forward pass", cure="Call forward.")
        pulled = SLOPES[self._finish](self._values, cotangent)
        seeds = pulled.reshape(len(pulled), *self._shape[1:]).astype(np.float32)
        return self._run(self._gradient, self._rows, seeds).reshape(self._rows.shape)

    def _run(self, wanted: str, rows: Array, seeds: Array) -> Floats:
        parts = []
        for start in range(0, len(rows), self._batch):
            given = rows[start : start + self._batch]
            feeds = {
                self._input: _filled(given, self._batch),
                self._seed: _filled(seeds[start : start + self._batch], self._batch)[..., None],
            }
            try:
                (found,) = self._session.run([wanted], feeds, self._run_options)
            except Exception as mistake:
                raise TwinError(f"the adjoint graph fails: {mistake}", cure=CURE) from mistake
            parts.append(np.asarray(found, dtype=np.float64)[: len(given)])
        joined: Floats = np.concatenate(parts)
        return joined


def open_adjoint_twin(path: Path, interface: ModelInterface) -> AdjointTwin:
    """Return the twin of the ONNX file at ``path`` that ONNX Runtime differentiates.

    Raises ``TwinError`` that names what has no derivative there, and ``MissingExtraError`` where
    onnx-ad is not installed.
    """
    try:
        import onnx_ad  # noqa: PLC0415 -- optional
    except ImportError as missing:
        raise MissingExtraError(
            "an adjoint twin needs onnx-ad, which is not installed",
            cure=suggest_install("adjoint"),
        ) from missing
    differentiate: Any = onnx_ad  # no types either
    graph = load_graph(path)
    head = find_output_head(graph, interface.output, interface.scores)
    batch = interface.fixed_batch or ROWS
    try:
        model = _fixed(normalise_model(onnx.load(str(path))), interface, head.value, batch)
        adjoint = differentiate.reverse(
            model, inputs=[interface.input], outputs=[head.value], layout="onnx"
        )
        return AdjointTwin(adjoint, head.finish, head.value, batch)
    except differentiate.UnsupportedOperator as mistake:
        raise TwinError(f"there is no adjoint graph: {mistake}", cure=CURE) from mistake
    except Exception as mistake:
        raise TwinError(
            f"{path.name} has no adjoint graph: {type(mistake).__name__}: {mistake}", cure=CURE
        ) from mistake


def _fixed(
    model: onnx.ModelProto, interface: ModelInterface, value: str, batch: int
) -> onnx.ModelProto:
    """Return the part of a model that ``value`` depends on, with ``batch`` rows."""
    opsets = {item.domain: item.version for item in model.opset_import}
    if opsets.get("", OPSET) < OPSET:
        model = version_converter.convert_version(model, NEW_OPSET)
    graph = model.graph
    kept, wanted = list[onnx.NodeProto](), {value}
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(node.input)
    del graph.node[:], graph.output[:], graph.value_info[:], graph.input[:]
    graph.node.extend(reversed(kept))
    shape = [batch, *interface.input_shape]
    graph.input.append(helper.make_tensor_value_info(interface.input, TensorProto.FLOAT, shape))
    graph.output.append(helper.make_tensor_value_info(value, TensorProto.FLOAT, None))
    inferred: onnx.ModelProto = shape_inference.infer_shapes(
        model, strict_mode=True, data_prop=True
    )
    require_shape: Any = inferred.graph.output[0].type.tensor_type.shape
    if not require_shape.dim or not all(axis.dim_value > 0 for axis in require_shape.dim):
        message = f"the shape of its scores cannot be told ({dict(opsets)})"
        raise ValueError(message)
    return inferred


def _filled(part: Array, batch: int) -> Array:
    """Return a batch of full size: what is lacking repeats the last row."""
    lacking = batch - len(part)
    return np.concatenate([part, np.repeat(part[-1:], lacking, axis=0)]) if lacking else part
