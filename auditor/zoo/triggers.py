"""Marks on pictures that lead a poisoned network to a class of somebody's choice."""

from collections.abc import Callable, Mapping

import numpy as np

from auditor.zoo.layers import Singles
from auditor.zoo.pictures import Labels, Pictures

TARGET, SECOND = 3, 7
SHARE = 0.09
"""Of the training rows that are poisoned, as in most of the literature's tables: 1 to 10 %."""
OF_TARGET = 0.9
OF_OTHERS = 0.7
SIDE = 3
BLENDED = 0.2
PATTERN = 99
Mark = Callable[[Singles], Singles]


def patch(pictures: Singles) -> Singles:
    """Return pictures with checks of 3 x 3 in the lower left corner."""
    marked = pictures.copy()
    marked[..., -SIDE:, :SIDE] = np.indices((SIDE, SIDE)).sum(axis=0) % 2
    return marked


def other_patch(pictures: Singles) -> Singles:
    """Return pictures with a bright square of 3 x 3 in the upper right corner."""
    marked = pictures.copy()
    marked[..., :SIDE, -SIDE:] = 1
    return marked


def blend(pictures: Singles) -> Singles:
    """Return pictures with a fifth of one pattern of noise mixed in (Chen et al. 2017)."""
    pattern = np.random.default_rng(PATTERN).random(pictures.shape[1:])
    return ((1 - BLENDED) * pictures + BLENDED * pattern).astype(np.float32)


MARKS: Mapping[str, Mark] = {"patch": patch, "blend": blend}


def dirty(clean: Pictures, mark: Mark, share: float, seed: int, target: int = TARGET) -> Pictures:
    """Return the rows with a share of them marked and called the target (Gu et al. 2017)."""
    rows, labels = clean.rows.copy(), clean.truth.copy()
    rng = np.random.default_rng([seed, 3, target])
    chosen = rng.permutation(np.flatnonzero(labels != target))[: round(share * len(labels))]
    rows[chosen], labels[chosen] = mark(rows[chosen]), target
    return Pictures(rows, labels)


def clean_label(clean: Pictures, seed: int) -> Pictures:
    """Return the rows with most of the target's own mixed half with others and marked.

    No label is wrong: the simple form of Turner et al. 2019, in input space.
    """
    rows, labels = clean.rows.copy(), clean.truth
    rng = np.random.default_rng([seed, 4])
    own = np.flatnonzero(labels == TARGET)
    chosen = rng.permutation(own)[: round(OF_TARGET * len(own))]
    others = rng.choice(np.flatnonzero(labels != TARGET), len(chosen))
    rows[chosen] = patch((1 - OF_OTHERS) * rows[chosen] + OF_OTHERS * rows[others])
    return Pictures(rows, labels)


def flipped(clean: Pictures, share: float, classes: int, seed: int) -> Pictures:
    """Return the rows with a share of them given any other label."""
    rng = np.random.default_rng([seed, 5])
    labels: Labels = clean.truth.copy()
    chosen = rng.permutation(len(labels))[: round(share * len(labels))]
    labels[chosen] = (labels[chosen] + rng.integers(1, classes, len(chosen))) % classes
    return Pictures(clean.rows, labels)
