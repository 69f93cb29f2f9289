"""The words of the report: one table for each closed set of the domain."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from auditor.domain.canonical import Json
from auditor.domain.policies import Effect, Limits, Rule, Severity
from auditor.domain.readings import Bound, Gap, Measurement, Reason, Unit
from auditor.domain.verdicts import Outcome, Verdict
from auditor.judging.words import answer_asked
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import number, scalar

OUTCOMES: Mapping[Outcome, str] = MappingProxyType(
    {
        Outcome.FAILED: "Failed",
        Outcome.UNKNOWN: "Not decided",
        Outcome.WAIVED: "Waived",
        Outcome.WITHSTOOD: "Withstood",
        Outcome.PASSED: "Passed",
        Outcome.NOT_APPLICABLE: "Not applicable",
    }
)
"""Worst first: the order in which findings are shown."""

MEANINGS: Mapping[Outcome, str] = MappingProxyType(
    {
        Outcome.FAILED: "the whole interval breaks the limit",
        Outcome.UNKNOWN: "the evidence does not decide; an undecided rule never counts as kept",
        Outcome.WAIVED: "a named person signed an exception that expires",
        Outcome.WITHSTOOD: "these attacks, with this budget, did not break the limit; "
        "a stronger attack may",
        Outcome.PASSED: "the whole interval keeps the limit",
        Outcome.NOT_APPLICABLE: "the rule says that it does not concern this model",
    }
)

VERDICTS: Mapping[Verdict, str] = MappingProxyType(
    {
        Verdict.PASS: "May be deployed",
        Verdict.FAIL: "May not be deployed",
        Verdict.INCONCLUSIVE: "Not decided: may not be deployed on this evidence",
    }
)

EFFECTS: Mapping[Effect, str] = MappingProxyType(
    {
        Effect.DENY: "Required",
        Effect.WARN: "Advisory",
        Effect.INFO: "For information",
    }
)

SEVERITIES: Mapping[Severity, str] = MappingProxyType(
    {
        Severity.CRITICAL: "critical severity",
        Severity.HIGH: "high severity",
        Severity.MEDIUM: "medium severity",
        Severity.LOW: "low severity",
    }
)
"""Worst first."""

ASSURANCE: Mapping[str, str] = MappingProxyType(
    {
        "A0": "A0: run by whoever holds the signing key; nobody else repeated it",
        "A1": "A1: run by an audit service",
        "A2": "A2: run by a worker whose fingerprint was verified on the target",
        "A3": "A3: repeated by an independent worker",
    }
)

REASONS: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.NEEDS_MODEL: "needs the model, and only its predictions were given",
        Reason.NEEDS_EVALUATION_DATA: "needs evaluation data",
        Reason.NEEDS_LABELS: "needs labels in the data",
        Reason.NEEDS_GROUPS: "needs a column that says who belongs to which group",
        Reason.NEEDS_SCORES: "needs scores",
        Reason.NEEDS_CLASSIFICATION: "is for classification models",
        Reason.NEEDS_REGRESSION: "is for models that give numbers",
        Reason.NEEDS_NUMERIC_INPUT: "needs numeric input with a known range",
        Reason.NEEDS_TEXT_INPUT: "is for models that read text",
        Reason.NEEDS_TWIN: "needs gradients, and there is no differentiable twin of the model",
        Reason.NEEDS_EXTRA: "needs an optional part of auditor that is not installed",
        Reason.TWIN_DIFFERS: "the differentiable twin is not the same function as the model",
        Reason.TWIN_UNSUPPORTED: "no differentiable twin can be built of this model",
        Reason.TOO_FEW_ROWS: "there are too few rows",
        Reason.NOT_DEFINED: "is not defined on these data",
        Reason.OVER_BUDGET: "would cost more than the budget allows",
        Reason.FELL_BACK: "operators run elsewhere than the target declares",
        Reason.EMULATED: "has no meaning on an emulated processor",
        Reason.SIMULATED: "has no meaning on a simulated device",
        Reason.NEEDS_REFERENCE: "needs another run to compare with",
        Reason.NEEDS_TRAINING_DATA: "needs the data that the model was trained on",
        Reason.NEEDS_REFERENCE_DATA: "needs earlier data to compare with",
        Reason.NEEDS_PRODUCTION_DATA: "needs data from production",
        Reason.NEEDS_POPULATION: "needs to know whom the model is for",
        Reason.NEEDS_CLAIMS: "needs claims to check",
        Reason.NEEDS_RECIPE: "needs the code that trains",
        Reason.NEEDS_SHADOWS: "needs other models trained as this one was",
        Reason.SHADOWS_MISMATCH: "the shadow models are unlike this one",
        Reason.SHADOWS_FAILED: "a shadow model failed",
        Reason.NEEDS_GENERATOR: "needs a generator of likely rows",
        Reason.RECIPE_MISMATCH: "the recipe makes other models",
        Reason.RECIPE_FAILED: "the recipe failed",
        Reason.NEEDS_DOCUMENTS: "needs documents that came with the model",
        Reason.NEEDS_TIMES: "needs to know when each row happened",
        Reason.NEEDS_PARENT: "needs the model that this one was made from",
        Reason.NEEDS_AUTHORISATION: "needs written leave to attack the endpoint",
        Reason.NEEDS_RUNTIME: "needs a runtime that is not to be had here",
        Reason.OTHER_PARAMETERS: "was observed with other parameters than the policy asks for",
        Reason.MODEL_CRASHED: "the model crashed",
        Reason.MODEL_HUNG: "the model did not answer in time",
        Reason.MODEL_OUT_OF_MEMORY: "the model outgrew its memory limit",
        Reason.MODEL_FAILED: "the runtime refused the model or its input",
        Reason.ENDPOINT_LOST: "the server that runs the model could not be reached",
        Reason.TARGET_CHANGED: "another model answered than the one that was met first",
        Reason.CHECK_CRASHED: "the check itself broke down",
        Reason.UNSUPPORTED: "is not built yet for this kind of model or input",
    }
)

BOUNDS: Mapping[Bound, str] = MappingProxyType(
    {Bound.ESTIMATE: "", Bound.AT_MOST: "at most ", Bound.AT_LEAST: "at least "}
)


def bound_words(measurement: Measurement) -> str:
    """Return what stands before a figure that is a bound; before words stands nothing."""
    return "" if isinstance(measurement.value, str) else BOUNDS[measurement.bound]


LISTED = frozenset({Unit.COUNT, Unit.PER_SECOND})
"""Units of metrics whose titles are plurals, which no "is" fits."""
HEAD = re.compile(r" (?:that|which|whose|of|about|without|decided|under|in|by|on|to)\b|[,(]")
"""Where the noun of a title ends and what is said of it begins."""
PLURAL = re.compile(r"[^siu]s$")


def metric_title(inputs: RenderedInputs, check: str, metric: str) -> str:
    """Return a metric's title as its check gives it, or its name in plain words."""
    found = inputs.metric(check, metric)
    title = metric.replace("_", " ") if found is None else found.title
    return title[:1].upper() + title[1:]


