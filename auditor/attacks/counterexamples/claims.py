"""How a check says by which examples its figures can be refuted, or why by none."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from auditor.attacks.counterexamples.given import Given, Kind
from auditor.domain.canonical import Json
from auditor.domain.challenges import Result, Trial, furthest
from auditor.domain.checks import Check
from auditor.domain.evidence import Evidence, Item

ROBUST = "robust_accuracy"
Sized = tuple[Result, tuple[float, ...]]
"""What came of an example; the size of its change, and the budget that it keeps."""
Held = Mapping[int, Sequence[Trial]]
"""The examples that hold, by the places of their rows, the nearest of a row first."""
Changes = Mapping[str, Item]
"""The items of evidence that come out otherwise."""
Params = Mapping[str, Json]


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """What came of every example under one claim, and the evidence with the broken rows in it.

    ``evidence`` is ``None`` where no example holds, or where it is a proof that is ``disproved``.
    """

    trials: tuple[Trial, ...]
    evidence: Evidence | None = None
    disproved: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What came of every example under one part of a claim, and which evidence changes by it."""

    trials: tuple[Trial, ...]
    changes: Changes | None = None
    disproved: bool = False


class Claim(Protocol):
    """What a part of a check's evidence claims."""

    def weigh(self, check: str, given: Given) -> Verdict:
        """Try every example."""
        ...


Claims = Mapping[str, Claim]
"""The parts of a check's claim, by what the names of their evidence begin with."""


@dataclass(frozen=True, slots=True)
class ByExample:
    """What a check says of counterexamples, in its class variable ``by_example``.

    ``claims`` returns what evidence under some parameters claims, or why nothing of it can be
    challenged: the end of a sentence that begins with "it cannot be challenged by examples
    because". ``kind`` is the kind of example that it is tried by.
    """

    kind: Kind
    claims: Callable[[Evidence, Params], Claims | str]


def by_example(check: Check | type[Check]) -> ByExample | None:
    """Return what a check says of counterexamples; ``None`` where it says nothing."""
    said: ByExample | None = getattr(check, "by_example", None)
    return said


def of_evidence(kind: Kind, claims: Callable[[Evidence], Claims | str]) -> ByExample:
    """Say by which examples evidence is tried that tells all that is claimed."""
    return ByExample(kind, lambda evidence, _: claims(evidence))


def never(why: str) -> ByExample:
    """Say that no example refutes a check, and why."""
    return of_evidence(Kind.INPUTS, lambda _: why)


def weigh(check: str, claims: Claims, evidence: Evidence, given: Given) -> Weighed:
    """Try every example under the claims of one check, one after the other.

    Each example comes back once, by the claim under which it got furthest.
    """
    found, trials, disproved = dict(evidence), list[Trial](), False
    counted = False
    for prefix, claim in claims.items():
        told = claim.weigh(check, given)
        trials += told.trials
        disproved |= told.disproved
        if told.changes is not None:
            counted = True
            found |= {f"{prefix}{name}": item for name, item in told.changes.items()}
    return Weighed(furthest(trials), found if counted else None, disproved)


class RowClaim(Protocol):
    """What evidence claims of single rows."""

    @property
    def ids(self) -> Sequence[str]:
        """The rows that the claim is about, in the order of the evidence."""
        ...

    def judge(self, at: int, place: int, given: Given) -> Sized:
        """Judge one example whose row the evidence holds at ``place``."""
        ...

    def changes(self, held: Held, given: Given) -> Changes | None:
        """Return the evidence that would be another had the audit seen these itself.

        ``None`` where one example shows the whole claim to be false.
        """
        ...


@dataclass(frozen=True, slots=True)
class OfRows:
    """A claim of single rows: each example is judged alone, beside the row that it starts from."""

    claim: RowClaim

    def weigh(self, check: str, given: Given) -> Verdict:
        """Try every example."""
        return counted(self.claim, tried(check, self.claim, given), given)


def tried(check: str, claim: RowClaim, given: Given) -> tuple[Trial, ...]:
    """Return what came of each example alone."""
    places = {name: at for at, name in enumerate(claim.ids)}
    found = []
    for at, row in enumerate(given.rows):
        result, size = objection(given, at, places), tuple[float, ...]()
        if result is None:
            result, size = claim.judge(at, places[row], given)
        distance, eps = (*size, None, None)[:2]
        found.append(Trial(at, row, check, result, given.decided(at), distance, eps))
    return tuple(found)


def counted(claim: RowClaim, trials: tuple[Trial, ...], given: Given) -> Verdict:
    """Return what the examples that hold come to; of several for one row the claim chooses."""
    held = [item for item in trials if item.result is Result.HOLDS]
    if not held:
        return Verdict(trials)
    places = {name: at for at, name in enumerate(claim.ids)}
    reached: dict[int, list[Trial]] = {}
    for item in sorted(held, key=lambda item: item.distance or 0.0):
        reached.setdefault(places[item.row], []).append(item)
    changes = claim.changes(reached, given)
    return Verdict(trials, changes, disproved=changes is None)


def objection(given: Given, at: int, places: Mapping[str, int]) -> Result | None:
    """Return why an example starts from no row that a claim is about; ``None`` where it does."""
    if not given.known[at]:
        return Result.NOT_OF_THE_DATA
    if given.disputed[at]:
        return Result.OTHER_LABEL
    return None if given.rows[at] in places else Result.NOT_LOOKED_AT
