"""Waivers laid over findings: what failed or is unknown becomes waived, and nothing else moves."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from auditor.domain.findings import Finding
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest
from auditor.domain.verdicts import Outcome
from auditor.domain.waivers import Audited, Life, Waiver

WAIVABLE = frozenset({Outcome.FAILED, Outcome.UNKNOWN})
WAS = {Outcome.FAILED: "it failed", Outcome.UNKNOWN: "it is unknown"}


class Use(StrEnum):
    """What came of a waiver in an audit."""

    USED = "used"
    EXPIRED = "expired"
    EARLY = "not yet valid"
    FOREIGN = "for something else"
    UNNEEDED = "not needed"
    UNMATCHED = "matches nothing"


@dataclass(frozen=True, slots=True)
class Used:
    """A waiver, what came of it, why, and on which targets it waived its rule."""

    waiver: Waiver
    use: Use
    detail: str
    targets: tuple[str, ...] = ()

    @property
    def idle(self) -> bool:
        """Whether it waived nothing, which somebody should look into."""
        return self.use is not Use.USED


def waived(
    findings: Iterable[Finding], waivers: Sequence[Waiver], audited: Audited, now: str
) -> tuple[Finding, ...]:
    """Return the findings with those waived that a waiver covers; all else stays as it is.

    Only what failed or is unknown can be waived. What is judged first stays in the message, and a
    waiver that has run out is told there. Of several, the one that ends last counts.
    """
    fitting = [item for item in waivers if not item.foreign_to(audited)]
    return tuple(_waived(item, fitting, now) for item in findings)


def uses_of(record: AuditRecord, waivers: Sequence[Waiver]) -> tuple[Used, ...]:
    """Return what came of every waiver that a record's audit was given."""
    audited = audited_of(record)
    return tuple(_use(item, record.findings, audited, record.finished) for item in waivers)


def audited_of(record: AuditRecord) -> Audited:
    """Return what a record's audit was of, and by which policy, as waivers name them."""
    return audited_in(record.request)


def audited_in(request: AuditRequest) -> Audited:
    """Return what a request is of, and by which policy, as waivers name them."""
    artifact = None if request.artifact is None else request.artifact.digest
    return Audited(request.name, artifact, request.policy.name, request.policy.digest)


def same_but_for_waivers(before: Outcome, after: Outcome) -> bool:
    """Whether two outcomes are one, where a waiver may have run out between and moved no figure."""
    return after is before or (before is Outcome.WAIVED and after in WAIVABLE)


def covers(waiver: Waiver, finding: Finding) -> bool:
    """Whether a waiver is for the rule, the target and the slice that a finding is about."""
    return waiver.covers(finding.rule, finding.target, finding.slice)


def _waived(finding: Finding, waivers: Sequence[Waiver], now: str) -> Finding:
    if finding.outcome not in WAIVABLE:
        return finding
    covering = [item for item in waivers if covers(item, finding)]
    valid = [item for item in covering if item.life(now) is Life.VALID]
    if valid:
        chosen = max(valid, key=lambda item: (item.expires, item.digest))
        message = f"{finding.message} {_words(chosen, finding.outcome)}"
        return replace(finding, outcome=Outcome.WAIVED, message=message, waiver=chosen.digest)
    notes = [_no_more(item, now) for item in covering]
    return replace(finding, message=" ".join([finding.message, *notes]))


def _words(waiver: Waiver, was: Outcome) -> str:
    beside = "; ".join(waiver.compensating)
    instead = f" Instead: {beside}." if beside else ""
    reason = waiver.reason.rstrip(".")
    return (
        f"Waived until {waiver.expires}, though {WAS[was]}: {reason}. Approved by "
        f"{waiver.approver} ({waiver.ticket}); {waiver.owner} answers for the risk.{instead}"
    )


def _no_more(waiver: Waiver, now: str) -> str:
    name = f"A waiver ({waiver.ticket}, approved by {waiver.approver})"
    if waiver.life(now) is Life.EARLY:
        return f"{name} is valid from {waiver.created} on, and does not count yet."
    return f"{name} expired on {waiver.expires}, and does not count any more."


def _use(waiver: Waiver, findings: Sequence[Finding], audited: Audited, now: str) -> Used:
    foreign = waiver.foreign_to(audited)
    if foreign:
        return Used(waiver, Use.FOREIGN, foreign)
    covered = [item for item in findings if covers(waiver, item)]
    targets = tuple(_targets(waiver, covered))
    if targets:
        return Used(waiver, Use.USED, f"on {', '.join(targets)}", targets)
    if not covered:
        return Used(waiver, Use.UNMATCHED, f"no finding is of {_asked(waiver)}")
    life = waiver.life(now)
    if life is Life.EXPIRED:
        return Used(waiver, Use.EXPIRED, f"it expired on {waiver.expires}")
    if life is Life.EARLY:
        return Used(waiver, Use.EARLY, f"it is valid from {waiver.created} on")
    said = ", ".join(sorted({_became(item) for item in covered}))
    return Used(waiver, Use.UNNEEDED, f"{waiver.name} {said}")


def _targets(waiver: Waiver, covered: Sequence[Finding]) -> Iterator[str]:
    yield from dict.fromkeys(item.target for item in covered if item.waiver == waiver.digest)


def _asked(waiver: Waiver) -> str:
    target = f" on {waiver.target}" if waiver.target else ""
    return f"{waiver.name}{target}"


def _became(finding: Finding) -> str:
    if finding.outcome is Outcome.WAIVED:
        return "is waived by another waiver"
    return f"came to {finding.outcome.value.replace('_', ' ')}"
