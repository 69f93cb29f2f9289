"""The inclusion matrix of shadow models: which rows each of them learnt from."""

import csv
import io

import numpy as np

from auditor.domain.shadow_models import Include
from auditor.domain.tasks import Array
from auditor.errors import DatasetError
from auditor.inputs.datasets.formats import InputFileBytes, read_npy, read_npz

ARRAY = "inclusion"
AXES = 2
TRUE, FALSE = frozenset({"1", "true"}), frozenset({"0", "false"})


def read_shadow_inclusion(file: InputFileBytes) -> Include:
    """Read ``[models, rows]`` of true and false.

    ``.npy`` holds one array of bool; so does ``.npz``, or names it ``inclusion`` among others. A
    ``.csv`` has one line a model without a header, of 0 and 1, or true and false. Raises
    ``DatasetError`` for what is no such matrix.
    """
    suffix = file.path.rpartition(".")[2]
    if suffix == "csv":
        try:
            lines = list(csv.reader(io.StringIO(file.raw.decode("utf-8"))))
        except (UnicodeDecodeError, csv.Error) as mistake:
            raise DatasetError(
                f"{file.path} is not CSV text ({mistake})", cure="Save it as UTF-8."
            ) from None
        rows: list[list[bool]] = []
        for number, line in enumerate((line for line in lines if line), start=1):
            said = [value.strip().lower() for value in line]
            wrong = next((value for value in said if value not in TRUE | FALSE), None)
            if wrong is not None:
                raise DatasetError(
                    f"{file.path}, line {number} holds {wrong!r}, which is neither true nor false",
                    cure="Write 0 or 1, one line a model, without a header.",
                )
            if rows and len(said) != len(rows[0]):
                raise DatasetError(
                    f"{file.path}, line {number} has {len(said)} values, and line 1 {len(rows[0])}",
                    cure="Write one value a row of the data on every line.",
                )
            rows.append([value in TRUE for value in said])
        if not rows:
            raise DatasetError(f"{file.path} has no line", cure="Write one line a model.")
        return np.array(rows, dtype=np.bool_)
    place, array = file.path, _array(file) if suffix == "npz" else read_npy(file.stream, file.path)
    if array.dtype != np.bool_:
        raise DatasetError(
            f"{place} holds {array.dtype}, not true and false",
            cure="Store it as bool: inclusion.astype(bool).",
        )
    if array.ndim != AXES:
        raise DatasetError(
            f"{place} has shape {array.shape}, which is not [models, rows]",
            cure="Store one row a model and one column a row of the data.",
        )
    return array.astype(np.bool_, copy=False)


def _array(file: InputFileBytes) -> Array:
    held = read_npz(file.stream, file.path)
    if len(held) == 1:
        return next(iter(held.values()))
    if ARRAY not in held:
        raise DatasetError(
            f"{file.path} holds the arrays {', '.join(held)} and none named {ARRAY}",
            cure=f"Write it again: numpy.savez(file, {ARRAY}=…).",
        )
    return held[ARRAY]
