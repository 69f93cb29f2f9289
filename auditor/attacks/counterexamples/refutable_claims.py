"""Claims of a check that submitted counterexamples can refute, and reasons where none can."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from auditor.attacks.counterexamples.submission import CounterexampleBatch
from auditor.domain.challenges import (
    CounterexampleClaims,
    CounterexampleKind,
    ExampleResult,
    ExampleTrial,
    select_furthest_trials,
)
from auditor.domain.checks import Check
from auditor.domain.evidence import Evidence, Item
from auditor.domain.json import Json

ROBUST = "robust_accuracy"
Sized = tuple[ExampleResult, tuple[float, ...]]
"""What came of an example; the size of its change, and the budget that it keeps."""
Held = Mapping[int, Sequence[ExampleTrial]]
"""The examples that hold, by the places of their rows, the nearest of a row first."""
Changes = Mapping[str, Item]
"""The items of evidence that come out otherwise."""
Params = Mapping[str, Json]


@dataclass(frozen=True, slots=True, eq=False)
class ExampleOutcomes:
    """What came of every example under one claim, and the evidence with the broken rows in it.

    ``evidence`` is ``None`` where no example holds, or where it is a proof that is ``disproved``.
    """

    trials: tuple[ExampleTrial, ...]
    evidence: Evidence | None = None
    disproved: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class ClaimOutcome:
    """What came of every example under one part of a claim, and which evidence changes by it."""

    trials: tuple[ExampleTrial, ...]
    changes: Changes | None = None
    disproved: bool = False


class ChallengeableClaim(Protocol):
    """What a part of a check's evidence claims."""

    def weigh(self, check: str, given: CounterexampleBatch) -> ClaimOutcome:
        """Try every example."""
        ...


Claims = Mapping[str, ChallengeableClaim]
"""The parts of a check's claim, by what the names of their evidence begin with."""


def claims_from_evidence(
    kind: CounterexampleKind, claims: Callable[[Evidence], Claims | str]
) -> CounterexampleClaims:
    """Say by which examples evidence is tried that tells all that is claimed."""
    return CounterexampleClaims(kind, lambda evidence, _: claims(evidence))


def not_refutable(why: str) -> CounterexampleClaims:
    """Say that no example refutes a check, and why."""
    return claims_from_evidence(CounterexampleKind.INPUTS, lambda _: why)


def weigh_examples(
    check: str, claims: Claims, evidence: Evidence, given: CounterexampleBatch
) -> ExampleOutcomes:
    """Try every example under the claims of one check, one after the other.

    Each example comes back once, by the claim under which it got furthest.
    """
    found, trials, disproved = dict(evidence), list[ExampleTrial](), False
    counted = False
    for prefix, claim in claims.items():
        told = claim.weigh(check, given)
        trials += told.trials
        disproved |= told.disproved
        if told.changes is not None:
            counted = True
            found |= {f"{prefix}{name}": item for name, item in told.changes.items()}
    return ExampleOutcomes(select_furthest_trials(trials), found if counted else None, disproved)


class RowClaim(Protocol):
    """What evidence claims of single rows."""

    @property
    def ids(self) -> Sequence[str]:
        """The rows that the claim is about, in the order of the evidence."""
        ...

    def judge(self, at: int, place: int, given: CounterexampleBatch) -> Sized:
        """Judge one example whose row the evidence holds at ``place``."""
        ...

    def changes(self, held: Held, given: CounterexampleBatch) -> Changes | None:
        """Return the evidence that would be another had the audit seen these itself.

        ``None`` where one example shows the whole claim to be false.
        """
        ...


@dataclass(frozen=True, slots=True)
class RowwiseClaim:
    """A claim of single rows: each example is judged alone, beside the row that it starts from."""

    claim: RowClaim

    def weigh(self, check: str, given: CounterexampleBatch) -> ClaimOutcome:
        """Try every example."""
        return merge_examples(self.claim, judge_examples(check, self.claim, given), given)


def judge_examples(
    check: str, claim: RowClaim, given: CounterexampleBatch
) -> tuple[ExampleTrial, ...]:
    """Return what came of each example alone."""
    places = {name: at for at, name in enumerate(claim.ids)}
    found = []
    for at, row in enumerate(given.rows):
        result, size = explain_unclaimed_row(given, at, places), tuple[float, ...]()
        if result is None:
            result, size = claim.judge(at, places[row], given)
        distance, eps = (*size, None, None)[:2]
        found.append(ExampleTrial(at, row, check, result, given.decided(at), distance, eps))
    return tuple(found)


def merge_examples(
    claim: RowClaim, trials: tuple[ExampleTrial, ...], given: CounterexampleBatch
) -> ClaimOutcome:
    """Return what the examples that hold come to; of several for one row the claim chooses."""
    held = [item for item in trials if item.result is ExampleResult.HOLDS]
    if not held:
        return ClaimOutcome(trials)
    places = {name: at for at, name in enumerate(claim.ids)}
    reached: dict[int, list[ExampleTrial]] = {}
    for item in sorted(held, key=lambda item: item.distance or 0.0):
        reached.setdefault(places[item.row], []).append(item)
    changes = claim.changes(reached, given)
    return ClaimOutcome(trials, changes, disproved=changes is None)


def explain_unclaimed_row(
    given: CounterexampleBatch, at: int, places: Mapping[str, int]
) -> ExampleResult | None:
    """Return why an example starts from no row that a claim is about; ``None`` where it does."""
    if not given.known[at]:
        return ExampleResult.NOT_OF_THE_DATA
    if given.disputed[at]:
        return ExampleResult.OTHER_LABEL
    return None if given.rows[at] in places else ExampleResult.NOT_LOOKED_AT


FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        "data": "it speaks of the data, and not of what the model answers to an input",
        "fairness": "it estimates shares of groups and differences between them, of which a row "
        "that somebody chose says nothing",
        "hardware": "it measures how the target runs the model, or sets two runs of it side by "
        "side, of which a row that somebody chose says nothing",
        "poisoning": "it speaks of how the model was trained, which a wrong answer to one input "
        "does not show",
        "privacy": "it speaks of what the model tells about its training data, which a wrong "
        "answer to one input does not show",
        "provenance": "it speaks of files, signatures and papers, and not of what the model "
        "answers",
        "quality": "it estimates how the model does on rows that nobody chose, of which a row "
        "that somebody chose says nothing",
    }
)
UNSAID = "the check does not say how an example is judged under it (`by_example`)"
HOLDS_OF: Mapping[CounterexampleKind, str] = MappingProxyType(
    {
        CounterexampleKind.INPUTS: "arrays inputs and rows",
        CounterexampleKind.VIEWS: "rows and the parts of a view, as angle, down and right",
        CounterexampleKind.PERTURBATIONS: "an array perturbations",
    }
)


def claims_of(
    check: Check | type[Check], evidence: Evidence, params: Params, kind: CounterexampleKind
) -> Claims | str:
    """Return what a check claims that examples of a kind could refute, or say why nothing."""
    told = check.by_example
    found: Claims | str = (
        FAMILIES.get(check.id.partition(".")[0], UNSAID)
        if told is None
        else told.claims(evidence, params)
    )
    if isinstance(found, str):
        return f"{check.id} cannot be challenged by examples because {found}"
    if told is not None and told.kind is not kind:
        return f"{check.id} is challenged by another file, one with {HOLDS_OF[told.kind]}"
    return found
