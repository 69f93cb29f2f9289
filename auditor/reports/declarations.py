"""Declarations of the audit file that ease a verdict: rules that they switch off, and settings.

The first screen of the report, the summary and the terminal show the same statements.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from auditor.domain.confusable_names import quote_name
from auditor.domain.findings import KEPT, Outcome
from auditor.domain.json import Json
from auditor.domain.number_text import (
    format_count,
    format_number,
    format_percent,
    format_scalar,
    format_setting,
)
from auditor.domain.pinned_settings import DEFAULTS, EASING
from auditor.domain.policies import Policy
from auditor.domain.readings import Measurement, Unit
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest
from auditor.domain.tasks import FAVOURABLE, POSITIVE
from auditor.reports.signer_text import list_self_named_signers
from auditor.reports.wording import describe_compared_column

REGRESSION, RATIO = "regression", "impact_ratio"
TASK = re.compile(r"\btask\b")
BY_REGRESSION = "a regression"
TAGGED = "the tag "
"""Begins a cause that is a tag."""
LONGEST = 120
"""Of a setting's value: an audit file may list any number of columns."""
LABELS: Mapping[str, str] = MappingProxyType(
    {
        "task.output": "what the outputs of the model are taken for",
        "task.threshold": "decision threshold",
        "task.costs": "costs of wrong decisions",
        "task.reject": "rejection of unsure rows",
        "task.tolerance": "tolerated error of a prediction",
        "input.quantum": "smallest step of an input",
        "input.immutable": "columns that attacks may not change",
        "input.directions": "columns that attacks may change in one direction only",
        "input.relations": "number of relations between columns that attacks must keep",
        "data.evaluation.cluster": "column of rows that count together",
    }
)
"""What the settings that ease rules mean, for readers who do not write audit files."""


@dataclass(frozen=True, slots=True)
class ListedStatement:
    """A sentence, or the beginning of one that ends in a list."""

    lead: str
    items: tuple[str, ...] = ()

    @classmethod
    def of_some(cls, lead: str, items: Sequence[str], most: int) -> "ListedStatement":
        """Return a statement of the first ``most`` items, and of how many more there are."""
        more = len(items) - most
        return cls(lead, (*items[:most], *([f"{more} more"] if more > 0 else [])))

    @property
    def text(self) -> str:
        """The statement in one line."""
        return f"{self.lead}: {'; '.join(self.items)}." if self.items else self.lead


def describe_declarations(record: AuditRecord, policy: Policy) -> tuple[ListedStatement, ...]:
    """Say which declarations ease the verdict: only the author of the audit file vouches for them.

    Rules are switched off by a tag, by a regression in place of the usual task, or by predictions
    without a model; settings such as a threshold make rules easier to pass; rules of groups rest
    on the class that is declared to be favourable, and a rule on the signature on a key that only
    the audit file names.
    """
    return (
        *_describe_switched_off(record, policy),
        *_describe_eased_settings(record.request),
        *_describe_favourable_class(record),
        *_describe_other_class(record, policy),
        *_describe_self_named_signers(record, policy),
    )


def list_switched_off(record: AuditRecord, policy: Policy) -> Mapping[str, tuple[str, ...]]:
    """Return the rules that do not apply because of declarations, with these declarations."""
    conditions = {rule.id: rule.when or "" for rule in policy.rules}
    return {
        finding.rule: causes
        for finding in record.findings
        if finding.outcome is Outcome.NOT_APPLICABLE
        and (causes := tuple(_list_causes(record.request, conditions.get(finding.rule, ""))))
    }


def _describe_switched_off(record: AuditRecord, policy: Policy) -> Iterator[ListedStatement]:
    off = list_switched_off(record, policy)
    titles = {finding.rule: finding.title for finding in record.findings}
    for causes in dict.fromkeys(off.values()):
        rules = tuple(titles[rule] for rule, found in off.items() if found == causes)
        count = "1 rule does" if len(rules) == 1 else f"{len(rules)} rules do"
        declared = " and ".join(causes)
        yield ListedStatement(
            f"{count} not apply, because the audit file declares {declared}", rules
        )


def _list_causes(request: AuditRequest, condition: str) -> Iterator[str]:
    """Yield what is declared that a condition asks about; tags in either of CEL's quotes."""
    for tag in request.tags:
        if f'"{tag}"' in condition or f"'{tag}'" in condition:
            yield f"{TAGGED}{tag}"
    if request.task == REGRESSION and TASK.search(condition):
        yield BY_REGRESSION
    if request.predictions_only and "predictions_only" in condition:
        yield "predictions only"


def _describe_eased_settings(request: AuditRequest) -> Iterator[ListedStatement]:
    declared = request.declared or {}
    told = [
        f"{LABELS[name]} ({name}): {_shorten(_write_setting(name, declared[name]))}"
        for name in EASING
        if name in declared
    ]
    if told:
        lead = "Settings of the audit file that can make rules easier to pass"
        yield ListedStatement(lead, tuple(told))


def _write_setting(name: str, value: Json) -> str:
    """Write a setting in words, with its default where it has one."""
    if name == "task.costs" and isinstance(value, Mapping):
        return ", ".join(
            f"deciding {decision} where {label} is true costs {format_setting(cost)}"
            for label, row in value.items()
            if isinstance(row, Mapping)
            for decision, cost in row.items()
        )
    usual = f" (default: {format_setting(DEFAULTS[name])})" if name in DEFAULTS else ""
    return f"{format_setting(value)}{usual}"


