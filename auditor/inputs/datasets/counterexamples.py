"""Reads counterexample files (``.npz``) and the spatial transformations in them.

No content of a file is ever unpickled.
"""

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.spatial_transformations import STILL, ImageTransformation
from auditor.domain.challenges import CounterexampleKind
from auditor.domain.datasets import TEXT
from auditor.domain.json import compute_digest
from auditor.domain.tasks import Array
from auditor.errors import DatasetError
from auditor.inputs.datasets.formats import read_npz, to_native_array

PARTS: tuple[str, ...] = tuple(asdict(STILL))
"""The names of the arrays: all are optional, and what is left out changes nothing."""
WHOLE = ("down", "right")
SWITCH = "mirrored"


def read_views(
    arrays: Mapping[str, Array], count: int, name: str
) -> tuple[ImageTransformation, ...]:
    """Return ``count`` transformations of which ``arrays`` hold the parts.

    Raises ``DatasetError`` for what is not one finite number a view, for shifts that are no whole
    pixels, and for ``mirrored`` that is neither true nor false.
    """
    parts = {part: _part(arrays[part], part, count, name) for part in PARTS if part in arrays}
    views: list[dict[str, Any]] = [
        {part: values[at] for part, values in parts.items()} for at in range(count)
    ]
    return tuple(ImageTransformation(**view) for view in views)


def _part(array: Array, part: str, count: int, name: str) -> list[float] | list[int] | list[bool]:
    kinds = "biuf" if part != SWITCH else "biu"
    if array.shape != (count,) or array.dtype.kind not in kinds:
        raise _wrong(array, part, f"one number for each of {count} views", name)
    values: NDArray[np.float64] = array.astype(np.float64)
    if not np.isfinite(values).all():
        raise DatasetError(f"{name}: {part} holds NaN or infinity", cure="Give finite numbers.")
    if part == SWITCH:
        if not np.isin(values, (0, 1)).all():
            raise _wrong(array, part, "true or false for each view", name)
        return [bool(value) for value in values]
    if part in WHOLE:
        if (values != np.rint(values)).any():
            raise _wrong(array, part, "whole pixels", name)
        return [int(value) for value in values]
    return [float(value) for value in values]


def _wrong(array: Array, part: str, expected: str, name: str) -> DatasetError:
    return DatasetError(
        f"{name}: {part} has shape {array.shape} and type {array.dtype}, and is not {expected}",
        cure="Give angle in degrees, down and right in whole pixels, scale, shear, brightness, "
        "contrast and hue as numbers, and mirrored as true or false, each with one value a view.",
    )


INPUTS, PERTURBATIONS, ROWS, LABELS = "inputs", "perturbations", "rows", "labels"
MOST = 10_000
"""Examples in one file: enough to show a point, and little enough to ask a slow target."""
CURE = (
    "Write numpy.savez(FILE, inputs=…, rows=…): inputs [n, …] as the model takes them (texts [n]), "
    "rows [n] the ids of the evaluation rows that they start from (their numbers from 1 where "
    "there are no ids), or labels [n] of rows of your own; or rows with the parts of a view "
    f"({', '.join(PARTS)}) [n]; or perturbations [m, …], each put on every row."
)


@dataclass(frozen=True, slots=True, eq=False)
class CounterexampleSet:
    """Examples of one kind, the evaluation row each starts from, and its true label (or none).

    ``inputs`` is ``[n, ...]``: inputs of the model, or perturbations; ``None`` where ``views`` say
    how the rows themselves are to be changed.
    """

    name: str
    raw: bytes
    kind: CounterexampleKind
    inputs: Array | None
    rows: tuple[str | None, ...]
    labels: tuple[str | None, ...]
    views: tuple[ImageTransformation, ...] = ()

    @property
    def digest(self) -> str:
        """Digest of the file."""
        return compute_digest(self.raw)

    def fitted(self, like: Array) -> Array:
        """Return the inputs in the type and shape of the evaluation data's rows.

        Texts keep their own length, and perturbations are numbers of any type. Raises
        ``DatasetError`` for another shape, and for numbers that the type cannot hold.
        """
        if self.inputs is None:
            message = "views have no inputs of their own"
            raise TypeError(message)
        texts = [item.dtype.kind == TEXT for item in (self.inputs, like)]
        if texts[0] != texts[1]:
            raise DatasetError(
                f"{self.name}: {self.kind} hold {_words(self.inputs)}, and the rows of the "
                f"evaluation data are {_words(like)}",
                cure="Give inputs as the evaluation file holds them, before any step of the model.",
            )
        if self.inputs.shape[1:] != like.shape[1:]:
            raise DatasetError(
                f"{self.name}: "
                f"{'an input' if self.kind is CounterexampleKind.INPUTS else 'a perturbation'} "
                f"has shape {self.inputs.shape[1:]}, and a row of the evaluation data has "
                f"{like.shape[1:]}",
                cure="Give inputs as the evaluation file holds them, before any step of the model.",
            )
        if all(texts) or self.kind is CounterexampleKind.PERTURBATIONS:
            return self.inputs
        # Numbers in the type of the rows
        with np.errstate(over="ignore", invalid="ignore"):
            found = self.inputs.astype(like.dtype)
        if not np.isfinite(found).all():
            raise DatasetError(
                f"{self.name}: inputs hold numbers too large for {like.dtype}, as the rows are",
                cure="Give inputs as the evaluation file holds them, before any step of the model.",
            )
        if like.dtype.kind in "iu" and not np.array_equal(found, self.inputs):
            raise DatasetError(
                f"{self.name}: inputs are not whole numbers of type {like.dtype}, as the rows are",
                cure="Round them as the model would be given them, and see that they still hold.",
            )
        return found


