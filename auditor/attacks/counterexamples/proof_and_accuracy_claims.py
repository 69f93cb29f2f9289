"""Claims that rest on no attack: certified robustness of a row, and plain accuracy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from auditor.attacks.counterexamples.norm_ball_claims import measure_example
from auditor.attacks.counterexamples.refutable_claims import (
    Changes,
    Claims,
    Held,
    RowwiseClaim,
    Sized,
    claims_from_evidence,
)
from auditor.attacks.counterexamples.submission import CounterexampleBatch
from auditor.attacks.evasion.certified import MARGIN, proved_radius
from auditor.attacks.evasion.evidence import read_goal
from auditor.attacks.evasion.goals import AttackGoal
from auditor.attacks.evasion.losses import Labels
from auditor.attacks.evasion.norms import Norm
from auditor.domain.challenges import CounterexampleKind, ExampleResult
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.tasks import Floats

SMOOTHED = (
    "all that it proves is by smoothing, which speaks of the majority of many noisy copies and not "
    "of the model's own answer to one input"
)


@dataclass(frozen=True, slots=True, eq=False)
class ProofClaim:
    """What was proved of each row, up to a distance ``radius[n]``: one example shows it false."""

    ids: Sequence[str]
    goal: AttackGoal
    radius: Floats

    def judge(self, at: int, place: int, given: CounterexampleBatch) -> Sized:
        """Judge one example whose row the evidence holds at ``place``."""
        if given.wrong(at, self.goal):
            return ExampleResult.WRONG_BEFORE, ()
        result, size = measure_example(given, at, Norm.LINF, (1.0,))
        proved = float(self.radius[place])
        if result is not ExampleResult.HOLDS:
            return result, size
        if size[0] > proved - MARGIN:
            return ExampleResult.NOT_PROVED, size[:1]
        misled = given.misled(at, self.goal)
        return ExampleResult.HOLDS if misled else ExampleResult.NOT_MISCLASSIFIED, (size[0], proved)

    def changes(self, held: Held, given: CounterexampleBatch) -> None:
        """Count nothing anew: of a method that proved what is false, nothing is left."""


@dataclass(frozen=True, slots=True, eq=False)
class AccuracyClaim:
    """Which rows were right as they are: an answer that does not repeat shows it wrong."""

    evidence: Evidence

    @property
    def ids(self) -> Sequence[str]:
        """The rows that were scored."""
        return [str(name) for name in cast("Sequence[str]", self.evidence["ids"])]

    def judge(self, at: int, place: int, given: CounterexampleBatch) -> Sized:
        """Judge one example whose row the evidence holds at ``place``."""
        label = cast("Labels", self.evidence["labels"])[place]
        if not np.array_equal(given.inputs[at], given.clean[at]):
            return ExampleResult.CHANGED, ()
        if cast("Labels", self.evidence["decided"])[place] != label:
            return ExampleResult.WRONG_BEFORE, ()
        wrong = given.decision(at) != label
        return ExampleResult.HOLDS if wrong else ExampleResult.NOT_MISCLASSIFIED, ()

    def changes(self, held: Held, given: CounterexampleBatch) -> Changes:
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
    return {"": RowwiseClaim(ProofClaim(ids, goal, proved_radius(evidence)))}


PROOF = claims_from_evidence(CounterexampleKind.INPUTS, _proofs)
"""Inputs within what was proved of the graph itself."""
SHARE = claims_from_evidence(
    CounterexampleKind.INPUTS, lambda evidence: {"": RowwiseClaim(AccuracyClaim(evidence))}
)
"""Evaluation rows as they are: rows that somebody chose say nothing else about a share."""
