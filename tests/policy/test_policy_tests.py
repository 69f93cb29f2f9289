"""Tests of policies: how their files are read, and what is said of cases that differ."""

from typing import Any

import pytest
from pack_cases import CHECKS, changed, loaded, written

from auditor.domain.findings import Outcome
from auditor.domain.readings import BoundKind, Gap, Measurement
from auditor.errors import PolicyError
from auditor.policy.policy_test_reader import read_policy_tests
from auditor.policy.run_policy_tests import PolicyTestResults, PolicyTests, run_policy_tests

ROBUST: dict[str, Any] = {
    "id": "robust",
    "title": "It withstands",
    "severity": "high",
    "measure": "evasion.linf/robust_accuracy",
    "where": {"eps": 0.1},
    "at_least": 0.5,
    "accept": "withstood",
}
POLICY = written(changed(when="'regulated' in model.tags || target != ''"), ROBUST)
HEAD = """\
apiVersion: auditor/v1
kind: PolicyTest
policy: mine
readings:
  good:
    - {measure: quality.accuracy/accuracy, value: 0.95, low: 0.94, high: 0.96}
    - {measure: evasion.linf/robust_accuracy, value: 0.7, low: 0.6, high: 0.8, params: {eps: 0.1}}
cases:
"""


def read(cases: str, head: str = HEAD, policy: bytes = POLICY) -> PolicyTests:
    return read_policy_tests((head + cases).encode(), "t.yaml", lambda _: loaded(policy), CHECKS)


def run(cases: str, head: str = HEAD) -> PolicyTestResults:
    return run_policy_tests(read(cases, head))


def leave(
    rule: str = "accurate", approver: str = "b@x", expires: str = "2026-07-01", more: str = ""
) -> str:
    said = f"rule: {rule}, owner: a@x, approver: {approver}, reason: known and bounded, ticket: T-1"
    return f'waivers: [{{{said}, expires: "{expires}"{more}}}]'


def case(expect: str, *lines: str) -> str:
    inside = "".join(f"    {line}\n" for line in ("use: [good]", *lines))
    return f"  - name: one\n{inside}    expect: {expect}\n"


def test_a_case_that_comes_out_as_expected_is_silent() -> None:
    result = run(case("{verdict: pass, outcomes: {accurate: passed, 'robust@cpu': withstood}}"))
    assert result.as_expected
    assert result.cases[0].differences == ()


def test_a_case_that_differs_says_what_was_expected_and_what_was_found_and_why() -> None:
    result = run(case("{verdict: fail, outcomes: {accurate: failed}}"))
    rule, verdict = result.cases[0].differences
    assert (rule.what, rule.expected, rule.found) == ("accurate on cpu", "failed", "passed")
    assert "Found: 95 %" in rule.message
    assert (verdict.what, verdict.expected, verdict.found) == ("verdict", "fail", "pass")
    assert not result.as_expected


def test_a_reading_has_the_unit_and_the_bound_that_its_metric_declares() -> None:
    first, second = read(case("{verdict: pass}")).cases[0].readings
    assert isinstance(first, Measurement)
    assert isinstance(second, Measurement)
    assert (first.bound, second.bound) == (BoundKind.ESTIMATE, BoundKind.AT_MOST)
    assert first.unit == "share"
    assert first.target == "cpu"


def test_a_later_reading_replaces_an_equal_one_alone() -> None:
    tests = read(
        case(
            "{verdict: fail}",
            "readings:",
            "  - {measure: quality.accuracy/accuracy, value: 0.5, low: 0.4, high: 0.6}",
            "  - {measure: evasion.linf/robust_accuracy, value: 0.9, params: {eps: 0.2}}",
        )
    )
    values = [item.value for item in tests.cases[0].readings if isinstance(item, Measurement)]
    assert values == [0.7, 0.5, 0.9]


def test_a_gap_replaces_all_that_its_check_measured() -> None:
    tests = read(
        case("{verdict: fail}", "readings: [{gap: quality.accuracy, reason: needs_labels}]")
    )
    kinds = [type(item) for item in tests.cases[0].readings]
    assert kinds == [Measurement, Gap]


