"""Which figure of a baseline another is held against, and why there is none."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from judging_cases import GAP, measured

from auditor.domain.baselines import Baseline, MeasurementConditions
from auditor.domain.budgets import Budget
from auditor.domain.readings import BoundKind, Measurement, Reading, Unit
from auditor.policy.evaluate.baseline import (
    BaselineAbsence,
    BaselineFigure,
    index_baseline_readings,
)
from auditor.policy.evaluate.limits import FigureRange

NOW = measured(0.9, 0.85, 0.95)
NAMED = "The baseline, model 0.9,"
ONE, OTHER = "sha256:1", "sha256:2"


def looked_up(
    now: Measurement,
    *then: Reading,
    name: str = "model",
    own: MeasurementConditions | None = None,
    old: MeasurementConditions | None = None,
    confidence: float = 0.95,
    same_budget: bool = True,
) -> BaselineFigure | BaselineAbsence:
    """Return what a baseline of these readings has for a figure."""
    baseline = Baseline(
        name=name, version="0.9", digest=ONE, budget=Budget.CI, readings=then,
        under=old or MeasurementConditions(),
    )  # fmt: skip
    own = own or MeasurementConditions()
    found = index_baseline_readings(baseline, "model", own, confidence, same_budget=same_budget)
    return found.before(now)


def test_a_figure_at_the_very_same_place_is_found_among_others() -> None:
    there = {"params": {"eps": 0.1}, "slice": {"sex": "F"}}
    then = measured(0.8, 0.7, 0.9, **there)
    elsewhere = (
        GAP,
        replace(then, params={"eps": 0.2}),
        replace(then, slice={}),
        replace(then, target="gpu"),
        replace(then, check="quality.other"),
        replace(then, metric="auc"),
    )
    found = looked_up(measured(0.9, **there), *elsewhere, then)
    assert found == BaselineFigure(
        then, FigureRange(0.8, 0.7, 0.9, BoundKind.ESTIMATE), None, same_suite=True
    )
    none = looked_up(measured(0.9, **there), *elsewhere[1:])
    assert none == BaselineAbsence(
        f"{NAMED} has no such reading at the same target, parameters and slice.",
        "a baseline with a reading of quality.accuracy/accuracy there",
    )


def lacking(now: Measurement, *then: Reading, **given: Any) -> tuple[str, str]:  # noqa: ANN401 -- as ``looked_up``
    """Return why there is no figure, and what is needed."""
    found = looked_up(now, *then, **given)
    assert isinstance(found, BaselineAbsence)
    return found.why, found.need


READING = "a baseline with a reading of quality.accuracy/accuracy there"


@pytest.mark.parametrize(
    ("then", "why", "need"),
    [
        (
            (GAP,),
            f"{NAMED} did not measure it: The evaluation data has no labels.",
            READING,
        ),
        (
            (GAP, NOW, NOW, NOW),
            (f"{NAMED} has 3 readings at the very same place, so that none of them is the one."),
            READING,
        ),
        (
            (NOW, NOW),
            (f"{NAMED} has 2 readings at the very same place, so that none of them is the one."),
            READING,
        ),
        (
            (replace(NOW, version=2),),
            (
                f"{NAMED} was measured by version 2 of quality.accuracy, and this by "
                "version 1: their figures are not the same."
            ),
            "a baseline that version 1 of quality.accuracy measured",
        ),
        (
            (replace(NOW, unit=Unit.SHARE),),
            f"{NAMED} has no figure of quality.accuracy/accuracy in the same unit.",
            "a baseline whose figure is a number in the same unit",
        ),
        (
            (measured("high"),),
            f"{NAMED} has no figure of quality.accuracy/accuracy in the same unit.",
            "a baseline whose figure is a number in the same unit",
        ),
        (
            (replace(NOW, doubted=True),),
            (f"{NAMED} has a doubted figure there, and nothing is shown against a doubted one."),
            "a baseline whose figure is not doubted",
        ),
    ],
)
def test_why_there_is_none_is_said_with_what_would_help(
    then: tuple[Reading, ...], why: str, need: str
) -> None:
    assert lacking(NOW, *then) == (why, need)


def test_gaps_of_other_checks_and_targets_are_not_the_reason() -> None:
    others = replace(GAP, target="gpu"), replace(GAP, check="quality.other")
    assert "no such reading" in lacking(NOW, *others)[0]


def test_a_baseline_of_another_model_is_refused_by_name() -> None:
    assert lacking(NOW, NOW, name="other") == (
        "The baseline is of other 0.9, which is another model.",
        "a baseline that is a record of model",
    )


TIMED = (
    "The baseline model 0.9 was timed on another machine, or in another environment.",
    "a baseline that was timed on this machine",
)
COUNTED = (
    "The baseline model 0.9 counted in other data, so that the counts are not comparable.",
    "a baseline that was audited with the same data",
)


@pytest.mark.parametrize("unit", Unit)
@pytest.mark.parametrize("machine", [ONE, OTHER])
@pytest.mark.parametrize("data", [ONE, OTHER])
def test_times_need_the_same_machine_and_counts_the_same_data(
    unit: Unit, machine: str, data: str
) -> None:
    """All else compares over machines and data, as far as intervals tell."""
    own, old = (
        MeasurementConditions(machines={"cpu": at, "gpu": ONE}, data={"training": of})
        for at, of in ((ONE, ONE), (machine, data))
    )
    reading = replace(NOW, unit=unit)
    found = looked_up(reading, reading, own=own, old=old)
    if unit in {Unit.SECOND, Unit.PER_SECOND} and machine is OTHER:
        assert found == BaselineAbsence(*TIMED)
    elif unit is Unit.COUNT and data is OTHER:
        assert found == BaselineAbsence(*COUNTED)
    else:
        assert isinstance(found, BaselineFigure)


@pytest.mark.parametrize(
    ("asked", "here", "there", "needed"),
    [
        (0.95, 0.95, 0.95, None),
        (0.95, 0.95, 0.99, None),
        (0.95, 0.95, 0.9, 0.95),
        (0.95, 0.9, 0.9, None),
        (0.95, 0.9, 0.8, 0.9),
        (0.95, 0.99, 0.95, None),  # a correction widens the interval of this record alone
        (0.95, 0.99, 0.9, 0.95),
        (0.95, None, 0.95, None),
        (0.95, None, 0.9, 0.95),
        (0.95, 0.95, None, None),  # an exact figure is as sure as can be
    ],
)
def test_a_baseline_is_as_sure_of_its_figure_as_this_audit_is_asked_to_be(
    asked: float, here: float | None, there: float | None, needed: float | None
) -> None:
    now, then = replace(NOW, confidence=here), replace(NOW, confidence=there)
    if needed is None:
        assert isinstance(looked_up(now, then, confidence=asked), BaselineFigure)
    else:
        assert lacking(now, then, confidence=asked) == (
            f"The baseline model 0.9 is sure of its figure at {there} alone.",
            f"a baseline judged at confidence {needed}",
        )


DATA: tuple[Mapping[str, str], ...] = ({}, {"training": ONE}, {"evaluation": ONE},
                                       {"evaluation": OTHER})  # fmt: skip


@pytest.mark.parametrize(("own", "old"), [*product(DATA, repeat=2)])
def test_rows_are_the_same_or_others_where_both_say_which(
    own: Mapping[str, str], old: Mapping[str, str]
) -> None:
    found = looked_up(
        NOW, NOW, own=MeasurementConditions(data=own), old=MeasurementConditions(data=old)
    )
    assert isinstance(found, BaselineFigure)
    known = "evaluation" in own and "evaluation" in old
    assert found.same_rows is (own == old if known else None)


@pytest.mark.parametrize("bound", BoundKind)
@pytest.mark.parametrize("same_budget", [True, False])
@pytest.mark.parametrize("params", [ONE, OTHER])
def test_two_searches_are_alike_by_their_parameters_and_budget(
    bound: BoundKind,
    same_budget: bool,  # noqa: FBT001 -- pytest's
    params: str,
) -> None:
    then = replace(NOW, bound=bound)
    own, old = (
        MeasurementConditions(
            params={("cpu", "quality.accuracy"): at, ("cpu", "quality.other"): ONE}
        )
        for at in (ONE, params)
    )
    found = looked_up(NOW, then, own=own, old=old, same_budget=same_budget)
    assert isinstance(found, BaselineFigure)
    alike = same_budget and params is ONE
    assert found.same_suite is (bound is BoundKind.ESTIMATE or alike)
