"""What a record claims of a target, and what of it no example of a file could refute."""

from collections.abc import Iterator
from dataclasses import dataclass

from auditor.attacks.counterexamples.claims import ROBUST, by_example
from auditor.attacks.counterexamples.given import Kind
from auditor.attacks.counterexamples.reasons import claims_of
from auditor.datasets.examples import Examples
from auditor.domain.challenges import Challenge
from auditor.domain.observed import Result, Seen
from auditor.domain.policies import Policy
from auditor.domain.readings import Bound, Measurement
from auditor.domain.records import AuditRecord
from auditor.domain.waivers import Waiver
from auditor.errors import RecordError


@dataclass(frozen=True, slots=True)
class Claims:
    """A record whose folder verifies, with all that was seen, and the policy that judged it."""

    record: AuditRecord
    results: tuple[Result, ...]
    policy: Policy
    waivers: tuple[Waiver, ...] = ()
    compared: AuditRecord | None = None

    def seen_on(self, target: str) -> Iterator[Seen]:
        """Return what was seen of one target."""
        for item in self.results:
            if isinstance(item, Seen) and item.observation.target == target:
                yield item


@dataclass(frozen=True, slots=True)
class Untried:
    """A check under which no example of a file was tried, and why.

    ``robust`` where it claims how many rows stay right under attack, which a challenge by that
    file then neither refutes nor upholds.
    """

    check: str
    why: str
    robust: bool


def untried(claims: Claims, target: str, kind: Kind) -> tuple[Untried, ...]:
    """Return the checks of a target under which examples of a kind are not tried.

    Of those that measured something, which say something of examples or claim robustness.
    """
    measured = _measured(claims.record, target)
    found = []
    for item in claims.seen_on(target):
        name, why = item.check.id, _why_not(item, kind)
        robust = (name, ROBUST) in measured
        told = by_example(item.check) is not None and any(name == check for check, _ in measured)
        if why and (robust or told):
            found.append(Untried(name, why, robust))
    return tuple(found)


def _measured(record: AuditRecord, target: str) -> frozenset[tuple[str, str]]:
    """Return which metrics of which checks a record states of a target."""
    return frozenset(
        (item.check, item.metric)
        for item in record.readings
        if isinstance(item, Measurement) and item.target == target
    )


def undecided(claims: Claims, told: Challenge, beside: tuple[Untried, ...]) -> bool:
    """Whether all the robustness that a record claims is of checks that were not tried.

    What was tried counts where it claims a bound; an accuracy is an estimate.
    """
    tried = {item.check for item in told.trials}
    bounded = (
        item.check.id in tried
        and any(metric.bound is not Bound.ESTIMATE for metric in item.check.emits.values())
        for item in claims.seen_on(told.target)
    )
    return any(item.robust for item in beside) and not any(bounded)


def claimless(claims: Claims, target: str, given: Examples) -> RecordError:
    """Return the error that says of every check why a file of examples refutes nothing of it."""
    whys = [why for item in claims.seen_on(target) if (why := _why_not(item, given.kind))]
    return RecordError(
        "; ".join([f"the record claims nothing of {target} that {given.name} could refute", *whys]),
        cure="Challenge a record of an attack, of a proof, or of quality.accuracy, with the arrays "
        "that `auditor challenge --help` names for it.",
    )


def _why_not(seen: Seen, kind: Kind) -> str:
    found = claims_of(seen.check, seen.evidence, seen.observation.params, kind)
    return found if isinstance(found, str) else ""
