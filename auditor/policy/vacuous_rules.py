"""Lint of vacuous rules: those that no reading can break."""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from auditor.domain.cel_limits import list_condition_names
from auditor.domain.checks import Metric
from auditor.domain.json import Json
from auditor.domain.metric_ranges import allows_whole_range, find_metric_range
from auditor.domain.policies import LimitAnchor, MetricLimits
from auditor.domain.readings import Repeatability, Unit
from auditor.errors import ConditionError, PolicyError
from auditor.policy.cel import ABOUT_READINGS, CelCondition, compile_condition
from auditor.policy.lint_remarks import LintRemark
from auditor.policy.unvalidated_policy import RuleDraft

CURE = "Ask for what a reading can break, or remove the rule."
TRIALS = 400
"""Made-up readings that a condition is asked of before it counts as one that none can break."""
UNANSWERED = 100
"""After so many without an answer a condition is let be: what has no answer passes nothing."""
MOST_TRIALS = 6_000
"""Made-up readings for all conditions of a policy: nearly all are broken within the first ten."""
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_TEXT = re.compile(r"\"([^\"\n]*)\"|'([^'\n]*)'")
_COMPARED = re.compile(r"(\w+)\"?\]?\s*[=!]=\s*(?:\"([^\"\n]*)\"|'([^'\n]*)')")
"""A name and the text that it is held against: drawn apart, three of them hardly ever meet."""
_READING = frozenset({"reading", "readings"})


@dataclass(slots=True)
class ConditionTrialBudget:
    """How many made-up readings a policy's conditions may still be asked of."""

    left: int = MOST_TRIALS


def lint_unbreakable_rule(entry: RuleDraft, trials: ConditionTrialBudget) -> Iterator[LintRemark]:
    """Say where a rule allows all that its metric can be, or a condition all readings."""
    metric, require = entry.metric, entry.rule.require
    if metric is None:
        return
    try:
        if require is None:
            found = _limits(entry, metric)
        else:
            found = _condition(entry, metric, require, trials)
    except PolicyError:
        return  # said elsewhere: it does not compile, or names a param that is none
    yield from () if found is None else (found,)


def _limits(entry: RuleDraft, metric: Metric) -> LintRemark | None:
    least, most = find_metric_range(entry.rule.metric, metric.unit)
    limits = _laxest(entry, (least, most))
    if limits is None or (limits.least is None and limits.most is None):
        return None
    if not allows_whole_range(limits, (least, most)):
        return None
    key = next(
        key for key in ("at_least", "at_most", "within") if getattr(entry.rule, key) is not None
    )
    between = f"lies between {least:g} and {most:g}" if most < float("inf") else f">= {least:g}"
    problem = f"no reading can break the rule: {entry.rule.metric} always {between}"
    return entry.error(key, problem.replace("always >=", "is always at least"), CURE)


def _laxest(entry: RuleDraft, span: tuple[float, float]) -> MetricLimits | None:
    """Return the limits as the strictest claim or baseline would set them."""
    anchored = entry.anchored
    if anchored is None:
        return entry.limits
    least, most = anchored.least, anchored.most
    return MetricLimits(
        span[1] + least.margin if isinstance(least, LimitAnchor) else least,
        span[0] + most.margin if isinstance(most, LimitAnchor) else most,
    )


def _condition(
    entry: RuleDraft, metric: Metric, text: str, trials: ConditionTrialBudget
) -> LintRemark | None:
    condition = compile_condition(text, ABOUT_READINGS)
    if not condition.speaks_of & _READING:
        problem = "the condition asks nothing of the reading, so that no reading can break it"
        return entry.error("require", problem, f"{CURE} What excuses a rule belongs into `when`.")
    if _can_break(condition, metric, entry, trials):
        return None
    if not trials.left:
        problem = "the policy has too many conditions that hardly any reading can break"
        return entry.error("require", problem, CURE)
    problem = f"no reading can break the condition `{text}`"
    return entry.error("require", problem, CURE)


