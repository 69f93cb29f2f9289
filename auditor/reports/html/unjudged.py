"""What a verdict leaves aside: rules that decided nothing, and bad figures that no rule judges.

A figure looks bad where it breaks the limit that a rule that applied sets for the same metric of
another check in its family, at the same or a larger eps, or that a rule that was switched off sets
for itself. It looks bad as well where it is of a confirmed slice with twice the mistakes, is a
large difference between groups that no rule judges for that column, says that many more of the
judged rows repeat each other or the training data than would by chance, or that the target decides
rows otherwise in another run.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import TypeGuard

from auditor.domain.confusable_names import quote_unclear_name
from auditor.domain.datasets import DatasetRole
from auditor.domain.findings import Finding, Outcome, Verdict
from auditor.domain.name_suggestions import format_name_list
from auditor.domain.number_text import format_coordinates, format_measurement
from auditor.domain.policies import MetricLimits, Rule, RuleEffect
from auditor.domain.readings import Gap, Measurement
from auditor.metrics.performance.slice_panels import OFF
from auditor.policy.evaluate.limits import LimitComparison, build_figure_range, compare_with_limits
from auditor.reports.declarations import (
    BY_REGRESSION,
    REGRESSION,
    ListedStatement,
    list_switched_off,
)
from auditor.reports.html.findings import find_unmet_term, sort_worst_first
from auditor.reports.html.judged_data import COLUMN, list_judged_differences
from auditor.reports.html.unmeasured_gaps import list_unmeasured_gaps
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.wording import (
    EFFECTS,
    OUTCOMES,
    check_title,
    describe_bound,
    describe_compared_column,
    explain_bound,
    format_limits,
    list_limit_values,
)

MOST_NAMED = 3
UNJUDGED = "Measured, but no rule judges it"
UNMEASURED = "Large differences between groups that no rule or figure compares"
FAIRNESS = "fairness"
DATA, HARDWARE = "data", "hardware"
FAMILIES = (FAIRNESS, "privacy", "poisoning", "evasion", HARDWARE, DATA)
"""Families in which figures without a rule are named, the first check of each in this order."""
DOUBLE = 2.0
LARGE_GAP = MetricLimits(most=0.1)
LEAST_RATIO = MetricLimits(least=0.8)
"""Beyond these a difference between groups is large: the second is the four-fifths rule."""
MANY_REPEATS = 0.1
"""Of the judged rows: copies of rows on which a model is right raise its figures and narrow their
intervals, and rows that it was trained on say little of others."""
REPEATS = frozenset(
    f"{check}/{share}"
    for check in ("data.duplicates", "data.leakage")
    for share in ("exact_share", "near_share")
)
UNSTEADY = "hardware.determinism/label_disagreement"
MANY_UNSTEADY = 0.01
EPS = "eps"
BUDGETS = (EPS, "words")
OPEN = (Outcome.FAILED, Outcome.UNKNOWN)


def describe_left_aside(inputs: ReportInputs) -> tuple[ListedStatement, ...]:
    """Name rules that did not pass and stand nowhere beside the verdict, then unjudged figures.

    Last come large differences between groups of which there is no figure.
    """
    gaps = list_unmeasured_gaps(inputs)
    more = (ListedStatement.of_some(UNMEASURED, gaps, MOST_NAMED),) if gaps else ()
    return (*_list_open_rules(inputs), *describe_unjudged(inputs), *more)


def describe_unjudged(inputs: ReportInputs) -> tuple[ListedStatement, ...]:
    """Name bad figures that no rule judges, in one statement where there are some."""
    figures = [text for _, text in list_unjudged_figures(inputs)]
    return (ListedStatement.of_some(UNJUDGED, figures, MOST_NAMED),) if figures else ()


def _list_open_rules(inputs: ReportInputs) -> Iterator[ListedStatement]:
    verdict = inputs.record.verdict
    alike: dict[tuple[RuleEffect, Outcome], dict[str, None]] = {}
    for finding in sort_worst_first(inputs.record.findings):
        required = finding.effect is RuleEffect.DENY
        beside = finding.outcome is Outcome.FAILED or verdict is not Verdict.FAIL
        if finding.outcome in OPEN and not (required and beside):
            said = alike.setdefault((finding.effect, finding.outcome), {})
            said[f"{finding.title}: {_explain(inputs, finding)}"] = None
    for (effect, outcome), named in alike.items():
        lead = f"{EFFECTS[effect]}, {OUTCOMES[outcome].lower()}"
        yield ListedStatement.of_some(lead, tuple(named), MOST_NAMED)


def _explain(inputs: ReportInputs, finding: Finding) -> str:
    """Say the figure that decided nothing, or why there is none."""
    reading = inputs.record.readings[finding.readings[0]] if finding.readings else None
    if isinstance(reading, Gap):
        return reading.detail.rstrip(".") or reading.reason.value.replace("_", " ")
    if reading is None:
        return find_unmet_term(finding) or "no figure"
    rule = inputs.rule(finding.rule)
    words = format_measurement(reading, list_limit_values(None if rule is None else rule.limits))
    interval = f" ({words.interval})" if words.interval else ""
    doubt = ", doubted" if reading.doubted else ""
    column = describe_compared_column(reading)
    return f"{describe_bound(reading)}{words.value}{interval}{column}{doubt}"


def list_unjudged_figures(inputs: ReportInputs) -> tuple[tuple[str, str], ...]:
    """Return the worst figure without a rule of each check where it looks bad, with its check.

    Other columns of groups whose differences look bad are named with it.
    """
    applied = [it for it in inputs.record.findings if it.outcome is not Outcome.NOT_APPLICABLE]
    asked = {item.measure for item in applied}
    ruled = {(item.rule, item.target) for item in applied}
    off = list_switched_off(inputs.record, inputs.policy)
    rules = [it for it in inputs.policy.rules if BY_REGRESSION not in off.get(it.id, ())]
    judged = list_judged_differences(inputs)
    worst: dict[str, dict[str, tuple[float, str]]] = {}
    for reading in inputs.record.readings:
        if not isinstance(reading, Measurement) or reading.doubted:
            continue
        found = None
        if f"{reading.check}/{reading.metric}" not in asked:
            held = [it for it in rules if _compares(it, reading, ruled)]
            found = (
                _weigh(inputs, reading, asked, held)
                or _weigh_repeats(inputs, reading)
                or _weigh_unsteady(inputs, reading)
            )
        column = str(reading.params.get(COLUMN, ""))
        if found is None and reading.metric not in judged.get(column, ()):
            found = _weigh_gap(inputs, reading, judged)
        columns = worst.setdefault(reading.check, {})
        if found is not None and found[0] > columns.get(column, (0.0, ""))[0]:
            columns[column] = found
    told = {
        check: _name_worst(columns) for check, columns in worst.items() if any(columns.values())
    }
    # One of each family first: three remarks on one family would hide the others
    by_family = ([check for check in told if _family(check) == family] for family in FAMILIES)
    order = [check for rank in zip_longest(*by_family) for check in rank if check]
    return tuple((check, f"{told[check]} ({check_title(inputs, check)})") for check in order)


def _name_worst(columns: Mapping[str, tuple[float, str]]) -> str:
    """Return the worst figure in words, with the other columns of groups where one looks bad."""
    ordered = sorted(columns, key=lambda name: -columns[name][0])
    others = format_name_list([quote_unclear_name(it) for it in ordered[1:] if it], MOST_NAMED)
    return f"{columns[ordered[0]][1]}{f'; also large by {others}' if others else ''}"


def _is_number(value: object) -> TypeGuard[float]:
    """Whether a value is a number: read from canonical JSON, 3.0 is an integer."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _weigh(
    inputs: ReportInputs, reading: Measurement, asked: set[str], rules: Sequence[Rule]
) -> tuple[float, str] | None:
    """Say how bad a figure looks beside rules that compare, and how; nothing where it does not."""
    lift = reading.details.get("lift")
    if reading.slice and reading.details.get("confirmed") is True and _is_number(lift):
        if lift < DOUBLE or f"{reading.check}/worst_slice_error" in asked:
            return None
        words = format_measurement(reading)
        place = format_coordinates({}, reading.slice)
        wrong = f"{words.value} of the {_mistakes(inputs)} ({words.interval})"
        return lift, f"{place}: {wrong}, {lift:.1f} times the share of all other rows"
    span = build_figure_range(reading)
    for rule in rules:
        limits = rule.limits
        if span is None or limits is None:
            continue
        if compare_with_limits(span, limits) is LimitComparison.BREAKS:
            eps = reading.params.get(EPS)
            words = format_measurement(reading, list_limit_values(limits))
            less = 1.0 / eps if _is_number(eps) and eps > 0 else 1.0
            said = explain_bound(inputs, reading, words.value)
            limit = format_limits(limits, reading.unit)
            which = "that does not apply" if _is_same(rule, reading) else "on another check"
            return less, f"{said}, and a rule {which} requires {limit}"
    return None


