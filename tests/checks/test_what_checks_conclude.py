"""Leaks and poison are shown, not seen, or not decided; none of that ever passes a rule."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
from judging_cases import RULE, judge_one, measured

from auditor.checks.measure import compute_readings
from auditor.checks.registry import discover_checks
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.checks import Metric, Need
from auditor.domain.evidence import Evidence
from auditor.domain.findings import Outcome
from auditor.domain.gaps import NOT_SEEN, OPEN, SHOWN, VERDICT
from auditor.domain.json import Json
from auditor.domain.observed_checks import ObservedCheck
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import BoundKind, Measurement, Reading, Unit
from auditor.domain.records import CheckObservation
from auditor.domain.subjects import CheckShard, Subject
from auditor.reports.wording import describe_bound

CONCLUDING = {name: check for name, check in discover_checks().items() if VERDICT in check.emits}
ASKED = replace(
    RULE,
    check="privacy.said",
    metric=VERDICT,
    limits=None,
    require='reading.value != "shown"',
    accept_withstood=True,
)


@dataclass(frozen=True)
class Said:
    """A check that says what it is told to."""

    word: str = SHOWN

    id: ClassVar[str] = "privacy.said"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "What was said"
    needs: ClassVar[frozenset[Need]] = frozenset()
    uses: ClassVar[tuple[str, ...]] = ()
    emits: ClassVar[Mapping[str, Metric]] = {
        VERDICT: Metric("Whether a leak is shown", Unit.NONE, BoundKind.AT_LEAST, exact=True)
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = ()
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {}
    grid: ClassVar[Mapping[str, str]] = {}

    def cost(self, size: AuditSize) -> CheckCost:
        return CheckCost()

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        return {}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        return {}

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        said = Measurement(
            metric=VERDICT, value=self.word, bound=BoundKind.AT_LEAST, method="paper", n=1
        )
        return (said,)


def reading(word: str) -> Measurement:
    """Return the verdict as it stands in a record."""
    check = Said(word)
    origin = CheckObservation("cpu", check.id, check.version, {}, 7, {})
    (found,) = compute_readings([ObservedCheck(origin, check, {})], 0.95)
    assert isinstance(found, Measurement)
    return found


@pytest.mark.parametrize(
    ("word", "outcome"),
    [
        (SHOWN, Outcome.FAILED),
        (NOT_SEEN, Outcome.WITHSTOOD),
        (OPEN, Outcome.UNKNOWN),
    ],
)
def test_a_rule_on_a_verdict_fails_withstands_or_stays_unknown(word: str, outcome: Outcome) -> None:
    assert judge_one(ASKED, reading(word)).outcome is outcome


@pytest.mark.parametrize("word", [SHOWN, NOT_SEEN, OPEN])
def test_no_word_passes_a_rule_that_does_not_accept_withstood(word: str) -> None:
    strict = replace(ASKED, accept_withstood=False)
    assert judge_one(strict, reading(word)).outcome in {Outcome.FAILED, Outcome.UNKNOWN}


def test_only_an_open_verdict_is_doubted_for_its_word() -> None:
    assert [reading(word).doubted for word in (SHOWN, NOT_SEEN, OPEN)] == [False, False, True]
    assert not measured(OPEN, metric="note").doubted


def test_checks_of_both_families_conclude() -> None:
    assert {name.partition(".")[0] for name in CONCLUDING} >= {"privacy", "poisoning"}


@pytest.mark.parametrize("name", CONCLUDING)
def test_a_verdict_is_a_bound_and_no_estimate(name: str) -> None:
    metric = CONCLUDING[name].emits[VERDICT]
    assert (metric.bound, metric.exact, metric.unit) == (BoundKind.AT_LEAST, True, Unit.NONE)
    assert metric.higher_is_better is None


def test_a_word_is_told_as_it_is_and_not_as_at_least_itself() -> None:
    assert describe_bound(reading(NOT_SEEN)) == ""
    assert describe_bound(measured(0.5, bound=BoundKind.AT_LEAST)) == "at least "
    message = judge_one(ASKED, reading(NOT_SEEN)).message
    assert "Found: no evidence at this power. A stronger search may show more." in message
