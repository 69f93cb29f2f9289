"""Outcomes of rules, and the verdict as their fold."""

from collections.abc import Iterable
from enum import StrEnum


class Outcome(StrEnum):
    """What became of a rule."""

    PASSED = "passed"
    WITHSTOOD = "withstood"
    FAILED = "failed"
    UNKNOWN = "unknown"
    WAIVED = "waived"
    NOT_APPLICABLE = "not_applicable"


ACCEPTABLE = frozenset({Outcome.PASSED, Outcome.WITHSTOOD, Outcome.WAIVED})


class Verdict(StrEnum):
    """The fold of the findings of denying rules."""

    PASS = "pass"  # noqa: S105 -- a verdict, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> "Verdict":
        """Fold outcomes: one failure fails; silence, doubt, or nothing at all is inconclusive.

        ``WITHSTOOD`` reaches a finding only where its rule accepts that, so it counts as kept.
        """
        seen = frozenset(outcomes) - {Outcome.NOT_APPLICABLE}
        if Outcome.FAILED in seen:
            return cls.FAIL
        return cls.PASS if seen and seen <= ACCEPTABLE else cls.INCONCLUSIVE
