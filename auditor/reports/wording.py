"""Wording of reports: terms for domain values, the glossary, and text escaping and shortening.

Text from a record is made safe to display: invisible characters must not change the meaning of a
line.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from markupsafe import Markup, escape

from auditor._resources import find_shipped_folder
from auditor._yaml import read_yaml_document
from auditor.domain.checks import title_metric
from auditor.domain.confusable_names import quote_unclear_name
from auditor.domain.findings import Outcome, Verdict
from auditor.domain.number_text import (
    format_coordinates,
    format_count,
    format_number,
)
from auditor.domain.policies import MetricLimits, Rule, RuleEffect, Severity
from auditor.domain.readings import Gap, GapReason, Measurement, Unit
from auditor.domain.records import AuditRecord
from auditor.domain.report_panels import BOUNDS
from auditor.errors import InvalidInputError
from auditor.policy.evaluate.messages import describe_required_answer
from auditor.reports.rendering_inputs import ReportInputs

OUTCOMES: Mapping[Outcome, str] = MappingProxyType(
    {
        Outcome.FAILED: "Failed",
        Outcome.UNKNOWN: "Undecided",
        Outcome.WAIVED: "Waived",
        Outcome.WITHSTOOD: "Withstood",
        Outcome.PASSED: "Passed",
        Outcome.NOT_APPLICABLE: "Not applicable",
    }
)
"""Worst first: the order in which findings are shown."""

MEANINGS: Mapping[Outcome, str] = MappingProxyType(
    {
        Outcome.FAILED: "the whole confidence interval violates the limit",
        Outcome.UNKNOWN: "the evidence does not decide; an undecided rule does not count as passed",
        Outcome.WAIVED: "a named person signed an exception that expires",
        Outcome.WITHSTOOD: "these attacks, with this budget, did not break the limit; "
        "a stronger attack may",
        Outcome.PASSED: "the whole confidence interval satisfies the limit",
        Outcome.NOT_APPLICABLE: "the rule does not concern this model",
    }
)

RECORDED = "recorded predictions"


def name_place(record: AuditRecord, target: str) -> str:
    """Name what a finding is on: the target, or the predictions where no model ran."""
    return RECORDED if record.request.predictions_only else target


VERDICTS: Mapping[Verdict, str] = MappingProxyType(
    {
        Verdict.PASS: "Approved for deployment",
        Verdict.FAIL: "Not approved",
        Verdict.INCONCLUSIVE: "Undecided: not approved",
    }
)

EFFECTS: Mapping[RuleEffect, str] = MappingProxyType(
    {
        RuleEffect.DENY: "Required",
        RuleEffect.WARN: "Advisory",
        RuleEffect.INFO: "For information",
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
        "A0": "A0: run by the owner of the signing key; not independently repeated",
        "A1": "A1: run by an audit service",
        "A2": "A2: run by a worker whose fingerprint was verified on the target",
        "A3": "A3: repeated by an independent worker",
    }
)

REASONS: Mapping[GapReason, str] = MappingProxyType(
    {
        GapReason.NEEDS_MODEL: "needs the model, and only its predictions were given",
        GapReason.NEEDS_EVALUATION_DATA: "needs evaluation data",
        GapReason.NEEDS_LABELS: "needs labels in the data",
        GapReason.NEEDS_GROUPS: "needs a column of groups",
        GapReason.NEEDS_SCORES: "needs scores",
        GapReason.NEEDS_CLASSIFICATION: "is for classification models",
        GapReason.NEEDS_REGRESSION: "is for models that give numbers",
        GapReason.NEEDS_NUMERIC_INPUT: "needs numeric input with a known range",
        GapReason.NEEDS_TEXT_INPUT: "is for models that read text",
        GapReason.NEEDS_TWIN: "needs gradients, and there is no differentiable twin of the model",
        GapReason.NEEDS_EXTRA: "needs an optional part of auditor that is not installed",
        GapReason.TWIN_DIFFERS: "the differentiable twin is not the same function as the model",
        GapReason.TWIN_UNSUPPORTED: "no differentiable twin can be built of this model",
        GapReason.TOO_FEW_ROWS: "there are too few rows",
        GapReason.NOT_DEFINED: "is not defined on these data",
        GapReason.OVER_BUDGET: "would cost more than the budget allows",
        GapReason.FELL_BACK: "operators run elsewhere than the target declares",
        GapReason.EMULATED: "has no meaning on an emulated processor",
        GapReason.SIMULATED: "has no meaning on a simulated device",
        GapReason.NEEDS_REFERENCE: "needs another run to compare with",
        GapReason.NEEDS_TRAINING_DATA: "needs the data that the model was trained on",
        GapReason.NEEDS_REFERENCE_DATA: "needs earlier data to compare with",
        GapReason.NEEDS_PRODUCTION_DATA: "needs data from production",
        GapReason.NEEDS_POPULATION: "needs the population that the model is for",
        GapReason.NEEDS_CLAIMS: "needs claims to check",
        GapReason.NEEDS_RECIPE: "needs the code that trains",
        GapReason.NEEDS_SHADOWS: "needs other models trained as this one was",
        GapReason.SHADOWS_MISMATCH: "the shadow models are unlike this one",
        GapReason.SHADOWS_FAILED: "a shadow model failed",
        GapReason.NEEDS_GENERATOR: "needs a generator of likely rows",
        GapReason.RECIPE_MISMATCH: "the recipe makes other models",
        GapReason.RECIPE_FAILED: "the recipe failed",
        GapReason.NEEDS_DOCUMENTS: "needs documents that came with the model",
        GapReason.NEEDS_TIMES: "needs a column of times",
        GapReason.NEEDS_PARENT: "needs the model that this one was made from",
        GapReason.NEEDS_AUTHORISATION: "needs written authorization to attack the endpoint",
        GapReason.NEEDS_RUNTIME: "needs a runtime that is not installed here",
        GapReason.OTHER_PARAMETERS: "was observed with other parameters than the policy asks for",
        GapReason.MODEL_CRASHED: "the model crashed",
        GapReason.MODEL_HUNG: "the model did not answer in time",
        GapReason.MODEL_OUT_OF_MEMORY: "the model exceeded its memory limit",
        GapReason.MODEL_FAILED: "the runtime refused the model or its input",
        GapReason.ENDPOINT_LOST: "the server that runs the model could not be reached",
        GapReason.TARGET_CHANGED: "another model answered than at the start of the audit",
        GapReason.CHECK_CRASHED: "the check itself crashed",
        GapReason.UNSUPPORTED: "is not built yet for this kind of model or input",
    }
)


def describe_bound(measurement: Measurement) -> str:
    """Return what stands before a figure that is a bound; before words stands nothing."""
    return "" if isinstance(measurement.value, str) else BOUNDS[measurement.bound]


def describe_compared_column(measurement: Measurement) -> str:
    """Return by which column groups were compared, to stand after a figure of them; else nothing.

    A rule on several columns is decided by one of them, which a gap alone does not tell.
    """
    column = measurement.params.get("group_column")
    return "" if column is None else f" by {quote_unclear_name(str(column))}"


LISTED = frozenset({Unit.COUNT, Unit.PER_SECOND})
"""Units of metrics whose titles are plurals, which no "is" fits."""
HEAD = re.compile(
    r" (?:that|which|whose|of|about|with|without|under|in|by|on|to|at|as|than|after|found|broken"
    r"|decided|beyond|between|over|for)\b|[,(]"
)
"""Where the noun of a title ends and what is said of it begins."""
PLURAL = re.compile(r"[^siu]s$")


def metric_title(inputs: ReportInputs, check: str, metric: str) -> str:
    """Return a metric's title as its check gives it, or its name in plain words."""
    return title_metric(inputs.checks.get(check), metric)


