"""Twins from an exported program and from an adjoint graph: the same logits, the same gradient."""

import io
import json
import pickle
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import helper
from small_models import interface, make_model, save
from torch import nn

from auditor._resources import PACKAGE
from auditor.domain.models import TwinKind
from auditor.domain.targets import ModelInterface
from auditor.domain.tasks import Floats
from auditor.errors import TwinError
from auditor.onnx.twin.adjoint import open_adjoint_twin
from auditor.onnx.twin.build import (
    DifferentiableTwin,
    TwinPlan,
    build_planned_twin,
    build_twin,
    find_cut,
)
from auditor.onnx.twin.exported_program import open_exported_twin

DIGITS = PACKAGE.parent / "examples" / "digits"
RNG = np.random.default_rng(11)
ROWS = RNG.random((7, 1, 8, 8), dtype=np.float32)
node = helper.make_node
Archive = dict[str, bytes]


class Attention(nn.Module):
    """One block of self-attention over the rows of a picture, with sizes taken while it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 12)
        self.block = nn.TransformerEncoderLayer(12, 3, 16, batch_first=True)
        self.head = nn.Linear(12, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps = self.embed(x.reshape(x.shape[0], 8, 8))
        scores: torch.Tensor = self.head(self.block(steps).mean(1))
        return scores


class Recurrent(nn.Module):
    """An LSTM, whose function returns several tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTM(8, 6, batch_first=True)
        self.head = nn.Linear(6, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.cell(x.squeeze(1))[0][:, -1])
        return scores


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


def exported(
    network: nn.Module, folder: Path, *, rows: int | None = None
) -> tuple[Path, nn.Module]:
    """Save a network as a program for ``rows`` rows, or for any number of them."""
    torch.manual_seed(5)
    network.eval()
    open_axis = ({0: torch.export.Dim("n", min=1, max=512)},) if rows is None else None
    path = folder / "twin.pt2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own exporter
        program = torch.export.export(
            network, (torch.zeros(rows or 3, 1, 8, 8),), dynamic_shapes=open_axis
        )
        torch.export.save(program, path)
    return path, network


def truth(network: nn.Module, cotangent: Floats) -> tuple[Floats, Floats]:
    """Return what torch itself says: logits, and the gradient of ``cotangent`` in the rows."""
    rows = torch.tensor(ROWS, requires_grad=True)
    logits = network(rows)
    (slope,) = torch.autograd.grad(logits, rows, torch.tensor(cotangent, dtype=torch.float32))
    return logits.detach().double().numpy(), slope.double().numpy()


def unlike(left: Floats, right: Floats) -> float:
    """Return the largest difference relative to the largest number."""
    return float(np.abs(left - right).max() / np.abs(right).max())


@pytest.mark.parametrize("make", [convolutional, Attention, Recurrent])
def test_an_exported_program_is_its_network(tmp_path: Path, make: Callable[[], nn.Module]) -> None:
    path, network = exported(make(), tmp_path)
    twin = open_exported_twin(path, interface((1, 8, 8)))
    cotangent = RNG.normal(size=(7, 10))
    logits, slope = truth(network, cotangent)
    assert unlike(twin.forward(ROWS), logits) < 1e-6
    assert unlike(twin.backward(cotangent), slope) < 1e-5


def test_a_program_of_three_rows_takes_seven(tmp_path: Path) -> None:
    path, network = exported(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), tmp_path, rows=3)
    twin = open_exported_twin(path, interface((1, 8, 8)))
    cotangent = RNG.normal(size=(7, 10))
    logits, slope = truth(network, cotangent)
    assert unlike(twin.forward(ROWS), logits) < 1e-6
    assert unlike(twin.backward(cotangent), slope) < 1e-5


@pytest.mark.parametrize(
    ("last", "classes", "scores"),
    [
        (nn.Softmax(1), 10, "probabilities"),
        (nn.Sigmoid(), 10, "probabilities"),
        (nn.Sigmoid(), 1, "binary_probability"),
        (nn.Identity(), 1, "binary_logit"),
    ],
)
def test_a_last_softmax_or_sigmoid_is_left_out(
    tmp_path: Path, last: nn.Module, classes: int, scores: str
) -> None:
    body = nn.Sequential(nn.Flatten(), nn.Linear(64, classes))
    path, _ = exported(nn.Sequential(body, last), tmp_path)
    logits = open_exported_twin(path, interface((1, 8, 8), scores=scores)).forward(ROWS)
    raw = body(torch.tensor(ROWS)).detach().double().numpy()
    wanted = np.hstack([np.zeros((7, 1)), raw]) if classes == 1 else raw
    if isinstance(last, nn.Sigmoid) and classes > 1:
        wanted = -np.logaddexp(0, -raw)
    assert unlike(logits, wanted) < 1e-6


