"""A failure must hold after correction: which confidences are asked for, and what is then told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest
from judging_cases import CONTEXT, POLICY, RULE, measured

from auditor.domain.findings import Finding, Outcome
from auditor.domain.policies import Rule, RuleEffect
from auditor.domain.readings import Measurement
from auditor.policy.evaluate.context import build_target_context
from auditor.policy.evaluate.engine import CaseReevaluation, RuleCase, RuleQuestion, judge_readings
from auditor.policy.evaluate.readings_index import Numbered, ReadingIndex, split_readings
from auditor.policy.evaluate.rules import judge_reading_group


@dataclass
class Readings:
    """Readings whose intervals widen with the confidence, which it remembers."""

    highs: Sequence[Callable[[float], float | None]]
    asked: list[float] = field(default_factory=list)

    def __call__(self, confidence: float) -> list[Measurement]:
        self.asked.append(round(confidence, 9))
        found = enumerate(high(confidence) for high in self.highs)
        return [
            measured(0.7, 0.6, high, params={"at": at}, n=100, confidence=confidence)
            for at, high in found
            if high is not None
        ]


def failing(_: float) -> float:
    return 0.75


def doubtful(confidence: float) -> float:
    return 0.79 if confidence < 0.96 else 0.85


def keeping(_: float) -> float:
    return 2.0


def rule(at: int, **changes: object) -> Rule:
    return replace(RULE, id=f"rule-{at}", where={"at": at}, **changes)  # type: ignore[arg-type] -- any field


def judged(readings: Readings, *rules: Rule) -> tuple[Finding, ...]:
    policy = replace(POLICY, rules=rules or tuple(rule(at) for at in range(len(readings.highs))))
    return judge_readings(policy, readings, CONTEXT)


def outcomes(findings: Sequence[Finding]) -> list[Outcome]:
    return [item.outcome for item in findings]


def test_where_nothing_fails_nothing_is_asked_again() -> None:
    readings = Readings([keeping, keeping])
    assert outcomes(judged(readings)) == [Outcome.UNKNOWN] * 2
    assert readings.asked == [0.95]


def test_a_failure_that_is_alone_is_judged_at_its_own_level_and_told_without_correction() -> None:
    readings = Readings([failing])
    (found,) = judged(readings)
    assert found.outcome is Outcome.FAILED
    assert "correction" not in found.message
    assert readings.asked == [0.95]


@pytest.mark.parametrize("count", [2, 3])
def test_failures_are_asked_for_again_at_a_share_of_what_may_err(count: int) -> None:
    readings = Readings([failing] * count)
    found = judged(readings)
    assert outcomes(found) == [Outcome.FAILED] * count
    for item in found:
        assert item.message.endswith(
            f" It fails after correction over all {count} denying rules (Holm), too."
        )
    assert readings.asked == [0.95, round(1 - 0.05 / count, 9)]


def test_each_sure_failure_leaves_more_to_err_with_for_the_others() -> None:
    readings = Readings([failing, doubtful, keeping, keeping])
    first, second, *_ = judged(readings)
    assert (first.outcome, second.outcome) == (Outcome.FAILED, Outcome.UNKNOWN)
    assert readings.asked == [0.95, 0.9875, round(1 - 0.05 / 3, 9)]
    # At the level of the three that are left, half a width of 0.15 has to shrink to 0.1.
    assert second.would_decide == {"rows": 230}
    alone = judged(Readings([keeping, doubtful]), rule(1))[0]
    assert second.message == (
        f"{alone.message} It fails alone at 95 %, but not after correction over all 4 denying "
        "rules (Holm), so that it stays undecided."
    )
    assert second.readings == (1,)


def test_only_denying_rules_that_are_asked_count_and_are_corrected() -> None:
    readings = Readings([failing, doubtful, doubtful])
    warns, silent = rule(1, effect=RuleEffect.WARN), rule(2, when="served")
    found = judged(readings, rule(0), warns, silent)
    assert outcomes(found) == [Outcome.FAILED, Outcome.FAILED, Outcome.NOT_APPLICABLE]
    assert not any("correction" in item.message for item in found)
    assert readings.asked == [0.95]


def test_a_warning_stands_beside_failures_that_the_correction_takes_away() -> None:
    readings = Readings([doubtful, doubtful, doubtful])
    found = judged(readings, rule(0), rule(1), rule(2, effect=RuleEffect.WARN))
    assert outcomes(found) == [Outcome.UNKNOWN, Outcome.UNKNOWN, Outcome.FAILED]


def test_readings_that_are_gone_at_another_confidence_show_no_failure() -> None:
    def gone(confidence: float) -> float | None:
        return 0.75 if confidence < 0.96 else None

    found, _ = judged(Readings([gone, keeping]))
    assert found.outcome is Outcome.UNKNOWN
    assert found.would_decide == {"needs": "a reading of quality.accuracy/accuracy"}
    by_place = replace(RULE, for_each=("at",))
    found, _ = judged(Readings([gone, keeping]), by_place)
    assert (found.name, found.outcome) == ("accurate[at=0]", Outcome.UNKNOWN)


def test_what_passes_at_another_confidence_needs_more_rows() -> None:
    def odd(confidence: float) -> list[Measurement]:
        low, high = (0.7, 0.75) if confidence < 0.96 else (0.81, 0.85)
        return [measured(0.8, low, high, params={"at": at}) for at in (0, 1)]

    found = judge_readings(replace(POLICY, rules=(rule(0), rule(1))), odd, CONTEXT)
    assert outcomes(found) == [Outcome.UNKNOWN] * 2
    assert [item.would_decide for item in found] == [{"needs": "more rows"}] * 2


def test_a_question_is_split_into_its_places_once_however_many_of_them_fail() -> None:
    """Else a rule for each of thousands of groups takes the square of that to judge."""
    asked: list[str] = []

    class CountingDocket(ReadingIndex):
        def matching(self, rule: Rule, target: str) -> tuple[Numbered, ...]:
            asked.append(rule.id)
            return super().matching(rule, target)

    readings = Readings([failing] * 5)(0.95)
    by_place = replace(RULE, for_each=("at",))
    questions = [
        RuleQuestion(replace(by_place, id=name), build_target_context(CONTEXT, {}, "cpu"))
        for name in "ab"
    ]
    docket = CountingDocket.of(readings, [by_place])
    cases = [
        RuleCase(question, part, judge_reading_group(question.rule, part, docket, question.asked))
        for question in questions
        for part in split_readings(question.rule, "cpu", docket)
    ]
    asked.clear()
    again = CaseReevaluation.of(dict(enumerate(cases)), docket)
    assert asked == ["a", "b"]
    assert again.failing == frozenset(range(10))
    assert again.judgement(7) == cases[7].judgement
