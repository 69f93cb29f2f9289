"""Small networks trained on scikit-learn's digits, and their quantised forms."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from sklearn.datasets import load_digits
from torch.nn import functional

from auditor.domain.tasks import Floats
from auditor.onnx.graph import load_graph
from auditor.onnx.output_heads import LogitTransform
from auditor.onnx.twin.qdq_fusion import fuse_operators
from auditor.onnx.twin.torch_twin import TorchTwin, compile_graph

DIGITS = load_digits()
ROWS: NDArray[np.float32] = (DIGITS.images / 16).astype(np.float32)[:, None]
LABELS: NDArray[np.int64] = DIGITS.target
TRAINED, BATCH = 1200, 64
ALL_AT_ONCE = 4096
"""More rows than there are: ranges that are found on the way are those of the rows of one run."""
node = helper.make_node


class Network(torch.nn.Module):
    """Two or three convolutions and two full layers; a branched one has every joint besides."""

    def __init__(self, *, branched: bool) -> None:
        super().__init__()
        self.branched = branched
        self.c1 = torch.nn.Conv2d(1, 8, 3, padding=1)
        self.c2 = torch.nn.Conv2d(8, 8, 3, padding=1)
        self.c3 = torch.nn.Conv2d(16 if branched else 8, 16, 3, padding=1, stride=2)
        self.l1, self.l2 = torch.nn.Linear(64, 32), torch.nn.Linear(32, 10)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        first = torch.relu(self.c1(rows))
        second = torch.relu(self.c2(first))
        if not self.branched:
            third = torch.relu(self.c3(functional.max_pool2d(second, 2)))
            return self.l2(torch.relu(self.l1(third.flatten(1))))
        joined = torch.cat([second + first, torch.sigmoid(first)], 1)
        third = functional.leaky_relu(self.c3(functional.avg_pool2d(joined, 2)), 0.1)
        gate = third.mean((2, 3), keepdim=True)
        return self.l2(torch.relu(self.l1((third * gate).flatten(1))))


def trained(*, branched: bool) -> Network:
    """Return a network that knows most digits."""
    torch.manual_seed(0)
    network = Network(branched=branched)
    optimiser = torch.optim.Adam(network.parameters(), 5e-3)
    rows, labels = torch.from_numpy(ROWS[:TRAINED]), torch.from_numpy(LABELS[:TRAINED])
    for _ in range(12):
        for part in torch.randperm(TRAINED).split(BATCH):
            optimiser.zero_grad()
            functional.cross_entropy(network(rows[part]), labels[part]).backward()
            optimiser.step()
    return network.eval()


def write(network: Network, path: Path) -> None:
    """Write the network as an exporter would."""
    weights = {name: value.detach().numpy() for name, value in network.state_dict().items()}
    nodes = [*_body(branched=network.branched), *_end()]
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 1, 8, 8])],
        [helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, ["n", 10])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(onnx.shape_inference.infer_shapes(model), str(path))


def _conv(into: str, out: str, name: str, stride: int = 1) -> onnx.NodeProto:
    inputs = [into, f"{name}.weight", f"{name}.bias"]
    return node("Conv", inputs, [out], pads=[1] * 4, kernel_shape=[3, 3], strides=[stride] * 2)


def _body(*, branched: bool) -> list[onnx.NodeProto]:
    pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
    start = [
        _conv("x", "z1", "c1"), node("Relu", ["z1"], ["a1"]),
        _conv("a1", "z2", "c2"), node("Relu", ["z2"], ["a2"]),
    ]  # fmt: skip
    if not branched:
        return [
            *start, node("MaxPool", ["a2"], ["p"], **pool),
            _conv("p", "z3", "c3", 2), node("Relu", ["z3"], ["a3"]),
        ]  # fmt: skip
    return [
        *start, node("Add", ["a2", "a1"], ["s"]), node("Sigmoid", ["a1"], ["g"]),
        node("Concat", ["s", "g"], ["j"], axis=1), node("AveragePool", ["j"], ["p"], **pool),
        _conv("p", "z3", "c3", 2), node("LeakyRelu", ["z3"], ["r3"], alpha=0.1),
        node("GlobalAveragePool", ["r3"], ["m"]), node("Mul", ["r3", "m"], ["a3"]),
    ]  # fmt: skip


def _end() -> list[onnx.NodeProto]:
    return [
        node("Flatten", ["a3"], ["f"]),
        node("Gemm", ["f", "l1.weight", "l1.bias"], ["z4"], transB=1),
        node("Relu", ["z4"], ["a4"]),
        node("Gemm", ["a4", "l2.weight", "l2.bias"], ["scores"], transB=1),
    ]


@dataclass(frozen=True, slots=True)
class Form:
    """How a network is quantised; ``static`` names a format, else ranges are found on the way."""

    static: str
    weights: str
    activations: str = "QUInt8"
    per_channel: bool = False
    symmetric: bool = False

    def __str__(self) -> str:
        """The name of a test."""
        marks = ["channel"] * self.per_channel + ["symmetric"] * self.symmetric
        return "-".join([self.static or "dynamic", self.activations, self.weights, *marks])


class Calibration(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
    """Training rows, from which ranges are taken."""

    def __init__(self) -> None:
        self._parts: Iterator[dict[str, NDArray[np.float32]]] = iter(
            [{"x": part} for part in np.array_split(ROWS[:TRAINED], 4)]
        )

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Return the next rows."""
        return next(self._parts, None)


def quantise(source: Path, path: Path, form: Form) -> None:
    """Write the quantised form of a float network."""
    weights = QuantType[form.weights]
    if not form.static:
        quantize_dynamic(str(source), str(path), weight_type=weights, per_channel=form.per_channel)
        return
    quantize_static(
        str(source),
        str(path),
        Calibration(),
        quant_format=QuantFormat[form.static],
        per_channel=form.per_channel,
        activation_type=QuantType[form.activations],
        weight_type=weights,
        extra_options={"ActivationSymmetric": form.symmetric},
    )


def twin_of_file(path: Path) -> TorchTwin:
    """Return the twin of a network, which takes all rows at once."""
    program = compile_graph(fuse_operators(load_graph(path).needed_for("scores")))
    return TorchTwin(
        program, value="scores", finish=LogitTransform.AS_IS, batch=None, run=ALL_AT_ONCE
    )


def scores(path: Path, rows: NDArray[np.float32]) -> Floats:
    """Return what ONNX Runtime says by default."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["scores"], {"x": rows})[0], dtype=np.float64)