def test_conditions_know_which_targets_are_served() -> None:
    rules = written(changed(when="served"), ROBUST)
    lines = ("targets: [cpu, prod]", "served: [prod]")
    expect = "{outcomes: {accurate@cpu: not_applicable, accurate@prod: unknown}}"
    asked = (HEAD + case(expect, *lines)).encode()
    result = run_policy_tests(read_policy_tests(asked, "t.yaml", lambda _: loaded(rules), CHECKS))
    assert result.as_expected, result.cases[0].differences


def test_what_is_removed_is_silent() -> None:
    result = run(case("{outcomes: {accurate: unknown}}", "remove: [quality.accuracy/accuracy]"))
    assert result.as_expected
    assert len(result.tests.cases[0].readings) == 1


def test_a_case_may_say_what_the_defaults_say_otherwise() -> None:
    head = HEAD.replace("cases:", "defaults: {targets: [a, b], budget: ci}\ncases:")
    (case_,) = read(case("{verdict: pass}", "budget: smoke", "model: {name: n}"), head).cases
    assert case_.context.targets == ("a", "b")
    assert (case_.context.budget.value, case_.context.name) == ("smoke", "n")


def test_a_rule_is_expected_on_every_target_that_is_not_named() -> None:
    head = HEAD.replace("cases:", "defaults: {targets: [a, b]}\ncases:")
    result = run(case("{outcomes: {accurate: passed, 'accurate@b': unknown}}"), head)
    (difference,) = result.cases[0].differences
    assert difference.what == "accurate on b"


def test_a_place_that_no_finding_has_differs() -> None:
    (difference,) = run(case("{outcomes: {'accurate[sex=F]': passed}}")).cases[0].differences
    assert difference.found == "nothing"


@pytest.mark.parametrize(
    ("waiver", "outcome"),
    [
        (leave(), "waived"),
        (leave(expires="2026-05-31"), "failed"),
        (leave(more=', created: "2026-06-02"'), "failed"),
        (leave("robust"), "failed"),
        (leave(more=", target: gpu"), "failed"),
    ],
    ids=["valid", "run out", "not yet", "another rule", "another target"],
)
def test_a_case_is_judged_with_its_waivers_as_of_its_time(waiver: str, outcome: str) -> None:
    low = "readings: [{measure: quality.accuracy/accuracy, value: 0.1, low: 0.0, high: 0.2}]"
    assert run(case(f"{{outcomes: {{accurate: {outcome}}}}}", low, waiver)).as_expected


def test_coverage_says_which_outcomes_each_rule_was_seen_with() -> None:
    result = run(case("{verdict: pass}"))
    assert result.coverage == {
        "accurate": frozenset({Outcome.PASSED}),
        "robust": frozenset({Outcome.WITHSTOOD}),
    }
    assert result.to_json()["coverage"] == {"accurate": ["passed"], "robust": ["withstood"]}


@pytest.mark.parametrize(
    ("cases", "complaint"),
    [
        (case("{outcomes: {absent: passed}}"), r"t\.yaml:11: mine has no rule 'absent'"),
        (case("{outcomes: {'accurate@gpu': passed}}"), r"t\.yaml:11: .*no target 'gpu'"),
        (case("{outcomes: {'accurate[': passed}}"), r"t\.yaml:11: .*is not a name of a finding"),
        (case("{outcomes: {accurate: kept}}"), r"t\.yaml:11: cases\.0\.expect\.outcomes"),
        (case("{}"), r"t\.yaml:11: .*expect a `verdict` or `outcomes`"),
        (case("{verdict: pass}", "use: [bad]"), "stands twice"),
        (case("{verdict: pass}", "remove: [quality]"), r"t\.yaml:11: there is no reading of"),
        (case("{verdict: pass}", "waivers: [{rule: a}]"), r"t\.yaml:11: .*owner"),
        (case("{verdict: pass}", leave("absent")), r"t\.yaml:11: mine has no rule 'absent'"),
        (case("{verdict: pass}", leave(approver="a@x")), r"t\.yaml:11: approver .*owner as well"),
        (case("{verdict: pass}", leave(expires="2027-06-01")), r"t\.yaml:11: .*more than 180 days"),
        (case("{verdict: pass}", "reading: []"), r"t\.yaml:11: .*no such setting"),
        (
            case("{verdict: pass}", "readings: [{measure: quality.accuracy/f1, value: 1}]"),
            r"t\.yaml:11: quality\.accuracy emits no 'f1'",
        ),
        (
            case("{verdict: pass}", "readings: [{gap: quality.absent, reason: needs_labels}]"),
            r"t\.yaml:11: there is no check 'quality\.absent'",
        ),
        (
            case("{verdict: pass}", "readings: [{gap: quality.accuracy, value: 1}]"),
            r"t\.yaml:11: .*only a measurement has value",
        ),
        (
            case("{verdict: pass}", "readings: [{measure: quality.accuracy/accuracy}]"),
            r"t\.yaml:11: .*has a `value`",
        ),
        (
            case(
                "{verdict: pass}",
                "readings: [{measure: quality.accuracy/accuracy, value: 1, low: 2, high: 3}]",
            ),
            r"t\.yaml:11: .*in that order",
        ),
        (
            case(
                "{verdict: pass}",
                "readings: [{measure: quality.accuracy/accuracy, value: .nan}]",
            ),
            r"t\.yaml:11: .*finite",
        ),
        (
            case(
                "{verdict: pass}",
                "readings: [{measure: quality.accuracy/accuracy, value: 1, unit: s}]",
            ),
            r"t\.yaml:11: .*measured in share, not s",
        ),
        (
            case(
                "{verdict: pass}",
                "readings: [{measure: quality.accuracy/accuracy, value: 1, target: gpu}]",
            ),
            r"t\.yaml:9: .*on gpu, which the case lacks",
        ),
        (case("{verdict: pass}") * 2, r"t\.yaml:12: another case is called 'one'"),
    ],
)
def test_a_mistake_in_a_file_of_tests_is_named_with_its_line(cases: str, complaint: str) -> None:
    with pytest.raises(PolicyError, match=complaint):
        read(cases)


