"""`auditor plan`: one screen that starts with what can be decided, and the rest on request."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditor.domain.number_text import format_counted, format_duration

Command = Callable[..., Any]
LOANS = Path(__file__).parents[2] / "examples" / "loans" / "audit.yaml"
SCREEN = 30


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (None, "unknown"), (0, "0.0 s"), (2.66, "2.7 s"), (9.96, "10 s"), (26.4, "26 s"),
        (59.6, "1 min"), (89, "1 min"), (300, "5 min"), (3570, "1 h"), (3599, "1 h"),
        (4800, "1 h 20 min"), (100_000, "27 h 47 min"), (3.6e6, "1,000 h"),
    ],
)  # fmt: skip
def test_times_are_written_as_people_do(seconds: float | None, written: str) -> None:
    assert format_duration(seconds) == written


def test_one_thing_is_counted_as_one() -> None:
    written = [
        format_counted(*it) for it in ((1, "rule"), (1, "query"), (0, "rule"), (5000, "query"))
    ]
    assert written == ["1 rule", "1 query", "0 rules", "5,000 queries"]


def test_a_narrow_plan_breaks_lines_and_cuts_nothing(auditor: Command, example: Path) -> None:
    policy = example / "policy.yaml"
    rules = "".join(
        f"""\
  - {{id: {"far-too-long-a-name-for-a-narrow-terminal-" * 2}{n}, title: T, severity: high,
     effect: deny, measure: quality.claims/claimed_minus_measured, at_most: 0.1}}
"""
        for n in range(5)
    )
    policy.write_text(policy.read_text() + rules)
    text = auditor("plan", example / "audit.yaml", width=80).out
    assert max(map(len, text.splitlines())) <= 80
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    assert "  and 2 more rules\n" in text
    assert "Can be decided: 1 of 6 rules." in text
    for n in range(3):
        assert f"terminal-{n}" in "".join(text.split())


def test_the_plan_starts_with_what_can_be_decided(auditor: Command, example: Path) -> None:
    (example / "policy.yaml").write_text(
        (example / "policy.yaml").read_text()
        + """\
  - {id: nearly-perfect, title: It is nearly never wrong, severity: high, effect: deny,
     measure: quality.accuracy/accuracy, at_least: 0.999}
  - {id: as-claimed, title: It is as claimed, severity: high, effect: deny,
     measure: quality.claims/claimed_minus_measured, at_most: 0.1}
"""
    )
    lines = auditor("plan", example / "audit.yaml").out.splitlines()
    assert lines[0].startswith("Can be decided: 1 of 3 rules. About ")
    assert lines[1] == "line on cpu: policy tiny 1.0.0, budget smoke, 240 rows"
    assert "Can be decided (1): accuracy" in lines
    start = lines.index("Not expected to be decided (2)")
    claimed, perfect = sorted(" ".join(line.split()) for line in lines[start + 1 : start + 3])
    assert claimed == "as-claimed no answer possible: needs claims"
    assert perfect.startswith("nearly-perfect cannot pass: a perfect figure needs about ")
    assert perfect.endswith(" rows")
    # What unlocks a rule comes before what only unlocks checks.
    missing = lines.index("Missing; what unlocks most comes first")
    assert lines[missing + 1].startswith("  needs claims (rule as-claimed; check quality.claims): ")
    assert lines[-1] == "With --all, the plan lists every check, rule and input."


@pytest.mark.slow
def test_a_rule_that_may_stay_undecided_names_the_rows_for_a_good_chance(
    auditor: Command, example: Path
) -> None:
    policy = example / "policy.yaml"
    policy.write_text(policy.read_text().replace("at_least: 0.6", "at_least: 0.95"))
    text = " ".join(auditor("plan", example / "audit.yaml").out.split())
    assert "Decided only where the figure is far from its limit (1)" in text
    assert "accuracy there are 240 rows; half-way to the limit takes " in text


def test_the_plan_names_the_five_checks_that_take_longest(auditor: Command, example: Path) -> None:
    lines = auditor("plan", example / "audit.yaml").out.splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith("Most expensive of "))
    named = [line.split()[0] for line in lines[start + 1 : start + 6]]
    assert all("." in name for name in named)
    assert "quality.accuracy" not in named
    every = auditor("plan", example / "audit.yaml", "--all").out
    assert {"quality.accuracy", *named} <= set(every.replace("│", " ").split())
    assert "With --all" not in every


ROBUST = """\
  - {id: robust, title: It is robust, severity: high, effect: deny, accept: withstood,
     measure: evasion.linf_query/robust_accuracy, where: {eps: 0.02}, at_least: 0.3}
"""


@pytest.mark.slow
def test_the_plan_says_what_more_time_would_decide(auditor: Command, example: Path) -> None:
    policy, audit = example / "policy.yaml", example / "audit.yaml"
    policy.write_text(policy.read_text() + ROBUST)
    ample = auditor("plan", audit).out.splitlines()
    assert "More time would decide no other rule." in ample
    short = ("plan", audit, "--max-minutes", "0.00001")
    assert any(
        line.startswith("10 more minutes would decide ") and "robust" in line
        for line in auditor(*short).out.splitlines()
    )
    (plan,) = json.loads(auditor(*short, "--format", "json").out).values()
    (step,) = plan["more_time"]
    assert step["minutes"] == 10
    assert "robust" in step["rules"]


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["baseline", "eu-ai-act.high-risk"])
def test_the_plan_of_a_long_policy_fits_on_one_screen(auditor: Command, policy: str) -> None:
    lines = auditor("plan", LOANS, "--policy", policy, width=80).out.splitlines()
    assert lines[0].startswith("Can be decided: ")
    assert len(lines) <= SCREEN
    assert max(map(len, lines)) <= 80


@pytest.mark.slow
def test_what_keeps_the_verdict_from_a_pass_is_told_beforehand(
    auditor: Command, example: Path
) -> None:
    least = "Note The verdict cannot be a pass: policy baseline requires at least the budget ci."
    signed = "Note The model is not signed; a rule requires it (`auditor sign`)."
    audit = example / "audit.yaml"
    for words, told in (
        (("--policy", "baseline", "--budget", "smoke"), [least, signed]),
        (("--policy", "baseline", "--budget", "ci"), [signed]),
        ((), []),
    ):
        lines = auditor("plan", audit, *words).out.splitlines()
        assert [line for line in lines if line in {least, signed}] == told


def test_no_signature_is_missed_where_there_is_no_model(auditor: Command, inside: Path) -> None:
    lines = [f"0.{at % 10},{int(at % 10 > 4)}" for at in range(100)]
    (inside / "said.csv").write_text("\n".join(["score,label", *lines]))
    assert auditor("init", "--data", "said.csv", "--out", "said.yaml").code == 0
    told = auditor("plan", "said.yaml", "--policy", "baseline", "--budget", "smoke").out
    assert "The verdict cannot be a pass" in told
    assert "is not signed" not in told
    assert told.count("needs model (") == 1


@pytest.mark.slow
def test_ranges_that_rows_hardly_fill_are_warned_of(auditor: Command, example: Path) -> None:
    audit = example / "audit.yaml"
    said = "Note The evaluation rows fill "
    assert said not in auditor("plan", audit).out
    text = audit.read_text()
    assert text.count("domain: [") == 1
    low, comma, rest = text.partition("domain: [")[2].partition(",")
    wide = f"{text.partition('domain: [')[0]}domain: [{low}{comma} 5000]{rest.partition(']')[2]}"
    audit.write_text(wide)
    assert said in auditor("plan", audit).out
