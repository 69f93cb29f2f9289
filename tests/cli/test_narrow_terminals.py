import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table
from shown_records import LONG, rule, shown

from auditor.cli.console import fill_table, show_rows
from auditor.domain.json import Json
from auditor.domain.number_text import DASH
from auditor.domain.policies import MetricLimits
from auditor.domain.readings import Gap, GapReason, Measurement, Unit

GAP = Gap(
    reason=GapReason.NEEDS_TWIN,
    detail="No twin.",
    cure="Name one.",
    target="cpu",
    check="evasion.linf",
)


def figure(value: object, **more: Any) -> Measurement:  # noqa: ANN401 -- any field
    fields: Mapping[str, Any] = {"unit": Unit.SHARE, "method": "exact", "n": 9, **more}
    return Measurement(metric="m", value=value, target="cpu", check="c", **fields)  # type: ignore[arg-type]  # any value


@pytest.mark.parametrize("width", [64, 80])
def test_ids_of_rules_stay_whole_and_the_rest_folds(width: int) -> None:
    text = shown(
        rule("evasion.linf/robust_accuracy", limits=MetricLimits(least=0.4)), GAP, width=width
    )
    assert LONG in text
    assert max(map(len, text.split("needs_twin No twin")[0].splitlines())) <= width


def test_names_in_lists_stay_whole_unless_they_leave_no_room() -> None:
    written = io.StringIO()
    console = Console(file=written, width=80)
    show_rows(console, ("check", "title"), [("evasion.linf_query", "word " * 40)])
    show_rows(console, ("check", "title"), [("x" * 120, "a title that is still to be read")])
    text = written.getvalue()
    assert "evasion.linf_query" in text
    assert text.count("x") == 120
    assert max(map(len, text.splitlines())) <= 80


ROWS = [["accuracy", "passed (warn) by a margin", f"98 % (96{DASH}100 %)", "at least 80 %"]]


def printed(width: int, whole: tuple[str, ...]) -> str:
    written = io.StringIO()
    heads = ("rule", "outcome", "found", "asked")
    fill_table(Console(file=written, width=width), Table(), heads, ROWS, whole)
    text = written.getvalue()
    assert max(map(len, text.splitlines())) <= width
    return text


def test_figures_stay_whole_as_long_as_other_columns_have_room_for_their_words() -> None:
    assert ROWS[0][2] not in printed(52, ())
    assert ROWS[0][2] in printed(52, ("found",))
    assert ROWS[0][3] in printed(64, ("found", "asked"))
    assert ROWS[0][2] not in printed(40, ("found",))
    assert "accuracy" in printed(40, ("found",))


@pytest.mark.parametrize(
    ("measure", "limits", "said"),
    [
        ("evasion.linf/robust_accuracy", MetricLimits(least=0.4), "at least 40 %"),
        ("hardware.latency/p99", MetricLimits(most=0.05), "at most 50 ms"),
        ("hardware.memory/resident_peak", MetricLimits(most=2.0**28), "at most 256 MiB"),
    ],
)
def test_what_is_asked_has_its_unit_where_nothing_was_found(
    measure: str, limits: MetricLimits, said: str
) -> None:
    assert said in shown(rule(measure, limits=limits), GAP, width=120)


@pytest.mark.parametrize(
    ("require", "said"),
    [
        ("!reading.value", "no"),
        ("reading.value", "yes"),
        ('reading.value != "shown"', "anything but “shown”"),
        ("reading.value=='kept'", "“kept”"),
    ],
)
def test_a_question_asks_for_yes_or_no(require: str, said: str) -> None:
    text = shown(rule("hardware.saturation/at_risk", require=require), GAP, width=120)
    assert require not in text
    assert f"needs twin {said}" in " ".join(text.split())


def test_a_doubted_figure_says_so_beside_its_value() -> None:
    asked = rule("hardware.latency/p99", limits=MetricLimits(most=0.05))
    assert "1 %, doubted" in shown(asked, figure(0.01, doubted=True), width=120)
    assert "doubted" not in shown(asked, figure(0.01), width=120)


def test_a_suspected_order_of_classes_is_told_under_the_table() -> None:
    other: Json = {"classes": ["1", "0"], "accuracy": 0.97}
    wrong = replace(figure(0.03), details={"other_order": other})
    text = shown(
        rule("quality.accuracy/accuracy", limits=MetricLimits(least=0.9)), wrong, width=120
    )
    assert "suspicious Were the classes the other way round, accuracy would be 97 %" in text


@pytest.mark.parametrize(
    ("limits", "low", "high", "said"),
    [
        (MetricLimits(least=0), -87.0, -0.2, "(-87.0 to -0.2)"),
        (MetricLimits(most=2), 2.3, 88.7, f"(2.3{DASH}88.7)"),
        (MetricLimits(least=0), -87.0, -1e-9, " to -0.000000001)"),
        (None, -87.0, -0.2, "(-87 to 0)"),
    ],
)
def test_no_interval_is_shown_beyond_a_limit_that_it_keeps_off(
    limits: MetricLimits | None, low: float, high: float, said: str
) -> None:
    found = figure(low, low=low, high=high, confidence=0.95, unit=Unit.NONE)
    asked = rule("c/m", limits=limits, require=None if limits else "reading.value > 0.0")
    assert said in shown(asked, found, width=200)
