"""Counterexamples of others against what a record claims, judged as an attack's own are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.certificates import MARGIN
from auditor.attacks.goals import Goal
from auditor.attacks.losses import Labels
from auditor.attacks.norms import Norm
from auditor.attacks.proofs import proved_radius
from auditor.attacks.tallies import Outcomes, recount
from auditor.attacks.threats import Threat, within
from auditor.attacks.trials import read_goal
from auditor.domain.canonical import Json
from auditor.domain.challenges import Result, Trial
from auditor.domain.evidence import Evidence, Item
from auditor.domain.tasks import Array, Classification, Floats, Task

ATTACKS = frozenset(
    {"evasion.l0", "evasion.l1", "evasion.l2", "evasion.linf", "evasion.linf_query"}
)
PROOFS = frozenset({"evasion.certified"})
SHARES = frozenset({"quality.accuracy"})
Sized = tuple[Result, tuple[float, ...]]
"""What came of an example; the size of its change, and the budget that it keeps."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Given:
    """Counterexamples as the model takes them, beside the evaluation rows that they start from.

    ``inputs`` and ``clean`` are ``[n, ...]``; where ``rows`` names no evaluation row, ``known`` is
    false and ``clean`` anything. ``said`` and ``said_clean`` are what the target answered to them,
    ``disputed`` marks those that were given another label than the evaluation data hold.
    """

    inputs: Array
    rows: tuple[str, ...]
    known: NDArray[np.bool_]
    disputed: NDArray[np.bool_]
    clean: Array
    labels: Labels
    said: Floats
    said_clean: Floats
    decided: tuple[str, ...]
    threat: Callable[[Norm, float], Threat]
    task: Task

    def misled(self, at: int, goal: Goal) -> bool:
        """Whether the target's answer to an example reaches the goal."""
        return bool(goal.reached(self.said[at : at + 1], self.labels[at : at + 1])[0])

    def wrong(self, at: int, goal: Goal) -> bool:
        """Whether the target's answer to the row itself reaches the goal."""
        return bool(goal.reached(self.said_clean[at : at + 1], self.labels[at : at + 1])[0])

    def measured(self, at: int, norm: Norm, budgets: Sequence[float]) -> Sized:
        """Return the distance of an example and the smallest budget that it keeps, or why none.

        The frame's own threat decides, as it does for every candidate of an attack.
        """
        clean, inputs = self.clean[at : at + 1], self.inputs[at : at + 1]
        distance = float(self.threat(norm, budgets[-1]).distance(clean, inputs)[0])
        fitting = [eps for eps in budgets if within(np.array([distance]), eps)[0]]
        for eps in fitting:
            if self.threat(norm, eps).permits(clean, inputs)[0]:
                return Result.HOLDS, (distance, eps)
        return Result.OUTSIDE_SPACE if fitting else Result.OUTSIDE_BUDGET, (distance,)


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """What came of every example under one claim, and the evidence with the broken rows in it.

    ``evidence`` is ``None`` where no example holds, or where it is a proof that is ``disproved``.
    """

    trials: tuple[Trial, ...]
    evidence: Evidence | None = None
    disproved: bool = False


def weigh(check: str, evidence: Evidence, given: Given) -> Weighed | None:
    """Try every example under the claim of one check, or return ``None`` for other checks."""
    claim = _claim_of(check, evidence)
    if claim is None:
        return None
    places = {str(name): at for at, name in enumerate(cast("Sequence[str]", evidence["ids"]))}
    trials = tuple(_trial(check, claim, places, at, given) for at in range(len(given.inputs)))
    held = [item for item in trials if item.result is Result.HOLDS]
    if not held:
        return Weighed(trials)
    # Of several examples for one row the nearest counts, which stands last.
    ordered = sorted(held, key=lambda item: item.distance or 0.0, reverse=True)
    broken = {places[item.row]: item for item in ordered}
    return Weighed(trials, claim.with_broken(broken, given), isinstance(claim, _Proof))


def _trial(check: str, claim: "_Claim", places: Mapping[str, int], at: int, given: Given) -> Trial:
    row, size = given.rows[at], tuple[float, ...]()
    if not given.known[at]:
        result = Result.NOT_OF_THE_DATA
    elif given.disputed[at]:
        result = Result.OTHER_LABEL
    elif row not in places:
        result = Result.NOT_LOOKED_AT
    else:
        result, size = claim.judge(at, places[row], given)
    return Trial(at, row, check, result, given.decided[at], *size)


