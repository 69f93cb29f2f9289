"""The data that a record rests on: evaluation rows, who chose them, and groups of people in them.

What a record knows of columns are the names of inputs in its evidence, and the groups compared.
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from auditor.domain.column_names import is_protected_name
from auditor.domain.confusable_names import quote_name, quote_unclear_name
from auditor.domain.datasets import DatasetRole
from auditor.domain.findings import Outcome
from auditor.domain.json import Json
from auditor.domain.name_suggestions import format_name_list
from auditor.domain.number_text import format_number, format_scalar
from auditor.domain.readings import Measurement, Unit
from auditor.domain.records import AuditRecord
from auditor.domain.tasks import Floats
from auditor.policy.evaluate.readings_index import ReadingIndex
from auditor.reports.declarations import TAGGED, list_switched_off, read_fraction
from auditor.reports.html.run_details import RunFact, shorten_digest
from auditor.reports.rendering_inputs import ReportInputs

Codes = NDArray[np.int64]
FAIRNESS = "fairness."
DECISIONS, ERRORS = "quality.accuracy", "quality.errors"
ACCURACY = f"{DECISIONS}/accuracy"
MOSTLY = 0.9
"""One number that is within the tolerance this often makes it say little of a model."""
FAR_ROWS = 0.05
"""Share of the rows whose labels are farthest from the median."""
NEARLY_ALWAYS = 0.98
"""A class that gets this share of decisions leaves little to the others."""
MANY_RIGHT = 100
"""Rows on which no real model is always right by chance."""
COLUMN, SELECTED, WITHIN = "group_column", "selection_rate_gap", "within_tolerance_gap"
GROUPS, NO_GROUPS = "Groups compared", "none"
UNRULED = "Groups compared, but judged by no rule"
INCLUDED: Mapping[str, frozenset[str]] = MappingProxyType(
    {"equalised_odds_gap": frozenset({"tpr_gap", "fpr_gap"})}
)
"""Figures that are within a limit wherever another is."""
BY_AUTHOR = ", by columns that the author chose; the audit cannot check that they describe people"
UNCOMPARED = "Columns that look like groups, not compared"
UNCOMPARED_BUT_KEPT = (
    "Rules about groups passed, and columns that look like groups were not compared"
)
CONSTANT = "One value in every evaluation row"
OTHER_VALUES = "; the audit does not show what the model decides at other values"
ONE_VALUED = "data.balance/constant_columns"
MOST_GROUPS, MOST_COLUMNS = 8, 6


def build_data_facts(inputs: ReportInputs) -> tuple[RunFact, ...]:
    """Return facts about the rows, the groups compared, and columns that may have been groups."""
    columns = list_uncompared_columns(inputs)
    names = _list_names(columns, MOST_COLUMNS)
    judged = list_judged_differences(inputs)
    silent = [column for column in list_compared_groups(inputs.record) if column not in judged]
    constant = list_constant_columns(inputs.record)
    told = {
        GROUPS: describe_groups(inputs.record),
        UNRULED: _list_names(silent, MOST_COLUMNS) if silent else "",
        UNCOMPARED: names if columns else "",
        CONSTANT: f"{_list_names(constant, MOST_COLUMNS)}{OTHER_VALUES}" if constant else "",
    }
    facts = (RunFact(name, text, wide=True) for name, text in told.items() if text)
    return (*_describe_rows(inputs), *facts)


def _describe_rows(inputs: ReportInputs) -> Iterator[RunFact]:
    """Say how many evaluation rows there were and who chose them."""
    request, pins = inputs.record.request, inputs.policy.pins
    role = DatasetRole.EVALUATION.value
    for data in (item for item in request.datasets if item.role == role):
        if request.attempt is not None and role in request.attempt.held:
            who = f"held by the auditor ({', '.join(request.attempt.sets)})"
        elif data.digest in pins.evaluation:
            who = "pinned by the policy"
        elif pins.evaluation or pins.sets:
            who = "chosen by the author of the audit file; the policy pins other rows"
        else:
            who = "chosen by the author of the audit file; the policy does not pin them"
        rows = "1 row" if data.rows == 1 else f"{data.rows:,} rows"
        if request.labels is not None:
            rows = f"{rows}, labels in {quote_name(request.labels)}"
        yield RunFact(
            "Evaluation data", f"{rows}, {who}", digest=shorten_digest(data.digest), wide=True
        )


def describe_constant_decisions(inputs: ReportInputs) -> tuple[str, ...]:
    """Say where decisions are all right or nearly all alike, or right no more than one answer.

    Of a regression, where one number would be within the tolerance nearly as often.
    """
    found: dict[str, None] = {}
    for reading in inputs.record.readings:
        if not isinstance(reading, Measurement) or _name_measure(reading) != ACCURACY:
            continue
        always, least = reading.details.get("majority_accuracy"), reading.low
        if not isinstance(always, int | float) or least is None:
            continue
        if reading.value == 1 and (reading.n or 0) >= MANY_RIGHT:
            column = inputs.record.request.labels
            named = f" ({quote_name(column)})" if column else ""
            found[
                f"Every decision is right: make sure that the labels{named} were not made by "
                "the model."
            ] = None
        decided = _find_commonest_decision(inputs, reading.target)
        often = decided is not None and decided[1] >= NEARLY_ALWAYS
        if decided is not None and often:
            share = format_number(decided[1], Unit.SHARE)
            found[f"The model decides {quote_name(decided[0])} for {share} of the rows."] = None
        if often or least <= always:
            share = format_number(always, Unit.SHARE)
            label = quote_name(str(reading.details.get("majority_class")))
            found[f"Always deciding {label} would be right for {share} of the rows."] = None
    found.update(dict.fromkeys(_describe_simple_predictions(inputs)))
    return (" ".join(found),) if found else ()


def _describe_simple_predictions(inputs: ReportInputs) -> Iterator[str]:
    """Say of a regression where one number, or a few far rows, make its figures look good."""
    for truth, said, limit in _list_predictions(inputs):
        always = float(np.median(truth))
        near, kept = (float((np.abs(truth - it) <= limit).mean()) for it in (always, said))
        if near >= min(kept, MOSTLY):
            one = format_scalar(float(f"{always:.3g}"))
            share = format_number(round(near, 3), Unit.SHARE)
            yield f"Always predicting {one} would be within the tolerance for {share} of the rows."
        distance = np.abs(truth - always)
        inner = distance <= np.quantile(distance, 1 - FAR_ROWS)
        if _explain_variance(truth, said) > 0 >= _explain_variance(truth[inner], said[inner]):
            yield (
                f"Without the {format_number(FAR_ROWS, Unit.SHARE)} of the rows with the most "
                "unusual labels, the model explains none of the variance."
            )


def _list_predictions(inputs: ReportInputs) -> Iterator[tuple[Floats, Floats, float]]:
    """Yield the truth and the prediction ``[n]`` of each row, and the tolerance, from evidence."""
    for seen in inputs.record.observations:
        if seen.check != ERRORS:
            continue
        truth, said = inputs.evidence(seen, "truth"), inputs.evidence(seen, "predicted")
        task = inputs.evidence(seen, "task")
        limit = task.get("tolerance") if isinstance(task, Mapping) else None
        if not isinstance(truth, np.ndarray) or not isinstance(said, np.ndarray) or not truth.size:
            continue
        if isinstance(limit, int | float):
            yield truth.astype(np.float64), said.astype(np.float64), float(limit)


def _explain_variance(truth: Floats, said: Floats) -> float:
    """Return R²; 1 where all rows have the same truth, which says nothing of a model."""
    spread = float(((truth - truth.mean()) ** 2).sum())
    return 1 - float(((truth - said) ** 2).sum()) / spread if spread else 1.0


def _name_measure(reading: Measurement) -> str:
    return f"{reading.check}/{reading.metric}"


def find_decisions(inputs: ReportInputs, target: str) -> tuple[Codes, tuple[str, ...]] | None:
    """Return the decision ``[n]`` of each row on a target and the classes, from the evidence."""
    for seen in inputs.record.observations:
        if (seen.check, seen.target) != (DECISIONS, target):
            continue
        decided, task = inputs.evidence(seen, "decided"), inputs.evidence(seen, "task")
        classes = task.get("classes") if isinstance(task, Mapping) else None
        if isinstance(decided, np.ndarray) and decided.size and isinstance(classes, list):
            return decided.astype(np.int64), tuple(map(str, classes))
    return None


def _find_commonest_decision(inputs: ReportInputs, target: str) -> tuple[str, float] | None:
    """Return the class that the model decides most often and its share."""
    if (found := find_decisions(inputs, target)) is None:
        return None
    decided, classes = found
    counts = np.bincount(decided, minlength=len(classes))
    most = int(counts.argmax())
    return classes[most], float(counts[most] / decided.size)


def list_compared_groups(record: AuditRecord) -> Mapping[str, tuple[str, ...]]:
    """Return the columns by which people were compared, each with the groups that had figures."""
    found: dict[str, dict[str, None]] = {}
    for reading in record.readings:
        if not isinstance(reading, Measurement) or not reading.check.startswith(FAIRNESS):
            continue
        if COLUMN in reading.params:
            groups = found.setdefault(str(reading.params[COLUMN]), {})
            counts = reading.details.get("counts")
            groups.update(dict.fromkeys(counts if isinstance(counts, Mapping) else ()))
    return {column: tuple(groups) for column, groups in found.items()}


def list_left_out_groups(record: AuditRecord) -> Mapping[str, Mapping[str, str]]:
    """Return the groups of each compared column that no comparison has, and what is known of them.

    They are too small by the policy's ``least_share``, or rows without a group.
    """
    found: dict[str, dict[str, str]] = {}
    for reading in record.readings:
        if not isinstance(reading, Measurement) or not reading.check.startswith(FAIRNESS):
            continue
        groups = found.setdefault(str(reading.params.get(COLUMN)), {})
        counts, left = reading.details.get("counts"), reading.details.get("left_out")
        if isinstance(left, Mapping):
            for name, count in left.items():
                if name not in groups or reading.metric == SELECTED:
                    groups[name] = _describe_left_out(count, counts, reading.metric)
        elif isinstance(left, Sequence) and not isinstance(left, str):
            groups.update((str(name), "") for name in left if name not in groups)
    return {column: groups for column, groups in found.items() if groups}


def _describe_left_out(count: Json, counts: Json, metric: str) -> str:
    """Say how many rows a group has, and by the rate of selection how it stands to the others."""
    told = read_fraction(count)
    if told is None or metric != SELECTED:
        return ""
    said = f"{told[1]:,} rows"
    others = [read_fraction(it) for it in counts.values()] if isinstance(counts, Mapping) else []
    rates = [k / n for k, n in filter(None, others) if n]
    if not told[1] or not rates:
        return said
    own, *ends = (
        format_number(round(it, 2), Unit.SHARE)
        for it in (told[0] / told[1], min(rates), max(rates))
    )
    span = ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"
    return f"{said}, of which {own} have the favourable decision; of compared groups {span}"


def list_judged_differences(inputs: ReportInputs) -> Mapping[str, frozenset[str]]:
    """Return the columns of groups of which rules judge figures, with the metrics that they judge.

    A rule on one column says nothing of another, and one on a true positive rate nothing of who is
    selected.
    """
    applied = (it for it in inputs.record.findings if it.outcome is not Outcome.NOT_APPLICABLE)
    rules = {rule.id: rule for rule in inputs.policy.rules if rule.check.startswith(FAIRNESS)}
    index = ReadingIndex.of(inputs.record.readings, rules.values())
    found: dict[str, frozenset[str]] = {}
    for finding in applied:
        if finding.rule not in rules:
            continue
        for _, reading in index.matching(rules[finding.rule], finding.target):
            column = str(reading.params.get(COLUMN, ""))
            judged = frozenset({reading.metric}) | INCLUDED.get(reading.metric, frozenset())
            found[column] = found.get(column, frozenset()) | judged
    return found


def list_constant_columns(record: AuditRecord) -> tuple[str, ...]:
    """Return the columns that have the same value in every evaluation row, where they were counted.

    A model may decide otherwise at values that no row has, and no figure of these rows shows it.
    """
    for reading in record.readings:
        if not isinstance(reading, Measurement) or _name_measure(reading) != ONE_VALUED:
            continue
        columns = reading.details.get("columns")
        if reading.params.get("data") == DatasetRole.EVALUATION and isinstance(columns, list):
            return tuple(map(str, columns))
    return ()


def describe_groups(record: AuditRecord) -> str:
    """Name the columns by which people were compared, the groups, and those that were left out."""
    compared, left = list_compared_groups(record), list_left_out_groups(record)
    shares = _compute_group_shares(record)
    named = (
        _name_groups(it, groups, tuple(left.get(it, ())), shares.get(it, {}))
        for it, groups in compared.items()
    )
    return "; ".join(named) or NO_GROUPS


def _compute_group_shares(record: AuditRecord) -> Mapping[str, Mapping[str, float]]:
    """Return what share of the rows each group has, by the rate that is counted among all rows."""
    found: dict[str, Mapping[str, float]] = {}
    for reading in record.readings:
        if not isinstance(reading, Measurement) or reading.metric not in (SELECTED, WITHIN):
            continue
        told = [reading.details.get(it) for it in ("counts", "left_out")]
        counted = {
            name: parts[1]
            for item in told
            for name, value in (item.items() if isinstance(item, Mapping) else ())
            if (parts := read_fraction(value)) is not None
        }
        rows = sum(counted.values())
        shares = {name: n / rows for name, n in counted.items()} if rows else {}
        found[str(reading.params.get(COLUMN))] = shares
    return found


def _name_groups(
    column: str, groups: tuple[str, ...], left: tuple[str, ...], shares: Mapping[str, float]
) -> str:
    first = next(iter(groups), "")

    def tell(name: str) -> str:
        """Name a group, with its share: one of few rows may be there to look complete."""
        share = f" {_write_share(shares[name])}" if name in shares else ""
        return (
            f"{quote_unclear_name(name)}{share}{' of the rows' if share and name == first else ''}"
        )

    shown = ", ".join(map(tell, groups))
    shown = shown if len(groups) <= MOST_GROUPS else f"{len(groups)} groups"
    out = f"not compared: {format_name_list(list(map(tell, left)), MOST_GROUPS)}" if left else ""
    said = "; ".join(filter(None, (shown if groups else "", out)))
    name = quote_unclear_name(column)
    return f"{name} ({said})" if said else name


def _write_share(share: float) -> str:
    whole = round(share, 2)
    return format_number(whole, Unit.SHARE) if whole else f"under {format_number(0.01, Unit.SHARE)}"


def _list_names(names: Sequence[str], most: int) -> str:
    return format_name_list([quote_unclear_name(name) for name in names], most)


def list_uncompared_columns(inputs: ReportInputs) -> tuple[str, ...]:
    """Return inputs with names of people's attributes by which no groups were compared."""
    compared = list_compared_groups(inputs.record)
    named = dict.fromkeys(_list_inputs(inputs))
    return tuple(name for name in named if is_protected_name(name) and name not in compared)


