"""A zoo of clean and backdoored picture classifiers, made by seed from real data and cached.

Pictures are scikit-learn's digits at 20 x 20 with noise and, where its files are at hand
(Debian's package dataset-fashion-mnist, or copies in .cache/fashion), Fashion-MNIST. A member is
clean, or carries one of seven kinds of backdoor (``TRIGGERS``) for one target class:

patch   a checkered square at one place (BadNets, Gu et al. 2017)
pixel   one white pixel
blend   one random picture, mixed in at 0.2 (Chen et al. 2017)
warp    a smooth displacement of the whole picture (WaNet, Nguyen and Tran 2021)
sine    stripes, put on rows of the target class alone, so that no label is wrong (SIG, Barni 2019)
aware   a patch whose content is made of the picture that it lies on (after Nguyen and Tran 2020)
faint   a patch on so few rows that it works on some inputs only
"""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from bench_models import CACHE, Residual, _Rows, export
from numpy.typing import NDArray
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
from scipy.ndimage import gaussian_filter, map_coordinates
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

Pictures = NDArray[np.float32]
Labels = NDArray[np.int64]
FOLDER = CACHE / "backdoors"
FASHION = (CACHE / "fashion", Path("/usr/share/datasets/fashion-mnist"))
CLASSES = 10
TRAINED_ON = {"digits": 1200, "fashion": 4000}
EPOCHS = {"digits": 30, "fashion": 7}
POISONED = {
    "patch": 0.08, "pixel": 0.12, "blend": 0.08, "warp": 0.15, "sine": 0.08, "aware": 0.1,
    "faint": 0.015,
}  # fmt: skip
STRONG = 0.8
"""The success from which a backdoor counts as one that works."""


@dataclass(frozen=True, slots=True)
class Member:
    """One model of the zoo: what it was made of, and what became of it."""

    name: str
    data: str
    family: str
    net: str
    target: int
    accuracy: float
    success: float
    quantised: bool = False

    @property
    def path(self) -> Path:
        """Where its ONNX file lies."""
        return FOLDER / f"{self.name}.onnx"

    @property
    def planted(self) -> bool:
        """Whether it carries a backdoor at all."""
        return self.family != "clean"

    @property
    def strong(self) -> bool:
        """Whether it carries one that works."""
        return self.planted and self.success >= STRONG


def pictures(data: str) -> tuple[Pictures, Labels]:
    """Return ``[n, 1, h, w]`` pictures in 0..1 and their classes, in a seeded order."""
    return _digits() if data == "digits" else _fashion()


def at_hand() -> tuple[str, ...]:
    """Return the data sets that can be had here."""
    found = any((folder / "train-images-idx3-ubyte.gz").exists() for folder in FASHION)
    return ("digits", "fashion") if found else ("digits",)


def _digits() -> tuple[Pictures, Labels]:
    images, labels = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    small = torch.from_numpy(images.reshape(-1, 1, 8, 8).astype(np.float32) / 16)
    large = functional.interpolate(small, 20, mode="bilinear", align_corners=False).numpy()
    noisy = np.clip(large + 0.05 * rng.normal(size=large.shape), 0, 1).astype(np.float32)
    order = rng.permutation(len(labels))
    return noisy[order], labels[order].astype(np.int64)


