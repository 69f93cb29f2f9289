"""The pool of members and non-members that membership inference attacks are evaluated on.

A row counts as a non-member only if it equals no training row.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.budgets import AuditSize, CheckForecast, RowShortage
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import TEXT, UNLABELLED, Dataset, DatasetRole, concatenate_columns
from auditor.domain.readings import Gap, GapReason
from auditor.domain.tasks import Array, Floats

AT_ONCE = 4_000_000
"""Values that are brought into one type at once."""
DIGEST_BYTES = 16


def find_unseen_rows(rows: Array, training: Array) -> NDArray[np.bool_]:
    """Return which rows ``[n, ...]`` equal no row of ``training`` ``[m, ...]``.

    A row in both is a member, whatever its file says. Rows are compared in the training data's
    own type; missing values equal each other.
    """
    known = set(_keys(training, training.dtype))
    found = (key not in known for key in _keys(rows, training.dtype))
    return np.fromiter(found, np.bool_, len(rows))


def _keys(rows: Array, dtype: "np.dtype[np.generic]") -> Iterator[bytes]:
    flat = rows.reshape(len(rows), -1)
    size = max(1, AT_ONCE // max(1, flat.shape[1]))
    for start in range(0, len(rows), size):
        part = np.ascontiguousarray(flat[start : start + size].astype(dtype))
        if part.dtype.kind == "f":
            part = np.where(np.isnan(part), np.nan, part + 0.0)  # one NaN, and no negative zero
        for row in part:
            yield hashlib.blake2b(row.tobytes(), digest_size=DIGEST_BYTES).digest()


LEAST = 30
"""Rows of either kind without which nothing is told of a model."""
MOST_VALUES = 50_000_000
"""Numbers that the rows of one kind may hold, so that copies of them fit into memory."""
HELD_SHARE, MOST_HELD = 0.2, 500
Rows = NDArray[np.int64]
Groups = dict[str, tuple[tuple[str, ...], NDArray[np.int64]]]


@dataclass(frozen=True, slots=True, eq=False)
class EligibleRows:
    """Which rows may be members (of the training data), and others or held back (of the evaluation
    data): masks over all rows. Without rows to be ``held`` a share of the others is.
    """

    members: NDArray[np.bool_]
    others: NDArray[np.bool_]
    held: NDArray[np.bool_] | None = None

    @property
    def evaluated(self) -> NDArray[np.bool_]:
        """Which evaluation rows are of any use."""
        return self.others if self.held is None else self.others | self.held


@dataclass(frozen=True, slots=True, eq=False)
class MembershipPool:
    """Members (rows of the training data) and then non-members (of the evaluation data).

    ``labels``, ``member``, ``ids`` and ``places`` (the rows of their files) are ``[n]``; ``rest``
    are the training rows that are not in the pool, ``held`` evaluation rows that no model may learn
    from, set aside. ``shared`` non-members were left out because the training data hold the same
    row. ``groups`` maps a column to its levels and each row's place among them, -1 where the data
    do not say.
    """

    inputs: Array
    labels: Rows
    member: NDArray[np.bool_]
    ids: tuple[str, ...]
    places: Rows
    rest: Rows
    held: Rows
    shared: int
    groups: Groups

    def chances(self, said: Floats) -> Floats:
        """Return what probabilities ``[n, classes]`` each row's label is given, ``[n]``."""
        return said[np.arange(len(self.labels)), self.labels]


def count_held_back(rows: int) -> int:
    """Return how many of the evaluation rows are set aside where retrained models are compared."""
    return min(MOST_HELD, int(rows * HELD_SHARE))


def evaluation_rows_needed(others: int, *, hold: bool) -> int:
    """Return how many evaluation rows leave so many non-members."""
    if not hold:
        return others
    return min(others + MOST_HELD, math.ceil(others / (1 - HELD_SHARE)))


