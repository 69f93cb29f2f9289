"""Counterexamples as somebody hands them over: an ``.npz`` of inputs and what they start from."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auditor.datasets.arrays import plain, read_npz
from auditor.domain.canonical import digest
from auditor.domain.tasks import Array
from auditor.errors import DatasetError

INPUTS, ROWS, LABELS = "inputs", "rows", "labels"
MOST = 10_000
"""Examples in one file: enough to show a point, and little enough to ask a slow target."""
_CURE = (
    "Write numpy.savez(FILE, inputs=…, rows=…): inputs [n, …] as the model takes them, rows [n] "
    "the ids of the evaluation rows that they start from (their numbers from 1 where there are "
    "no ids), or labels [n] of rows of your own."
)


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Inputs ``[n, ...]``, the evaluation row each starts from, and its true label (or none)."""

    name: str
    raw: bytes
    inputs: Array
    rows: tuple[str | None, ...]
    labels: tuple[str | None, ...]

    @property
    def digest(self) -> str:
        """Digest of the file."""
        return digest(self.raw)

    def fitted(self, like: Array) -> Array:
        """Return the inputs in the type and shape of the evaluation data's rows.

        Raises ``DatasetError`` for another shape, and for numbers that the type cannot hold.
        """
        if self.inputs.shape[1:] != like.shape[1:]:
            raise DatasetError(
                f"{self.name}: an input has shape {self.inputs.shape[1:]}, and a row of the "
                f"evaluation data has {like.shape[1:]}",
                cure="Give inputs as the evaluation file holds them, before any step of the model.",
            )
        found = self.inputs.astype(like.dtype)
        if like.dtype.kind in "iu" and not np.array_equal(found, self.inputs):
            raise DatasetError(
                f"{self.name}: inputs are not whole numbers of type {like.dtype}, as the rows are",
                cure="Round them as the model would be given them, and see that they still hold.",
            )
        return found


def read_examples(path: Path) -> Examples:
    """Read a file of counterexamples; nothing in it is ever unpickled. Raises ``DatasetError``."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be read: {error.strerror}", cure="Name an .npz file."
        ) from None
    return parse_examples(raw, path.name)


def parse_examples(raw: bytes, name: str) -> Examples:
    """Read the bytes of such a file, called ``name`` in messages. Raises ``DatasetError``."""
    arrays = read_npz(raw, name)
    strangers = sorted(set(arrays) - {INPUTS, ROWS, LABELS})
    if strangers or INPUTS not in arrays:
        said = f"holds an array {strangers[0]!r}" if strangers else f"has no array {INPUTS!r}"
        raise DatasetError(f"{name} {said}", cure=_CURE)
    inputs = plain(arrays[INPUTS], f"{name}: {INPUTS}")
    if not 1 <= len(inputs) <= MOST:
        raise DatasetError(
            f"{name} holds {len(inputs)} examples", cure=f"Give 1 to {MOST:,} of them."
        )
    if not np.isfinite(inputs.astype(np.float64)).all():
        raise DatasetError(
            f"{name}: {INPUTS} hold NaN or infinity", cure="Give finite numbers alone."
        )
    names = {key: _names(arrays, key, len(inputs), name) for key in (ROWS, LABELS)}
    if ROWS not in arrays and LABELS not in arrays:
        raise DatasetError(f"{name} names neither {ROWS} nor {LABELS}", cure=_CURE)
    return Examples(name, raw, inputs, names[ROWS], names[LABELS])


def _names(arrays: dict[str, Array], key: str, count: int, name: str) -> tuple[str | None, ...]:
    found = arrays.get(key)
    if found is None:
        return (None,) * count
    if found.shape != (count,) or found.dtype.kind not in "iuUb":
        raise DatasetError(
            f"{name}: {key} has shape {found.shape} and type {found.dtype}, not one whole number "
            f"or text for each of {count} inputs",
            cure=_CURE,
        )
    return tuple(str(item) for item in found.tolist())