def _mistakes(inputs: ReportInputs) -> str:
    if inputs.record.request.task == REGRESSION:
        return OFF
    return "decisions are wrong"


def _weigh_gap(
    inputs: ReportInputs, reading: Measurement, judged: Mapping[str, frozenset[str]]
) -> tuple[float, str] | None:
    """Say how large a difference between groups is, where the whole interval is large."""
    span = build_figure_range(reading)
    gap, ratio = (reading.metric.endswith(it) for it in ("_gap", "_ratio"))
    if _family(reading.check) != FAIRNESS or span is None or not (gap or ratio):
        return None
    limits = LARGE_GAP if gap else LEAST_RATIO
    if compare_with_limits(span, limits) is not LimitComparison.BREAKS:
        return None
    words = format_measurement(reading, list_limit_values(limits))
    interval = f" ({words.interval})" if words.interval else ""
    said = explain_bound(inputs, reading, f"{words.value}{interval}")
    size = abs(reading.value) if _is_number(reading.value) else 0.0
    if reading.params.get(COLUMN) in judged:
        silent = "judges this figure"
    else:
        silent = "compares these groups" if judged else "compares groups"
    return (size if gap else 1.0 - size), f"{said}, and no rule {silent}"


def _weigh_repeats(inputs: ReportInputs, reading: Measurement) -> tuple[float, str] | None:
    """Say how many of the rows that were judged repeat others, where that is no chance."""
    judged = reading.params.get(DATA, DatasetRole.EVALUATION.value) == DatasetRole.EVALUATION.value
    if f"{reading.check}/{reading.metric}" not in REPEATS or not judged:
        return None
    chance = reading.details.get("by_chance")
    if not _is_number(reading.value):
        return None
    more = reading.value - (chance if _is_number(chance) else 0.0)
    if more < MANY_REPEATS:
        return None
    return more, explain_bound(inputs, reading, format_measurement(reading).value)


