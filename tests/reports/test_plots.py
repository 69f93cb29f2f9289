import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rendering_records import HOSTILE, measured

from auditor.domain.number_text import format_measurement
from auditor.domain.policies import MetricLimits
from auditor.domain.readings import Unit
from auditor.domain.report_panels import (
    CurvePoint,
    DiagramBin,
    DiagramPoint,
    IntervalRow,
    LimitMark,
    RobustnessChart,
    RobustnessCurve,
    ShareBar,
    SmoothError,
)
from auditor.reports.plots.intervals import (
    PlotStrip,
    StripSpan,
    draw_bars,
    draw_gauge,
    draw_interval_rows,
    draw_strips,
)
from auditor.reports.plots.reliability import draw_class_diagrams, draw_reliability_diagram
from auditor.reports.plots.robustness import draw_robustness_plot
from auditor.reports.plots.svg import (
    LETTER,
    PlotAxis,
    SvgDrawing,
    compute_ticks,
    fit_ticks,
    write_element,
)

SVG = "{http://www.w3.org/2000/svg}"
numbers = st.floats(-1e6, 1e6)


def read(drawing: SvgDrawing) -> ET.Element:
    return ET.fromstring(str(drawing.svg()))  # noqa: S314 -- our own drawing


@given(numbers, numbers, st.integers(2, 9))
def test_ticks_lie_within_the_axis_and_are_not_too_many(a: float, b: float, about: int) -> None:
    low, high = sorted((a, b))
    found = compute_ticks(low, high, about)
    room = (high - low) * 1e-6 + 1e-9
    assert all(low - room <= value <= high + room for value in found)
    assert len(found) <= about + 2
    assert list(found) == sorted(set(found))


@given(numbers, numbers, numbers)
def test_an_axis_keeps_order_and_never_leaves_the_frame(a: float, b: float, c: float) -> None:
    low, value, high = sorted((a, b, c))
    axis = PlotAxis(low, high, 10.0, 350.0)
    assert 10.0 <= axis.at(value) <= 350.0
    assert axis.at(low) <= axis.at(value) <= axis.at(high)


@given(numbers, numbers, st.integers(1, 12))
def test_words_of_an_axis_stand_apart_and_within_the_drawing(a: float, b: float, wide: int) -> None:
    axis = PlotAxis(*sorted((a, b)), 118.0, 344.0)
    found = fit_ticks(axis, lambda _: "w" * wide, 0.0, 360.0)
    half = LETTER * wide / 2
    places = [axis.at(value) for value, _ in found]
    assert all(right - left >= 2 * half for left, right in pairwise(places))
    assert all(place + half <= 360.0 + LETTER for place in places)


def test_differences_of_shares_are_drawn_where_they_lie() -> None:
    found = read(draw_interval_rows("p", "t", [IntervalRow("a", -0.1, -0.2, 0.0)], Unit.SHARE))
    (mark,) = (item for item in found if "mark" in item.get("class", ""))
    ticks = {item.text: item.get("x") for item in found if item.get("class") == "tick"}
    assert mark.get("cx") == ticks["-10 %"]


def test_names_in_drawings_are_escaped() -> None:
    rows = [IntervalRow(HOSTILE, 0.5, 0.4, 0.6), IntervalRow("<b>", 0.1, 0.0, 0.2)]
    found = read(draw_interval_rows("p", HOSTILE, rows, Unit.SHARE))
    assert not found.findall(f".//{SVG}script")
    assert "<b>" in "".join(found.itertext())
    assert str(write_element("a", 'x"y', title='"><b>')).count("<b>") == 0


