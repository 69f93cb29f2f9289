"""Report section on the costs of attacks: which were needed, and the log of each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditor.domain.number_text import (
    format_change_size,
    format_count,
    format_scalar,
)
from auditor.domain.readings import Measurement
from auditor.domain.report_panels import first_coordinate
from auditor.reports.figures.panel import FigureLog
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.wording import check_title

MOST_LOGGED = 240
MOST_STAGES = 12
COST_HEADER = (
    "Check",
    "Attack",
    "Budget (eps)",
    "Rows standing",
    "Broken",
    "Queries",
    "Gradients",
    "Phantoms",
    "Refused",
)


@dataclass(frozen=True, slots=True)
class AttackCostEntry:
    """One attack at one budget, as its check wrote it down."""

    check: str
    bill: Mapping[str, Any]

    def number(self, name: str) -> str:
        """Return one count in words; empty where the check did not keep it."""
        value = self.bill.get(name)
        return format_count(value) if isinstance(value, int) else ""


def describe_attack_costs(
    norm: str, attacked: Sequence[Measurement], medians: Sequence[Measurement]
) -> str:
    """Say which attack was cheapest, which ones a policy needs, and what all of them spent."""
    found = (_cheapest(norm, medians), *_needed(medians), _spent(attacked))
    return " ".join(text for text in found if text)


def _cheapest(norm: str, medians: Sequence[Measurement]) -> str:
    paid = [
        told
        for m in medians
        if isinstance(told := m.details.get("cheapest"), Mapping)
        if isinstance(told.get("queries_and_passes_a_row"), int | float)
    ]
    if not paid:
        return ""
    best: Mapping[str, Any] = min(paid, key=lambda told: told["queries_and_passes_a_row"])
    price, broken, eps = best["queries_and_passes_a_row"], best["broken"], best["eps"]
    rows = "row" if broken == 1 else "rows"
    return (
        f"The cheapest attack that worked: {best['attack']}, {price:.3g} queries and gradients a "
        f"broken row at a budget of {format_change_size(norm, eps)} ({format_count(broken)} {rows} "
        "broken)."
    )


def _needed(medians: Sequence[Measurement]) -> Iterator[str]:
    """Say which of several stages broke rows that none before them had, check by check."""
    for m in medians:
        stages, needed = m.details.get("stages"), m.details.get("needed")
        if not isinstance(stages, Sequence) or not isinstance(needed, Sequence) or not needed:
            continue
        if len(stages) > 1:
            names = "; ".join(str(stage) for stage in needed[:MOST_STAGES])
            more = f"; and {len(needed) - MOST_STAGES} more" if len(needed) > MOST_STAGES else ""
            yield (
                f"A policy needs no more than these stages on this model, of {len(stages)}: "
                f"{names}{more}."
            )


def _spent(attacked: Sequence[Measurement]) -> str:
    """Add up what all budgets cost."""
    names = ("queries", "passes", "phantoms", "refused")
    total = {name: sum(_count(m, name) for m in attacked) for name in names}
    if not total["queries"] and not total["passes"]:
        return ""
    said = [f"{total['queries']:,} queries"]
    if total["passes"]:
        said.append(f"{total['passes']:,} gradients")
    if total["passes"] or total["phantoms"]:
        said.append(f"{total['phantoms']:,} phantoms")
    if total["refused"]:
        said.append(f"{total['refused']:,} points refused because they lay outside the budget")
    return f"Spent in all: {', '.join(said)}."


def _count(m: Measurement, name: str) -> int:
    value = m.details.get(name)
    return value if isinstance(value, int) else 0


def build_attack_log(inputs: ReportInputs, measured: Sequence[Measurement]) -> Iterator[FigureLog]:
    """Yield the log of all attacks on one target, check by check."""
    entries = list(_entries(measured))
    if not entries:
        return
    shown = entries[:MOST_LOGGED]
    yield FigureLog(
        title=f"Log of the attacks ({format_count(len(entries))} entries)",
        header=COST_HEADER,
        rows=tuple(_row(inputs, entry) for entry in shown),
        hidden=len(entries) - len(shown),
    )


def _entries(measured: Sequence[Measurement]) -> Iterator[AttackCostEntry]:
    for m in measured:
        if m.metric != "robust_accuracy" or m.slice or first_coordinate(m, "eps") is None:
            continue
        listed = m.details.get("log")
        if isinstance(listed, Sequence) and not isinstance(listed, str):
            yield from (
                AttackCostEntry(m.check, bill) for bill in listed if isinstance(bill, Mapping)
            )


def _row(inputs: ReportInputs, entry: AttackCostEntry) -> tuple[str, ...]:
    names = ("live", "broken", "queries", "passes", "phantoms", "refused")
    return (
        check_title(inputs, entry.check),
        str(entry.bill.get("attack", "")),
        format_scalar(entry.bill.get("eps")),
        *(entry.number(name) for name in names),
    )
