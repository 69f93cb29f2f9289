"""Models of the size that people deploy, made by seed and cached: nets of torchvision, and trees.

resnet18    trained for minutes on Fashion-MNIST (Debian: dataset-fashion-mnist), at 224 x 224
resnet50, mobilenet_v3_large, vit_b_16
            as torchvision draws their weights, for time and memory: their labels are what they say
lightgbm    5,000 trees on 200 features that scikit-learn makes
"""

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torchvision
from lightgbm import LGBMClassifier
from numpy.typing import NDArray
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType
from sklearn.datasets import make_classification
from torch import Tensor, nn
from torch.nn import functional

CACHE = Path(__file__).parent / ".cache"
FASHION = Path("/usr/share/datasets/fashion-mnist")
SIDE, CLASSES = 224, 10
STAGES = ((64, 16_000, 1e-3), (112, 3_200, 1e-3), (SIDE, 2_400, 5e-4))
"""How a net is trained: on pictures of so many pixels a side, on so many of them, at a rate."""
SEED = 7


@dataclass(frozen=True, slots=True)
class RealSizeModel:
    """A folder with ``model.onnx`` and the rows that it is audited on, ``test.npz``."""

    name: str
    folder: Path

    @property
    def model(self) -> Path:
        """The ONNX file."""
        return self.folder / "model.onnx"

    def write_audit(self, policy: str, targets: str = "cpu") -> Path:
        """Write the audit file, and return its place."""
        path = self.folder / "audit.yaml"
        labels = [str(label) for label in range(CLASSES)]
        domain = "input: {domain: [0.0, 1.0]}\n" if self.name != "lightgbm" else ""
        path.write_text(
            "apiVersion: auditor/v1\nkind: Audit\n"
            f"model: {{name: {self.name}, version: 1.0.0, artifact: model.onnx, "
            "tags: [not-about-people]}\n"
            f"task: {{kind: classification, classes: {labels}, output: logits}}\n".replace("'", '"')
            + f"{domain}targets: [{targets}]\n"
            "data:\n  evaluation: {path: test.npz, labels: y}\n"
            f"policy: {policy}\nseed: {SEED}\n",
            encoding="utf-8",
        )
        return path


def fashion(part: str) -> tuple[Tensor, Tensor]:
    """Return pictures ``[n, 1, 28, 28]`` in 0..1 and their labels."""
    if not FASHION.is_dir():
        message = f"{FASHION} is missing: `apt-get install dataset-fashion-mnist` brings it"
        raise SystemExit(message)
    pixels, labels = (
        np.frombuffer(gzip.decompress((FASHION / f"{part}-{name}-ubyte.gz").read_bytes()), np.uint8)
        for name in ("images-idx3", "labels-idx1")
    )
    pictures = pixels[16:].reshape(-1, 1, 28, 28).astype(np.float32) / 255
    return torch.from_numpy(pictures), torch.from_numpy(labels[8:].astype(np.int64))


def at_size(pictures: Tensor, side: int) -> Tensor:
    """Return grey pictures as three colours of another size."""
    larger = functional.interpolate(pictures, size=(side, side), mode="bilinear")
    return larger.expand(-1, 3, -1, -1)


def train(net: nn.Module) -> None:
    """Train on small pictures first, and on a few at the full size last."""
    pictures, labels = fashion("train")
    first = 0
    for side, many, rate in STAGES:
        optimiser = torch.optim.AdamW(net.parameters(), lr=rate)
        net.train()
        for at in range(first, first + many, 32):
            rows = at_size(pictures[at : at + 32], side)
            loss = functional.cross_entropy(net(rows), labels[at : at + 32])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        first += many
    net.eval()


def export(net: nn.Module, path: Path) -> None:
    """Write a net as an ONNX file whose batch is free."""
    torch.onnx.export(
        net, (torch.zeros(2, 3, SIDE, SIDE),), path, dynamo=False, opset_version=17,
        input_names=["input"], output_names=["logits"],
        dynamic_axes={"input": {0: "n"}, "logits": {0: "n"}},
    )  # fmt: skip


def make_net(name: str, rows: int) -> RealSizeModel:
    """Return a net of torchvision with test pictures, made once."""
    made = RealSizeModel(name, CACHE / f"real-{name}")
    if made.model.exists():
        return made
    made.folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    net = getattr(torchvision.models, name)(weights=None, num_classes=CLASSES)
    if name == "resnet18":
        train(net)
    net.eval()
    pictures, labels = fashion("t10k")
    x = at_size(pictures[:rows], SIDE)
    with torch.no_grad():
        said = torch.cat([net(x[at : at + 25]) for at in range(0, rows, 25)]).argmax(1)
    y = labels[:rows] if name == "resnet18" else said
    print(f"{name}: accuracy {float((said == y).float().mean()):.3f}")
    torch.save(net.state_dict(), made.folder / "net.pt")
    np.savez_compressed(made.folder / "test.npz", X=x.numpy(), y=y.numpy())
    export(net, made.model)
    return made


def make_trees(rows: int) -> RealSizeModel:
    """Return 5,000 trees on 200 features with test rows, made once."""
    made = RealSizeModel("lightgbm", CACHE / "real-lightgbm")
    if made.model.exists():
        return made
    made.folder.mkdir(parents=True, exist_ok=True)
    x, y = make_classification(
        6000 + rows, 200, n_informative=40, n_classes=CLASSES, random_state=SEED
    )
    x = x.astype(np.float32)
    fitted = LGBMClassifier(n_estimators=5000 // CLASSES, num_leaves=31, verbose=-1, n_jobs=1)
    fitted.fit(x[rows:], y[rows:])
    graph = convert_lightgbm(
        fitted, initial_types=[("input", FloatTensorType([None, 200]))], zipmap=False
    )
    made.model.write_bytes(graph.SerializeToString())
    np.savez_compressed(made.folder / "test.npz", X=x[:rows], y=y[:rows])
    return made


NETS = ("resnet18", "resnet50", "mobilenet_v3_large", "vit_b_16")


def make(name: str, rows: int) -> RealSizeModel:
    """Return a model by name. Raises ``KeyError`` for one that there is not."""
    if name == "lightgbm":
        return make_trees(rows)
    if name not in NETS:
        raise KeyError(name)
    return make_net(name, rows)


def load_net(made: RealSizeModel) -> nn.Module:
    """Return the net of a model in torch, as it was exported."""
    net: nn.Module = getattr(torchvision.models, made.name)(weights=None, num_classes=CLASSES)
    net.load_state_dict(torch.load(made.folder / "net.pt", weights_only=True))
    return net.eval()


def load_rows(made: RealSizeModel) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the rows that a model is audited on, and their labels."""
    with np.load(made.folder / "test.npz") as found:
        return found["X"], found["y"]