def _words(array: Array) -> str:
    return "texts" if array.dtype.kind == TEXT else "numbers"


def read_counterexamples(path: Path) -> CounterexampleSet:
    """Read a file of counterexamples; nothing in it is ever unpickled. Raises ``DatasetError``."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be read: {error.strerror}", cure="Name an .npz file."
        ) from None
    return parse_counterexamples(raw, path.name)


def parse_counterexamples(raw: bytes, name: str) -> CounterexampleSet:
    """Read the bytes of such a file, called ``name`` in messages. Raises ``DatasetError``."""
    arrays = read_npz(io.BytesIO(raw), name)
    strangers = sorted(set(arrays) - {INPUTS, PERTURBATIONS, ROWS, LABELS, *PARTS})
    if strangers:
        raise DatasetError(f"{name} holds an array {strangers[0]!r}", cure=CURE)
    # Which kind the examples are
    given = [
        kind
        for kind in (CounterexampleKind.INPUTS, CounterexampleKind.PERTURBATIONS)
        if kind.value in arrays
    ]
    if set(arrays) & set(PARTS):
        given.append(CounterexampleKind.VIEWS)
    if not given:
        raise DatasetError(
            f"{name} has no array {INPUTS!r}, no {PERTURBATIONS!r}, and no part of a view",
            cure=CURE,
        )
    if len(given) > 1:
        raise DatasetError(
            f"{name} holds {given[0]} and {given[1]}, which are tried under different claims",
            cure="Write one file for each, and challenge the record with one after the other.",
        )
    kind = given[0]
    inputs = None if kind is CounterexampleKind.VIEWS else _inputs(arrays[kind.value], kind, name)
    first = kind.value if inputs is not None else next(part for part in PARTS if part in arrays)
    count = arrays[first].shape[0] if arrays[first].ndim else 0
    if not 1 <= count <= MOST:
        raise DatasetError(f"{name} holds {count} examples", cure=f"Give 1 to {MOST:,} of them.")
    views = read_views(arrays, count, name) if inputs is None else ()
    named = {key: _names(arrays, key, count, name) for key in (ROWS, LABELS)}
    _refuse_unnamed(arrays, kind, name)
    return CounterexampleSet(name, raw, kind, inputs, named[ROWS], named[LABELS], views)


def _refuse_unnamed(arrays: Mapping[str, Array], kind: CounterexampleKind, name: str) -> None:
    """Refuse examples of which nobody says what they start from; perturbations start from all."""
    named = [key for key in (ROWS, LABELS) if key in arrays]
    if kind is CounterexampleKind.PERTURBATIONS:
        if named:
            raise DatasetError(
                f"{name} gives {named[0]} for {PERTURBATIONS}, which are put on every row",
                cure=f"Remove {named[0]}, or give {INPUTS} of single rows.",
            )
        return
    if not named or (kind is CounterexampleKind.VIEWS and ROWS not in named):
        lacking = f"neither {ROWS} nor {LABELS}" if not named else f"no {ROWS} that are seen anew"
        raise DatasetError(f"{name} names {lacking}", cure=CURE)


def _inputs(array: Array, kind: CounterexampleKind, name: str) -> Array:
    """Return texts ``[n]``, or numbers ``[n, …]``. Raises ``DatasetError`` for anything else."""
    if array.dtype.kind == TEXT and array.ndim == 1 and kind is CounterexampleKind.INPUTS:
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    found = to_native_array(array, f"{name}: {kind}")
    if not np.isfinite(found.astype(np.float64)).all():
        raise DatasetError(
            f"{name}: {kind} hold NaN or infinity", cure="Give finite numbers alone."
        )
    return found


def _names(arrays: Mapping[str, Array], key: str, count: int, name: str) -> tuple[str | None, ...]:
    found = arrays.get(key)
    if found is None:
        return (None,) * count
    if found.shape != (count,) or found.dtype.kind not in "iuUb":
        raise DatasetError(
            f"{name}: {key} has shape {found.shape} and type {found.dtype}, not one whole number "
            f"or text for each of {count} examples",
            cure=CURE,
        )
    return tuple(str(item) for item in found.tolist())
