"""One table of counts over coded columns, from which every figure of every group is read."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.integer] | NDArray[np.bool_]
Counts = NDArray[np.int64]
MOST_CELLS = 1 << 24
BLOCK = 1 << 16
"""Rows that are packed at a time, so that what is packed stays near the processor."""


def tabulate(columns: Sequence[Codes], levels: Sequence[int]) -> Counts:
    """Return ``[*levels]``: how many rows have each combination of codes, from one pass.

    ``columns`` holds an array ``[n]`` of codes from 0 for each of ``levels`` (flags are codes of
    two levels): groups, label, decision, score bin. Raises ``ValueError`` for codes that are no
    level, columns of different lengths, and a table of more than ``MOST_CELLS``.
    """
    cells = math.prod(levels)
    _refuse_impossible(columns, levels, cells)
    kind = np.min_scalar_type(cells)
    counts = np.zeros(cells, dtype=np.int64)
    block = max(BLOCK, cells)
    for start in range(0, len(columns[0]), block):
        packed = np.zeros(min(block, len(columns[0]) - start), dtype=kind)
        for codes, size in zip(columns, levels, strict=True):
            packed *= kind.type(size)
            np.add(packed, codes[start : start + block], out=packed, casting="unsafe")
        counts += np.bincount(packed, minlength=cells)
    return counts.reshape(tuple(levels))


def rates(confusion: Counts) -> Mapping[str, Counts]:
    """Return ``[..., 2]`` for each rate: how often, out of how many.

    ``confusion`` is ``[..., wanted, given]``: whether a row's label is the favourable class, and
    whether it was given that class. The axes before are groups, or rounds of a bootstrap.
    """
    everyone = confusion.sum(axis=(-2, -1))
    wanted, given = confusion[..., 1, :].sum(axis=-1), confusion[..., 1].sum(axis=-1)
    both, neither = confusion[..., 1, 1], confusion[..., 0, 0]
    found = {
        "selection_rate": (given, everyone),
        "tpr": (both, wanted),
        "fpr": (confusion[..., 0, 1], everyone - wanted),
        "ppv": (both, given),
        "npv": (neither, everyone - given),
        "accuracy": (both + neither, everyone),
    }
    return {name: np.stack(pair, axis=-1) for name, pair in found.items()}


def one_class(table: Counts, chosen: int) -> Counts:
    """Return ``[..., 2, 2]``, wanted and given, of one class of ``[..., labels, decisions]``."""
    both = table[..., chosen, chosen]
    missed = table[..., chosen, :].sum(axis=-1) - both
    false = table[..., chosen].sum(axis=-1) - both
    neither = table.sum(axis=(-2, -1)) - both - missed - false
    rows = (np.stack((neither, false), axis=-1), np.stack((missed, both), axis=-1))
    return np.stack(rows, axis=-2)


def concordance(table: Counts) -> Counts:
    """Return ``[..., 2]``: the area under the ROC curve as a count of pairs, out of how many.

    ``table`` is ``[..., wanted, score bin]``, bins in rising order. Both counts are doubled, since
    a pair in one bin counts half (Hanley and McNeil 1982, Radiology 143).
    """
    others, chosen = table[..., 0, :], table[..., 1, :]
    below = np.cumsum(others, axis=-1) - others
    won = (chosen * (2 * below + others)).sum(axis=-1)
    return np.stack((won, 2 * chosen.sum(axis=-1) * others.sum(axis=-1)), axis=-1)


def resample(table: Counts, rounds: int, generator: np.random.Generator) -> Counts:
    """Return ``[rounds, *table.shape]``: the tables of ``rounds`` bootstrap samples of the rows.

    To draw n rows with replacement and count the cells is to draw the cells once from the
    multinomial distribution of n and the shares seen: the same distribution, without the rows.
    Raises ``ValueError`` for a table of no rows.
    """
    rows = int(table.sum())
    if not rows:
        message = "a table of no rows cannot be resampled"
        raise ValueError(message)
    drawn = generator.multinomial(rows, table.ravel() / rows, size=rounds)
    return drawn.reshape(rounds, *table.shape)


def _refuse_impossible(columns: Sequence[Codes], levels: Sequence[int], cells: int) -> None:
    if not columns or len(columns) != len(levels) or not 1 <= cells <= MOST_CELLS:
        message = f"{len(columns)} columns of levels {list(levels)} are no table"
        raise ValueError(message)
    for at, (codes, size) in enumerate(zip(columns, levels, strict=True)):
        if len(codes) != len(columns[0]):
            message = f"column {at} has {len(codes)} rows, and the first {len(columns[0])}"
            raise ValueError(message)
        if len(codes) and not 0 <= int(codes.min()) <= int(codes.max()) < size:
            message = f"column {at} has a code that is none of its {size} levels"
            raise ValueError(message)
