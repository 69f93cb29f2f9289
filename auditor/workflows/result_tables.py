"""Tables of findings, readings, plans and changes, for programs, terminals and notebooks."""

import html
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from io import StringIO
from typing import Any, Generic, TypeVar, overload

import polars as pl
from rich import box
from rich.console import Console
from rich.table import Table

from auditor.domain.findings import Finding, format_coordinate
from auditor.domain.name_suggestions import format_name_list
from auditor.domain.number_text import (
    format_count,
    format_counted,
    format_duration,
    format_measurement,
)
from auditor.domain.readings import BoundKind, Gap, Reading, Scalar, Value
from auditor.domain.verification_steps import VerificationStep
from auditor.policy.plan import AuditPlan, CheckPlan, RulePlan, RuleProspect
from auditor.policy.record_comparison_result import FindingChange, MetricChange
from auditor.reports.terminal_text import escape_markup
from auditor.reports.wording import OUTCOMES, escape_invisible

T = TypeVar("T")
MOST_ROWS = 40
"""Rows that are shown; a table for programs has all of them."""
TERMINAL = (120, 24)
"""The size of a terminal that nobody knows."""
WIDTHS = 80, 160
NARROW = 20
FIGURE_WIDTH = 12
GUTTER = 3
TEXTS = dict.fromkeys(("target", "check", "metric", "params", "slice"), pl.String)
PROSPECTS: Mapping[RuleProspect, str] = {
    RuleProspect.CERTAIN: "decided for certain",
    RuleProspect.LIKELY: "likely to decide",
    RuleProspect.OPEN: "may stay undecided",
    RuleProspect.NEVER: "cannot pass",
    RuleProspect.UNANSWERABLE: "no answer possible",
    RuleProspect.UNFORESEEN: "cannot be foreseen",
    RuleProspect.NOT_APPLICABLE: "not applicable",
}
STYLE = (
    "<style>table.auditor-results :is(th,td){text-align:left;vertical-align:top;"
    "white-space:normal;padding:.25em .75em}table.auditor-results td.whole{white-space:nowrap}"
    "</style>"
)


@dataclass(frozen=True, slots=True)
class TableLayout(Generic[T]):
    """The columns of a table: ``row`` gives one item's values, ``brief`` its texts at a glance.

    ``columns`` are those of ``row`` with their types. Texts that are empty for all items are not
    shown, nor is the target where there is only one.
    """

    columns: Mapping[str, Any]
    row: Callable[[T], Mapping[str, Any]]
    brief: Callable[[T], Mapping[str, str]]


