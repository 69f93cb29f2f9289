"""Waivers of a case: leave that is taken as signed, to see what a policy makes of it."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Protocol

from auditor.clock import written
from auditor.documents import Place
from auditor.domain.policies import Policy
from auditor.domain.waivers import Waiver, mistakes_of, moment
from auditor.errors import PolicyError
from auditor.judging.context import JudgingContext
from auditor.packs.cases.shapes import WaiverShape

MIDNIGHT = "T00:00:00Z"
NOW = "2026-06-01T00:00:00Z"
"""When a case is judged that does not say it."""


class Complain(Protocol):
    """How a mistake at a place of a file is said."""

    def __call__(self, place: Place, problem: str, cure: str) -> PolicyError:
        """Return the mistake with file and line."""
        ...


def granted(
    shapes: Sequence[WaiverShape],
    policy: Policy,
    context: JudgingContext,
    place: Place,
    complain: Complain,
) -> Iterator[Waiver]:
    """Yield a case's waivers, for its own model and policy; what has run out began the day before.

    Raises ``PolicyError`` for one that nobody could sign, or for a rule that the policy lacks.
    """
    known = {rule.id for rule in policy.rules}
    for at, shape in enumerate(shapes):
        waiver = _waiver(shape, policy, context)
        here = (*place, at)
        if waiver.rule not in known and not any(mistakes_of(waiver)):
            problem = f"{policy.name} has no rule {waiver.rule!r}"
            raise complain((*here, "rule"), problem, f"Its rules are {', '.join(sorted(known))}.")
        for setting, problem, cure in mistakes_of(waiver):
            raise complain((*here, setting), f"{setting} {problem}", cure)
        yield waiver


def _waiver(shape: WaiverShape, policy: Policy, context: JudgingContext) -> Waiver:
    return Waiver(
        rule=shape.rule,
        model=context.name,
        artifact=None,
        policy=policy.name,
        owner=shape.owner,
        approver=shape.approver,
        reason=shape.reason,
        ticket=shape.ticket,
        created=_time(shape.created) or _before(_time(shape.expires), context.now),
        expires=_time(shape.expires),
        target=shape.target,
        slice=shape.slice,
        compensating=tuple(shape.compensating),
    )


def _before(end: str, now: str) -> str:
    """Return when a waiver begins that does not say it: now, or the day before it ran out."""
    ends, asked = moment(end), moment(now)
    if ends is None or asked is None or ends > asked:
        return now
    return written(ends - timedelta(days=1))


def _time(written: str) -> str:
    """Return a time as records write it; a day alone begins at midnight."""
    return written + MIDNIGHT if written and "T" not in written else written
