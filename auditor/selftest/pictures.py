"""Pictures of handwritten digits that scikit-learn ships, and the audits of networks on them."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auditor.domain.canonical import Json
from auditor.zoo.layers import Shape, Singles
from auditor.zoo.papers import Papers, Rule
from auditor.zoo.specimens import Specimen, Trial

CLASSES = tuple(str(digit) for digit in range(10))
INK = 16
"""The data set counts 0 to 16 pixels of ink in each block of the scan."""
SMALL, LARGE = (1, 8, 8), (1, 16, 16)
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Pictures ``[n, 1, h, w]`` in 0..1, with their labels if they are known."""

    rows: Singles
    labels: Labels | None = None

    @property
    def truth(self) -> Labels:
        """The labels. Raises ``TypeError`` where there are none."""
        if self.labels is None:
            message = "these pictures have no labels"
            raise TypeError(message)
        return self.labels

    def flat(self) -> "Pictures":
        """Return each picture as one line of pixels."""
        return Pictures(self.rows.reshape(len(self.rows), -1), self.labels)


@cache
def _digits() -> tuple[Singles, Labels]:
    from sklearn.datasets import load_digits  # noqa: PLC0415 -- an optional library

    pictures, labels = load_digits(return_X_y=True)
    return (pictures / INK).astype(np.float32).reshape(-1, *SMALL), labels.astype(np.int64)


def digits(seed: int, training: int, shape: Shape = SMALL) -> tuple[Pictures, Pictures]:
    """Return pictures to learn from and the others of the 1,797, in a seed's order.

    In a larger shape each of the 8 x 8 pixels becomes a square.
    """
    pictures, labels = _digits()
    order = np.random.default_rng([seed, 1]).permutation(len(labels))
    larger = shape[1] // SMALL[1]
    pictures = pictures[order].repeat(larger, axis=2).repeat(larger, axis=3)
    labels = labels[order]
    return (
        Pictures(pictures[:training], labels[:training]),
        Pictures(pictures[training:], labels[training:]),
    )


@dataclass(frozen=True, slots=True)
class Exam:
    """The audit of a network whose file lies in the folder already: pictures by role, what the
    policy asks, and which checks that takes.
    """

    pictures: Mapping[str, Pictures]
    rules: Sequence[Rule]
    only: tuple[str, ...]
    checks: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    model: Mapping[str, Json] = field(default_factory=dict)
    more: Mapping[str, Json] = field(default_factory=dict)
    budget: str = "smoke"

    def trial(self, specimen: Specimen, folder: Path) -> Trial:
        """Write all but the network."""
        papers = Papers(
            artifact=None,
            classes=CLASSES,
            data={},
            rules=self.rules,
            model={"artifact": "model.onnx", **self.model},
            checks=self.checks,
            budget=self.budget,
            more={
                "data": {role: stored(folder, role, of) for role, of in self.pictures.items()},
                **self.more,
            },
        )
        names = tuple(str(rule["id"]) for rule in self.rules)
        return Trial(papers.write(specimen, folder), names, self.only)


def stored(folder: Path, name: str, pictures: Pictures) -> dict[str, Json]:
    """Write pictures in bytes that hang on no clock; return what an audit file says of them."""
    arrays = {"x": pictures.rows} | ({} if pictures.labels is None else {"y": pictures.labels})
    with zipfile.ZipFile(folder / f"{name}.npz", "w", zipfile.ZIP_STORED) as archive:
        for member, array in arrays.items():
            held = io.BytesIO()
            np.save(held, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{member}.npy"), held.getvalue())
    return {"path": f"{name}.npz", **({} if pictures.labels is None else {"labels": "y"})}
