"""Real data that scikit-learn brings, scaled to 0..1 and divided anew for every seed."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Floats

PACKAGES = ("sklearn",)
PLACES = 4


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows with their labels (numbers of classes from 0), and further columns of text."""

    inputs: Floats
    labels: NDArray[np.int64]
    columns: tuple[tuple[str, NDArray[np.str_]], ...] = ()

    def __len__(self) -> int:
        """How many there are."""
        return len(self.labels)

    def take(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> "Rows":
        """Return some of the rows."""
        columns = tuple((name, values[chosen]) for name, values in self.columns)
        return Rows(self.inputs[chosen], self.labels[chosen], columns)

    def joined(self, other: "Rows") -> "Rows":
        """Return the rows with others, of the same columns, after them."""
        columns = tuple(
            (name, np.concatenate([values, more]))
            for (name, values), (_, more) in zip(self.columns, other.columns, strict=True)
        )
        inputs: Floats = np.vstack([self.inputs, other.inputs])
        return Rows(inputs, np.concatenate([self.labels, other.labels]), columns)

    def labelled(self, labels: NDArray[np.int64]) -> "Rows":
        """Return the rows with other labels."""
        return Rows(self.inputs, labels, self.columns)

    def moved(self, inputs: Floats) -> "Rows":
        """Return the rows with other inputs, kept within 0..1."""
        kept = np.asarray(np.round(np.clip(inputs, 0, 1), PLACES), dtype=np.float64)
        return Rows(kept, self.labels, self.columns)

    def told_again(self, columns: tuple[tuple[str, NDArray[np.str_]], ...]) -> "Rows":
        """Return as many rows with the last values of other rows' columns in place of their own."""
        kept = tuple((name, values[len(values) - len(self) :]) for name, values in columns)
        return Rows(self.inputs, self.labels, kept)

    def told(self, name: str, values: NDArray[np.str_]) -> "Rows":
        """Return the rows with a further column."""
        return Rows(self.inputs, self.labels, (*self.columns, (name, values)))


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows to learn from and rows to judge by, of one source and in the order of one seed."""

    classes: tuple[str, ...]
    training: Rows
    evaluation: Rows


def divided(source: str, seed: int, learn: float = 0.4) -> Sample:
    """Load ``digits``, ``cancer`` or ``wine``, and let models learn from a share of the rows."""
    datasets: Any = import_module("sklearn.datasets")
    load = {
        "digits": datasets.load_digits,
        "cancer": datasets.load_breast_cancer,
        "wine": datasets.load_wine,
    }
    found = load[source]()
    low, high = found.data.min(axis=0), found.data.max(axis=0)
    inputs = np.round((found.data - low) / np.where(high > low, high - low, 1), PLACES)
    rows = Rows(inputs, found.target.astype(np.int64))
    order = np.random.default_rng([seed, len(rows)]).permutation(len(rows))
    cut = round(learn * len(rows))
    classes = tuple(str(name) for name in found.target_names)
    return Sample(classes, rows.take(order[:cut]), rows.take(order[cut:]))
