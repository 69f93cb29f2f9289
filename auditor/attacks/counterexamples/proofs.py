"""What is claimed of rows without any attack: that something was proved, or is simply right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from auditor.attacks.certificates import MARGIN
from auditor.attacks.counterexamples.balls import measured
from auditor.attacks.counterexamples.claims import (
    Changes,
    Claims,
    Held,
    OfRows,
    Sized,
    of_evidence,
)
from auditor.attacks.counterexamples.given import Given, Kind
from auditor.attacks.goals import Goal
from auditor.attacks.losses import Labels
from auditor.attacks.norms import Norm
from auditor.attacks.proofs import proved_radius
from auditor.attacks.trials import read_goal
from auditor.domain.canonical import Json
from auditor.domain.challenges import Result
from auditor.domain.evidence import Evidence
from auditor.domain.tasks import Floats

SMOOTHED = (
    "all that it proves is by smoothing, which speaks of the majority of many noisy copies and not "
    "of the model's own answer to one input"
)


@dataclass(frozen=True, slots=True, eq=False)
class Proof:
    """What was proved of each row, up to a distance ``radius[n]``: one example shows it false."""

    ids: Sequence[str]
    goal: Goal
    radius: Floats

    def judge(self, at: int, place: int, given: Given) -> Sized:
        """Judge one example whose row the evidence holds at ``place``."""
        if given.wrong(at, self.goal):
            return Result.WRONG_BEFORE, ()
        result, size = measured(given, at, Norm.LINF, (1.0,))
        proved = float(self.radius[place])
        if result is not Result.HOLDS:
            return result, size
        if size[0] > proved - MARGIN:
            return Result.NOT_PROVED, size[:1]
        misled = given.misled(at, self.goal)
        return Result.HOLDS if misled else Result.NOT_MISCLASSIFIED, (size[0], proved)

    def changes(self, held: Held, given: Given) -> None:
        """Count nothing anew: of a method that proved what is false, nothing is left."""


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """Which rows were right as they are: an answer that does not repeat shows it wrong."""

    evidence: Evidence

    @property
    def ids(self) -> Sequence[str]:
        """The rows that were scored."""
        return [str(name) for name in cast("Sequence[str]", self.evidence["ids"])]

    def judge(self, at: int, place: int, given: Given) -> Sized:
        """Judge one example whose row the evidence holds at ``place``."""
        label = cast("Labels", self.evidence["labels"])[place]
        if not np.array_equal(given.inputs[at], given.clean[at]):
            return Result.CHANGED, ()
        if cast("Labels", self.evidence["decided"])[place] != label:
            return Result.WRONG_BEFORE, ()
        wrong = given.decision(at) != label
        return Result.HOLDS if wrong else Result.NOT_MISCLASSIFIED, ()

    def changes(self, held: Held, given: Given) -> Changes:
        """Return the decisions with those that were answered otherwise."""
        decided = cast("Labels", self.evidence["decided"]).copy()
        said = cast("Floats", self.evidence["probabilities"]).copy()
        for place, (trial, *_) in held.items():
            decided[place] = given.decision(trial.example)
            said[place] = given.said[trial.example]
        return {"decided": decided, "probabilities": said}


def _proofs(evidence: Evidence) -> Claims | str:
    settings = cast("Mapping[str, Json]", evidence["settings"])
    if settings["gap"] is not None:
        return SMOOTHED
    goal = read_goal(cast("Mapping[str, Json]", settings["goal"]))
    ids = cast("Sequence[str]", evidence["ids"])
    return {"": OfRows(Proof(ids, goal, proved_radius(evidence)))}


PROOF = of_evidence(Kind.INPUTS, _proofs)
"""Inputs within what was proved of the graph itself."""
SHARE = of_evidence(Kind.INPUTS, lambda evidence: {"": OfRows(Share(evidence))})
"""Evaluation rows as they are: rows that somebody chose say nothing else about a share."""
