"""Leaks and poison are shown, not seen, or not decided; none of that ever passes a rule."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import pytest
from judging_cases import RULE, judge_one, measured

from auditor.checks.measure import ONE_OUTPUT, compute_readings
from auditor.checks.registry import discover_checks
from auditor.domain.budgets import AuditSize, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.evidence import Evidence
from auditor.domain.findings import Outcome
from auditor.domain.gaps import NOT_SEEN, OPEN, SHOWN, VERDICT
from auditor.domain.observed_checks import ObservedCheck
from auditor.domain.readings import (
    NEEDS,
    BiasDirection,
    BoundKind,
    ConfidenceInterval,
    Measurement,
    Reading,
    Unit,
)
from auditor.domain.records import CheckObservation, DuplicateRows
from auditor.domain.targets import LabelOutput
from auditor.errors import BrokenCheckError
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
class Said(Check):
    """A check that says what it is told to."""

    word: str = SHOWN

    id: ClassVar[str] = "privacy.said"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "What was said"
    needs: ClassVar[frozenset[Need]] = frozenset()
    emits: ClassVar[Mapping[str, Metric]] = {
        VERDICT: Metric("Leak detected", Unit.NONE, BoundKind.AT_LEAST, exact=True)
    }

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


@dataclass(frozen=True)
class Counted(Said):
    """Says how often it was asked, and by what evidence."""

    asked: list[float] = field(default_factory=list)

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        self.asked.append(confidence)
        return Said(str(evidence["word"])).figures(evidence, confidence)


def test_figures_are_computed_once_a_confidence_and_anew_for_other_evidence() -> None:
    check = Counted()
    origin = CheckObservation("cpu", check.id, check.version, {}, 7, {"word": "sha256:0"})
    seen = ObservedCheck(origin, check, {"word": SHOWN})
    first = compute_readings([seen], 0.95)
    assert compute_readings([seen.shared({})], 0.95) == first
    assert compute_readings([seen], 0.9) == first
    assert check.asked == [0.95, 0.9]
    (other,) = compute_readings([replace(seen, evidence={"word": NOT_SEEN})], 0.95)
    assert isinstance(other, Measurement)
    assert other.value == NOT_SEEN


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


@dataclass(frozen=True)
class Timed(Check):
    """A check whose machine was busy, and that says how far."""

    worst: float | None = 8.0
    astray: str = BiasDirection.TOO_HIGH.value
    doubted: bool = True

    id: ClassVar[str] = "hardware.timed"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "A time"
    needs: ClassVar[frozenset[Need]] = frozenset()
    emits: ClassVar[Mapping[str, Metric]] = {"p50": Metric("Median time", Unit.SECOND)}

    def cost(self, size: AuditSize) -> CheckCost:
        return CheckCost()

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        return {}

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        time = Measurement.of(
            ConfidenceInterval(2.0, 1.0, 3.0, confidence, "paper", 90),
            "p50",
            Unit.SECOND,
            doubted=self.doubted,
            astray=BiasDirection(self.astray) if self.astray else None,
            worst_case=self.worst,
        )
        return (time,)


def timed(check: Timed, **origin: Any) -> Measurement:  # noqa: ANN401 -- any field of an observation
    """Return the time as it stands in a record."""
    seen = replace(CheckObservation("cpu", check.id, check.version, {}, 7, {}), **origin)
    (found,) = compute_readings([ObservedCheck(seen, check, {})], 0.95)
    assert isinstance(found, Measurement)
    return found


def test_a_worst_case_stands_only_while_the_check_alone_doubts() -> None:
    assert timed(Timed()).worst_case == 8.0
    assert timed(Timed(), deterministic=False).worst_case is None
    assert timed(Timed(), copies=DuplicateRows(100, 5)).worst_case is None


def test_a_figure_of_scores_that_the_labels_contradict_is_doubted_and_says_what_it_needs() -> None:
    found = timed(Timed(None, "", doubted=False), labels=LabelOutput("label", 500, 80))
    assert found.doubted
    assert "another class than its scores in 80 of 500 rows" in str(found.details["doubt"])
    assert found.details[NEEDS] == ONE_OUTPUT


@pytest.mark.parametrize(
    "check",
    [
        Timed(worst=2.9),
        Timed(worst=float("inf")),
        Timed(astray="too_low"),
        Timed(astray="either"),
        Timed(astray=""),
        Timed(astray="", doubted=False),
    ],
)
def test_a_worst_case_that_bounds_nothing_is_a_broken_check(check: Timed) -> None:
    with pytest.raises(BrokenCheckError, match="its worst case is none"):
        timed(check)
