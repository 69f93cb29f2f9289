"""The packs' own tests: every case comes out as it says, and every rule was seen in every way."""

from pathlib import Path

import pytest

from auditor._resources import find_shipped_folder
from auditor.domain.findings import Outcome, Verdict
from auditor.domain.readings import Measurement
from auditor.policy.load import list_policies
from auditor.policy.run_policy_tests import PolicyTestResults, run_policy_tests
from auditor.workflows.wiring import read_named_policy_tests

FOLDER = find_shipped_folder("policies") / "tests"
PACKS = [pack.name for pack in list_policies(find_shipped_folder("policies"))]
KEPT = {Outcome.PASSED, Outcome.WITHSTOOD}
ALWAYS_ASKED = {"edge-deployment"}
"""Packs none of whose rules has a condition, so that each rule is asked of everybody."""


@pytest.fixture(scope="module", params=PACKS)
def result(request: pytest.FixtureRequest) -> PolicyTestResults:
    return run_policy_tests(read_named_policy_tests(FOLDER / f"{request.param}.yaml"))


def test_every_case_of_a_pack_comes_out_as_it_says(result: PolicyTestResults) -> None:
    wrong = [
        (item.case.name, difference.what, difference.expected, difference.found)
        for item in result.cases
        for difference in item.differences
    ]
    assert wrong == []


def test_every_rule_was_seen_kept_broken_and_open(result: PolicyTestResults) -> None:
    for rule, seen in result.coverage.items():
        assert seen & KEPT, rule
        assert {Outcome.FAILED, Outcome.UNKNOWN} <= seen, rule


def test_a_pack_is_seen_to_pass_to_fail_and_to_stay_open(result: PolicyTestResults) -> None:
    expected = {item.case.verdict for item in result.cases}
    assert set(Verdict) <= expected


def test_a_pack_shows_where_its_rules_are_not_asked(result: PolicyTestResults) -> None:
    seen = {outcome for outcomes in result.coverage.values() for outcome in outcomes}
    asked_of_all = result.tests.policy.name in ALWAYS_ASKED
    assert (Outcome.NOT_APPLICABLE in seen) != asked_of_all


@pytest.mark.parametrize("trouble", ["gap", "doubted", "across"])
def test_a_rule_stays_open_for_a_gap_for_doubt_and_for_an_interval_across_its_limit(
    result: PolicyTestResults, trouble: str
) -> None:
    """Each way of not knowing stands in some case, so that none is mistaken for a pass."""
    text = (FOLDER / result.tests.source).read_text(encoding="utf-8")
    sign = {"gap": "gap:", "doubted": "doubted: true", "across": "  open:"}[trouble]
    assert sign in text


@pytest.mark.parametrize("figure", [0, 1, 0.0, 1.0])
def test_a_whole_number_in_a_case_is_a_number_and_no_yes_or_no(
    figure: float, tmp_path: Path
) -> None:
    path = tmp_path / "one.yaml"
    path.write_text(
        "apiVersion: auditor/v1\nkind: PolicyTest\npolicy: baseline\n"
        "cases:\n  - name: one\n    expect: {verdict: inconclusive}\n"
        f"    readings: [{{measure: quality.accuracy/accuracy, value: {figure}}}]\n"
    )
    (reading,) = read_named_policy_tests(path).cases[0].readings
    assert isinstance(reading, Measurement)
    assert isinstance(reading.value, float)


def test_every_pack_has_its_tests_and_every_file_of_tests_a_pack() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.yaml")) == PACKS
    assert sorted(path.stem for path in (FOLDER / "waived").glob("*.yaml")) == PACKS


@pytest.mark.parametrize("name", PACKS)
def test_waived_cases_come_out_as_they_say(name: str) -> None:
    result = run_policy_tests(read_named_policy_tests(FOLDER / "waived" / f"{name}.yaml"))
    assert [item.differences for item in result.cases if item.differences] == []
    assert Outcome.WAIVED in {outcome for seen in result.coverage.values() for outcome in seen}
