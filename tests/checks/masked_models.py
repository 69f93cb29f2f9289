"""Small nets on real digits, plain and with masked gradients, as ONNX files with their twins."""

import copy
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from evasion_toys import box, classes, subject
from numpy.typing import NDArray
from skl2onnx import to_onnx
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional

from auditor.attacks.evasion.losses import softmax
from auditor.domain.check_subject import Subject
from auditor.domain.json import Json
from auditor.domain.models import ModelTiming, TwinKind
from auditor.domain.targets import Fingerprint, ModelInterface
from auditor.domain.tasks import Array, Floats
from auditor.onnx.twin.build import DifferentiableTwin, TwinPlan, build_planned_twin

PIXELS = 64
TRAINED_ON = 1200
ROWS = 120


@cache
def digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the 8 x 8 digits as flat rows in 0..1, in a seeded order."""
    inputs, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    return (inputs[order] / 16).astype(np.float32), labels[order].astype(np.int64)


class Session:
    """An ONNX file open in this process."""

    def __init__(self, path: Path, scores: str, *, deterministic: bool = True) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._output = self._session.get_outputs()[-1].name
        self._scores = scores
        self.interface = ModelInterface(
            self._input, (PIXELS,), "float32", None, "as_is", self._output, scores, "a test"
        )
        self.fingerprint = Fingerprint({}, {}, interface=self.interface)
        self.deterministic = deterministic
        self.queries, self.busy = 0, 0.0

    def predict(self, inputs: Array) -> Floats:
        self.queries += len(inputs)
        (found,) = self._session.run([self._output], {self._input: inputs.astype(np.float32)})
        scores: Floats = found.astype(np.float64)
        return scores

    def probabilities(self, scores: Floats) -> Floats:
        return softmax(scores) if self._scores == "logits" else scores

    def time(self, inputs: Array, *, calls: int, warmup: int, batch_rows: int) -> ModelTiming:
        raise NotImplementedError


class NearTwin:
    """A twin in this process that no gate has looked at."""

    def __init__(self, twin: DifferentiableTwin, distance: Mapping[str, float]) -> None:
        self._twin = twin
        self.passes = 0
        self.distance = distance
        self.source: dict[str, Json] = {"kind": "auto", "digest": None}

    def forward(self, inputs: Array) -> Floats:
        return self._twin.forward(inputs.astype(np.float32))

    def backward(self, cotangent: Floats) -> Floats:
        self.passes += len(cotangent)
        return self._twin.backward(cotangent)


@dataclass(frozen=True, eq=False)
class Sample:
    """A net, what its scores are, and whether its twin is torch's own derivative of the file."""

    net: nn.Module
    scores: str = "logits"
    naive: bool = False
    random: bool = False
    twin_of: nn.Module | None = None


def subject_of(sample: Sample, folder: Path, seed: int = 0) -> Subject:
    """Write a net's file and return what a check sees of it, on digits that it was not shown.

    ``naive`` twins are exported programs, in which rounding has the derivative that it has: none.
    """
    path = folder / "model.onnx"
    export(sample.net, path)
    model = Session(path, sample.scores, deterministic=not sample.random)
    plan = TwinPlan(path, model.interface)
    if sample.naive:
        plan = TwinPlan(path, model.interface, TwinKind.EXPORTED, folder / "twin.pt2")
        save_program(sample.net, folder / "twin.pt2")
    if sample.twin_of is not None:
        export(sample.twin_of, folder / "quiet.onnx")
        plan = TwinPlan(folder / "quiet.onnx", model.interface)
    return _subject(model, build_planned_twin(plan), seed)


def forest(folder: Path, seed: int) -> Subject:
    """Return a random forest with its smoothed gradient."""
    return _of_sklearn(RandomForestClassifier(30, max_depth=10, random_state=seed), folder, seed)


def logistic(folder: Path, seed: int) -> Subject:
    """Return a logistic regression."""
    return _of_sklearn(LogisticRegression(max_iter=300, C=0.1 * (1 + seed)), folder, seed)


