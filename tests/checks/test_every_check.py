"""What holds of every check, the one that is added tomorrow too."""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import pytest
from everything import SUBJECTS
from watching import Nobody

from auditor.checks.measure import compute_readings, get_check_parameters, instantiate_check
from auditor.checks.registry import discover_checks
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.checks import Check, is_timing
from auditor.domain.datasets import TextColumn
from auditor.domain.evidence import decode_evidence, encode_evidence
from auditor.domain.json import encode_canonical, parse_json, read_json
from auditor.domain.metric_ranges import find_metric_range
from auditor.domain.observed_checks import ObservedCheck, Result
from auditor.domain.readings import Gap, GapReason, Measurement, Unit
from auditor.domain.records import CheckObservation
from auditor.domain.targets import TargetSpec
from auditor.policy.check_parameters import list_parameter_names
from auditor.policy.lint import COORDINATES
from auditor.workflows.engine.local import observe_checks
from auditor.workflows.engine.time_allowance import TimeAllowance

CHECKS = discover_checks()
ROUNDING = 1e-9
SIZE = AuditSize(
    240, 2, {"0": 120, "1": 120}, {"sex": {"f": {"0": 60, "1": 60}, "m": {"0": 60, "1": 60}}}, "1"
)


def made(check: type[Check], budget: Budget = Budget.SMOKE) -> Check:
    return instantiate_check(check, dict(check.presets.get(budget, {})))


@cache
def observed(name: str, subject: str) -> Result:
    (result,) = observe_checks(
        [made(CHECKS[name])],
        SUBJECTS[subject](),
        lambda blob: None,
        Nobody(),
        TimeAllowance(TargetSpec("cpu"), SIZE),
    )
    return result


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_is_made_again_from_its_parameters(name: str) -> None:
    for budget in Budget:
        check = made(CHECKS[name], budget)
        encode_canonical(get_check_parameters(check))
        assert instantiate_check(CHECKS[name], get_check_parameters(check)) == check
    assert set(CHECKS[name].grid.values()) <= set(get_check_parameters(made(CHECKS[name])))


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_says_what_it_costs_and_how_sharp_it_is(name: str) -> None:
    check = made(CHECKS[name])
    cost = check.cost(SIZE)
    assert min(cost.queries, cost.passes, cost.seconds) >= 0
    assert math.isfinite(cost.seconds)
    widths = check.precision(SIZE, 0.95)
    assert set(widths) <= set(check.emits)
    assert all(math.isfinite(width) and width >= 0 for width in widths.values())
    sharper = check.precision(SIZE, 0.5)
    assert all(sharper[metric] <= widths[metric] for metric in sharper.keys() & widths.keys())


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("name", CHECKS)
def test_a_check_measures_or_says_why_it_cannot(name: str, subject: str) -> None:
    result = observed(name, subject)
    found = compute_readings([result], 0.95)
    assert found
    for reading in found:
        if isinstance(reading, Gap):
            assert reading.reason is not GapReason.CHECK_CRASHED, reading.detail
            assert reading.detail
            assert reading.cure
        else:
            metric = CHECKS[name].emits[reading.metric]
            bare = metric.exact and metric.unit is Unit.NONE and reading.value is not None
            assert not bare or metric.number == (type(reading.value) in {int, float})
            assert lies_within(reading, *find_metric_range(reading.metric, metric.unit))
    encode_canonical([reading.to_json() for reading in found])


def lies_within(reading: Measurement, least: float, most: float) -> bool:
    """Whether a figure lies where lint says that all readings of its metric do."""
    known = (reading.value, reading.low, reading.high)
    numbers = [item for item in known if type(item) in {int, float}]
    return all(least - ROUNDING <= float(item) <= most + ROUNDING for item in numbers)  # type: ignore[arg-type]  # numbers by their type


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("name", CHECKS)
def test_figures_come_from_evidence_alone_in_one_order_at_any_confidence(
    name: str, subject: str
) -> None:
    result = observed(name, subject)
    if not isinstance(result, ObservedCheck):
        assert isinstance(result, Gap)
        return
    check = result.check
    stored = {
        item: decode_evidence(encode_evidence(blob).raw) for item, blob in result.evidence.items()
    }
    low, high = check.figures(stored, 0.8), check.figures(stored, 0.99)
    assert check.figures(stored, 0.8) == low
    assert [(item.metric, item.params) for item in low] == [
        (item.metric, item.params) for item in high
    ]
    for narrow, wide in zip(low, high, strict=True):
        assert isinstance(narrow, Gap) == isinstance(wide, Gap)
        if isinstance(narrow, Measurement) and isinstance(wide, Measurement):
            assert narrow.value == wide.value
            assert nested(narrow, wide)


def nested(narrow: Measurement, wide: Measurement) -> bool:
    """Whether the surer interval holds the less sure one, where there are any."""
    ends = (wide.low, narrow.low, narrow.high, wide.high)
    if all(end is None for end in ends):
        return True
    assert None not in ends
    low, inner, outer, high = (float(end) for end in ends if end is not None)
    return low <= inner + ROUNDING and high >= outer - ROUNDING


@pytest.mark.parametrize("step", [1, -1])
@pytest.mark.parametrize("name", CHECKS)
def test_readings_are_those_of_the_stored_evidence_whatever_the_order_of_columns(
    name: str, step: int
) -> None:
    subject = SUBJECTS["binary"]()
    subject.datasets = {
        role: replace(data, groups=_two(data.groups, step), slices=_two(data.slices, step))
        for role, data in subject.datasets.items()
    }
    kept: dict[str, bytes] = {}
    (result,) = observe_checks(
        [made(CHECKS[name])],
        subject,
        lambda blob: kept.update({blob.digest: blob.raw}),
        Nobody(),
        TimeAllowance(TargetSpec("cpu"), SIZE),
    )
    if isinstance(result, Gap):
        return
    said = parse_json(encode_canonical(result.observation.to_json()))
    stored = read_json(CheckObservation, said, name)
    evidence = {item: decode_evidence(kept[digest]) for item, digest in stored.evidence.items()}
    again = compute_readings([ObservedCheck(stored, result.check, evidence)], 0.95)
    assert compute_readings([result], 0.95) == again


def _two(columns: Mapping[str, TextColumn], step: int) -> dict[str, TextColumn]:
    """The columns and each one turned round beside it, in order or in reverse (a step of -1)."""
    turned = {f"a {name}": replace(it, codes=it.codes[::-1]) for name, it in columns.items()}
    pairs = [*columns.items(), *turned.items()]
    return dict(pairs[::step])


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("name", CHECKS)
def test_a_rule_can_name_every_coordinate_of_a_reading(name: str, subject: str) -> None:
    check = CHECKS[name]
    known = COORDINATES | set(check.grid) | check.coordinates | set(list_parameter_names(check))
    for reading in compute_readings([observed(name, subject)], 0.95):
        assert set(reading.params) <= known


@pytest.mark.parametrize("name", CHECKS)
def test_the_same_seed_gives_the_same_bytes(name: str) -> None:
    first, second = observed(name, "binary"), observed.__wrapped__(name, "binary")
    if isinstance(first, Gap) or isinstance(second, Gap):
        assert first == second
    elif not is_timing(first.check):
        assert first.observation == second.observation
