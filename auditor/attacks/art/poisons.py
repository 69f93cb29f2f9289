"""ART's poisoning attacks by name: the training rows that they poison, in our own units."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.art.attempts import Desk, OddAnswerError, attempt
from auditor.attacks.art.crops import CROPS, Crop, Field
from auditor.attacks.art.edge import classes, requirements
from auditor.attacks.art.objections import Objection, lacking, raised, unknown
from auditor.attacks.art.settings import Settings
from auditor.attacks.art.tools import OFFERED
from auditor.attacks.losses import Labels
from auditor.domain.tasks import Array, Floats

TEACHABLE = frozenset({
    *OFFERED, "NeuralNetworkMixin", "PyTorchClassifier", "ScikitlearnSVC",
})  # fmt: skip
"""What an attacker's own model is."""
DETECTORS = ("BadDet",)
DECIDED = (
    "backdoor", "class_source", "class_target", "classifier", "feature_layer", "indices_target",
    "is_index", "percent_poison", "poison_percent", "pp_poison", "proxy_classifier", "source",
    "target", "verbose", "x_train", "x_val", "y_train", "y_val",
)  # fmt: skip
"""What the check decides itself."""


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """Training rows with labels, evaluation rows of the source class, and the aim."""

    rows: Array
    labels: Labels
    victims: Array
    source: int
    target: int
    most: int


@dataclass(frozen=True, slots=True, eq=False)
class Poison:
    """Which training rows ``[k]`` are replaced, by what, in the rows' own units.

    ``trigger`` stamps evaluation rows, also in own units; ``None`` where there is none. Those of
    the source class alone are to be turned where it is ``sourced``.
    """

    replaced: NDArray[np.int64]
    rows: Floats
    labels: Labels
    trigger: Callable[[Array], Floats] | None
    aimed: bool
    sourced: bool


def refusal(name: str, *, picture: bool) -> Objection | None:
    """Return why an attack cannot run here, ``None`` where it may be tried.

    Raises ``MissingExtraError`` without ART.
    """
    known = classes("poisoning")
    if name not in known:
        near = get_close_matches(name, known, n=3, cutoff=0.5)
        return unknown(name, near or list(known), "poisoning attack")
    asked = [one[0] for one in requirements(known[name]) if not TEACHABLE & set(one)]
    if name.startswith(DETECTORS):
        asked.append("ObjectDetectorMixin")
    if asked:
        return lacking(name, asked)
    if name not in CROPS:
        return raised(name, NotImplementedError("it has no other form"))
    pictures = any("NeuralNetworkMixin" in one for one in requirements(known[name]))
    return lacking(name, ["NeuralNetworkMixin"]) if pictures and not picture else None


def poisoned(name: str, settings: Settings, desk: Desk, ground: Ground) -> Poison | Objection:
    """Let an attack poison training rows; it sees the twin, or a model that it teaches itself."""
    lens = desk.lens
    field = Field(
        name, settings, replace(desk, rows=max(1, len(ground.labels))),
        lens.show(ground.rows), ground.labels, ground.source, ground.target,
        lens.show(ground.victims), ground.most,
    )  # fmt: skip
    found = attempt(name, desk.seed, lambda: _checked(field))
    if isinstance(found, Objection):
        return found
    stamp = found.trigger
    trigger = None if stamp is None else _stamping(desk, stamp)
    rows = lens.exact(found.shown)
    return Poison(found.replaced, rows, found.labels, trigger, found.aimed, found.sourced)


def _stamping(
    desk: Desk, stamp: Callable[[NDArray[np.floating]], NDArray[np.floating]]
) -> Callable[[Array], Floats]:
    return lambda rows: desk.lens.exact(stamp(desk.lens.show(rows)))


def _checked(field: Field) -> Crop:
    """Return what an attack plants, if it is poison: some rows, that are numbers, none twice."""
    found = CROPS[field.name](field)
    if not len(found.replaced):
        raise OddAnswerError("the training rows as they were")
    shape = (len(found.replaced), *field.shown.shape[1:])
    if np.shape(found.shown) != shape or not np.isfinite(found.shown).all():
        raise OddAnswerError(f"an array of shape {np.shape(found.shown)}")
    _, first = np.unique(found.replaced, return_index=True)
    first = np.sort(first)[: field.most]
    return replace(
        found,
        replaced=np.asarray(found.replaced, dtype=np.int64)[first],
        shown=np.asarray(found.shown)[first],
        labels=np.asarray(found.labels, dtype=np.int64)[first],
    )
