"""Whether a rule can decide anything: what a metric can prove, against what the rule asks of it."""

import re
from collections.abc import Iterator

from auditor.domain.policies import Anchor, Anchored, Limits
from auditor.domain.readings import Bound, Unit
from auditor.judging.parts import SLICE
from auditor.packs.drafts import Entry
from auditor.packs.remarks import Remark

_VALUE = re.compile(r"\.\s*value\b|\[\s*[\"']value[\"']\s*\]")


def decides(entry: Entry, key: str, limits: Limits) -> Iterator[Remark]:
    """Say where limits divide nothing that the metric can be."""
    ends = [end for end in (limits.least, limits.most) if end is not None]
    if ends != sorted(ends) or _crossed(entry.anchored):
        yield entry.error(
            key, "the first number is the greater one", "Write the smaller one first."
        )
    metric = entry.metric
    if metric is None:
        return
    if metric.exact and metric.unit is Unit.NONE and not metric.number:
        yield entry.error(
            key,
            f"{entry.rule.metric} is a yes or no, and {key} bounds a number",
            "Write `require: 'reading.value'`.",
        )
    if metric.unit is Unit.SHARE and any(abs(end) > 1 for end in ends):
        yield entry.error(
            key,
            f"{entry.rule.metric} is a share between 0 and 1, so that the rule decides nothing",
            "Write 0.8 for 80 %.",
        )


def _crossed(anchored: Anchored | None) -> bool:
    """Whether both ends are taken from the same, and the lower lies above the upper."""
    match anchored:
        case Anchored(Anchor(claim, low), Anchor(other, high)):
            return claim == other and low > high
        case _:
            return False


def can_hold(entry: Entry) -> Iterator[Remark]:
    """Compare what the metric can prove with what the rule asks."""
    metric, rule = entry.metric, entry.rule
    if metric is None:
        return
    if rule.require is not None and not metric.exact and _VALUE.search(rule.require):
        yield entry.error(
            "require",
            f"{rule.metric} has an interval, and the condition asks of its middle alone",
            "Use at_least, at_most or within, which judge the whole interval.",
        )
    away = _faces_away(entry, metric.bound)
    yield from _slices(entry)
    if rule.accept is not None and not away and SLICE not in rule.for_each:
        yield entry.error(
            "accept",
            f"nothing can withstand here: {rule.metric} can show that the rule is kept",
            "Remove accept.",
        )
    if rule.accept is None and away:
        yield entry.warning(
            "measure",
            f"the rule can never pass: what is found of {rule.metric} is only a bound "
            f"({metric.bound.value.replace('_', ' ')}), which proves no kept limit",
            "Write `accept: withstood` if an attack that found nothing shall do.",
        )


def _slices(entry: Entry) -> Iterator[Remark]:
    if SLICE in entry.rule.for_each and entry.rule.accept is None:
        yield entry.warning(
            "for_each",
            "the rule can never pass: a search names the slices that it confirms, and proves "
            "nothing of the others",
            "Write `accept: withstood` if it shall do that the whole sample keeps the rule, and "
            "every slice that is named.",
        )


def _faces_away(entry: Entry, bound: Bound) -> bool:
    rule = entry.rule
    both = rule.within is not None or rule.require is not None
    match bound:
        case Bound.ESTIMATE:
            return False
        case Bound.AT_MOST:
            return both or rule.at_least is not None
        case Bound.AT_LEAST:
            return both or rule.at_most is not None
