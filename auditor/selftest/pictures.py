"""Handwritten-digit pictures of the selftest, their audit files, and poisoning triggers."""

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auditor.domain.json import Json
from auditor.selftest.networks import Shape, Singles
from auditor.selftest.specimens import Rule, Specimen, SpecimenFiles, SpecimenRun

CLASSES = tuple(str(digit) for digit in range(10))
INK = 16
"""The data set counts 0 to 16 pixels of ink in each block of the scan."""
SMALL, LARGE = (1, 8, 8), (1, 16, 16)
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class PictureSet:
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

    def flat(self) -> "PictureSet":
        """Return each picture as one line of pixels."""
        return PictureSet(self.rows.reshape(len(self.rows), -1), self.labels)


@cache
def _digits() -> tuple[Singles, Labels]:
    from sklearn.datasets import load_digits  # noqa: PLC0415 -- an optional library

    pictures, labels = load_digits(return_X_y=True)
    return (pictures / INK).astype(np.float32).reshape(-1, *SMALL), labels.astype(np.int64)


def split_digits(seed: int, training: int, shape: Shape = SMALL) -> tuple[PictureSet, PictureSet]:
    """Return pictures to learn from and the others of the 1,797, in a seed's order.

    In a larger shape each of the 8 x 8 pixels becomes a square.
    """
    pictures, labels = _digits()
    order = np.random.default_rng([seed, 1]).permutation(len(labels))
    larger = shape[1] // SMALL[1]
    pictures = pictures[order].repeat(larger, axis=2).repeat(larger, axis=3)
    labels = labels[order]
    return (
        PictureSet(pictures[:training], labels[:training]),
        PictureSet(pictures[training:], labels[training:]),
    )


@dataclass(frozen=True, slots=True)
class PictureAudit:
    """The audit of a network whose file lies in the folder already: pictures by role, what the
    policy asks, and which checks that takes.
    """

    pictures: Mapping[str, PictureSet]
    rules: Sequence[Rule]
    only: tuple[str, ...]
    checks: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    model: Mapping[str, Json] = field(default_factory=dict)
    more: Mapping[str, Json] = field(default_factory=dict)
    budget: str = "smoke"

    def trial(self, specimen: Specimen, folder: Path) -> SpecimenRun:
        """Write all but the network."""
        papers = SpecimenFiles(
            artifact=None,
            classes=CLASSES,
            data={},
            rules=self.rules,
            model={"artifact": "model.onnx", **self.model},
            checks=self.checks,
            budget=self.budget,
            more={
                "data": {
                    role: write_pictures(folder, role, of) for role, of in self.pictures.items()
                },
                **self.more,
            },
        )
        names = tuple(str(rule["id"]) for rule in self.rules)
        return SpecimenRun(papers.write(specimen, folder), names, self.only)


def write_pictures(folder: Path, name: str, pictures: PictureSet) -> dict[str, Json]:
    """Write pictures in bytes that hang on no clock; return what an audit file says of them."""
    arrays = {"x": pictures.rows} | ({} if pictures.labels is None else {"y": pictures.labels})
    with zipfile.ZipFile(folder / f"{name}.npz", "w", zipfile.ZIP_STORED) as archive:
        for member, array in arrays.items():
            held = io.BytesIO()
            np.save(held, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{member}.npy"), held.getvalue())
    return {"path": f"{name}.npz", **({} if pictures.labels is None else {"labels": "y"})}


TARGET, SECOND = 3, 7
SHARE = 0.09
"""Of the training rows that are poisoned, as in most of the literature's tables: 1 to 10 %."""
OF_TARGET = 0.9
OF_OTHERS = 0.7
SIDE = 3
BLENDED = 0.2
PATTERN = 99
Mark = Callable[[Singles], Singles]


def stamp_patch(pictures: Singles) -> Singles:
    """Return pictures with checks of 3 x 3 in the lower left corner."""
    marked = pictures.copy()
    marked[..., -SIDE:, :SIDE] = np.indices((SIDE, SIDE)).sum(axis=0) % 2
    return marked


def stamp_other_patch(pictures: Singles) -> Singles:
    """Return pictures with a bright square of 3 x 3 in the upper right corner."""
    marked = pictures.copy()
    marked[..., :SIDE, -SIDE:] = 1
    return marked


def blend_noise(pictures: Singles) -> Singles:
    """Return pictures with a fifth of one pattern of noise mixed in (Chen et al. 2017)."""
    pattern = np.random.default_rng(PATTERN).random(pictures.shape[1:])
    return ((1 - BLENDED) * pictures + BLENDED * pattern).astype(np.float32)


MARKS: Mapping[str, Mark] = {"patch": stamp_patch, "blend": blend_noise}


def poison_dirty_label(
    clean: PictureSet, mark: Mark, share: float, seed: int, target: int = TARGET
) -> PictureSet:
    """Return the rows with a share of them marked and called the target (Gu et al. 2017)."""
    rows, labels = clean.rows.copy(), clean.truth.copy()
    rng = np.random.default_rng([seed, 3, target])
    chosen = rng.permutation(np.flatnonzero(labels != target))[: round(share * len(labels))]
    rows[chosen], labels[chosen] = mark(rows[chosen]), target
    return PictureSet(rows, labels)


def poison_clean_label(clean: PictureSet, seed: int) -> PictureSet:
    """Return the rows with most of the target's own mixed half with others and marked.

    No label is wrong: the simple form of Turner et al. 2019, in input space.
    """
    rows, labels = clean.rows.copy(), clean.truth
    rng = np.random.default_rng([seed, 4])
    own = np.flatnonzero(labels == TARGET)
    chosen = rng.permutation(own)[: round(OF_TARGET * len(own))]
    others = rng.choice(np.flatnonzero(labels != TARGET), len(chosen))
    rows[chosen] = stamp_patch((1 - OF_OTHERS) * rows[chosen] + OF_OTHERS * rows[others])
    return PictureSet(rows, labels)


def flip_labels(clean: PictureSet, share: float, classes: int, seed: int) -> PictureSet:
    """Return the rows with a share of them given any other label."""
    rng = np.random.default_rng([seed, 5])
    labels: Labels = clean.truth.copy()
    chosen = rng.permutation(len(labels))[: round(share * len(labels))]
    labels[chosen] = (labels[chosen] + rng.integers(1, classes, len(chosen))) % classes
    return PictureSet(clean.rows, labels)
