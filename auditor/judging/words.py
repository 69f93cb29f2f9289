"""Findings in words: what was asked, what was found, how sure that is, and what follows."""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType

from auditor.domain.canonical import Json
from auditor.domain.policies import Limits, Rule
from auditor.domain.readings import Bound, Measurement, Scalar, Unit

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
    Bound.ESTIMATE: "",
    Bound.AT_MOST: " The truth is at most that: a stronger search may find less.",
    Bound.AT_LEAST: " The truth is at least that: a stronger search may find more.",
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


def percent(level: float) -> str:
    """Write a confidence level."""
    return f"{100 * level:.4g} %"


def asked(rule: Rule, unit: Unit = Unit.NONE) -> str:
    """Say what the rule asks, in one sentence."""
    if rule.limits is None:
        answer = answer_asked(rule.require)
        return f"Asked: {rule.title} ({answer or f'`{rule.require}`'})."
    place = f" at {_coordinates(rule.where)}" if rule.where else ""
    return f"Asked: {_named(rule)}{place} {_limits(rule.limits, unit)}."


def answer_asked(require: str | None) -> str:
    """Return the answer that a condition asks for in words; nothing where it asks for more."""
    text = (require or "").strip()
    worded = WORDED.fullmatch(text)
    if worded is not None:
        return f"{'' if worded['how'] == '==' else 'anything but '}“{worded['what']}”"
    return YES_OR_NO.get("".join(text.split()), "")


def found(rule: Rule, measurement: Measurement, count: int) -> str:
    """Say what was found, with interval, sample and bound; ``count`` is how many readings match."""
    elsewhere = {
        key: value
        for key, value in {**measurement.params, **measurement.slice}.items()
        if key not in rule.where
    }
    place = f" at {_coordinates(elsewhere)}" if elsewhere else ""
    worst = f" That is the worst of {count} readings." if count > 1 else ""
    figure = _figure(measurement, rule.limits)
    return f"Found: {figure}{place}.{worst}{_bound(measurement)}"


def _bound(measurement: Measurement) -> str:
    if isinstance(measurement.value, str) and measurement.bound is not Bound.ESTIMATE:
        return " A stronger search may show more."
    return _BOUNDS[measurement.bound]


def rows(would_decide: Mapping[str, Json] | None) -> str:
    """Say what would turn an unknown into an answer."""
    if would_decide is None:
        return ""
    if "rows" in would_decide:
        return f" About {would_decide['rows']:,} rows would decide if the figure stays."
    return f" What would decide: {would_decide['needs']}."


def _named(rule: Rule) -> str:
    return rule.metric.replace("_", " ")


def _limits(limits: Limits, unit: Unit) -> str:
    least = None if limits.least is None else _number(limits.least, unit, ())
    most = None if limits.most is None else _number(limits.most, unit, ())
    if most is None:
        return f"of at least {least}"
    if least is None:
        return f"of at most {most}"
    return f"between {least} and {most}"


def _figure(measurement: Measurement, limits: Limits | None) -> str:
    value, low, high = measurement.value, measurement.low, measurement.high
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or isinstance(value, str):
        return value or "nothing"
    marks = () if limits is None else (limits.least, limits.most)
    edges = tuple(mark for mark in marks if mark is not None)
    text = _number(value, measurement.unit, edges)
    if low is None or high is None:
        return f"{text}, exactly"
    span = f"{_number(low, measurement.unit, edges)} to {_number(high, measurement.unit, edges)}"
    level = "" if measurement.confidence is None else f"{percent(measurement.confidence)} interval "
    sample = f", sample of {measurement.n:,}" if measurement.n else ""
    return f"{text} ({level or 'bounds '}{span}{sample})"


def _number(value: float, unit: Unit, edges: Iterable[float]) -> str:
    """Write a number with as few digits as keep it on its own side of every limit."""
    factor, suffix = _SCALES[unit]
    for digits in range(FEWEST_DIGITS, MOST_DIGITS):
        text = f"{value * factor:.{digits}g}"
        if all(_side(float(text) / factor, edge) == _side(value, edge) for edge in edges):
            break
    written = float(text)
    if abs(written) < WHOLE_FROM:
        return f"{text}{suffix}"
    whole = all(_side(round(written) / factor, edge) == _side(value, edge) for edge in edges)
    return f"{written:,.0f}{suffix}" if whole else f"{Decimal(text):,f}{suffix}"


def _side(value: float, edge: float) -> int:
    return int(value > edge) - int(value < edge)


def _coordinates(place: Mapping[str, Scalar]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {_scalar(value)}" for key, value in place.items())


def _scalar(value: Scalar) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
