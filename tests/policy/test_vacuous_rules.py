"""A rule that no reading can break passes and shows nothing, so no policy may have one."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pack_cases import CATALOGUES, CHECKS, changed, loaded, written

from auditor.checks.registry import discover_checks
from auditor.domain.metric_ranges import find_metric_range
from auditor.domain.readings import Unit
from auditor.errors import PolicyError
from auditor.policy.lint_remarks import LintLevel
from auditor.policy.load import lint_policy

ALL = discover_checks()
NUMBERS = [
    (check.id, name)
    for check in ALL.values()
    for name, metric in check.emits.items()
    if not (metric.exact and metric.unit is Unit.NONE and not metric.number)
]
WORDS = "no reading can break"
VACUOUS: dict[str, tuple[dict[str, Any], str]] = {
    "below every share": ({"at_least": -1}, "at_least"),
    "at the least share": ({"at_least": 0}, "at_least"),
    "at the greatest share": ({"at_least": None, "at_most": 1}, "at_most"),
    "as wide as a share": ({"at_least": None, "within": [0, 1]}, "within"),
    "by a unit": ({"at_least": None, "at_most": "100 %"}, "at_most"),
    "a share below a baseline": ({"at_least": "baseline - 1"}, "at_least"),
    "a share above a claim": ({"at_least": None, "at_most": "claims.a + 1.0"}, "at_most"),
    "a time": ({"measure": "hardware.latency/p99", "at_least": "0 ms"}, "at_least"),
    "always": ({"at_least": None, "require": "true"}, "require"),
    "of the model alone": ({"at_least": None, "require": 'model.name == "m"'}, "require"),
    "of the size": ({"at_least": None, "require": "reading.n >= 0"}, "require"),
    "of itself": ({"at_least": None, "require": "reading.low <= reading.high"}, "require"),
    "of the unit": ({"at_least": None, "require": 'reading.unit == "share"'}, "require"),
    "of what need not be there": (
        {"at_least": None, "require": "reading.details.rows > 3 || true"},
        "require",
    ),
    "of what is or is not there": (
        {"at_least": None, "require": "has(reading.details.a) || !has(reading.details.a)"},
        "require",
    ),
    "of all that there are": (
        {"at_least": None, "require": "readings.all(r, r.n > 3 || r.n <= 3)"},
        "require",
    ),
    "of how many": ({"at_least": None, "require": "size(readings) > 0"}, "require"),
}
BREAKABLE: dict[str, dict[str, Any]] = {
    "a word": {"measure": "provenance.signature/verified", "require": 'reading.value != "shown"'},
    "a yes": {"measure": "provenance.signature/verified", "require": "reading.value"},
    "a number": {"measure": "provenance.signature/signers", "require": "reading.value != 12345.0"},
    "three at once": {
        "measure": "provenance.signature/verified",
        "require": '!(reading.params.a == "x" && reading.params.b == "y" && reading.n > 100.0)',
    },
    "details": {
        "measure": "provenance.signature/verified",
        "require": '!("unknown" in reading.details.counts)',
    },
    "a method": {"require": 'reading.method == "wilson"'},
    "what nothing answers": {"require": "reading.nosuch.thing > 3.0"},
}


@pytest.mark.parametrize(("changes", "key"), VACUOUS.values(), ids=VACUOUS.keys())
def test_a_rule_that_no_reading_can_break_is_refused_at_its_line(
    changes: dict[str, Any], key: str
) -> None:
    raw = written(changed(**changes))
    lines = raw.decode().splitlines()
    line = next(at for at, text in enumerate(lines, 1) if text.strip(" -").startswith(f"{key}:"))
    (remark,) = lint_policy(raw, "mine.yaml", CHECKS, CATALOGUES)
    assert (remark.level, remark.where) == (LintLevel.ERROR, f"mine.yaml:{line}")
    assert WORDS in remark.problem
    with pytest.raises(PolicyError, match=WORDS):
        loaded(raw)


@pytest.mark.parametrize("changes", BREAKABLE.values(), ids=BREAKABLE.keys())
def test_a_condition_that_a_reading_can_break_is_a_rule(changes: dict[str, Any]) -> None:
    assert loaded(written(changed(at_least=None, **changes)))


def refused(asked: Mapping[tuple[str, str], dict[str, Any]]) -> dict[tuple[str, str], bool]:
    """Return of each metric whether a rule that asks this of it is refused as vacuous."""
    ids = {f"r{at}": named for at, named in enumerate(asked)}
    rules = [
        changed(id=rule, measure="/".join(named), **{"at_least": None, **asked[named]})
        for rule, named in ids.items()
    ]
    found = lint_policy(written(*rules), "mine.yaml", ALL, CATALOGUES)
    mistakes = [item for item in found if item.level is LintLevel.ERROR]
    assert all(WORDS in item.problem for item in mistakes)
    return {named: rule in {item.rule for item in mistakes} for rule, named in ids.items()}


def ends(named: tuple[str, str]) -> tuple[float, float]:
    return find_metric_range(named[1], ALL[named[0]].emits[named[1]].unit)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"at_least": None, "at_most": 0.8}, "accuracy is better the higher it is, and at_most"),
        ({"measure": "fairness.groups/selection_rate_gap"}, "gap is better the lower it is, and"),
        ({}, ""),
        ({"at_least": None, "within": [0.5, 0.9]}, ""),
        ({"measure": "fairness.groups/selection_rate_gap", "at_least": None, "at_most": 0.1}, ""),
    ],
)
def test_a_limit_that_lets_the_worst_through_is_warned_of(
    changes: dict[str, Any], said: str
) -> None:
    found = lint_policy(written(changed(**changes)), "p.yaml", ALL, CATALOGUES)
    assert [it.level for it in found] == ([LintLevel.WARNING] if said else [])
    assert all(said in it.problem and "keeps out the good ones" in it.problem for it in found)


def test_of_every_metric_limits_are_refused_that_hold_all_it_can_be() -> None:
    least = {named: {"at_least": ends(named)[0]} for named in NUMBERS if ends(named)[0] > -math.inf}
    most = {named: {"at_most": ends(named)[1]} for named in NUMBERS if ends(named)[1] < math.inf}
    both = {named: {"within": list(ends(named))} for named in least.keys() & most.keys()}
    assert len(both) > 100
    for asked in (least, most, both):
        assert all(refused(asked).values())


@settings(max_examples=5, deadline=None)
@given(st.integers(-1000, 1000), st.integers(-1000, 1000))
def test_a_bound_is_refused_exactly_where_it_holds_all_that_a_metric_can_be(
    one: int, other: int
) -> None:
    low, high = sorted((one / 1000, other / 1000))
    for asked, floor, ceiling in (
        ({"at_least": low}, low, math.inf),
        ({"at_most": high}, -math.inf, high),
        ({"within": [low, high]}, low, high),
    ):
        holds = {it: floor <= ends(it)[0] and ends(it)[1] <= ceiling for it in NUMBERS}
        assert refused(dict.fromkeys(NUMBERS, asked)) == holds


def test_a_policy_of_many_conditions_that_nothing_breaks_is_refused_soon() -> None:
    rules = [
        changed(id=f"r{at}", at_least=None, require=f"reading.n < {at}.0 || true")
        for at in range(30)
    ]
    asked = [item.rule for item in lint_policy(written(*rules), "mine.yaml", CHECKS, CATALOGUES)]
    assert asked == [f"r{at}" for at in range(30)]