def test_a_regression_keeps_its_one_column(tmp_path: Path) -> None:
    path, network = exported(nn.Sequential(nn.Flatten(), nn.Linear(64, 1)), tmp_path)
    values = open_exported_twin(path, interface((1, 8, 8), scores="values")).forward(ROWS)
    assert unlike(values, network(torch.tensor(ROWS)).detach().double().numpy()) < 1e-6


def test_rows_of_another_shape_are_refused(tmp_path: Path) -> None:
    path, _ = exported(convolutional(), tmp_path)
    with pytest.raises(TwinError, match=r"\(1, 8, 8\).*\(64,\)"):
        open_exported_twin(path, interface((64,)))


def members(path: Path) -> Archive:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewritten(path: Path, change: Callable[[Archive], None]) -> Path:
    held = members(path)
    change(held)
    with zipfile.ZipFile(path, "w") as archive:
        for name, raw in held.items():
            archive.writestr(name, raw)
    return path


def in_json(held: Archive, end: str, change: Callable[[Any], None]) -> None:
    (name,) = [name for name in held if name.endswith(end)]
    document = json.loads(held[name])
    change(document)
    held[name] = json.dumps(document).encode()


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.place,)


def test_example_inputs_are_never_unpickled(tmp_path: Path) -> None:
    path, network = exported(convolutional(), tmp_path)
    sprung = tmp_path / "sprung"

    def set_trap(held: Archive) -> None:
        (name,) = [name for name in held if name.endswith("sample_inputs/model.pt")]
        stream = io.BytesIO()
        torch.save((Trap(sprung),), stream)
        held[name] = stream.getvalue()

    rewritten(path, set_trap)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(Exception, match=""):  # noqa: PT011 -- the trap springs before torch fails
            torch.export.load(path)
    assert sprung.exists()  # torch's own reader runs what the file says
    sprung.unlink()
    twin = open_exported_twin(path, interface((1, 8, 8)))
    assert unlike(twin.forward(ROWS), truth(network, np.zeros((7, 10)))[0]) < 1e-6
    assert not sprung.exists()


def test_a_weight_that_is_a_pickle_is_refused(tmp_path: Path) -> None:
    path, _ = exported(convolutional(), tmp_path)
    sprung = tmp_path / "sprung"

    def set_trap(held: Archive) -> None:
        (name,) = [name for name in held if name.endswith("weights/weight_0")]
        held[name] = pickle.dumps(Trap(sprung))

        def say(document: dict[str, Any]) -> None:
            document["config"]["0.weight"]["use_pickle"] = True

        in_json(held, "model_weights_config.json", say)

    rewritten(path, set_trap)
    with pytest.raises(TwinError, match=r"'0\.weight' is a pickle"):
        open_exported_twin(path, interface((1, 8, 8)))
    assert not sprung.exists()


@pytest.mark.parametrize(
    "target",
    ["torch.hub.load", "torch.ops.aten.from_file.default", "_operator.call", "torch.ops.mine.f.x"],
)
def test_functions_that_are_not_arithmetic_are_refused_by_name(tmp_path: Path, target: str) -> None:
    path, _ = exported(convolutional(), tmp_path)

    def call(document: dict[str, Any]) -> None:
        document["graph_module"]["graph"]["nodes"][0]["target"] = target

    rewritten(path, lambda held: in_json(held, "models/model.json", call))
    with pytest.raises(TwinError, match=target.replace(".", r"\.")):
        open_exported_twin(path, interface((1, 8, 8)))


def test_a_weight_that_reaches_beyond_its_bytes_is_refused(tmp_path: Path) -> None:
    path, _ = exported(convolutional(), tmp_path)

    def stretch(document: dict[str, Any]) -> None:
        document["config"]["0.weight"]["tensor_meta"]["storage_offset"] = {"as_int": 10**6}

    rewritten(path, lambda held: in_json(held, "model_weights_config.json", stretch))
    with pytest.raises(TwinError, match="cannot be read"):
        open_exported_twin(path, interface((1, 8, 8)))