class ResultTable(Sequence[T], Generic[T]):
    """Results in the order of the record: a sequence of them, and a table for polars or pandas."""

    def __init__(self, items: Sequence[T], layout: TableLayout[T]) -> None:
        self._items, self._layout = tuple(items), layout

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> "ResultTable[T]": ...
    def __getitem__(self, place: int | slice) -> "T | ResultTable[T]":
        """Return one item, or a table of several."""
        if isinstance(place, slice):
            return ResultTable(self._items[place], self._layout)
        return self._items[place]

    def __len__(self) -> int:
        """Count the items."""
        return len(self._items)

    def to_polars(self) -> pl.DataFrame:
        """Return a polars table with one row an item."""
        rows = [self._layout.row(item) for item in self._items]
        return pl.DataFrame(rows, schema=dict(self._layout.columns), orient="row")

    def to_pandas(self) -> Any:  # noqa: ANN401 -- pandas is the user's own
        """Return a pandas table with one row an item; pandas must be installed."""
        columns = self.to_polars().to_dict(as_series=False)
        return import_module("pandas").DataFrame(columns)

    def __repr__(self) -> str:
        """Show what matters of the table, as wide as the terminal."""
        heads, rows, rest = self._select_texts()
        width = min(max(shutil.get_terminal_size(TERMINAL).columns, WIDTHS[0]), WIDTHS[1])
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        longest = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
        kept = [it if it <= NARROW else NARROW // 2 for it in longest]
        # A figure is never cut off: where the terminal is too narrow, names are folded too.
        most = NARROW if sum(kept) + GUTTER * len(kept) <= width else FIGURE_WIDTH
        for head, length in zip(heads, longest, strict=True):
            table.add_column(head, overflow="fold", no_wrap=length <= most, min_width=len(head))
        for row in rows:
            table.add_row(*map(escape_markup, row))
        shown = StringIO()
        console = Console(
            file=shown, width=width, color_system=None, force_jupyter=False, force_terminal=False
        )
        console.print(table)
        lines = [line.rstrip() for line in shown.getvalue().splitlines()]
        return "\n".join([*lines, rest] if rest else lines)

    def _repr_html_(self) -> str:
        heads, rows, rest = self._select_texts()
        head = "".join(f"<th>{html.escape(it)}</th>" for it in heads)
        body = "".join(f"<tr>{''.join(map(_write_cell, row))}</tr>" for row in rows)
        note = f"<p>{html.escape(rest)}</p>" if rest else ""
        parts = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
        return f'{STYLE}<table class="auditor-results">{parts}</table>{note}'

    def _select_texts(self) -> tuple[list[str], list[list[str]], str]:
        """Return heads, rows of texts, and a sentence on the rows that are not shown."""
        briefs = [self._layout.brief(item) for item in self._items]
        heads = [
            name
            for name in (briefs[0] if briefs else {})
            if any(item[name] for item in briefs)
            and (name != "target" or len({item[name] for item in briefs}) > 1)
        ]
        rows = [[item[name] for name in heads] for item in briefs[:MOST_ROWS]]
        left = len(briefs) - len(rows)
        return heads, rows, f"… and {left} more; .to_polars() has all." if left else ""


def _write_cell(text: str) -> str:
    whole = ' class="whole"' if len(text) <= NARROW else ""
    return f"<td{whole}>{html.escape(escape_invisible(text))}</td>"


def write_coordinates(*places: Mapping[str, Scalar]) -> str:
    """Write params or slices, such as ``eps=0.1, norm=linf``."""
    return ", ".join(
        f"{key}={format_coordinate(place[key])}" for place in places for key in sorted(place)
    )


def _read_number(value: Value) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _dump(place: Mapping[str, Scalar]) -> str | None:
    return json.dumps(dict(place), sort_keys=True) if place else None


def _describe_finding(finding: Finding) -> Mapping[str, Any]:
    return {
        "rule": finding.name,
        "target": finding.target,
        "outcome": finding.outcome.value,
        "effect": finding.effect.value,
        "message": finding.message,
        "title": finding.title,
        "severity": finding.severity.value,
        "remediation": finding.remediation or None,
    }


def _summarize_finding(finding: Finding) -> Mapping[str, str]:
    return {
        "rule": finding.name,
        "target": finding.target,
        "outcome": OUTCOMES[finding.outcome].lower(),
        "effect": finding.effect.value,
        "message": finding.message,
    }


FINDINGS: TableLayout[Finding] = TableLayout(
    dict.fromkeys(
        ("rule", "target", "outcome", "effect", "message", "title", "severity", "remediation"),
        pl.String,
    ),
    _describe_finding,
    _summarize_finding,
)


def _describe_reading(reading: Reading) -> Mapping[str, Any]:
    told: dict[str, Any] = {
        "target": reading.target,
        "check": reading.check,
        "metric": reading.metric,
        "params": _dump(reading.params),
    }
    if isinstance(reading, Gap):
        return told | {"gap": reading.reason.value, "detail": reading.detail, "cure": reading.cure}
    number = _read_number(reading.value)
    return told | {
        "slice": _dump(reading.slice),
        "value": number,
        "text": None if number is not None or reading.value is None else str(reading.value),
        "low": reading.low,
        "high": reading.high,
        "confidence": reading.confidence,
        "n": reading.n,
        "unit": reading.unit.value,
        "bound": reading.bound.value,
        "method": reading.method,
        "doubted": reading.doubted,
    }


def _summarize_reading(reading: Reading) -> Mapping[str, str]:
    told = {"target": reading.target, "check": reading.check, "metric": reading.metric or ""}
    if isinstance(reading, Gap):
        where, rest = write_coordinates(reading.params), ("gap", "", "", reading.reason.value)
    else:
        where, words = write_coordinates(reading.params, reading.slice), format_measurement(reading)
        rest = (
            f"{BOUNDS[reading.bound]}{words.value}",
            words.interval,
            format_count(reading.n) if reading.n else "",
            "doubted" if reading.doubted else "",
        )
    return {**told, "where": where, **dict(zip(FIGURE, rest, strict=True))}


BOUNDS = {BoundKind.ESTIMATE: "", BoundKind.AT_MOST: "≤ ", BoundKind.AT_LEAST: "≥ "}
FIGURE = ("value", "interval", "n", "note")
READINGS: TableLayout[Reading] = TableLayout(
    {
        **TEXTS,
        **dict.fromkeys(("value", "low", "high", "confidence"), pl.Float64),
        "n": pl.Int64,
        **dict.fromkeys(("unit", "bound", "method", "text"), pl.String),
        "doubted": pl.Boolean,
        **dict.fromkeys(("gap", "detail", "cure"), pl.String),
    },
    _describe_reading,
    _summarize_reading,
)


def _describe_step(step: VerificationStep) -> Mapping[str, str]:
    return {"result": step.result.value, "step": step.name, "detail": step.detail}


STEPS = TableLayout(
    dict.fromkeys(("result", "step", "detail"), pl.String), _describe_step, _describe_step
)


def _describe_check(check: CheckPlan) -> Mapping[str, Any]:
    gap = check.missing
    return {
        "check": check.check,
        "queries": check.queries if gap is None else None,
        "passes": check.passes if gap is None else None,
        "seconds": check.seconds if gap is None else None,
        "price": check.price if gap is None else None,
        "gap": None if gap is None else gap.reason.value,
        "detail": "; ".join(check.notes) if gap is None else gap.detail,
        "cure": None if gap is None else gap.cure,
    }


def _summarize_check(check: CheckPlan) -> Mapping[str, str]:
    gap = check.missing
    return {
        "check": check.check,
        "queries": f"{check.queries:,}" if gap is None else "",
        "passes": f"{check.passes:,}" if gap is None and check.passes else "",
        "time": format_duration(check.seconds) if gap is None else "gap",
        "note": "; ".join(check.notes) if gap is None else gap.reason.value,
    }


MOST_STEPS, MOST_RULES = 2, 3


def describe_more_time(plan: AuditPlan) -> str:
    """Say in a line which rules more time would decide."""
    told = [
        f"{it.minutes} more minutes would decide {format_name_list(it.rules, MOST_RULES)}"
        for it in plan.more_time[:MOST_STEPS]
    ]
    known = f" Earlier audits timed {format_counted(plan.timed_before, 'check')}."
    said = "; ".join(told) or "More time would decide no other rule"
    return f"{said}.{known if plan.timed_before else ''}"


CHECK_PLANS: TableLayout[CheckPlan] = TableLayout(
    {
        "check": pl.String,
        **dict.fromkeys(("queries", "passes"), pl.Int64),
        **dict.fromkeys(("seconds", "price"), pl.Float64),
        **dict.fromkeys(("gap", "detail", "cure"), pl.String),
    },
    _describe_check,
    _summarize_check,
)


def _summarize_rule(rule: RulePlan) -> Mapping[str, str]:
    return {
        "rule": rule.rule,
        "effect": rule.effect.value,
        "with these rows": PROSPECTS[rule.foreseen.prospect],
        "why": rule.foreseen.message,
    }


RULE_PLANS: TableLayout[RulePlan] = TableLayout(
    {
        **dict.fromkeys(("rule", "title", "measure", "effect", "prospect", "message"), pl.String),
        **dict.fromkeys(("half_width", "chance"), pl.Float64),
        "rows": pl.Int64,
    },
    RulePlan.to_json,
    _summarize_rule,
)


def _describe_change(change: MetricChange) -> Mapping[str, Any]:
    after, found = change.after, change.change
    return {
        **{name: getattr(after, name) for name in ("target", "check", "metric")},
        "params": _dump(after.params),
        "slice": _dump(after.slice),
        "before": _read_number(change.before.value),
        "after": _read_number(after.value),
        "change": None if found is None else found.value,
        "low": None if found is None else found.low,
        "high": None if found is None else found.high,
        "moved": change.way.value,
        "basis": change.basis.value,
    }


def _summarize_change(change: MetricChange) -> Mapping[str, str]:
    after = change.after
    return {
        "target": after.target,
        "check": after.check,
        "metric": after.metric,
        "where": write_coordinates(after.params, after.slice),
        "before": format_measurement(change.before).value,
        "after": format_measurement(after).value,
        "moved": change.way.value,
        "basis": change.basis.value.replace("_", " "),
    }


CHANGES: TableLayout[MetricChange] = TableLayout(
    {
        **TEXTS,
        **dict.fromkeys(("before", "after", "change", "low", "high"), pl.Float64),
        **dict.fromkeys(("moved", "basis"), pl.String),
    },
    _describe_change,
    _summarize_change,
)


def _describe_finding_change(change: FindingChange) -> Mapping[str, Any]:
    return {
        "rule": change.rule,
        "target": change.target,
        "effect": change.effect.value,
        "before": None if change.before is None else change.before.value,
        "after": None if change.after is None else change.after.value,
        "changed": change.changed,
    }


def _summarize_finding_change(change: FindingChange) -> Mapping[str, str]:
    before, after = (
        "not asked" if it is None else OUTCOMES[it].lower() for it in (change.before, change.after)
    )
    return {
        "rule": change.rule,
        "target": change.target,
        "effect": change.effect.value,
        "before": before,
        "after": after,
        "changed": "yes" if change.changed else "",
    }


FINDING_CHANGES: TableLayout[FindingChange] = TableLayout(
    {
        **dict.fromkeys(("rule", "target", "effect", "before", "after"), pl.String),
        "changed": pl.Boolean,
    },
    _describe_finding_change,
    _summarize_finding_change,
)