class _Claim(Protocol):
    def judge(self, at: int, place: int, given: Given) -> Sized:
        """Judge one example whose row the evidence holds at ``place``."""
        ...

    def with_broken(self, broken: Mapping[int, Trial], given: Given) -> Evidence | None:
        """Return the evidence as it were had the audit seen these itself."""
        ...


def _claim_of(check: str, evidence: Evidence) -> _Claim | None:
    if check in ATTACKS:
        norm = Norm(str(cast("Mapping[str, Json]", evidence["settings"])["norm"]))
        return _Attack(evidence, recount(evidence), norm)
    if check in PROOFS:
        settings = cast("Mapping[str, Json]", evidence["settings"])
        goal = read_goal(cast("Mapping[str, Json]", settings["goal"]))
        return _Proof(goal, proved_radius(evidence))
    return _Share(evidence) if check in SHARES else None


@dataclass(frozen=True, slots=True, eq=False)
class _Attack:
    """What an attack left standing: robust, as far as that suite could see."""

    evidence: Evidence
    seen: Outcomes
    norm: Norm

    def judge(self, at: int, place: int, given: Given) -> Sized:
        goal, budgets = self.seen.goal, self.seen.budgets
        if self.seen.wrong[place] or given.wrong(at, goal):
            return Result.WRONG_BEFORE, ()
        result, size = given.measured(at, self.norm, budgets)
        if result is not Result.HOLDS:
            return result, size
        if within(self.seen.breaking[place : place + 1], size[1])[0]:
            return Result.BROKEN_BEFORE, size
        return Result.HOLDS if given.misled(at, goal) else Result.NOT_MISCLASSIFIED, size

    def with_broken(self, broken: Mapping[int, Trial], given: Given) -> Evidence:
        said = cast("Floats", self.evidence["adversarial_probabilities"]).copy()
        distance = cast("Floats", self.evidence["distance"]).copy()
        changed: dict[str, Item] = {"adversarial_probabilities": said, "distance": distance}
        for place, trial in broken.items():
            said[place], distance[place] = given.said[trial.example], trial.distance
        if "example_places" in self.evidence:
            # Figures measure the examples that are shown anew.
            shown = cast("Array", self.evidence["example_adversarial"]).copy()
            places = cast("NDArray[np.int64]", self.evidence["example_places"])
            for index, place in enumerate(places.tolist()):
                if place in broken:
                    shown[index] = given.inputs[broken[place].example]
            changed["example_adversarial"] = shown
        return {**self.evidence, **changed}


@dataclass(frozen=True, slots=True, eq=False)
class _Proof:
    """What was proved of each row, up to a distance ``radius[n]``: one example shows it false."""

    goal: Goal
    radius: Floats

    def judge(self, at: int, place: int, given: Given) -> Sized:
        if given.wrong(at, self.goal):
            return Result.WRONG_BEFORE, ()
        result, size = given.measured(at, Norm.LINF, (1.0,))
        proved = float(self.radius[place])
        if result is not Result.HOLDS:
            return result, size
        if size[0] > proved - MARGIN:
            return Result.NOT_PROVED, size[:1]
        misled = given.misled(at, self.goal)
        return Result.HOLDS if misled else Result.NOT_MISCLASSIFIED, (size[0], proved)

    def with_broken(self, broken: Mapping[int, Trial], given: Given) -> None:
        """Count nothing anew: of a method that proved what is false, nothing is left."""


@dataclass(frozen=True, slots=True, eq=False)
class _Share:
    """Which rows were right as they are: an answer that does not repeat shows it wrong."""

    evidence: Evidence

    def judge(self, at: int, place: int, given: Given) -> Sized:
        label = cast("Labels", self.evidence["labels"])[place]
        if not np.array_equal(given.inputs[at], given.clean[at]):
            return Result.CHANGED, ()
        if cast("Labels", self.evidence["decided"])[place] != label:
            return Result.WRONG_BEFORE, ()
        wrong = _decision(given, at) != label
        return Result.HOLDS if wrong else Result.NOT_MISCLASSIFIED, ()

    def with_broken(self, broken: Mapping[int, Trial], given: Given) -> Evidence:
        decided = cast("Labels", self.evidence["decided"]).copy()
        said = cast("Floats", self.evidence["probabilities"]).copy()
        for place, trial in broken.items():
            decided[place] = _decision(given, trial.example)
            said[place] = given.said[trial.example]
        return {**self.evidence, "decided": decided, "probabilities": said}


def _decision(given: Given, at: int) -> int:
    return int(cast("Classification", given.task).decide(given.said[at : at + 1])[0])