@pytest.mark.parametrize("raw", [b"", b"PK\x05\x06" + bytes(18), b"no archive"])
def test_what_is_no_program_is_refused(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "twin.pt2"
    path.write_bytes(raw)
    with pytest.raises(TwinError, match=r"twin\.pt2 cannot be read"):
        open_exported_twin(path, interface((1, 8, 8)))


def test_another_version_of_the_format_is_refused(tmp_path: Path) -> None:
    path, _ = exported(convolutional(), tmp_path)

    def age(document: dict[str, Any]) -> None:
        document["schema_version"]["major"] = 9

    rewritten(path, lambda held: in_json(held, "models/model.json", age))
    with pytest.raises(TwinError, match="version 9"):
        open_exported_twin(path, interface((1, 8, 8)))


def test_the_operator_that_cuts_an_exported_program_is_named(tmp_path: Path) -> None:
    class Rounded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            scores: torch.Tensor = self.body(torch.round(x * 16) / 16)
            return scores

    path, _ = exported(Rounded(), tmp_path)
    plan = TwinPlan(path, interface((1, 8, 8)), TwinKind.EXPORTED, path)
    twin = build_planned_twin(plan)
    twin.forward(ROWS)
    assert not twin.backward(np.ones((7, 10))).any()
    (named,) = find_cut(plan, ROWS)
    assert "round.default" in named


def digits() -> tuple[Path, ModelInterface]:
    path = DIGITS / "model.onnx"
    graph = onnx.load(str(path)).graph
    found = interface((1, 8, 8), name=graph.input[0].name, output=graph.output[0].name)
    return path, found


def both(path: Path, found: ModelInterface, rows: NDArray[np.float32]) -> tuple[float, float]:
    """Return how unlike the logits and the gradients of torch and of the adjoint graph are."""
    pair: list[DifferentiableTwin] = [build_twin(path, found), open_adjoint_twin(path, found)]
    logits = [twin.forward(rows) for twin in pair]
    cotangent = np.random.default_rng(2).normal(size=logits[0].shape)
    slopes = [twin.backward(cotangent) for twin in pair]
    return unlike(logits[1], logits[0]), unlike(slopes[1], slopes[0])


def test_the_adjoint_graph_of_the_digits_network_has_the_gradient_of_torch() -> None:
    path, found = digits()
    rows = np.random.default_rng(1).random((45, 1, 8, 8), dtype=np.float32)  # no whole batch
    logits, slope = both(path, found, rows)
    assert logits < 1e-5
    assert slope < 1e-5


SMOOTH: Mapping[str, list[onnx.NodeProto]] = {
    "logits": [node("Tanh", ["z"], ["scores"])],
    "probabilities": [node("Softmax", ["z"], ["scores"], axis=1)],
    "several": [node("Sigmoid", ["z"], ["scores"])],
    "logarithms": [node("Exp", ["z"], ["e"]), node("Abs", ["e"], ["scores"])],
    "binary_probability": [
        node("ReduceSum", ["z", "axis"], ["s"], keepdims=1),
        node("Sigmoid", ["s"], ["scores"]),
    ],
    "log_odds": [
        node("ReduceSum", ["z", "axis"], ["s"], keepdims=1),
        node("Sin", ["s"], ["t"]),
        node("Mul", ["t", "t"], ["scores"]),
    ],
}
KINDS = {
    "several": "probabilities",
    "logarithms": "probabilities",
    "log_odds": "binary_probability",
}


@pytest.mark.parametrize("tail", SMOOTH)
@pytest.mark.parametrize("opset", [13, 18])
def test_adjoint_graphs_know_every_kind_of_head(tmp_path: Path, tail: str, opset: int) -> None:
    weights = np.random.default_rng(4).normal(size=(4, 3)).astype(np.float32)
    constants: dict[str, NDArray[np.generic]] = {"w": weights, "axis": np.array([1])}
    model = make_model(
        [node("MatMul", ["x", "w"], ["z"]), *SMOOTH[tail]], constants, ["n", 4], opset=opset
    )
    rows = np.random.default_rng(5).random((9, 4), dtype=np.float32)
    logits, slope = both(save(model, tmp_path), interface((4,), scores=KINDS.get(tail, tail)), rows)
    assert logits < 1e-5
    assert slope < 1e-5


def test_the_adjoint_graph_of_rounded_pixels_has_no_gradient(tmp_path: Path) -> None:
    nodes = [node("Round", ["x"], ["r"]), node("MatMul", ["r", "w"], ["scores"])]
    model = make_model(nodes, {"w": np.eye(4, dtype=np.float32)}, ["n", 4])
    twin = open_adjoint_twin(save(model, tmp_path), interface((4,)))
    twin.forward(ROWS.reshape(7, -1)[:, :4])
    assert not twin.backward(np.ones((7, 4))).any()


def test_an_operator_without_an_adjoint_is_named(tmp_path: Path) -> None:
    classifier = node(
        "LinearClassifier", ["x"], ["labels", "scores"], domain="ai.onnx.ml",
        coefficients=[1.0] * 8, intercepts=[0.0, 0.0], classlabels_ints=[0, 1],
        post_transform="SOFTMAX",
    )  # fmt: skip
    model = make_model([classifier], {}, ["n", 4])
    with pytest.raises(TwinError, match="LinearClassifier"):
        open_adjoint_twin(save(model, tmp_path), interface((4,), scores="probabilities"))


def test_runs_of_fewer_rows_change_nothing() -> None:
    path, found = digits()
    rows = np.random.default_rng(1).random((64, 1, 8, 8), dtype=np.float32)
    cotangent = np.random.default_rng(2).normal(size=(64, 10))
    whole, parted = build_twin(path, found), build_twin(path, found)
    parted._run = 16  # type: ignore[attr-defined]  # noqa: SLF001 -- what the size of a row decides
    np.testing.assert_array_equal(parted.forward(rows), whole.forward(rows))
    np.testing.assert_array_equal(parted.backward(cotangent), whole.backward(cotangent))
