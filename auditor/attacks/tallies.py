"""Counting successes again, from an attack's evidence alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.goals import Goal, Harm
from auditor.attacks.losses import Labels
from auditor.attacks.norms import Norm, size
from auditor.attacks.threats import within
from auditor.attacks.trials import read_goal
from auditor.domain.canonical import Json
from auditor.domain.evidence import Evidence
from auditor.domain.tasks import Floats

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """What evidence says of each row: ``wrong`` without attack, and how far its success lies.

    A row that is rejected without attack is neither right nor broken, and counts with the wrong
    ones. ``breaking`` is the size of the change that broke a row: 0 where wrong, infinite where
    none; ``harming`` the same without regard to rejections (``None``: there are none).
    """

    goal: Goal
    labels: Labels
    budgets: tuple[float, ...]
    wrong: Mask
    breaking: Floats
    harming: Floats | None = None

    @property
    def broken(self) -> Mask:
        """Whether a change within each budget breaks a row that was right: ``[budgets, n]``."""
        fell = [within(self.breaking, eps) & ~self.wrong for eps in self.budgets]
        return np.array(fell, dtype=np.bool_)

    @property
    def right(self) -> Mask:
        """Whether a row stays right, at each budget."""
        kept: Mask = ~self.wrong & ~self.broken
        return kept


def recount(evidence: Evidence) -> Outcomes:
    """Count again which rows the target got wrong, and how far their candidates lie.

    Raises ``ValueError`` where the evidence contradicts itself.
    """
    settings = cast("Mapping[str, Json]", evidence["settings"])
    goal = read_goal(cast("Mapping[str, Json]", settings["goal"]))
    labels = cast("Labels", evidence["labels"])
    budgets = tuple(float(eps) for eps in cast("Sequence[float]", settings["eps"]))
    clean = cast("Floats", evidence["clean_probabilities"])
    harmed = goal.reached(clean, labels)
    reached = goal.reached(cast("Floats", evidence["adversarial_probabilities"]), labels)
    found = np.where(reached, _distance(evidence, Norm(str(settings["norm"]))), np.inf)
    harming = np.where(harmed, 0.0, found)
    wrong = harmed | goal.rejected(clean, labels) if isinstance(goal, Harm) else harmed
    return Outcomes(goal, labels, budgets, wrong, np.where(wrong, 0.0, found), harming)


def _distance(evidence: Evidence, norm: Norm) -> Floats:
    """Return the change of each row's candidate, measured anew where both inputs are at hand."""
    distance = cast("Floats", evidence["distance"]).copy()
    if "example_clean" in evidence:
        places = cast("NDArray[np.int64]", evidence["example_places"])
        clean = cast("Floats", evidence["example_clean"]).astype(np.float64)
        crafted = cast("Floats", evidence["example_adversarial"]).astype(np.float64)
        width = cast("Floats", evidence["range"])
        change = (crafted - clean) / np.where(width > 0, width, 1.0)
        channels = cast("Mapping[str, int | None]", evidence["settings"]).get("channels")
        distance[places] = np.maximum(distance[places], size(change, norm, channels))
    return distance