def _of_sklearn(
    estimator: RandomForestClassifier | LogisticRegression, folder: Path, seed: int
) -> Subject:
    inputs, labels = digits()
    estimator.fit(inputs[:TRAINED_ON], labels[:TRAINED_ON])
    found = to_onnx(estimator, inputs[:1], options={"zipmap": False}, target_opset=17)
    path = folder / "model.onnx"
    path.write_bytes(found.SerializeToString())
    model = Session(path, "probabilities")
    return _subject(model, build_planned_twin(TwinPlan(path, model.interface)), seed)


def _subject(model: Session, twin: DifferentiableTwin, seed: int) -> Subject:
    inputs, labels = digits()
    held = slice(TRAINED_ON, TRAINED_ON + ROWS)
    seen = subject(
        model,  # type: ignore[arg-type]  # a target all the same
        NearTwin(twin, {"max_difference": 0.0}),  # type: ignore[arg-type]  # a twin all the same
        inputs[held],
        labels[held],
        box((PIXELS,)),
        classes(10),
    )
    seen.seed = seen.audit_seed = seed
    return seen


def export(net: nn.Module, path: Path) -> None:
    """Write an ONNX file with an open batch axis."""
    rows = {"x": {0: "n"}, "y": {0: "n"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own exporter
        torch.onnx.export(
            net.eval(), (torch.rand(2, PIXELS),), path, input_names=["x"], output_names=["y"],
            dynamic_axes=rows, opset_version=17, dynamo=False,
        )  # fmt: skip


def save_program(net: nn.Module, path: Path) -> None:
    """Write an exported program, the form in which an owner gives a twin."""
    rows = torch.export.Dim("n", min=1, max=4096)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own exporter
        program = torch.export.export(
            net.eval(), (torch.rand(2, PIXELS),), dynamic_shapes=({0: rows},)
        )
        torch.export.save(program, path)


class Step(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """Apply it."""
        return self.function(x)


def trained(
    layers: Callable[[], nn.Module],
    seed: int,
    *,
    before: Callable[[Tensor], Tensor] | None = None,
    eps: float = 0.0,
    epochs: int = 30,
) -> nn.Module:
    """Train a net on what ``before`` makes of digits, or, above 0, on attacks of size ``eps``."""
    torch.manual_seed(seed)
    net = layers()
    inputs, labels = (torch.from_numpy(item[:TRAINED_ON]) for item in digits())
    inputs = inputs if before is None else before(inputs)
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(inputs)).split(100):
            rows = _attacked(net, inputs[batch], labels[batch], eps)
            optimiser.zero_grad()
            functional.cross_entropy(net(rows), labels[batch]).backward()
            optimiser.step()
    return net.eval()


def _attacked(net: nn.Module, rows: Tensor, labels: Tensor, eps: float) -> Tensor:
    """Return points that five steps of a projected climb reach (Madry et al. 2018)."""
    if not eps:
        return rows
    point = (rows + eps * (2 * torch.rand_like(rows) - 1)).clamp(0, 1)
    for _ in range(5):
        point.requires_grad_(True)  # noqa: FBT003 -- as torch
        (slope,) = torch.autograd.grad(functional.cross_entropy(net(point), labels), point)
        ahead = point.detach() + 0.4 * eps * slope.sign()
        point = torch.clamp(torch.clamp(ahead, rows - eps, rows + eps), 0, 1)
    return point.detach()


def mlp(width: int = 64, columns: int = PIXELS) -> nn.Module:
    """Return a net of one hidden layer."""
    return nn.Sequential(nn.Linear(columns, width), nn.ReLU(), nn.Linear(width, 10))


def cnn() -> nn.Module:
    """Return two convolutions and two dense layers."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


class Int8(nn.Module):
    """A net of one hidden layer whose input, weights and values are rounded to eight bits."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.first, self.last = (
            copy.deepcopy(layer) for layer in net.modules() if isinstance(layer, nn.Linear)
        )
        inputs = torch.from_numpy(digits()[0][:TRAINED_ON])
        with torch.no_grad():
            for layer in (self.first, self.last):
                scale = layer.weight.abs().amax(1, keepdim=True) / 127
                layer.weight.copy_(torch.round(layer.weight / scale) * scale)
            hidden = torch.relu(self.first(inputs))
            self.inner = float(hidden.max()) / 255
            self.outer = float(self.last(hidden).abs().max()) / 127

    def forward(self, x: Tensor) -> Tensor:
        """Round after each layer, as a quantised graph does."""
        pixels = torch.round(x * 255) / 255
        hidden = torch.round(torch.relu(self.first(pixels)) / self.inner) * self.inner
        return torch.round(self.last(hidden) / self.outer) * self.outer


def levels(count: int) -> Callable[[Tensor], Tensor]:
    """Return the rounding of pixels to some levels."""
    return lambda x: torch.round(x * (count - 1)) / (count - 1)


def thermometer(x: Tensor) -> Tensor:
    """Code each pixel as eight yes or no (Buckman et al. 2018), by comparisons."""
    limits = (torch.arange(8) + 0.5) / 8
    return (torch.sign(x[..., None] - limits) + 1).flatten(1) / 2


def threshold(x: Tensor) -> Tensor:
    """Make each pixel black or white."""
    return (torch.sign(x - 0.5) + 1) / 2


def steep(x: Tensor) -> Tensor:
    """Make each pixel all but black or white, smoothly."""
    return torch.sigmoid(200 * (x - 0.5))


def wavy(x: Tensor) -> Tensor:
    """Add a fast wave, whose slope drowns that of the pixel."""
    return x + 0.05 * torch.sin(300 * x)


def noisy(x: Tensor) -> Tensor:
    """Add noise that no seed fixes."""
    return x + 0.1 * torch.randn_like(x)


def hot(scores: Tensor) -> Tensor:
    """Return a softmax so hot that it is 0 and 1."""
    return torch.softmax(1000 * scores, 1)


def floored(scores: Tensor) -> Tensor:
    """Return the same, mixed with a little of everything, so that no twin can take logits."""
    return 0.999 * hot(scores) + 0.0001


def behind(before: Callable[[Tensor], Tensor], seed: int, columns: int = PIXELS) -> nn.Module:
    """Return a net that was trained behind a step, with that step before it."""
    net = trained(lambda: mlp(columns=columns), seed, before=before)
    return nn.Sequential(Step(before), net)


def with_noise(seed: int) -> Sample:
    """Return a net with noise before it, and the same without as its twin."""
    net = trained(mlp, seed)
    return Sample(nn.Sequential(Step(noisy), net), random=True, twin_of=net)


def stranger(seed: int) -> Sample:
    """Return a net that sees four levels of each pixel, and as its twin one that sees all."""
    net = trained(mlp, seed)
    return Sample(nn.Sequential(Step(levels(4)), net), twin_of=net)


MASKED: Mapping[str, Callable[[int], Sample]] = {
    "int8": lambda seed: Sample(Int8(trained(mlp, seed)), naive=True),
    "eight levels": lambda seed: Sample(behind(levels(8), seed), naive=True),
    "thermometer": lambda seed: Sample(behind(thermometer, seed, 8 * PIXELS), naive=True),
    "threshold": lambda seed: Sample(behind(threshold, seed), naive=True),
    "steep": lambda seed: Sample(behind(steep, seed)),
    "wavy": lambda seed: Sample(behind(wavy, seed)),
    "floored softmax": lambda seed: Sample(
        nn.Sequential(trained(mlp, seed), Step(floored)), "probabilities"
    ),
    "noise": with_noise,
    "stranger": stranger,
}
PLAIN: Mapping[str, Callable[[int], Sample]] = {
    "mlp": lambda seed: Sample(trained(mlp, seed)),
    "overfit mlp": lambda seed: Sample(trained(mlp, seed, epochs=150)),
    "cnn": lambda seed: Sample(trained(cnn, seed, epochs=15)),
    "hardened": lambda seed: Sample(trained(lambda: mlp(128), seed, eps=0.15)),
    "int8": lambda seed: Sample(Int8(trained(mlp, seed))),
    "eight levels": lambda seed: Sample(behind(levels(8), seed)),
    "softmax": lambda seed: Sample(
        nn.Sequential(trained(mlp, seed), nn.Softmax(1)), "probabilities"
    ),
    "hot softmax": lambda seed: Sample(
        nn.Sequential(trained(mlp, seed), Step(hot)), "probabilities"
    ),
}
