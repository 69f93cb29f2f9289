"""The rows that an attacker has to ask about, and those on which his copy is judged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.canonical import Json
from auditor.domain.clusters import write_clusters
from auditor.domain.datasets import TEXT, Dataset, Role
from auditor.domain.evidence import Item
from auditor.domain.readings import Gap, Reason
from auditor.domain.subjects import Subject, permutation
from auditor.domain.tasks import Array
from auditor.exposing.extraction import most_queries
from auditor.exposing.unseen import unseen
from auditor.stats.halving import first_half

FEWEST_POOL, FEWEST_HELD = 10, 20
SPARE = 2
"""Of so many times the rows that judge, those that the attacker has are left out."""
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """The attacker's own rows with their labels, if known, and the places of the held-out rows.

    ``most`` is the largest number of queries that fits into memory, which has ``room`` for so many;
    ``clusters`` is the evidence of which held-out rows hang together.
    """

    pool: Array
    labels: Places | None
    held: Places
    most: int
    room: int
    clusters: Mapping[str, Item]

    def to_json(self) -> dict[str, Json]:
        """Return the evidence form: how many rows there are, and the label that most of them have.

        ``None`` where the attacker knows no labels.
        """
        labels = self.labels
        commonest = None if labels is None else int(np.bincount(labels).argmax())
        return {"pool": len(self.pool), "room": self.room, "commonest_label": commonest}


def sides(subject: Subject, rows: int, budgets: Sequence[int]) -> Sides | Gap:
    """Split the data: at most ``rows`` evaluation rows judge, of which none is the attacker's.

    The attacker has the reference data, or one half of the evaluation data, whole clusters each.
    """
    evaluation, reference = (subject.datasets.get(it) for it in (Role.EVALUATION, Role.REFERENCE))
    if evaluation is None or evaluation.inputs is None or evaluation.inputs.dtype.kind == TEXT:
        return NO_NUMBERS
    order = permutation(subject.audit_seed, evaluation.rows)
    if reference is not None and _alike(reference, evaluation):
        source, owned, held = reference, np.arange(reference.rows), order
    else:
        units = permutation(subject.audit_seed, evaluation.units)
        first = first_half(units, evaluation.cluster)
        source, owned, held = evaluation, order[first[order]], order[~first[order]]
    labels = source.labels
    if labels is not None:
        owned = owned[labels[owned] >= 0]
    owned = owned[: max(budgets)]
    pool = np.asarray(source.inputs)[owned]
    held = held[: SPARE * rows]
    held = held[unseen(evaluation.inputs[held], pool)][:rows]
    if len(pool) < FEWEST_POOL or len(held) < FEWEST_HELD:
        return _too_few(len(pool), len(held))
    room = most_queries(evaluation.inputs.shape[1:])
    fitting = [count for count in budgets if count <= room]
    if not fitting:
        return out_of_reach(min(budgets), room)
    told = None if labels is None else labels[owned]
    joined = write_clusters(evaluation)
    clusters = {name: np.asarray(codes)[held] for name, codes in joined.items()}
    return Sides(pool, told, held, max(fitting), room, clusters)


def _alike(reference: Dataset, evaluation: Dataset) -> bool:
    ours, theirs = reference.inputs, evaluation.inputs
    return ours is not None and theirs is not None and ours.shape[1:] == theirs.shape[1:]


def out_of_reach(queries: int, most: int, strategy: str = "") -> Gap:
    """Return the Gap of a number of queries for which there is no room, or are no natural rows."""
    if queries > most:
        return Gap(
            reason=Reason.OVER_BUDGET,
            detail=f"{queries} queries of this shape do not fit into memory; {most} do.",
            cure="Set fewer queries of privacy.extraction.",
        )
    return Gap(
        reason=Reason.TOO_FEW_ROWS,
        detail=f"There are fewer than {queries} rows to ask about by {strategy}.",
        cure="Name reference data of as many rows, or look at mixup, which makes rows.",
    )


def _too_few(pool: int, held: int) -> Gap:
    return Gap(
        reason=Reason.TOO_FEW_ROWS,
        detail=f"The attacker would have {pool} rows, and be judged on {held} others; "
        f"{FEWEST_POOL} and {FEWEST_HELD} are needed.",
        cure="Give more evaluation rows, or name reference data for the attacker.",
    )


NO_NUMBERS = Gap(
    reason=Reason.NEEDS_NUMERIC_INPUT,
    detail="The model's inputs are texts, for which there is no stand-in here.",
    cure="Leave privacy.extraction out: it copies models of numbers.",
)