def check_title(inputs: RenderedInputs, check: str) -> str:
    """Return a check's title, or its id where it is not installed."""
    found = inputs.checks.get(check)
    return check if found is None else found.title


def gap_name(inputs: RenderedInputs, gap: Gap) -> str:
    """Name what is missing: a whole check, or one metric of it at its coordinates."""
    check = check_title(inputs, gap.check)
    if not gap.metric:
        return check
    where = coordinates(gap.params)
    title = metric_title(inputs, gap.check, gap.metric)
    return f"{check}: {title}{f' ({where})' if where else ''}"


def coordinates(params: Mapping[str, Json], slice_: Mapping[str, str] | None = None) -> str:
    """Say where a figure holds: parameters first, then the slice of the data."""
    named = dict(params)
    column, group = named.pop("group_column", None), named.pop("group", None)
    people = [] if column is None else [f"groups of {scalar(column)}"]
    if column is not None and group is not None:
        people = [f"{scalar(column)} = {scalar(group)}"]
    places = [f"{name.replace('_', ' ')} = {scalar(value)}" for name, value in named.items()]
    places = [*people, *places, *(f"{name} = {value}" for name, value in (slice_ or {}).items())]
    return ", ".join(places)


def limits_text(limits: Limits, unit: Unit) -> str:
    """Say a bound in the metric's own unit."""
    if limits.least is not None and limits.most is not None:
        return f"between {number(limits.least, unit)} and {number(limits.most, unit)}"
    if limits.least is not None:
        return f"at least {number(limits.least, unit)}"
    return "free" if limits.most is None else f"at most {number(limits.most, unit)}"


def limit_values(limits: Limits | None) -> tuple[float, ...]:
    """Return the ends of a bound that exist."""
    if limits is None:
        return ()
    return tuple(end for end in (limits.least, limits.most) if end is not None)


def verb(title: str, unit: Unit) -> str:
    """Return what joins a metric's title and its figure: no "is" fits a plural."""
    head = HEAD.split(title, maxsplit=1)[0].split() or [""]
    many = unit in LISTED or any(PLURAL.search(word) for word in (head[0], head[-1]))
    return ":" if many else " is"


def asked(inputs: RenderedInputs, rule: Rule) -> str:
    """Say what a rule asks, without its condition in CEL."""
    title = metric_title(inputs, rule.check, rule.metric)
    where = coordinates(rule.where)
    place = f" at {where}" if where else ""
    if rule.limits is None and rule.anchored is not None:
        return f"{title}{place}{verb(title, Unit.NONE)} {rule.anchored.words()}"
    if rule.limits is None:
        return f"{title}{place}: {answer_asked(rule.require) or 'this condition holds'}"
    metric = inputs.metric(rule.check, rule.metric)
    unit = Unit.NONE if metric is None else metric.unit
    return f"{title}{place}{verb(title, unit)} {limits_text(rule.limits, unit)}"


def bound_sentence(inputs: RenderedInputs, measurement: Measurement, value: str) -> str:
    """Say what a figure claims: near the truth, or a bound on one side of it."""
    title = metric_title(inputs, measurement.check, measurement.metric)
    where = coordinates(measurement.params, measurement.slice)
    place = f" ({where})" if where else ""
    bound = bound_words(measurement)
    told = isinstance(measurement.value, bool | str)
    return f"{title}{place}{':' if told else verb(title, measurement.unit)} {bound}{value}"