def check_title(inputs: ReportInputs, check: str) -> str:
    """Return a check's title, or its id where it is not installed."""
    found = inputs.checks.get(check)
    return check if found is None else found.title


def gap_name(inputs: ReportInputs, gap: Gap) -> str:
    """Name what is missing: a whole check, or one metric of it at its coordinates."""
    check = check_title(inputs, gap.check)
    if not gap.metric:
        return check
    where = format_coordinates(gap.params)
    title = metric_title(inputs, gap.check, gap.metric)
    return f"{check}: {title}{f' ({where})' if where else ''}"


def format_limits(limits: MetricLimits, unit: Unit) -> str:
    """Say a bound in the metric's own unit."""
    if limits.least is not None and limits.most is not None:
        return f"between {format_number(limits.least, unit)} and {format_number(limits.most, unit)}"
    if limits.least is not None:
        return f"at least {format_number(limits.least, unit)}"
    return "free" if limits.most is None else f"at most {format_number(limits.most, unit)}"


def list_limit_values(limits: MetricLimits | None) -> tuple[float, ...]:
    """Return the ends of a bound that exist."""
    if limits is None:
        return ()
    return tuple(end for end in (limits.least, limits.most) if end is not None)


def choose_verb(title: str, unit: Unit) -> str:
    """Return what joins a metric's title and its figure: no "is" fits a plural."""
    head = HEAD.split(title, maxsplit=1)[0].split() or [""]
    many = unit in LISTED or any(PLURAL.search(word) for word in (head[0], head[-1]))
    return ":" if many else " is"