def _can_break(
    condition: CelCondition, metric: Metric, entry: RuleDraft, trials: ConditionTrialBudget
) -> bool:
    """Whether a made-up reading breaks a condition, or none gives it an answer.

    Readings are made of the numbers and texts that stand in the condition, of their neighbours,
    and of what no condition names; the same condition is always asked of the same ones.
    """
    chance = random.Random(condition.text)  # noqa: S311 -- picks examples, keeps no secret
    pool = _pool(condition.text, entry.draft.shape.params)
    names = dict.fromkeys(sorted({*list_condition_names(condition.text), *_texts(pool)}), pool)
    for name, one, other in _COMPARED.findall(condition.text):
        names[name] = [*names.get(name, pool), *[one or other] * len(pool)]
    answered = False
    for number in range(min(TRIALS, trials.left)):
        if number == UNANSWERED and not answered:
            return True
        trials.left -= 1
        try:
            if not condition.evaluate(_bindings(chance, pool, names, metric, entry)):
                return True
        except ConditionError:
            continue
        answered = True
    return False


def _pool(text: str, params: Mapping[str, Json]) -> list[Json]:
    numbers = {0.0, 1.0, -1.0, 0.5, 1e12, *(float(item) for item in _NUMBER.findall(text))}
    numbers |= {float(it) for it in params.values() if type(it) in {int, float}}  # type: ignore[arg-type]  # a number by its type
    near = sorted({*numbers, *(item + 1 for item in numbers), *(item - 1 for item in numbers)})
    texts = sorted({one or other for one, other in _TEXT.findall(text)} | {"", "no such word"})
    return [*near, *texts, True, False]


def _bindings(
    chance: random.Random,
    pool: Sequence[Json],
    names: Mapping[str, Sequence[Json]],
    metric: Metric,
    entry: RuleDraft,
) -> dict[str, Json]:
    readings: list[Json] = [
        {**_reading(chance, pool, metric, entry), **_coordinates(chance, pool, names)}
        for _ in range(chance.choice((1, 1, 2, 3)))
    ]
    return {
        "params": dict(entry.draft.shape.params),
        "model": _map(chance, pool, names),
        "claims": _map(chance, pool, names),
        "target": chance.choice(_texts(pool)),
        "served": chance.choice((True, False)),
        "task": chance.choice(("classification", "regression")),
        "predictions_only": chance.choice((True, False)),
        "reading": readings[0],
        "readings": readings,
    }


def _reading(
    chance: random.Random, pool: Sequence[Json], metric: Metric, entry: RuleDraft
) -> dict[str, Json]:
    """Return a reading as the metric could have it; what a metric fixes is fixed."""
    least, most = find_metric_range(entry.rule.metric, metric.unit)
    numbers = [item for item in pool if type(item) is float]
    inside = [item for item in numbers if least <= item <= most]
    word = metric.exact and metric.unit is Unit.NONE and not metric.number
    low, value, high = sorted(chance.choice(inside) for _ in range(3))
    return {
        "kind": "measurement",
        "target": chance.choice(_texts(pool)),
        "check": entry.rule.check,
        "version": 1,
        "metric": entry.rule.metric,
        "value": chance.choice([True, False, *_texts(pool)]) if word else value,
        "low": None if metric.exact else low,
        "high": None if metric.exact else high,
        "confidence": None if metric.exact else chance.choice((0.8, 0.95, 0.99)),
        "bound": metric.bound.value,
        "method": chance.choice(_texts(pool)),
        "n": chance.choice([item for item in numbers if item >= 0]),
        "unit": metric.unit.value,
        "repeat": chance.choice([item.value for item in Repeatability]),
        "doubted": chance.choice((True, False, False)),
        "evidence": [],
    }


def _coordinates(
    chance: random.Random, pool: Sequence[Json], names: Mapping[str, Sequence[Json]]
) -> dict[str, Json]:
    return {key: _map(chance, pool, names) for key in ("params", "slice", "details")}


def _texts(pool: Sequence[Json]) -> list[str]:
    return [item for item in pool if isinstance(item, str)]


def _map(
    chance: random.Random, pool: Sequence[Json], names: Mapping[str, Sequence[Json]]
) -> dict[str, Json]:
    """Return a map in which a name of the condition is missing now and then, or is a map itself."""
    found: dict[str, Json] = {}
    for name in names:
        kind = chance.random()
        if kind < 0.6:  # noqa: PLR2004 -- most often
            found[name] = chance.choice(names[name])
        elif kind < 0.8:  # noqa: PLR2004 -- as often a map as nothing
            found[name] = {other: chance.choice(pool) for other in names if chance.random() < 0.5}  # noqa: PLR2004 -- either
    return found