@pytest.mark.parametrize(
    "limits", [MetricLimits(0.5), MetricLimits(None, 0.5), MetricLimits(0.3, 0.5)]
)
def test_a_gauge_shows_the_limit_and_where_it_is_kept(limits: MetricLimits) -> None:
    m = measured("quality.accuracy", "accuracy", 0.41, 0.38, 0.44)
    drawing = draw_gauge("g", m, limits, format_measurement(m))
    assert drawing is not None
    found = read(drawing)
    classes = [item.get("class") for item in found.iter()]
    assert classes.count("limit") == len([x for x in (limits.least, limits.most) if x is not None])
    kept = next(item for item in found.iter() if item.get("class") == "kept")
    broken = [item for item in found.iter() if item.get("class") == "broken"]
    widths = [float(item.get("width", "0")) for item in (kept, *broken)]
    assert sum(widths) == pytest.approx(360 - 28, abs=0.05)


def test_a_bound_is_drawn_open_on_the_side_where_the_truth_may_lie() -> None:
    attacked = measured("evasion.linf", "robust_accuracy", 0.41, 0.38, 0.44)
    drawing = draw_gauge("g", attacked, MetricLimits(0.5), format_measurement(attacked))
    assert drawing is not None
    classes = [item.get("class") for item in read(drawing).iter()]
    assert "open-end" in classes


def test_a_yes_is_not_drawn() -> None:
    signed = measured("provenance.signature", "verified", value=True, n=1)
    assert draw_gauge("g", signed, MetricLimits(1.0), format_measurement(signed)) is None


def chart(
    *curves: RobustnessCurve, proven: RobustnessCurve | None = None, limit: float = 0.1
) -> RobustnessChart:
    return RobustnessChart(
        title="t", x_name="x", curves=curves, proven=proven, limits=(LimitMark(limit, 0.5),)
    )


def curve(*points: tuple[float, float], doubted: bool = False) -> RobustnessCurve:
    start = CurvePoint(0.0, 0.9, 0.8, 1.0)
    found = (CurvePoint(eps, value, value, value, doubted) for eps, value in points)
    return RobustnessCurve("APGD", tuple(found), start)


def classes(drawing: SvgDrawing) -> list[str]:
    return [item.get("class", "") for item in read(drawing).iter()]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 1)), min_size=1, max_size=8))
