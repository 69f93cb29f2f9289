"""Rows for the corpus: scikit-learn's digits as pictures, sequences and columns, and its tables."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets

Rows = NDArray[np.float32]
Labels = NDArray[np.int64]
SEED = 11
BRIGHTEST = 16.0


@cache
def table(name: str) -> tuple[Rows, Labels]:
    """Return a data set of scikit-learn, shuffled once, each column scaled to 0..1."""
    found: Any = getattr(datasets, f"load_{name}")()
    order = np.random.default_rng(SEED).permutation(len(found.target))
    rows = found.data[order]
    low, high = rows.min(axis=0), rows.max(axis=0)
    scaled = (rows - low) / np.where(high > low, high - low, 1.0)
    return scaled.astype(np.float32), found.target[order].astype(np.int64)


@cache
def digits() -> tuple[Rows, Labels]:
    """Return scikit-learn's digits as ``[n, 8, 8]`` in 0..1."""
    found: Any = datasets.load_digits()
    order = np.random.default_rng(SEED).permutation(len(found.target))
    pictures = (found.images / BRIGHTEST)[order].astype(np.float32)
    return pictures, found.target[order].astype(np.int64)


@cache
def pictures(side: int, channels: int = 3) -> Rows:
    """Return digits enlarged to ``[n, channels, side, side]``, each channel with its own noise."""
    small, _ = digits()
    times = side // small.shape[-1]
    large = np.kron(small[:512], np.ones((1, times, times), dtype=np.float32))[:, None]
    noise = np.random.default_rng(SEED).normal(0, 0.08, (len(large), channels, side, side))
    return np.clip(large + noise, 0.0, 1.0).astype(np.float32)


def pictures_last() -> Rows:
    """Return pictures with their channels behind."""
    return np.ascontiguousarray(pictures(32).transpose(0, 2, 3, 1))


def flat() -> Rows:
    """Return digits as 64 columns."""
    return digits()[0].reshape(-1, 64)


def mixed() -> Rows:
    """Return four columns of numbers and one of codes 0, 1 and 2."""
    rng = np.random.default_rng(SEED)
    rows = rng.normal(size=(400, 5)).astype(np.float32)
    rows[:, 4] = rng.integers(0, 3, 400)
    return rows


def lines_of_text() -> Rows:
    """Return lines of four digits, ``[n, 3, 48, 192]`` in -1..1 as text recognisers take them."""
    large = pictures(48)[:64]
    return np.concatenate([large[start::4] for start in range(4)], axis=3) * 2 - 1


KINDS: Mapping[str, Callable[[], Rows]] = {
    "pictures32": lambda: pictures(32),
    "pictures64": lambda: pictures(64),
    "grey32": lambda: pictures(32, 1),
    "pictures_last": pictures_last,
    "sequence": lambda: digits()[0],
    "flat": flat,
    "mixed": mixed,
    "breast_cancer": lambda: table("breast_cancer")[0],
    "wine": lambda: table("wine")[0],
    "iris": lambda: table("iris")[0],
    "lines_of_text": lines_of_text,
    "zoo_digits": lambda: pictures(32, 1)[:, :, 2:30, 2:30],
}


def rows_of(kind: str, count: int) -> Rows:
    """Return the first ``count`` rows of a kind."""
    return KINDS[kind]()[:count]