def _weigh_unsteady(inputs: ReportInputs, reading: Measurement) -> tuple[float, str] | None:
    """Say how many decisions depend on threads, batches or load, where it is more than a few."""
    if f"{reading.check}/{reading.metric}" != UNSTEADY or not _is_number(reading.value):
        return None
    if reading.value < MANY_UNSTEADY:
        return None
    return reading.value, explain_bound(inputs, reading, format_measurement(reading).value)


def _is_same(rule: Rule, reading: Measurement) -> bool:
    """Whether a rule is about the very measure of a figure."""
    return rule.measure == f"{reading.check}/{reading.metric}"


def _compares(rule: Rule, reading: Measurement, ruled: set[tuple[str, str]]) -> bool:
    """Whether a rule's limit says how good a figure ought to be at its eps or number of words.

    Of another check it does only at a budget that both name.
    """
    same = _is_same(rule, reading)
    if not same and (rule.id, reading.target) not in ruled:
        return False
    if rule.metric != reading.metric or _family(rule.check) != _family(reading.check):
        return False
    limits = [(rule.where.get(name), reading.params.get(name)) for name in BUDGETS]
    given = [it for it in limits if it != (None, None)]
    if given:
        return all(_is_number(most) and _is_number(had) and had <= most for most, had in given)
    return same


def _family(check: str) -> str:
    return check.partition(".")[0]