def test_a_robustness_curve_draws_whatever_it_is_given(points: list[tuple[float, float]]) -> None:
    found = classes(
        draw_robustness_plot("r", chart(curve(*points), curve(*points), curve(*points)))
    )
    assert found.count("mark series-0") == len(points) + 1
    assert found.count("mark series-2") == len(points) + 1


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=5),
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=5),
)
def test_a_proof_is_never_drawn_to_reach_above_what_attacks_found(
    attacked: list[tuple[float, float]], proved: list[tuple[float, float]]
) -> None:
    drawn = read(
        draw_robustness_plot("r", chart(curve(*sorted(attacked)), proven=curve(*sorted(proved))))
    )
    zone = next(item for item in drawn.iter() if item.get("class") == "zone")
    numbers = [float(word) for word in zone.get("d", "").replace("L", "").strip("MZ ").split()]
    heights = numbers[1::2]
    upper, lower = heights[: len(heights) // 2], heights[len(heights) // 2 :][::-1]
    assert all(high <= low + 0.01 for high, low in zip(upper, lower, strict=True))


def test_a_point_that_is_doubted_is_hollow_and_its_steps_are_dashed() -> None:
    believed = curve((0.1, 0.8), (0.2, 0.5))
    doubtful = curve((0.1, 0.8), (0.2, 0.5), doubted=True)
    assert not [
        name for name in classes(draw_robustness_plot("r", chart(believed))) if "doubt" in name
    ]
    found = classes(draw_robustness_plot("r", chart(doubtful)))
    assert found.count("mark doubted series-0") == 3  # with the one in the legend
    assert found.count("curve doubted series-0") == 2


def test_a_curve_ends_where_nothing_is_left_unless_a_rule_looks_further() -> None:
    gone = curve((1, 0.8), (3, 0.1), (10, 0.0), (30, 0.0))
    words = "".join(read(draw_robustness_plot("r", chart(gone))).itertext())
    assert "10" in words
    assert ">30<" not in str(draw_robustness_plot("r", chart(gone)).svg())
    assert ">30<" in str(draw_robustness_plot("r", chart(gone, limit=30.0)).svg())


def test_what_was_not_found_is_said_and_not_drawn() -> None:
    spans = (
        StripSpan("apgd", 1.0, 0.2, 1.0, words="not found"),
        StripSpan("square", 0.1, 0.08, 0.3),
    )
    drawing = draw_strips("s", "t", [PlotStrip("Every number", spans, 0.2, "share")])
    assert "not found" in "".join(read(drawing).itertext())
    found = classes(drawing)
    assert found.count("mark series-0") == 1
    assert found.count("beyond series-0") == 1


@given(st.lists(st.floats(-1, 2), min_size=1, max_size=6))
def test_bars_stay_in_their_troughs(shares: list[float]) -> None:
    bars = [ShareBar(HOSTILE, share, "") for share in shares]
    found = read(draw_bars("b", HOSTILE, [(HOSTILE, bars)]))
    widths = [float(x.get("width", "0")) for x in found.iter() if x.get("class") == "bar series-0"]
    assert len(widths) == len(shares)
    assert all(0 <= width <= 118 for width in widths)


def test_a_reliability_diagram_has_a_mark_and_a_bar_a_bin() -> None:
    bins = [
        DiagramBin(0.5, 0.75, 0.6, 0.55, 0.5, 0.6, 40),
        DiagramBin(0.75, 1.0, 0.9, 0.8, 0.7, 0.9, 10),
    ]
    classes = [item.get("class") for item in read(draw_reliability_diagram("c", bins, bins)).iter()]
    assert classes.count("mark series-0") == classes.count("bar series-0") == 2


def test_a_smooth_curve_lies_in_its_band_and_its_error_beside_calibrated_models() -> None:
    bins = [DiagramBin(0.5, 0.75, 0.6, 0.55, 0.5, 0.6, 40)]
    curve = [DiagramPoint(at / 10, at / 12, at / 15, at / 9) for at in range(1, 9)]
    plain = draw_reliability_diagram("c", bins, bins)
    whole = draw_reliability_diagram(
        "c", bins, bins, curve, SmoothError(0.04, 0.02, 0.06, 0.01, 0.03)
    )
    classes = [item.get("class") for item in read(whole).iter()]
    assert classes.count("band series-0") == classes.count("curve series-0") == 1
    assert classes.count("zone") == 2  # the range, and its legend
    assert whole.height > plain.height
    zone = next(item for item in read(whole).iter() if item.get("class") == "zone")
    (mark,) = [
        item for item in read(whole).iter(f"{SVG}circle") if float(item.get("cy", "0")) > 300
    ]
    assert float(mark.get("cx", "0")) > float(zone.get("x", "0")) + float(zone.get("width", "0"))


def test_each_class_has_a_small_diagram_of_its_own() -> None:
    bins = [
        DiagramBin(0.0, 0.5, 0.2, 0.25, 0.2, 0.3, 40),
        DiagramBin(0.5, 1.0, 0.9, 0.8, 0.7, 0.9, 10),
    ]
    found = draw_class_diagrams("c", [(HOSTILE, bins)] * 4)
    classes = [item.get("class") for item in read(found).iter()]
    assert classes.count("mark series-0") == 8
    assert classes.count("ideal") == 4
    assert found.height > draw_class_diagrams("c", [("a", bins)] * 3).height


@given(st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=5), st.floats(-5, 5))
def test_rows_below_zero_and_the_ideal_stay_in_the_frame(
    ends: list[tuple[float, float, float]], ideal: float
) -> None:
    rows = [IntervalRow(HOSTILE, *(sorted(of)[at] for at in (1, 0, 2))) for of in ends]
    found = read(draw_interval_rows("k", "t", rows, Unit.NONE, ideal=ideal))
    places = [float(item.get("x1", "0")) for item in found.iter(f"{SVG}line")]
    assert all(118 <= place <= 344 for place in places)
