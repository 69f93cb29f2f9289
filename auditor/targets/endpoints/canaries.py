"""Whether a server that was met again still scores as it did: by rows that it scored before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auditor.targets.frames import Anything

ROWS = 8
CLOSE = 1e-4
"""Of the largest score, how far two runs of one model lie apart at most: batches of other sizes
differ by 1e-6 in single precision."""


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """The first rows of a request, and how they were asked."""

    name: str
    rows: Anything
    outputs: tuple[str, ...]
    fixed: int | None


class Canary:
    """Keeps the first rows that were scored, with their scores.

    What a server says of itself does not tell one model from the next where it keeps no versions.
    Rows that were asked twice before they are relied on, and came back otherwise, tell nothing:
    such a model is not deterministic.
    """

    def __init__(self) -> None:
        self._asked: Asked | None = None
        self._scores: Mapping[str, Anything] = {}
        self._repeats: bool | None = None

    @property
    def asked(self) -> Asked | None:
        """What to ask again; nothing as long as it is not known that scores repeat."""
        return self._asked if self._repeats else None

    def note(
        self, name: str, rows: Anything, outputs: Sequence[str], fixed: int | None,
        scores: Mapping[str, Anything],
    ) -> None:  # fmt: skip
        """Take note of a request and its answer: the first one, and the first that repeats it."""
        if self._repeats is not None or len(rows) == 0:
            return
        head = rows[: fixed or ROWS]
        asked = Asked(name, head.copy(), tuple(outputs), fixed)
        first = {output: array[: len(head)].copy() for output, array in scores.items()}
        if (
            self._asked is not None
            and _same(self._asked.rows, head)
            and _known(first, self._scores)
        ):
            self._repeats = self.agrees(first)
        else:
            self._asked, self._scores = asked, first

    def agrees(self, scores: Mapping[str, Anything]) -> bool:
        """Whether the scores of the rows are those of before, but for rounding."""
        return all(_close(array, scores[name]) for name, array in self._scores.items())


def _known(found: Mapping[str, Anything], scores: Mapping[str, Anything]) -> bool:
    return set(found) >= set(scores)


def _same(left: Anything, right: Anything) -> bool:
    return left.shape == right.shape and left.dtype == right.dtype and bool((left == right).all())


def _close(left: Anything, right: Anything) -> bool:
    if left.shape != right.shape:
        return False
    if left.dtype.kind != "f" or right.dtype.kind != "f":
        return bool((left == right).all())
    largest = max(1.0, float(np.abs(left).max(initial=0.0)))
    return bool((np.abs(left.astype(np.float64) - right) <= CLOSE * largest).all())
