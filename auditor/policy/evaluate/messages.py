"""Findings in words: what was asked, what was found, how sure that is, and what follows."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType

from auditor.domain.json import Json
from auditor.domain.policies import MetricLimits, Rule
from auditor.domain.readings import BoundKind, Measurement, Scalar, Unit

FEWEST_DIGITS = 4
MOST_DIGITS = 17
WHOLE_FROM = 10_000
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
    BoundKind.AT_MOST: " The truth is at most that: a stronger search may find less.",
    BoundKind.AT_LEAST: " The truth is at least that: a stronger search may find more.",
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
        return f"Asked: {_named(rule)}{place} {rule.anchored.words()}."
    if rule.limits is None:
        answer = describe_required_answer(rule.require)
        return f"Asked: {rule.title} ({answer or f'`{rule.require}`'})."
    source = "" if rule.anchored is None else f" ({rule.anchored.sources})"
    return f"Asked: {_named(rule)}{place} {format_limits(rule.limits, unit)}{source}."


def build_finding_title(rule: Rule, place: Mapping[str, Scalar]) -> str:
    """Name what is asked at one place of those that a rule is asked for each of."""
    return f"{rule.title} ({format_place_phrase(place)})" if place else rule.title


def describe_relaxations(rule: Rule) -> str:
    """Say in which settings a rule asks less than where it is inherited from, and why."""
    if rule.origin is None or not rule.origin.loosened:
        return ""
    told = "; ".join(f"{item} ({item.reason})" for item in rule.origin.loosened)
    return f" Loosened against {rule.origin.policy} {rule.origin.version}: {told}."


def describe_required_answer(require: str | None) -> str:
    """Return the answer that a condition asks for in words; nothing where it asks for more."""
    text = (require or "").strip()
    worded = WORDED.fullmatch(text)
    if worded is not None:
        return f"{'' if worded['how'] == '==' else 'anything but '}“{worded['what']}”"
    return YES_OR_NO.get("".join(text.split()), "")


def describe_measurement(rule: Rule, measurement: Measurement, count: int) -> str:
    """Say what was found, with interval, sample and bound; ``count`` is how many readings match."""
    place = _elsewhere(rule, measurement) if measurement.params or measurement.slice else ""
    worst = f" That is the worst of {count} readings." if count > 1 else ""
    marks = () if rule.limits is None else (rule.limits.least, rule.limits.most)
    figure = _figure(measurement, [mark for mark in marks if mark is not None])
    return f"Found: {figure}{place}.{worst}{_bound(measurement)}"


def describe_baseline_figure(then: Measurement, now: Measurement, baseline: str) -> str:
    """Say what a baseline had there, with as many digits as tell it from what is there now."""
    mark = now.value
    edges = () if mark is None or isinstance(mark, bool | str) else (mark,)
    return f"The baseline, {baseline}, had {_figure(then, edges)}."


def _elsewhere(rule: Rule, measurement: Measurement) -> str:
    """Say at which coordinates a figure lies that the rule does not name."""
    there = {**measurement.params, **measurement.slice}
    rest = {key: value for key, value in there.items() if key not in rule.where}
    return f" at {format_place_phrase(rest)}" if rest else ""


def _bound(measurement: Measurement) -> str:
    if isinstance(measurement.value, str) and measurement.bound is not BoundKind.ESTIMATE:
        return " A stronger search may show more."
    return _BOUNDS[measurement.bound]


def describe_needed_rows(would_decide: Mapping[str, Json] | None) -> str:
    """Say what would turn an unknown into an answer."""
    if would_decide is None:
        return ""
    if "rows" in would_decide:
        return f" About {would_decide['rows']:,} rows would decide if the figure stays."
    return f" What would decide: {would_decide['needs']}."


def _named(rule: Rule) -> str:
    return rule.metric.replace("_", " ")


@lru_cache(maxsize=1024)
def format_limits(limits: MetricLimits, unit: Unit) -> str:
    """Say a bound in the unit of its metric."""
    least = None if limits.least is None else _number(limits.least, unit, ())
    most = None if limits.most is None else _number(limits.most, unit, ())
    if most is None:
        return f"of at least {least}"
    if least is None:
        return f"of at most {most}"
    return f"between {least} and {most}"


def _figure(measurement: Measurement, edges: Sequence[float]) -> str:
    value, low, high = measurement.value, measurement.low, measurement.high
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or isinstance(value, str):
        return value or "nothing"
    text = _number(value, measurement.unit, edges)
    if low is None or high is None:
        return f"{text}, exactly"
    span = f"{_number(low, measurement.unit, edges)} to {_number(high, measurement.unit, edges)}"
    level = (
        ""
        if measurement.confidence is None
        else f"{format_confidence(measurement.confidence)} interval "
    )
    sample = f", sample of {measurement.n:,}" if measurement.n else ""
    return f"{text} ({level or 'bounds '}{span}{sample})"


def _number(value: float, unit: Unit, edges: Sequence[float]) -> str:
    """Write a number with as few digits as keep it on its own side of every limit."""
    factor, suffix = _SCALES[unit]
    scaled = value * factor
    for digits in range(FEWEST_DIGITS, MOST_DIGITS):
        text = f"{scaled:.{digits}g}"
        written = float(text)
        if not edges or _same_side(written / factor, value, edges):
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
