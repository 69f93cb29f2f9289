import math
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rendering_records import measured

from auditor.domain.number_text import (
    format_measurement,
    format_number,
    format_percent,
    format_scalar,
)
from auditor.domain.readings import BoundKind, Measurement, Unit

shares = st.integers(0, 10**6).map(lambda parts: parts / 10**6)


def share(value: float, low: float | None = None, high: float | None = None) -> Measurement:
    return measured("quality.accuracy", "accuracy", value, low, high, n=1000)


def as_share(text: str) -> Decimal:
    return Decimal(text.removesuffix(" %").replace(",", "")) / 100


@pytest.mark.parametrize(
    ("measurement", "said"),
    [
        (
            share(0.41, 0.38, 0.44),
            "41 % (38\N{EN DASH}44 %; 95 % confidence, n = 1,000, Clopper\N{EN DASH}Pearson)",
        ),
        (share(0.9756, 0.9565, 0.9878), "98 % (95\N{EN DASH}99 %; 95 % confidence, n = 1,000, Cl"),
        (share(0.9756, 0.9745, 0.9767), "97.6 % (97.4\N{EN DASH}97.7 %; 95 % confidence"),
        (share(-0.02, -0.05, 0.01), "-2 % (-5 to 1 %; 95 % confidence"),
        (share(1.0), "100 % (n = 1,000)"),
        (share(0.123456), "12.35 % (n = 1,000)"),
        (measured("provenance.signature", "verified", value=True, n=1), "yes (n = 1)"),
        (
            measured("hardware.latency", "p50", 0.000214, 0.00021, 0.000219),
            "214 µs (210\N{EN DASH}219 µs",
        ),
        (measured("hardware.latency", "p50", 1.5, 1.4, 1.7), "1.5 s (1.4\N{EN DASH}1.7 s"),
        (measured("hardware.latency", "throughput", 8123.4, 7990.0, 8240.0), "8,123 per second ("),
        (
            measured("quality.accuracy", "nll", 0.0934, 0.0712, 0.1201),
            "0.09 nat (0.07\N{EN DASH}0.13 nat",
        ),
    ],
)
def test_figures_read_as_people_write_them(measurement: Measurement, said: str) -> None:
    assert format_measurement(measurement).whole.startswith(said)


def test_a_bound_says_from_what_it_was_rounded_outward() -> None:
    said = replace(share(0.890411, 0.87, 0.91), bound=BoundKind.AT_MOST)
    dash = "\N{EN DASH}"
    assert format_measurement(said).value == "90 %"
    assert format_measurement(said).whole.startswith(
        f"90 % (rounded up from 89.04 %; 87{dash}91 %; 95 %"
    )
    least = replace(share(0.0096, 0.001, 0.02), bound=BoundKind.AT_LEAST)
    assert "(rounded down from 0.96 %; " in format_measurement(least).whole
    assert (
        "rounded"
        not in format_measurement(replace(share(0.89, 0.87, 0.91), bound=BoundKind.AT_MOST)).whole
    )
    assert "rounded" not in format_measurement(share(0.890411, 0.87, 0.91)).whole
    for near in (0.40999999, 0.999999):
        assert (
            "rounded"
            not in format_measurement(replace(share(near, 0.3, 1.0), bound=BoundKind.AT_MOST)).whole
        )


def test_one_end_close_to_a_limit_leaves_the_others_short() -> None:
    close = format_measurement(share(0.661005, 0.624548, 0.699992), [0.7])
    assert (close.value, close.interval) == ("66 %", "62\N{EN DASH}69.9992 %")


def test_all_parts_get_the_few_digits_that_one_end_needs_beside_a_limit() -> None:
    close = format_measurement(share(0.838, 0.807, 0.868), [0.8])
    assert (close.value, close.interval) == ("83.8 %", "80.7\N{EN DASH}86.8 %")


@given(shares, shares, shares, shares)
def test_a_written_figure_lies_in_its_written_interval(
    a: float, b: float, c: float, limit: float
) -> None:
    low, value, high = sorted((a, b, c))
    shown = format_measurement(share(value, low, high), [limit])
    first, last = shown.interval.split("\N{EN DASH}")
    assert as_share(first) <= as_share(shown.value) <= as_share(last)


def test_a_figure_just_short_of_a_limit_is_not_rounded_onto_it() -> None:
    assert format_measurement(share(0.9496, 0.93, 0.965), [0.95]).value == "94.96 %"


@given(shares, shares, shares, shares)
def test_rounding_never_moves_a_figure_across_a_limit(
    a: float, b: float, c: float, limit: float
) -> None:
    low, value, high = sorted((a, b, c))
    written = format_measurement(share(value, low, high), [limit])
    ends = [as_share(end) for end in written.interval.split("\N{EN DASH}")]
    for exact, shown in zip((value, low, high), (as_share(written.value), *ends), strict=True):
        assert (exact < limit, exact > limit) == (
            shown < Decimal(repr(limit)),
            shown > Decimal(repr(limit)),
        )


@given(shares, shares, shares)
def test_a_written_interval_holds_the_interval(a: float, b: float, c: float) -> None:
    low, value, high = sorted((a, b, c))
    first, last = (
        as_share(end)
        for end in format_measurement(share(value, low, high)).interval.split("\N{EN DASH}")
    )
    assert first <= Decimal(repr(low))
    assert last >= Decimal(repr(high))


@given(shares, shares, shares)
def test_a_bound_is_never_written_stronger_than_it_is(a: float, b: float, c: float) -> None:
    low, value, high = sorted((a, b, c))
    bound = measured("evasion.linf", "robust_accuracy", value, low, high)
    assert as_share(format_measurement(bound).value) >= Decimal(repr(value))


@given(st.floats(1e-9, 1e4), st.sampled_from(Unit))
def test_every_unit_writes_every_size_as_a_number_and_a_unit(value: float, unit: Unit) -> None:
    written = format_number(value, unit).split(" ")[0].replace(",", "")
    assert math.isfinite(float(written))
    assert "e" not in written


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3))
@example([-1.7e308, 0.0, 1.7e308])
@example([0.0, 5e-324, 5e-324])
def test_no_finite_figure_is_too_large_or_too_small_to_be_written(ends: list[float]) -> None:
    low, value, high = sorted(ends)
    said = format_measurement(measured("quality.accuracy", "nll", value, low, high))
    assert math.isfinite(float(said.value.partition(" ")[0].replace(",", "")))


def test_scalars_are_short() -> None:
    assert [format_scalar(x) for x in (0.1, 8 / 255, 20, 12345, True, None, "linf")] == [
        "0.1",
        "0.0313725",
        "20",
        "12,345",
        "yes",
        "nothing",
        "linf",
    ]
    assert format_percent(0.95) == "95 %"