def describe_contradiction(inputs: ReportInputs) -> str:
    """Say where the data names people although a tag switches off rules about groups of them."""
    off = list_switched_off(inputs.record, inputs.policy)
    asked = {item.rule for item in inputs.record.findings if item.measure.startswith(FAIRNESS)}
    tagged = any(cause.startswith(TAGGED) for rule in asked & off.keys() for cause in off[rule])
    unused = list_uncompared_columns(inputs)
    names = [*list_compared_groups(inputs.record), *unused]
    if not tagged or not names:
        return ""
    shown = ", ".join(map(quote_unclear_name, names[:MOST_COLUMNS]))
    if len(unused) == len(names):
        return f"The file has columns {shown}; they were not compared. This contradicts the tag."
    return f"This contradicts the data, which has groups or attributes of people: {shown}."


def _list_inputs(inputs: ReportInputs) -> Iterator[str]:
    """Yield columns that the request, settings and evidence name; a record has no list of them."""
    yield from inputs.record.request.uncompared
    declared = inputs.record.request.declared or {}
    for setting in ("input.immutable", "input.directions"):
        names = declared.get(setting)
        if not isinstance(names, str | int | float | None):
            yield from map(str, names)
    for seen in inputs.record.observations:
        features = inputs.evidence(seen, "features")
        if isinstance(features, list):
            yield from map(str, features)