def describe_rule(inputs: ReportInputs, rule: Rule) -> str:
    """Say what a rule asks, without its condition in CEL."""
    title = metric_title(inputs, rule.check, rule.metric)
    where = format_coordinates(rule.where)
    place = f" at {where}" if where else ""
    if rule.limits is None and rule.anchored is not None:
        return f"{title}{place}{choose_verb(title, Unit.NONE)} {rule.anchored.words()}"
    if rule.limits is None:
        return f"{title}{place}: {describe_required_answer(rule.require) or 'this condition holds'}"
    metric = inputs.metric(rule.check, rule.metric)
    unit = Unit.NONE if metric is None else metric.unit
    return f"{title}{place}{choose_verb(title, unit)} {format_limits(rule.limits, unit)}"


def explain_bound(inputs: ReportInputs, measurement: Measurement, value: str) -> str:
    """Say what a figure claims: near the truth, or a bound on one side of it."""
    title = metric_title(inputs, measurement.check, measurement.metric)
    where = format_coordinates(measurement.params, measurement.slice)
    place = f" ({where})" if where else ""
    bound = describe_bound(measurement)
    told = isinstance(measurement.value, bool | str)
    return f"{title}{place}{':' if told else choose_verb(title, measurement.unit)} {bound}{value}"


@dataclass(frozen=True, slots=True)
class ExternalDutyRow:
    """Something that a regulation or a standard asks for and that people must write or do.

    ``here`` is what the report adds to it, empty where it adds nothing.
    """

    ref: str
    asks: str
    here: str
    you: str


@lru_cache(maxsize=1)
def load_external_duties() -> Mapping[str, tuple[ExternalDutyRow, ...]]:
    """Return what no measurement of a model can evidence alone, by heading."""
    listed: dict[str, list[dict[str, Any]]] = _read("outside.yaml")
    return {
        heading: tuple(
            ExternalDutyRow(row["ref"], row["asks"], row.get("here", ""), row["you"])
            for row in rows
        )
        for heading, rows in listed.items()
    }


@lru_cache(maxsize=1)
def load_glossary() -> Mapping[str, str]:
    """Return the report's own words and what they mean."""
    found: dict[str, str] = _read("glossary.yaml")
    return found


def _read(name: str) -> Any:  # noqa: ANN401 -- each caller says the shape of its own file
    return read_yaml_document(
        (find_shipped_folder("reports") / name).read_bytes(), name, InvalidInputError
    ).content


KEPT = frozenset("\n\t\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}")
"""Line ends, and the joiners that scripts and pictograms need."""
HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Controls, marks that turn the direction of writing, lone surrogates, unassigned characters."""

BLANK = frozenset(map(chr, (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0)))
"""Letters and marks that are drawn as nothing at all."""


def escape_invisible(text: str) -> str:
    """Return ``text`` with each invisible character written out by its number in braces."""
    if text.isprintable() and BLANK.isdisjoint(text):  # nothing else hidden is, and no line end
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    hidden = unicodedata.category(character) in HIDDEN or character in BLANK
    if character in KEPT or not hidden:
        return character
    return f"\\u{{{ord(character):x}}}"


LONGEST_NAME = 200
"""Of a title where it only points at what has it whole; lint warns of longer ones."""
QUOTED = re.compile(r"`([^`]+)`")


def mark_code(text: str) -> Markup:
    """Return escaped text in which each part between two backticks is code."""
    said = QUOTED.split(escape_invisible(text))
    parts = (
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(said)
    )
    return Markup("").join(parts)


def shorten_text(text: str, longest: int | None = None) -> str:
    """Return text with what cannot be seen written out, cut after ``longest`` characters if any.

    What is cut says how much is missing.
    """
    more = 0 if longest is None else len(text) - longest
    return (
        escape_invisible(text)
        if more <= 0
        else f"{escape_invisible(text[:longest])}… [{format_count(more)} more]"
    )


def shorten_title(text: str) -> str:
    """Return a title as it stands where it only points at the place that has it whole."""
    shown = escape_invisible(text[: LONGEST_NAME + 1])
    return shown if len(shown) <= LONGEST_NAME else f"{shown[: LONGEST_NAME - 1]}…"


def list_word_changes(before: str, after: str) -> Iterator[tuple[str, str, str]]:
    """Yield the place, the word before and the word after, of each word that is another.

    Letters that only look like the ones before are named by their code points.
    """
    old, new = before.split(), after.split()
    if len(old) != len(new):
        yield "text", before, after
        return
    for place, (one, other) in enumerate(zip(old, new, strict=True), start=1):
        if one != other:
            odd = sorted({sign for sign in other if not sign.isascii()} - set(one))
            codes = ", ".join(f"{sign} is U+{ord(sign):04X}" for sign in odd)
            yield f"word {place}", one, f"{other} ({codes})" if codes else other
