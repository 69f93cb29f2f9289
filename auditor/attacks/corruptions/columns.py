"""What is known of a table's columns before anything goes wrong in them."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.tasks import Array, FeatureKind, Floats, InputSpace

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """What is known of each of ``d`` columns, from the schema and from ``pool``, clean rows.

    ``quantity`` marks numbers, ``integer`` whole ones, ``coded`` binary and categorical columns,
    whose codes are ``categories``. ``spread`` is the standard deviation, ``usual`` the median, of
    codes the commonest one. ``blank`` says where a value may be missing.
    """

    pool: Floats
    low: Floats
    high: Floats
    spread: Floats
    usual: Floats
    quantity: Mask
    integer: Mask
    coded: Mask
    blank: Mask
    categories: tuple[Floats, ...]


def look_at(pool: Array, space: InputSpace, *, whole: bool) -> Columns:
    """Return the columns of clean rows ``pool`` ``[m, ...]``.

    Without declared features every coordinate is a number. Only numbers with a finite range that
    is wider than nothing are ever touched. Where only whole numbers fit, none may be missing.
    """
    row = pool.shape[1:]
    flat = pool.astype(np.float64).reshape(len(pool), -1)
    low = np.broadcast_to(space.low, row).reshape(-1)
    high = np.broadcast_to(space.high, row).reshape(-1)
    kinds = [feature.kind for feature in space.features] or [FeatureKind.NUMERIC] * len(low)
    coded = np.array([kind in {FeatureKind.BINARY, FeatureKind.CATEGORICAL} for kind in kinds])
    integer = np.array([kind is FeatureKind.INTEGER for kind in kinds])
    blank = np.array([item.nullable for item in space.features] or [False] * len(low))
    quantity = ~coded & np.isfinite(high - low) & (high > low)
    may_be_blank = blank & (pool.dtype.kind == "f") & (not whole)
    categories = tuple(_codes(space, index, flat) for index in range(len(low)))
    return Columns(
        pool=flat,
        low=low,
        high=high,
        spread=np.nanstd(flat, axis=0),
        usual=np.array([_usual(flat[:, index], coded[index]) for index in range(len(low))]),
        quantity=quantity,
        integer=integer,
        coded=coded & np.array([len(codes) > 1 for codes in categories]),
        blank=may_be_blank,
        categories=categories,
    )


def _codes(space: InputSpace, index: int, pool: Floats) -> Floats:
    if not space.features:
        return np.empty(0)
    feature = space.features[index]
    if feature.kind is FeatureKind.BINARY:
        return np.array([0.0, 1.0])
    if feature.kind is FeatureKind.CATEGORICAL:
        return np.sort(np.array(feature.categories or np.unique(pool[:, index])))
    return np.empty(0)


def _usual(values: Floats, coded: np.bool_) -> float:
    known = values[~np.isnan(values)]
    if not known.size:
        return math.nan
    if not coded:
        return float(np.median(known))
    codes, counts = np.unique(known, return_counts=True)
    return float(codes[counts.argmax()])