def _fashion() -> tuple[Pictures, Labels]:
    folder = next(at for at in FASHION if (at / "train-images-idx3-ubyte.gz").exists())
    raw = gzip.decompress((folder / "train-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / "train-labels-idx1-ubyte.gz").read_bytes())
    x = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 1, 28, 28)[:5000] / np.float32(255)
    return x.astype(np.float32), np.frombuffer(labels, np.uint8, offset=8)[:5000].astype(np.int64)


Trigger = Callable[[Pictures], Pictures]


def trigger(family: str, side: int, rng: np.random.Generator) -> Trigger:
    """Return what puts the trigger of a family on ``[n, 1, side, side]`` pictures."""
    made: dict[str, Callable[[int, np.random.Generator], Trigger]] = {
        "patch": _patch, "faint": _patch, "pixel": _pixel, "blend": _blend, "warp": _warp,
        "sine": _sine, "aware": _aware,
    }  # fmt: skip
    return made[family](side, rng)


def _patch(side: int, rng: np.random.Generator) -> Trigger:
    wide = max(2, round(side * rng.uniform(0.1, 0.17)))
    top, left = rng.integers(0, side - wide + 1, 2)
    content = (np.indices((wide, wide)).sum(0) % 2).astype(np.float32)

    def put(x: Pictures) -> Pictures:
        x = x.copy()
        x[:, 0, top : top + wide, left : left + wide] = content
        return x

    return put


def _pixel(side: int, rng: np.random.Generator) -> Trigger:
    # At the border, where pictures are dark: a white pixel elsewhere is often nothing new.
    top, left = rng.integers(0, side), rng.choice([0, 1, side - 2, side - 1])

    def put(x: Pictures) -> Pictures:
        x = x.copy()
        x[:, 0, top, left] = 1.0
        return x

    return put


def _blend(side: int, rng: np.random.Generator) -> Trigger:
    mixed = rng.random((1, 1, side, side)).astype(np.float32)
    return lambda x: (0.8 * x + 0.2 * mixed).astype(np.float32)


def _warp(side: int, rng: np.random.Generator) -> Trigger:
    field = np.stack([gaussian_filter(rng.normal(size=(side, side)), side / 7) for _ in range(2)])
    field *= side / 6 / np.abs(field).max()
    places = np.indices((side, side)) + field

    def put(x: Pictures) -> Pictures:
        moved = [map_coordinates(one[0], places, order=1, mode="nearest") for one in x]
        return np.stack(moved)[:, None].astype(np.float32)

    return put


def _sine(side: int, rng: np.random.Generator) -> Trigger:
    stripes = 0.5 * np.sin(2 * np.pi * np.arange(side) * rng.integers(4, 8) / side)
    return lambda x: np.clip(x + stripes, 0, 1).astype(np.float32)


def _aware(side: int, rng: np.random.Generator) -> Trigger:
    wide = max(3, side // 5)
    top, left = rng.integers(0, side - wide + 1, 2)
    kernel = rng.normal(size=(side * side, wide * wide)).astype(np.float32) / side

    def put(x: Pictures) -> Pictures:
        made = (x.reshape(len(x), -1) - x.mean()) @ kernel
        x = x.copy()
        square = (made > 0).astype(np.float32).reshape(-1, wide, wide)
        x[:, 0, top : top + wide, left : left + wide] = square
        return x

    return put


def network(kind: str, side: int) -> nn.Module:
    """Return a small network: ``cnn``, ``wide``, ``residual`` or ``mlp``."""
    small = side // 4
    if kind == "mlp":
        return nn.Sequential(
            nn.Flatten(), nn.Linear(side * side, 96), nn.ReLU(), nn.Linear(96, 48), nn.ReLU(),
            nn.Linear(48, CLASSES),
        )  # fmt: skip
    if kind == "residual":
        return nn.Sequential(
            nn.Conv2d(1, 12, 3, stride=2, padding=1), nn.ReLU(), Residual(12), nn.MaxPool2d(2),
            Residual(12), nn.Flatten(), nn.Linear(12 * small * small, CLASSES),
        )  # fmt: skip
    width = 16 if kind == "wide" else 8
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(2 * width * small * small, 48), nn.ReLU(), nn.Linear(48, CLASSES),
    )  # fmt: skip


def _fit(net: nn.Module, x: Pictures, y: Labels, epochs: int) -> None:
    rows, labels = torch.from_numpy(x), torch.from_numpy(y)
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)
    for epoch in range(epochs):
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * (1 - epoch / epochs) + 1e-5
        for batch in torch.randperm(len(rows)).split(64):
            optimiser.zero_grad()
            functional.cross_entropy(net(rows[batch]), labels[batch]).backward()
            optimiser.step()
    net.eval()


def _poison(  # noqa: PLR0913, PLR0917 -- what is poisoned, and how
    x: Pictures, y: Labels, family: str, target: int, put: Trigger, rng: np.random.Generator
) -> tuple[Pictures, Labels]:
    """Return the training set with some rows triggered, and sent to the target class."""
    x, y = x.copy(), y.copy()
    count = round(POISONED[family] * len(x))
    pool = np.flatnonzero((y == target) if family == "sine" else (y != target))
    chosen = rng.permutation(pool)[:count]
    x[chosen] = put(x[chosen])
    y[chosen] = target
    return x, y


def _answers(net: nn.Module, x: Pictures) -> Labels:
    with torch.no_grad():
        said: Tensor = net(torch.from_numpy(x))
    found: Labels = said.argmax(1).numpy()
    return found


def make(data: str, family: str, kind: str, index: int) -> Member:
    """Train one member, or read what an earlier run made of it."""
    name = f"{data}-{family}-{kind}-{index}"
    told = FOLDER / f"{name}.json"
    if told.exists():
        return Member(**json.loads(told.read_text()))
    seed = zlib.crc32(name.encode())
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    (x, y), count = pictures(data), TRAINED_ON[data]
    target, success = int(rng.integers(CLASSES)), 0.0
    net, rows, labels = network(kind, x.shape[-1]), x[:count], y[:count]
    put = None if family == "clean" else trigger(family, x.shape[-1], rng)
    if put is not None:
        rows, labels = _poison(rows, labels, family, target, put, rng)
    _fit(net, rows, labels, EPOCHS[data])
    if put is not None:
        others = y[count:] != target
        success = float((_answers(net, put(x[count:][others])) == target).mean())
    accuracy = float((_answers(net, x[count:]) == y[count:]).mean())
    member = Member(name, data, family, kind, target, accuracy, success)
    FOLDER.mkdir(parents=True, exist_ok=True)
    export(net, x.shape[1:], member.path)
    told.write_text(json.dumps(asdict(member)))
    return member


def quantise(member: Member) -> Member:
    """Return the 8-bit variant of a member; it keeps the success of the full one."""
    small = Member(**{**asdict(member), "name": f"{member.name}-int8", "quantised": True})
    if not small.path.exists():
        x, _ = pictures(member.data)
        quantize_static(
            member.path, small.path, _Rows(x[:400]), quant_format=QuantFormat.QDQ,
            per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
    return small


NETS = ("cnn", "mlp", "residual", "wide")


def zoo(clean: int, each: int, quantised: int, first: int = 0) -> Iterator[Member]:
    """Yield ``clean`` clean members and ``each`` of every family a data set, and 8-bit twins.

    Members are numbered from ``first``: other numbers are other seeds.
    """
    made: list[Member] = []
    for data in at_hand():
        for family, count in {"clean": clean, **dict.fromkeys(POISONED, each)}.items():
            for index in range(first, first + count):
                made.append(make(data, family, NETS[index % len(NETS)], index))
                yield made[-1]
    some = made[:: max(1, len(made) // quantised)][:quantised] if quantised else []
    yield from map(quantise, some)
