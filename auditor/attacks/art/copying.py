"""ART's model extraction and model inversion: what they copy, and what they make up."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.art.attempts import Desk, OddAnswerError, attempt, parted
from auditor.attacks.art.edge import Untyped, classes, estimator
from auditor.attacks.art.learners import learner
from auditor.attacks.art.objections import Objection, raised
from auditor.attacks.art.settings import Settings
from auditor.attacks.losses import Labels
from auditor.domain.tasks import Array, Floats

OF_LOGITS = frozenset({"FunctionallyEquivalentExtraction"})
"""Attacks that solve for weights, which only unbent scores show: they see the twin's."""
INVERSION = "MIFace"


@dataclass(frozen=True, slots=True, eq=False)
class Thief:
    """Who steals: ``rows`` ``[n, ...]`` to ask about, and their labels if he knows any."""

    rows: Array
    labels: Labels | None


@dataclass(frozen=True, slots=True, eq=False)
class Copy:
    """What a copy says of held-out rows, ``[n, classes]``, and how many rows were asked for it."""

    said: Floats
    queries: int


def stolen(
    name: str, settings: Settings, desk: Desk, thief: Thief, held: Array
) -> Copy | Objection:
    """Return what the copy that an attack makes says of held-out rows.

    Without other word the thief asks about all of his rows. What ART leaves to the user, the model
    that copies, is a network of one hidden layer.
    """
    view = desk.climber() if name in OF_LOGITS else None
    seen = view or desk.view()

    def run() -> Copy:
        kind = classes("extraction")[name]
        usual = {
            "nb_stolen": len(thief.rows), "batch_size_fit": 64, "batch_size_query": 256,
            "verbose": False,
        }  # fmt: skip
        made, more = parted(kind, {**_taken(kind, usual), **settings})
        attack = kind(estimator(seen, desk.classes), **made)
        told = None if thief.labels is None else desk.one_hot(thief.labels)
        shown = desk.lens.show(thief.rows)
        if name in OF_LOGITS:
            copy = attack.extract(shown.reshape(len(shown), -1), told, **more)
            said = copy.predict(desk.lens.show(held).reshape(len(held), -1))
        else:
            fresh = learner(desk, seen.meter)
            copy = attack.extract(shown, told, thieved_classifier=fresh, **more)
            said = copy.predict(desk.lens.show(held))
        found = np.asarray(said, dtype=np.float64)
        if found.shape != (len(held), desk.classes) or not np.isfinite(found).all():
            raise OddAnswerError(f"a copy that answers {found.shape}")
        return Copy(found, seen.meter.queries)

    return attempt(name, desk.seed, run)


def made_up(
    name: str, settings: Settings, desk: Desk, starts: Array, aims: NDArray[np.int64]
) -> Floats | Objection:
    """Return rows ``[n, d]`` that an inversion makes up of the classes aimed at, in our units.

    It climbs from ``starts`` ``[n, ...]``; it sees the twin.
    """
    view = desk.climber()
    if view is None:
        return raised(name, NotImplementedError("it climbs on a twin, and there is none"))

    def run() -> Floats:
        kind = classes("inference")[name]
        usual = {"batch_size": len(aims), "verbose": False}
        made, more = parted(kind, {**_taken(kind, usual), **settings})
        attack = kind(estimator(view, desk.classes), **made)
        shown = attack.infer(desk.lens.show(starts), desk.one_hot(aims), **more)
        if not isinstance(shown, np.ndarray) or shown.shape != (len(aims), *desk.lens.shape):
            raise OddAnswerError(f"a {type(shown).__name__}")
        return desk.lens.exact(shown).reshape(len(aims), -1)

    return attempt(name, desk.seed, run)


def _taken(kind: Untyped, usual: Mapping[str, object]) -> dict[str, Untyped]:
    return parted(kind, usual)[0]  # type: ignore[arg-type, return-value] # what ART takes
