import re

import pytest

from auditor._resources import find_shipped_folder
from auditor.reports.figures.panel import HOTTEST
from auditor.reports.plots.svg import SERIES

SHEET = (find_shipped_folder("reports") / "report.css").read_text(encoding="utf-8")
LEAST_TEXT, LEAST_MARK = 4.5, 3.0
OUTCOMES = ("failed", "unknown", "passed", "withstood", "waived", "not_applicable")


def colours(part: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{3,6});", part))


def blocks() -> dict[str, dict[str, str]]:
    light, dark, printed = re.findall(r":root \{(.*?)\}", SHEET, flags=re.DOTALL)
    schemes = {"light": colours(light), "dark": colours(dark)}
    return {**schemes, "print": {**schemes["light"], **colours(printed)}}


def luminance(colour: str) -> float:
    digits = colour.removeprefix("#")
    digits = "".join(d * 2 for d in digits) if len(digits) == 3 else digits
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    """Contrast ratio of WCAG 2.2, success criterion 1.4.3."""
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_black_on_white_has_the_known_contrast() -> None:
    assert contrast("#000", "#ffffff") == pytest.approx(21.0)


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_text_can_be_read_in_every_scheme(scheme: str) -> None:
    found = blocks()[scheme]
    for ground in ("page", "card"):
        for ink in ("ink", "soft", "link", *OUTCOMES):
            assert contrast(found[ink], found[ground]) >= LEAST_TEXT, (ink, ground)
    for outcome in OUTCOMES:
        assert contrast(found["ink"], found[f"{outcome}-tint"]) >= LEAST_TEXT, outcome


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_marks_of_plots_stand_out_in_every_scheme(scheme: str) -> None:
    found = blocks()[scheme]
    for mark in (*(f"series-{number}" for number in range(SERIES)), "proven", "limit"):
        assert contrast(found[mark], found["card"]) >= LEAST_MARK, mark


def mixed(over: str, under: str, share: float) -> str:
    """``color-mix(in srgb, …)`` of CSS Color 5, section 2."""
    pairs = zip(*([int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in (over, under)), strict=True)
    return "#" + "".join(f"{round(a * share + b * (1 - share)):02x}" for a, b in pairs)


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_figures_can_be_read_on_the_strongest_tint(scheme: str) -> None:
    found = blocks()[scheme]
    shares = {int(a): int(b) / 100 for a, b in re.findall(r"\.h(\d) \{ --share: (\d+)%; \}", SHEET)}
    assert sorted(shares) == list(range(1, HOTTEST + 1))
    assert sorted(shares.values()) == [shares[step] for step in sorted(shares)]
    card, ink = (six(found[name]) for name in ("card", "ink"))
    tint = mixed(found["heat"], card, shares[HOTTEST])
    assert contrast(ink, tint) >= LEAST_TEXT


def six(colour: str) -> str:
    digits = colour.removeprefix("#")
    return "#" + ("".join(d * 2 for d in digits) if len(digits) == 3 else digits)