def gather_pool(
    subject: Subject, most: int, *, hold: bool = False, fit: EligibleRows | None = None
) -> MembershipPool | Gap:
    """Take up to ``most`` rows of each kind, in the order of the audit's permutation.

    Of rows that share a cluster one is taken, for they are not independent. With ``hold``, a fifth
    of the evaluation rows is held back, or those that ``fit`` says, which also says what rows are
    of use at all. A Gap says what is missing.
    """
    training = subject.datasets[DatasetRole.TRAINING]
    evaluation = subject.datasets[DatasetRole.EVALUATION]
    ours, theirs = training.inputs, evaluation.inputs
    if ours is None or theirs is None or training.labels is None or evaluation.labels is None:
        return _NO_LABELS
    if ours.shape[1:] != theirs.shape[1:] or (training.texts != evaluation.texts):
        return _OTHER_SHAPE
    inside = _sample(subject, training, None if fit is None else fit.members)
    outside = _sample(subject, evaluation, None if fit is None else fit.evaluated)
    apart = _apart(theirs[outside], ours)
    shared, outside = int((~apart).sum()), outside[apart]
    held, outside = _held_back(outside, fit) if hold else (outside[:0], outside)
    most = min(most, max(LEAST, MOST_VALUES // max(1, int(np.prod(ours.shape[1:])))))
    inside, outside = inside[:most], outside[:most]
    if min(len(inside), len(outside)) < LEAST:
        return _too_few(len(inside), len(outside), len(held))
    return MembershipPool(
        np.concatenate([ours[inside], theirs[outside]]),
        np.concatenate([training.labels[inside], evaluation.labels[outside]]),
        np.arange(len(inside) + len(outside)) < len(inside),
        (*_names(training, inside), *_names(evaluation, outside)),
        np.concatenate([inside, outside]),
        np.setdiff1d(np.flatnonzero(training.labels != UNLABELLED), inside),
        held,
        shared,
        _groups(training, evaluation, inside, outside),
    )


def _held_back(rows: Rows, fit: EligibleRows | None) -> tuple[Rows, Rows]:
    """Return the rows that are held back, and the others."""
    if fit is not None and fit.held is not None:
        others = fit.others[rows]
        return rows[~others][:MOST_HELD], rows[others]
    count = count_held_back(len(rows))
    return rows[len(rows) - count :], rows[: len(rows) - count]


def _sample(subject: Subject, data: Dataset, of_use: NDArray[np.bool_] | None) -> Rows:
    """Return labelled rows in the audit's order, the first one of each cluster."""
    rows = subject.sample(data.role, data.rows)
    if of_use is not None:
        rows = rows[of_use[rows]]
    if data.labels is not None:
        rows = rows[data.labels[rows] != UNLABELLED]
    if data.cluster is not None:
        _, first = np.unique(data.cluster.codes[rows], return_index=True)
        rows = rows[np.sort(first)]
    return rows


def _apart(rows: Array, training: Array) -> NDArray[np.bool_]:
    """Return which rows stand nowhere in the training data: who does is a member."""
    if training.dtype.kind == TEXT:
        return ~np.isin(rows, training)
    return find_unseen_rows(rows, training)


def _names(data: Dataset, rows: Rows) -> Sequence[str]:
    return [data.ids[row] for row in rows]


def _groups(training: Dataset, evaluation: Dataset, inside: Rows, outside: Rows) -> Groups:
    found: Groups = {}
    for name, column in training.groups.items():
        members, other = column.take(inside), evaluation.groups.get(name)
        whole = members if other is None else concatenate_columns(members, other.take(outside))
        codes = whole.codes.astype(np.int64)
        missing = np.full(len(inside) + len(outside) - len(codes), -1)
        found[name] = (whole.names, np.concatenate([codes, missing]))
    return found


def describe_set_aside(held: int) -> str:
    """Say how many evaluation rows are no non-members, and why."""
    if not held:
        return ""
    return f" {held} more were set aside, to hold models like the artifact against it."


def _too_few(members: int, others: int, held: int) -> Gap:
    return Gap(
        reason=GapReason.TOO_FEW_ROWS,
        detail=f"{members} members and {others} non-members are too few to tell them apart; "
        f"{LEAST} of each are needed.{describe_set_aside(held)}",
        cure="Name more training data, and evaluation data that are not among them.",
    )


_NO_LABELS = Gap(
    reason=GapReason.NEEDS_LABELS,
    detail="The training data have no inputs with labels, without which nobody knows what the "
    "model was to learn of a row.",
    cure="Name the labels of the training data.",
)
_OTHER_SHAPE = Gap(
    reason=GapReason.UNSUPPORTED,
    detail="Rows of the training data are of another shape than those of the evaluation data.",
    cure="Name the training data in the form in which the model takes them.",
)


ASIDE = (
    "{held:,} of {rows:,} evaluation rows are set aside: retrained models are held against the "
    "artifact on them, and {left:,} are left as non-members"
)


def foretell_membership_gaps(
    size: AuditSize, most: int, metrics: Iterable[str], least: Mapping[str, int], *, hold: bool
) -> CheckForecast:
    """Say what ``most`` rows of each kind at most cannot carry, and what is set aside.

    ``least`` maps a metric to the non-members without which it is not told; ``hold`` says that a
    part of the evaluation rows is held back. Copies of training rows among the evaluation rows,
    and rows that share a cluster, may leave fewer than is foretold.
    """
    held = count_held_back(size.rows) if hold else 0
    members = min(most, size.beside.get(DatasetRole.TRAINING.value, 0))
    others = min(most, size.rows - held)
    aside = (ASIDE.format(held=held, rows=size.rows, left=others),) if held else ()
    if min(members, others) < LEAST:
        enough = evaluation_rows_needed(LEAST, hold=hold)
        why = f"{members:,} members and {others:,} non-members are too few to tell apart"
        return CheckForecast(aside, {name: RowShortage(why, enough) for name in metrics})
    found = {}
    for name, needed in least.items():
        if others < needed:
            short = f"{others:,} non-members cannot carry it, which takes {needed:,}"
            if most < needed:
                found[name] = RowShortage(
                    f"{short}, and this budget looks at {most:,} rows at most", None
                )
            else:
                found[name] = RowShortage(short, evaluation_rows_needed(needed, hold=hold))
    return CheckForecast(
        aside,
        found,
    )
