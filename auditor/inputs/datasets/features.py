"""Inputs: features and pixels as arrays, and whether they keep what was declared of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.datasets.columns import numbers, others
from auditor.datasets.sources import Source
from auditor.domain.tasks import Array, Feature, FeatureKind
from auditor.errors import DatasetError

BRIGHTEST = 255


def stack_features(source: Source, names: Sequence[str]) -> Array:
    """Return columns as one ``[n, features]`` float64 array, NaN where a value is missing."""
    if not names:
        raise DatasetError(
            f"{source.name} has no column left that could be a feature",
            cure="Name features in a schema (input.features), or name fewer columns otherwise.",
        )
    return np.stack([numbers(source, name) for name in names], axis=1)


def scale_pixels(pixels: Array, domain: tuple[float, float]) -> Array:
    """Spread bytes 0..255 over ``domain``, as float32; the domain 0..255 leaves them bytes."""
    low, high = domain
    if (low, high) == (0.0, float(BRIGHTEST)):
        return pixels
    shares = pixels.astype(np.float64) / BRIGHTEST
    return (low + shares * (high - low)).astype(np.float32)


def refuse_not_finite(source: Source, inputs: Array, features: Sequence[Feature]) -> None:
    """Raise ``DatasetError`` for infinity, and for NaN in a feature that is not nullable."""
    if inputs.dtype.kind != "f":
        return
    nullable = np.array([feature.nullable for feature in features] or [False])
    missing = np.isnan(inputs)
    bad = np.isinf(inputs) | (missing & ~nullable if features else missing)
    if bad.any():
        where = np.argwhere(bad)
        index = tuple(int(part) for part in where[0])
        what = "is missing or NaN" if missing[index] else "is infinite"
        raise DatasetError(
            f"{_place(source, index, [feature.name for feature in features])} {what}"
            f"{others(len(np.unique(where[:, 0])))}",
            cure="Fill it in, leave the row out, or declare the feature nullable in the schema."
            if features
            else "Fill it in, or leave the row out.",
        )


def refuse_outside_domain(
    source: Source, inputs: Array, domain: tuple[float, float], names: Sequence[str]
) -> None:
    """Raise ``DatasetError`` for values outside ``input.domain``.

    Bounds count in the precision of the data, so that 0.1 may be stored as float32.
    """
    values: NDArray[Any] = inputs
    low, high = domain
    if inputs.dtype.kind == "f":
        # NumPy rounds a bound to the array's own precision, which a huge one would overflow.
        most = float(np.finfo(values.dtype).max)
        low, high = max(low, -most), min(high, most)
    outside = (values < low) | (values > high)
    if outside.any():
        where = np.argwhere(outside)
        index = tuple(int(part) for part in where[0])
        raise DatasetError(
            f"{_place(source, index, names)} is {values[index]:g}, outside input.domain "
            f"[{domain[0]:g}, {domain[1]:g}]{others(len(np.unique(where[:, 0])))}",
            cure="Mend the value, or declare the domain that the model really takes.",
        )


def refuse_outside_schema(source: Source, inputs: Array, features: Sequence[Feature]) -> None:
    """Raise ``DatasetError`` for values of ``[n, features]`` that the schema does not allow."""
    if inputs.ndim != 2 or inputs.shape[1] != len(features):  # noqa: PLR2004 -- rows, features
        raise DatasetError(
            f"{source.name}: {source.input_name!r} has shape {inputs.shape}, but the schema names "
            f"{len(features)} features",
            cure="Give it one column a feature, in the order of the schema.",
        )
    for position, feature in enumerate(features):
        values = inputs[:, position].astype(np.float64)
        problem, bad = _broken(feature, values)
        rows = np.flatnonzero(bad & ~np.isnan(values))
        if rows.size:
            row = int(rows[0])
            raise DatasetError(
                f"{source.name}: column {feature.name!r}, {source.row(row)}: {values[row]:g} "
                f"{problem}{others(rows.size)}",
                cure="Mend the value, or the schema.",
            )


def _broken(feature: Feature, values: NDArray[np.float64]) -> tuple[str, NDArray[np.bool_]]:
    if feature.categories:
        codes = ", ".join(f"{code:g}" for code in feature.categories)
        return f"is none of {codes}", ~np.isin(values, feature.categories)
    low = -np.inf if feature.low is None else feature.low
    high = np.inf if feature.high is None else feature.high
    outside = (values < low) | (values > high)
    if feature.kind is FeatureKind.INTEGER and not outside[~np.isnan(values)].any():
        return "is not a whole number", values != np.round(values)
    return f"is outside the range [{low:g}, {high:g}]", outside


def _place(source: Source, index: tuple[int, ...], names: Sequence[str]) -> str:
    row, *rest = index
    if names:
        return f"{source.name}: column {names[rest[0]]!r}, {source.row(row)},"
    position = ", ".join(str(part) for part in rest)
    return f"{source.name}: {source.input_name!r}, {source.row(row)}, position ({position}),"