def _describe_favourable_class(record: AuditRecord) -> Iterator[ListedStatement]:
    rules: dict[str, str] = {}
    named: Mapping[str, Json] = {}
    for finding in record.findings:
        for place in finding.readings:
            reading = record.readings[place]
            if isinstance(reading, Measurement) and FAVOURABLE in reading.details:
                rules[finding.rule] = finding.title
                named = reading.details
    if not rules:
        return
    favourable, positive = named[FAVOURABLE], named.get(POSITIVE)
    lead = f"The favourable class is {quote_name(_shorten(format_scalar(favourable)))}"
    if positive is not None and positive != favourable:
        other = quote_name(_shorten(format_scalar(positive)))
        lead += f", and rates of groups count by it, not by the positive class {other}"
    rest = "1 rule rests" if len(rules) == 1 else f"{len(rules)} rules rest"
    yield ListedStatement(f"{lead}; {rest} on it", tuple(rules.values()))


def _describe_other_class(record: AuditRecord, policy: Policy) -> Iterator[ListedStatement]:
    """Say where a kept impact ratio would break its rule if the other of two classes counted.

    Whoever declares the refused class to be favourable compares shares of refusals.
    """
    limits = {rule.id: rule.limits.least for rule in policy.rules if rule.limits is not None}
    for finding in record.findings:
        least = limits.get(finding.rule)
        for place in finding.readings if finding.outcome in KEPT else ():
            reading = record.readings[place]
            if not isinstance(reading, Measurement) or least is None:
                continue
            ratio = _compute_other_ratio(reading)
            if ratio is None or ratio >= least:
                continue
            column = describe_compared_column(reading)
            yield ListedStatement(
                f"If the other class were the favourable one, the impact ratio{column} would be "
                f"{format_number(round(ratio, 2), Unit.NONE)}, and the rule “{finding.title}” "
                f"requires at least {format_number(least, Unit.NONE)}."
            )


def _compute_other_ratio(reading: Measurement) -> float | None:
    """Return the impact ratio of two classes by the one that is not favourable, where counted."""
    counts = reading.details.get("counts")
    if reading.metric != RATIO or POSITIVE not in reading.details:
        return None
    pairs = [read_fraction(it) for it in counts.values()] if isinstance(counts, Mapping) else []
    rates = [(n - k) / n for k, n in filter(None, pairs) if n]
    return min(rates) / max(rates) if rates and max(rates) > 0 else None


def read_fraction(value: Json) -> tuple[int, int] | None:
    """Return how often and out of how many, as details of readings hold it; else nothing."""
    parts = (value.get("k"), value.get("n")) if isinstance(value, Mapping) else (None, None)
    k, n = (it if isinstance(it, int) else None for it in parts)
    return None if k is None or n is None else (k, n)


def _describe_self_named_signers(record: AuditRecord, policy: Policy) -> Iterator[ListedStatement]:
    for said, titles in list_self_named_signers(record, policy).items():
        rest = "1 rule rests" if len(titles) == 1 else f"{len(titles)} rules rest"
        yield ListedStatement(f"{said}. {rest} on it", titles)


OWN_RANGES = (
    "The audit checks only that the ranges hold the evaluation rows; narrower ranges and fixed "
    "inputs make attacks weaker."
)


def describe_attack_space(record: AuditRecord) -> tuple[str, ...]:
    """Say what attacks could move where a rule on their figures is kept, once for attacks alike."""
    found: dict[str, dict[str, None]] = {}
    for finding in record.findings:
        reading = record.readings[finding.readings[0]] if finding.readings else None
        kept = finding.outcome in KEPT
        if (
            kept
            and isinstance(reading, Measurement)
            and isinstance(reading.details.get("movable"), int)
        ):
            found.setdefault(_describe_moves(reading), {})[reading.check] = None
    said = [f"The attacks of {' and '.join(checks)}{moves}." for moves, checks in found.items()]
    return (*said[:-1], f"{said[-1]} {OWN_RANGES}") if said else ()


def _describe_moves(reading: Measurement) -> str:
    known, eps = reading.details, reading.params.get("eps")
    inputs, radius = known.get("coordinates"), known.get("eps_absolute")
    budget = f" at eps {eps:.3g}" if isinstance(eps, float | int) else ""
    movable = known["movable"]
    moved = format_count(movable) if isinstance(movable, int) else movable
    of = f" of {format_count(inputs)}" if isinstance(inputs, int) else ""
    said = f"{budget} could move {moved}{of} inputs"
    # Of the other norms, eps bounds all inputs together.
    if not isinstance(radius, list | tuple) or reading.params.get("norm", "linf") != "linf":
        return said
    sizes = sorted(it for it in radius if isinstance(it, float | int) and it > 0)
    if not sizes or not isinstance(eps, float | int):
        return said
    least, most = (f"{float(f'{end:.3g}'):,.12g}" for end in (sizes[0], sizes[-1]))
    share = f"{format_percent(eps)} of its declared range"
    if least == most:
        return f"{said}, each by at most {least}, which is {share}"
    return (
        f"{said}, each by at most {share}: by {least} where that range is narrowest, and by {most} "
        "where it is widest"
    )


def _shorten(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
