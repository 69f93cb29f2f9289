"""The five models that the attack benchmarks compare on, made by seed from real data and cached.

plain      three convolutions on scikit-learn's digits at 28 x 28
hardened   the same, trained on Linf PGD examples (Madry et al. 2018)
residual   a small residual net on the same digits, hardened as well
tabular    an MLP on the breast cancer table (30 measurements), standardised by its first layer
int8       the hardened net, statically quantised by ONNX Runtime (QDQ, per channel)
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from sklearn.datasets import load_breast_cancer, load_digits
from torch import Tensor, nn
from torch.nn import functional

CACHE = Path(__file__).parent / ".cache"
SIDE = 28
TRAINED_ON = 1200
EPS = 0.15


@dataclass(frozen=True, slots=True, eq=False)
class BenchModel:
    """An ONNX file, the rows that it is attacked on, the budget, and the same net in torch.

    ``net`` is ``None`` where torch does not hold the model; ``scores`` says what comes out
    (``logits`` or ``probabilities``).
    """

    name: str
    path: Path
    rows: NDArray[np.float32]
    labels: NDArray[np.int64]
    eps: float
    net: nn.Module | None
    scores: str = "logits"


class Residual(nn.Module):
    """Two convolutions around which the input is led."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add what the convolutions say to what came in."""
        return functional.relu(x + self.body(x))


def cnn() -> nn.Module:
    """Return three convolutions and two dense layers."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(32 * 49, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


def residual() -> nn.Module:
    """Return a stem, three residual blocks and a mean."""
    return nn.Sequential(
        nn.Conv2d(1, 24, 3, stride=2, padding=1), nn.ReLU(),
        Residual(24), nn.MaxPool2d(2), Residual(24), Residual(24),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(24 * 9, 10),
    )  # fmt: skip


class Table(nn.Module):
    """An MLP behind a fixed standardisation."""

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        width = len(mean)
        self.body = nn.Sequential(
            nn.Linear(width, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Standardise and score."""
        return self.body((x - self.mean) / self.deviation)


def pictures() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the digits at 28 x 28, in 0..1, in a seeded order."""
    images, labels = load_digits(return_X_y=True)
    small = torch.from_numpy(images.reshape(-1, 1, 8, 8).astype(np.float32) / 16)
    large = functional.interpolate(small, SIDE, mode="bilinear", align_corners=False)
    order = np.random.default_rng(0).permutation(len(labels))
    return large.numpy()[order], labels[order].astype(np.int64)


def table() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the breast cancer table, each column scaled to 0..1, in a seeded order."""
    x, y = load_breast_cancer(return_X_y=True)
    x = (x - x.min(axis=0)) / (x.max(axis=0) - x.min(axis=0))
    order = np.random.default_rng(0).permutation(len(y))
    return x[order].astype(np.float32), y[order].astype(np.int64)


def pgd(net: nn.Module, x: Tensor, y: Tensor, eps: float, steps: int) -> Tensor:
    """Return examples that a plain projected ascent finds, to train on."""
    point = (x + eps * (2 * torch.rand_like(x) - 1)).clamp(0, 1)
    for _ in range(steps):
        point.requires_grad_(True)  # noqa: FBT003 -- as torch
        (slope,) = torch.autograd.grad(functional.cross_entropy(net(point), y), point)
        ahead = point.detach() + 2.5 * eps / steps * slope.sign()
        point = torch.clamp(torch.clamp(ahead, x - eps, x + eps), 0, 1)
    return point.detach()


def train(net: nn.Module, x: Tensor, y: Tensor, *, epochs: int, eps: float = 0.0) -> None:
    """Train by Adam, on PGD examples of half and full ``eps`` where it is above 0."""
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    for epoch in range(epochs):
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * (1 - epoch / epochs) + 1e-5
        for batch in torch.randperm(len(x)).split(100):
            rows, labels = x[batch], y[batch]
            if eps:
                rows = pgd(net, rows, labels, eps * min(1.0, 2 * epoch / epochs), 5)
            optimiser.zero_grad()
            functional.cross_entropy(net(rows), labels).backward()
            optimiser.step()
    net.eval()


def export(net: nn.Module, row: tuple[int, ...], path: Path) -> None:
    """Write ``net`` with an open batch axis."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net, (torch.zeros(1, *row),), path, input_names=["x"], output_names=["logits"],
            dynamic_axes={"x": {0: "n"}, "logits": {0: "n"}}, opset_version=17, dynamo=False,
        )  # fmt: skip


class _Rows(CalibrationDataReader):
    def __init__(self, rows: NDArray[np.float32]) -> None:
        self._left = iter(np.array_split(rows, 10))

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Return the next batch to calibrate on."""
        part = next(self._left, None)
        return None if part is None else {"x": part}


def load(
    names: tuple[str, ...] = ("plain", "hardened", "residual", "tabular", "int8"),
) -> list[BenchModel]:
    """Return the models, made where the cache does not hold them."""
    CACHE.mkdir(exist_ok=True)
    return [MAKERS[name](name) for name in names]


def _net(name: str, net: nn.Module, eps: float, epochs: int) -> BenchModel:
    x, y = pictures()
    _fit(name, net, torch.from_numpy(x[:TRAINED_ON]), torch.from_numpy(y[:TRAINED_ON]), eps, epochs)
    path = CACHE / f"{name}.onnx"
    if not path.exists():
        export(net, x.shape[1:], path)
    return BenchModel(name, path, x[TRAINED_ON:], y[TRAINED_ON:], EPS, net)


def _fit(  # noqa: PLR0913, PLR0917 -- what a training run is
    name: str, net: nn.Module, x: Tensor, y: Tensor, eps: float, epochs: int
) -> None:
    """Train, or take the weights of an earlier run."""
    weights = CACHE / f"{name}.pt"
    if weights.exists():
        net.load_state_dict(torch.load(weights, weights_only=True))
        net.eval()
        return
    train(net, x, y, epochs=epochs, eps=eps)
    torch.save(net.state_dict(), weights)


def _plain(name: str) -> BenchModel:
    torch.manual_seed(0)
    return _net(name, cnn(), 0.0, 15)


def _hardened(name: str) -> BenchModel:
    torch.manual_seed(0)
    return _net(name, cnn(), EPS, 30)


def _residual(name: str) -> BenchModel:
    torch.manual_seed(0)
    return _net(name, residual(), EPS, 20)


def _tabular(name: str) -> BenchModel:
    torch.manual_seed(0)
    x, y = table()
    fitted = torch.from_numpy(x)
    net = Table(fitted.mean(0), fitted.std(0))
    _fit(name, net, fitted, torch.from_numpy(y), 0.0, 40)
    path = CACHE / f"{name}.onnx"
    if not path.exists():
        export(net, x.shape[1:], path)
    return BenchModel(name, path, x, y, 0.03, net)


def _int8(name: str) -> BenchModel:
    base, path = _hardened("hardened"), CACHE / f"{name}.onnx"
    if not path.exists():
        x, _ = pictures()
        quantize_static(
            base.path, path, _Rows(x[:TRAINED_ON:3]), quant_format=QuantFormat.QDQ,
            per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
    return BenchModel(name, path, base.rows, base.labels, EPS, None)


MAKERS: dict[str, Callable[[str], BenchModel]] = {
    "plain": _plain,
    "hardened": _hardened,
    "residual": _residual,
    "tabular": _tabular,
    "int8": _int8,
}
