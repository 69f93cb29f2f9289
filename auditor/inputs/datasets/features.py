"""Feature and pixel arrays, their validation, and the input space open to attacks."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.domain.auditfiles import InputSection
from auditor.domain.datasets import CHANGE_WORDS, TEXT
from auditor.domain.readings import Gap, GapReason
from auditor.domain.tasks import Array, FeatureKind, InputFeature, InputSpace
from auditor.errors import DatasetError
from auditor.inputs.datasets.column_conversion import describe_other_rows, to_numbers
from auditor.inputs.datasets.raw_dataset import RawDataset
from auditor.inputs.datasets.schema import FeatureSchema
from auditor.inputs.datasets.schema_draft import round_outwards

BRIGHTEST = 255
MOST_CODES = 20
SCALED = "Most rows are outside: check that these data are scaled as the model was trained."


def stack_features(source: RawDataset, names: Sequence[str]) -> Array:
    """Return columns as one ``[n, features]`` float64 array, NaN where a value is missing."""
    if not names:
        raise DatasetError(
            f"{source.name} has no column left that could be a feature",
            cure="Name features in a schema (input.features), or name fewer columns otherwise.",
        )
    return np.stack([to_numbers(source, name) for name in names], axis=1)


def scale_pixels(pixels: Array, domain: tuple[float, float]) -> Array:
    """Spread bytes 0..255 over ``domain``, as float32; the domain 0..255 leaves them bytes."""
    low, high = domain
    if (low, high) == (0.0, float(BRIGHTEST)):
        return pixels
    shares = pixels.astype(np.float64) / BRIGHTEST
    return (low + shares * (high - low)).astype(np.float32)


def refuse_not_finite(
    source: RawDataset, inputs: Array, schema: FeatureSchema, names: Sequence[str]
) -> None:
    """Raise ``DatasetError`` for infinity, and for NaN in a feature that is not nullable."""
    features = schema.features or [InputFeature(name) for name in names]
    if inputs.dtype.kind != "f" or np.isfinite(inputs).all():
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
            f"{describe_other_rows(len(np.unique(where[:, 0])))}",
            cure=f"Fill it in, leave the row out, or {_allow_missing(schema, names, index[1])}."
            if features and missing[index]
            else "Fill it in, or leave the row out.",
        )


def _allow_missing(schema: FeatureSchema, names: Sequence[str], position: int) -> str:
    """Return how to declare that the model takes missing values of a feature."""
    if schema.places:
        name, place = schema.features[position].name, schema.places[position]
        return f"write nullable: true for {name!r} ({place})"
    line = f"{{name: {json.dumps(names[position], ensure_ascii=False)}, nullable: true}}"
    return (
        f"list the model's inputs in their order under features: in a file schema.yaml, this one "
        f"as {line}, and "
        'set input.features: schema.yaml (in Python, pass input={"features": "schema.yaml"})'
    )


def refuse_outside_domain(
    source: RawDataset, inputs: Array, domain: tuple[float, float], names: Sequence[str]
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
        rows = len(np.unique(where[:, 0]))
        told = f"{SCALED} " if 2 * rows > len(values) else ""
        raise DatasetError(
            f"{_place(source, index, names)} is {values[index]:g}, outside input.domain "
            f"[{domain[0]:g}, {domain[1]:g}]{describe_other_rows(rows)}",
            cure=f"{told}Fix the value, or declare the domain that the model really takes.",
        )


def refuse_outside_schema(source: RawDataset, inputs: Array, schema: FeatureSchema) -> None:
    """Raise ``DatasetError`` for values of ``[n, features]`` that the schema does not allow.

    It names every such column, so that people widen all ranges at once.
    """
    features = schema.features
    if inputs.ndim != 2 or inputs.shape[1] != len(features):  # noqa: PLR2004 -- rows, features
        raise DatasetError(
            f"{source.name}: {source.input_name!r} has shape {inputs.shape}, but the schema names "
            f"{len(features)} features",
            cure="Give it one column a feature, in the order of the schema.",
        )
    problems, cures, scaled = [], [], False
    for position, feature in enumerate(features):
        values = inputs[:, position].astype(np.float64)
        problem, bad = _broken(feature, values)
        rows = np.flatnonzero(bad & ~np.isnan(values))
        if rows.size:
            row = int(rows[0])
            scaled |= 2 * rows.size > len(values)
            problems.append(
                f"column {feature.name!r}, {source.row(row)}: {values[row]:g} "
                f"{problem}{describe_other_rows(rows.size)}"
            )
            cures.append(
                f"{_widen(feature, values)} for {feature.name!r} ({schema.places[position]})"
            )
    if problems:
        told = f"{SCALED} " if scaled else ""
        told += "The range was drafted from the evaluation sample. " if schema.drafted else ""
        raise DatasetError(
            f"{source.name}: {'; '.join(problems)}",
            cure=f"{told}Fix the value, or {'; '.join(cures)}.",
        )


def _widen(feature: InputFeature, values: NDArray[np.float64]) -> str:
    """Return what to write in the schema of a feature for it to allow all values."""
    known = values[np.isfinite(values)]
    if feature.categories:
        codes = sorted({*feature.categories, *known.tolist()})
        if len(codes) > MOST_CODES:
            return f"write kind: {FeatureKind.NUMERIC.value}"
        listed = ", ".join(f"{code:g}" for code in codes)
        return f"write kind: {FeatureKind.CATEGORICAL.value}, categories: [{listed}]"
    whole = feature.kind is FeatureKind.INTEGER
    if whole and (known != np.round(known)).any():
        return f"write kind: {FeatureKind.NUMERIC.value}"
    ends = [end for end in (feature.low, feature.high) if end is not None]
    low, high = round_outwards(min(*known, *ends), max(*known, *ends), whole=whole)
    return f"write range: [{low:.12g}, {high:.12g}]"


def _broken(feature: InputFeature, values: NDArray[np.float64]) -> tuple[str, NDArray[np.bool_]]:
    if feature.categories:
        codes = ", ".join(f"{code:g}" for code in feature.categories)
        return f"is none of {codes}", ~np.isin(values, feature.categories)
    low = -np.inf if feature.low is None else feature.low
    high = np.inf if feature.high is None else feature.high
    outside = (values < low) | (values > high)
    if feature.kind is FeatureKind.INTEGER and not outside[~np.isnan(values)].any():
        return "is not a whole number", values != np.round(values)
    return f"is outside the range [{low:g}, {high:g}]", outside


def _place(source: RawDataset, index: tuple[int, ...], names: Sequence[str]) -> str:
    row, *rest = index
    if names:
        return f"{source.name}: column {names[rest[0]]!r}, {source.row(row)},"
    position = ", ".join(str(part) for part in rest)
    return f"{source.name}: {source.input_name!r}, {source.row(row)}, position ({position}),"


MOVABLE = frozenset({FeatureKind.NUMERIC, FeatureKind.INTEGER})


def input_space(
    declared: InputSection, schema: FeatureSchema, inputs: Array | None, *, pictures: bool
) -> InputSpace | Gap:
    """Return the space of one input of ``inputs`` (``[n, ...]``).

    It comes from the schema, from ``input.domain``, or is 0..255 in whole steps for pictures.
    A domain over whole numbers or pictures has their steps unless ``input.quantum`` says more.
    """
    if inputs is None:
        return Gap(
            reason=GapReason.NEEDS_EVALUATION_DATA,
            detail="There are no inputs that an attack could start from.",
            cure="Name evaluation data with inputs in the audit file.",
        )
    if inputs.dtype.kind == TEXT:
        return Gap(
            reason=GapReason.NEEDS_NUMERIC_INPUT,
            detail="The inputs are texts, which have no range that a number could move in.",
            cure=CHANGE_WORDS,
        )
    if schema.features:
        return _from_schema(schema, inputs)
    if declared.domain is not None:
        if declared.quantum is not None:
            quantum = declared.quantum
        elif pictures and declared.domain is not None:
            quantum = (declared.domain[1] - declared.domain[0]) / BRIGHTEST
        else:
            quantum = 1.0 if inputs.dtype.kind in "iu" else 0.0
        return _box(declared.domain, quantum, inputs)
    if pictures:
        return _box((0.0, float(BRIGHTEST)), 1.0, inputs)
    return Gap(
        reason=GapReason.NEEDS_NUMERIC_INPUT,
        detail="The audit file does not say which values the inputs may take.",
        cure="Set input.domain: [low, high], or for a table input.features: schema.yaml, which "
        '`auditor init` drafts (in Python: input={"features": "schema.yaml"}).',
    )


def _box(domain: tuple[float, float], quantum: float, inputs: Array) -> InputSpace:
    shape = inputs.shape[1:]
    return InputSpace(
        low=np.full(shape, domain[0]),
        high=np.full(shape, domain[1]),
        quantum=np.full(shape, quantum),
        mutable=np.ones(shape, dtype=np.bool_),
    )


def _from_schema(schema: FeatureSchema, inputs: Array) -> InputSpace | Gap:
    features = schema.features
    boundless = [item.name for item in features if item.low is None or item.high is None]
    if boundless:
        return Gap(
            reason=GapReason.NEEDS_NUMERIC_INPUT,
            detail=f"The schema gives no range for {', '.join(boundless)}.",
            cure="Write range: [low, high] for each of them in the schema.",
        )
    missing = int(np.isnan(inputs).any(axis=1).sum()) if inputs.dtype.kind == "f" else 0
    if missing:
        return Gap(
            reason=GapReason.UNSUPPORTED,
            detail=f"{missing} of {len(inputs)} rows have missing values, which no attack handles.",
            cure="Evaluate on complete rows to have attacks measured.",
        )
    return InputSpace(
        low=np.array([item.low for item in features], dtype=np.float64),
        high=np.array([item.high for item in features], dtype=np.float64),
        quantum=np.array([0.0 if item.kind is FeatureKind.NUMERIC else 1.0 for item in features]),
        mutable=np.array([item.kind in MOVABLE and not item.immutable for item in features]),
        features=features,
        relations=schema.relations,
    )
