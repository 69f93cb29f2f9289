"""Messages of findings: the requirement, the result, its certainty, and the consequence."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType

from auditor.checks.registry import find_shipped_check
from auditor.domain.checks import title_metric
from auditor.domain.json import Json
from auditor.domain.number_text import join_interval
from auditor.domain.policies import MetricLimits, Rule
from auditor.domain.readings import BiasDirection, BoundKind, Measurement, Scalar, Unit

FEWEST_DIGITS = 3
MOST_DIGITS = 17
WHOLE_FROM = 10_000
PROPER = frozenset({"Brier"})
"""First words of metrics' titles that are names."""
_SCALES = {
    Unit.SHARE: (100.0, " %"),
    Unit.SECOND: (1000.0, " ms"),
    Unit.BYTE: (1.0, " bytes"),
    Unit.PER_SECOND: (1.0, " per second"),
    Unit.NAT: (1.0, " nat"),
    Unit.COUNT: (1.0, ""),
    Unit.NONE: (1.0, ""),
}
_BOUNDS = {
    BoundKind.ESTIMATE: "",
    BoundKind.AT_MOST: " This is an upper bound: a stronger search may find less.",
    BoundKind.AT_LEAST: " This is a lower bound: a stronger search may find more.",
}


YES_OR_NO: Mapping[str, str] = MappingProxyType(
    {
        "reading.value": "yes",
        "reading.value==true": "yes",
        "!reading.value": "no",
        "reading.value==false": "no",
    }
)
"""Conditions that ask for one answer to a question, without their blanks."""
WORDED = re.compile(
    r"""reading\.value\s*(?P<how>==|!=)\s*(?P<mark>["'])(?P<what>[^"'\\]+)(?P=mark)"""
)
"""Conditions that ask for one word, or for any but one."""


@lru_cache(maxsize=64)
def format_confidence(level: float) -> str:
    """Write a confidence level."""
    return f"{100 * level:.4g} %"


def describe_rule(rule: Rule, unit: Unit = Unit.NONE) -> str:
    """Say what the rule asks, in one sentence."""
    place = f" at {format_place_phrase(rule.where)}" if rule.where else ""
    if rule.limits is None and rule.anchored is not None:
        return f"Required: {_named(rule.check, rule.metric)}{place} {rule.anchored.words()}."
    if rule.limits is None:
        answer = describe_required_answer(rule.require)
        return f"Required: {rule.title} ({answer or f'`{rule.require}`'})."
    source = "" if rule.anchored is None else f" ({rule.anchored.sources})"
    asked = f"{place} {format_limits(rule.limits, unit)}{source}"
    return f"Required: {_named(rule.check, rule.metric)}{asked}."


def build_finding_title(rule: Rule, place: Mapping[str, Scalar]) -> str:
    """Name what is asked at one place of those that a rule is asked for each of."""
    return f"{rule.title} ({format_place_phrase(place)})" if place else rule.title


def describe_relaxations(rule: Rule) -> str:
    """Say in which settings a rule asks less than where it is inherited from, and why."""
    if rule.origin is None or not rule.origin.loosened:
        return ""
    told = "; ".join(f"{item} ({item.reason})" for item in rule.origin.loosened)
    return f" Less strict than {rule.origin.policy} {rule.origin.version}: {told}."


def describe_required_answer(require: str | None) -> str:
    """Return the answer that a condition asks for in words; nothing where it asks for more."""
    text = (require or "").strip()
    worded = WORDED.fullmatch(text)
    if worded is not None:
        return f"{'' if worded['how'] == '==' else 'anything but '}“{worded['what']}”"
    return YES_OR_NO.get("".join(text.split()), "")


def describe_measurement(
    rule: Rule, measurement: Measurement, count: int, *, beyond: bool = False
) -> str:
    """Say what was found, with interval, sample and bound; ``count`` is how many readings match.

    It is the worst of them: by the figure itself where that is ``beyond`` the limit.
    """
    if measurement.params or measurement.slice:
        # Say at which coordinates a figure lies that the rule does not name
        there = {**measurement.params, **measurement.slice}
        rest = {key: value for key, value in there.items() if key not in rule.where}
        place = f" at {format_place_phrase(rest)}" if rest else ""
    else:
        place = ""
    least = "this is" if measurement.low is None or beyond else "its interval is"
    worst = f" Of {count} readings, {least} the least favourable." if count > 1 else ""
    marks = () if rule.limits is None else (rule.limits.least, rule.limits.most)
    figure = _figure(measurement, [mark for mark in marks if mark is not None])
    if isinstance(measurement.value, str) and measurement.bound is not BoundKind.ESTIMATE:
        bound = " A stronger search may show more."
    else:
        bound = _BOUNDS[measurement.bound]
    return f"Found: {figure}{place}.{worst}{bound}"