def test_a_group_of_readings_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(PolicyError, match=r"no group of readings 'bad'.*: good"):
        read(case("{verdict: pass}").replace("[good]", "[bad]"))


def test_a_case_says_how_far_its_figures_speak_of_their_targets() -> None:
    for more, verdict in (
        ("", "pass"),
        ("evidence: measured", "pass"),
        ("evidence: simulated", "inconclusive"),
        ("evidence: {cpu: emulated}", "inconclusive"),
        ("evidence: {other: emulated}", "pass"),
    ):
        tests = read(case(f"{{verdict: {verdict}}}", more))
        assert run_policy_tests(tests).as_expected, more
    read(case("{outcomes: {policy.least_evidence: unknown}}", "evidence: simulated"))
    with pytest.raises(PolicyError, match="evidence"):
        read(case("{verdict: pass}", "evidence: magic"))


def test_a_case_says_how_models_were_isolated() -> None:
    policy = POLICY.replace(b"owner:", b"least_isolation: landlock, owner:", 1)
    for more, verdict in (
        ("", "pass"),
        ("isolation: landlock", "pass"),
        ("isolation: namespaces", "inconclusive"),
        ("isolation: {cpu: limits}", "inconclusive"),
        ("isolation: {other: limits}", "pass"),
    ):
        tests = read(case(f"{{verdict: {verdict}}}", more), policy=policy)
        assert run_policy_tests(tests).as_expected, more
    read(case("{outcomes: {policy.least_isolation: unknown}}", "isolation: limits"))
    with pytest.raises(PolicyError, match="isolation"):
        read(case("{verdict: pass}", "isolation: magic"))


def test_a_case_may_have_a_baseline() -> None:
    policy = written(changed(at_least="baseline - 1 %"))
    same = "baseline: [{measure: quality.accuracy/accuracy, value: 0.9, low: 0.89, high: 0.91}]"
    worse = "baseline: [{measure: quality.accuracy/accuracy, value: 0.99, low: 0.98, high: 1.0}]"
    cases = (
        (case("{outcomes: {accurate: passed}}", same))
        + case("{outcomes: {accurate: failed}}", worse).replace("one", "two")
        + case("{outcomes: {accurate: unknown}}").replace("one", "three")
        + case("{outcomes: {accurate: unknown}}", "baseline: []").replace("one", "four")
    )
    tests = read_policy_tests((HEAD + cases).encode(), "t.yaml", lambda _: loaded(policy), CHECKS)
    assert run_policy_tests(tests).as_expected, run_policy_tests(tests).to_json()
    with pytest.raises(PolicyError, match=r"t\.yaml:\d+.*no check 'no\.check'"):
        read(case("{verdict: fail}", "baseline: [{measure: no.check/accuracy, value: 0.9}]"))
