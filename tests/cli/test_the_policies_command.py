"""`auditor policies`: what it prints and how it exits."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from auditor.cli.commands.policies import command

CASES = """\
apiVersion: auditor/v1
kind: PolicyTest
policy: baseline
cases:
  - name: accuracy alone
    readings:
      - {measure: quality.accuracy/accuracy, value: 0.95, low: 0.94, high: 0.96}
    expect: {verdict: inconclusive, outcomes: {accuracy: passed, signed: unknown}}
"""


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    path = tmp_path / "cases.yaml"
    path.write_text(CASES, encoding="utf-8")
    return path


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(command, arguments, standalone_mode=False)
    return done.return_value, done.output


def test_cases_as_expected_exit_with_zero(cases: Path) -> None:
    code, shown = run("test", str(cases))
    assert code == 0
    assert "as expected" in shown
    assert "accuracy: passed; never failed, undecided" in shown


def test_a_case_that_differs_exits_with_one_and_says_why(cases: Path) -> None:
    cases.write_text(CASES.replace("accuracy: passed", "accuracy: failed"), encoding="utf-8")
    code, shown = run("test", str(cases))
    assert code == 1
    assert "cases.yaml:5: accuracy alone: accuracy on cpu: expected failed, found passed" in shown
    assert "Found: 95 %" in shown


def test_programs_are_told_the_same_as_json(cases: Path) -> None:
    code, shown = run("test", str(cases), "--format", "json")
    (told,) = json.loads(shown)
    assert (code, told["as_expected"]) == (0, True)
    assert told["policy"]["name"] == "baseline"
    assert told["coverage"]["accuracy"] == ["passed"]


HEIR = """\
apiVersion: auditor/v1
kind: Policy
extends: baseline
metadata: {name: heir, version: 1.0.0, owner: me@example.org}
params: {min_accuracy: 0.9}
"""


@pytest.fixture
def heir(tmp_path: Path) -> Path:
    path = tmp_path / "heir.yaml"
    path.write_text(HEIR, encoding="utf-8")
    return path


def test_a_policy_that_extends_a_pack_is_linted_explained_and_compared(heir: Path) -> None:
    assert run("lint", str(heir)) == (0, f"{heir}: no warnings\n")
    code, shown = run("explain", str(heir), "--rule", "accuracy")
    assert code == 0
    assert "Asks Accuracy of at least 90 % (set by params.min_accuracy)." in shown
    assert "Tightened by heir: limit: at least 0.8 → at least 0.9" in shown
    code, shown = run("diff", "baseline", str(heir))
    assert code == 1
    assert "→ heir 1.0.0: asks nothing less" in shown
    assert "tightened accuracy: limit: at least 0.8 → at least 0.9" in shown


def test_what_is_looser_is_compared_with_the_reason_that_was_given_for_it(heir: Path) -> None:
    why = "The sensor is worn, and is replaced in April."
    looser = f"rules:\n  - {{id: accuracy, loosens: '{why}'}}\n"
    heir.write_text(HEIR.replace("0.9", "0.7") + looser, encoding="utf-8")
    shown = run("diff", "baseline", str(heir))[1]
    assert f"loosened accuracy: limit: at least 0.8 → at least 0.7 (heir: {why})" in shown
    (rule,) = json.loads(run("diff", "baseline", str(heir), "--format", "json")[1])["changed"]
    assert [item["reason"] for item in rule["changes"] if item["way"] == "loosened"] == [why]


def test_an_inherited_reason_for_a_limit_says_that_the_limit_is_another(heir: Path) -> None:
    shown = run("explain", str(heir), "--rule", "accuracy")[1]
    since = "Since: heir changed the limit: at least 0.8 → at least 0.9."
    inherited = (
        "because a person who checks each case cannot be expected to catch more than one error "
        "in five"
    )
    assert inherited in shown
    assert since in shown
    own = "rules:\n  - {id: accuracy, threshold: One in ten is what a clerk gets wrong.}\n"
    heir.write_text(HEIR + own, encoding="utf-8")
    shown = run("explain", str(heir), "--rule", "accuracy")[1]
    assert "One in ten is what a clerk gets wrong." in shown
    assert "Since:" not in shown


def test_two_policies_that_are_the_same_exit_with_zero(heir: Path) -> None:
    assert run("diff", str(heir), str(heir))[0] == 0
    code, shown = run("diff", "baseline", str(heir), "--format", "json")
    assert code == 1
    assert [item["rule"] for item in json.loads(shown)["changed"]] == ["accuracy"]


def test_a_policy_that_asks_less_than_the_pack_that_it_extends_is_a_mistake(heir: Path) -> None:
    heir.write_text(HEIR.replace("0.9", "0.7"), encoding="utf-8")
    code, shown = run("lint", str(heir))
    assert code == 2
    assert "rule accuracy: this asks less than baseline " in shown


def test_a_param_that_loosens_a_limit_is_shown_at_its_own_line_and_not_at_the_parents_rule(
    heir: Path,
) -> None:
    text = HEIR.replace("min_accuracy: 0.9", "max_gap: 0.15")
    heir.write_text(text, encoding="utf-8")
    code, shown = run("lint", str(heir))
    assert code == 2
    line = text.splitlines().index("params: {max_gap: 0.15}") + 1
    assert f"{heir.name}:{line}: rule equal-selection: this asks less" in shown
    assert "at most 0.15), by params.max_gap." in shown
    assert "add `{id: equal-selection, loosens: why}` under rules" in shown