def describe_worst_case(measurement: Measurement) -> str:
    """Say why a figure keeps a rule although it is doubted."""
    side = "at most" if measurement.astray is BiasDirection.TOO_HIGH else "at least"
    worst = _number(measurement.worst_case or 0.0, measurement.unit, ())
    return (
        "The figure is doubted, but other work on the machine can only make it worse. Without it, "
        f"the figure is {side} {worst}, which meets the limit."
    )


def describe_baseline_figure(then: Measurement, now: Measurement, baseline: str) -> str:
    """Say what a baseline had there, with as many digits as tell it from what is there now."""
    mark = now.value
    edges = () if mark is None or isinstance(mark, bool | str) else (mark,)
    return f"The baseline, {baseline}, had {_figure(then, edges)}."


def describe_needed_rows(would_decide: Mapping[str, Json] | None, then: str, measured: int) -> str:
    """Say what would turn an unknown into an answer, and what the rule would ``then`` do.

    Rows are counted as those ``measured``: for a rate of a group or of a class, these are its rows.
    """
    if would_decide is None:
        return ""
    if "rows" in would_decide:
        rows = (
            f" About {would_decide['rows']:,} rows like the {measured:,} measured here would "
            "decide whether the limit is kept, if the figure stays the same"
        )
        return f"{rows}; the rule would then {then}." if then else f"{rows}."
    return f" To decide it: {would_decide['needs']}."


@lru_cache(maxsize=1024)
def _named(check: str, metric: str) -> str:
    """Return a metric's title as it stands in a sentence.

    Only of checks that come with auditor: a finding reads alike wherever it is judged again.
    """
    title = title_metric(find_shipped_check(check), metric)
    first = title.partition(" ")[0]
    if first in PROPER or any(map(str.isupper, first[1:])):
        return title
    return title[:1].lower() + title[1:]


@lru_cache(maxsize=1024)
def format_limits(limits: MetricLimits, unit: Unit) -> str:
    """Say a bound in the unit of its metric, with every digit that it has."""
    least, most = (None if it is None else _limit(it, unit) for it in (limits.least, limits.most))
    if most is None:
        return f"of at least {least}"
    if least is None:
        return f"of at most {most}"
    return f"between {least} and {most}"


def _limit(value: float, unit: Unit) -> str:
    exact = float(f"{value:.12g}")  # what a sum such as 0.95 - 0.02 adds at its end is no digit
    return _number(exact, unit, (exact,))


def _figure(measurement: Measurement, edges: Sequence[float]) -> str:
    value, low, high = measurement.value, measurement.low, measurement.high
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or isinstance(value, str):
        return value or "nothing"
    text = _number(value, measurement.unit, edges)
    if low is None or high is None:
        return f"{text} (exact)"
    span = join_interval(*(_number(end, measurement.unit, edges) for end in (low, high)))
    level = (
        ""
        if measurement.confidence is None
        else f"{format_confidence(measurement.confidence)} interval "
    )
    sample = f", n = {measurement.n:,}" if measurement.n else ""
    return f"{text} ({level or 'bounds '}{span}{sample})"


def _number(value: float, unit: Unit, edges: Sequence[float]) -> str:
    """Write a number with as few digits as keep it on its own side of every limit."""
    factor, suffix = _SCALES[unit]
    scaled = value * factor
    before_point = len(f"{abs(scaled):.0f}")
    for digits in range(min(max(FEWEST_DIGITS, before_point), MOST_DIGITS - 1), MOST_DIGITS):
        text = f"{scaled:.{digits}g}"
        written = float(text)
        # In decimals: 99.9 / 100 of floats lies beyond a limit of 0.999
        if not edges or _same_side(float(Decimal(text) / Decimal(factor)), value, edges):
            break
    if -WHOLE_FROM < written < WHOLE_FROM:
        return text + suffix
    whole = _same_side(round(written) / factor, value, edges)
    return f"{written:,.0f}{suffix}" if whole else f"{Decimal(text):,f}{suffix}"


def _same_side(written: float, value: float, edges: Sequence[float]) -> bool:
    """Whether a number as written lies on the same side of every limit as it does."""
    for edge in edges:
        if (written > edge) is not (value > edge) or (written < edge) is not (value < edge):
            return False
    return True


def format_place_phrase(place: Mapping[str, Scalar]) -> str:
    """Say coordinates as a phrase."""
    return ", ".join(f"{key.replace('_', ' ')} {_scalar(value)}" for key, value in place.items())


def _scalar(value: Scalar) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
