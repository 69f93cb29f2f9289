"""Writes one page a check into docs/checks, from nothing but what the check declares."""  # noqa: INP001 -- a script

import inspect
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from auditor.checks.registry import discover_checks
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.checks import Check, Metric
from auditor.domain.json import Json, encode_canonical
from auditor.domain.readings import BoundKind
from auditor.policy.check_parameters import get_default_parameters, make_check

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "checks"
EXAMPLE = AuditSize(
    rows=1000,
    classes=2,
    labels={"no": 500, "yes": 500},
    groups={"group": {"a": {"no": 250, "yes": 250}, "b": {"no": 250, "yes": 250}}},
)
BOUNDS = {
    BoundKind.ESTIMATE: "an estimate, with its interval",
    BoundKind.AT_MOST: "the truth is at most this",
    BoundKind.AT_LEAST: "the truth is at least this",
}
BETTER = {True: "higher", False: "lower", None: "neither"}
GENERATED = "<!-- Written by `make docs` from what the check declares; edit the check instead. -->"


def pages(checks: Mapping[str, type[Check]]) -> dict[str, str]:
    """Return the text of every page by its file name, the index among them."""
    written = {f"{name}.md": page(check) for name, check in checks.items()}
    return {**written, "index.md": index(checks)}


def index(checks: Mapping[str, type[Check]]) -> str:
    """List the checks."""
    rows = [
        (f"[`{name}`]({name}.md)", check.title, ", ".join(f"`{metric}`" for metric in check.emits))
        for name, check in checks.items()
    ]
    return _join(["# Checks", GENERATED, _table(("Check", "Title", "Metrics"), rows)])


def page(check: type[Check]) -> str:
    """Describe one check."""
    return _join(
        [
            f"# {check.title}",
            GENERATED,
            f"`{check.id}`, version {check.version}.",
            inspect.getdoc(check) or "",
            "## What it needs",
            _list(sorted(need.value for need in check.needs)),
            *(["It reads the readings of:", _list(check.uses)] if check.uses else []),
            "## What it measures",
            _table(
                ("Metric", "Meaning", "Unit", "What the figure says", "Better"),
                [_metric(name, metric) for name, metric in check.emits.items()],
            ),
            "## Parameters",
            _parameters(check),
            "## What it costs",
            "For 1,000 rows, two classes and two groups, as `auditor plan` counts it:",
            _costs(check),
            "## Controls it gives evidence for",
            _list(f"{control.framework}: {control.ref}" for control in check.controls),
        ]
    )


def _metric(name: str, metric: Metric) -> tuple[str, ...]:
    return (
        f"`{name}`",
        metric.title,
        metric.unit.value,
        "exact, no interval" if metric.exact else BOUNDS[metric.bound],
        BETTER[metric.higher_is_better],
    )


def _parameters(check: type[Check]) -> str:
    selectable = {parameter: coordinate for coordinate, parameter in check.grid.items()}
    by_budget = [_preset(check, budget) for budget in Budget]
    rows = [
        (
            f"`{name}`",
            _value(default),
            *(_value(preset[name]) for preset in by_budget),
            f"`{selectable[name]}`" if name in selectable else "",
        )
        for name, default in get_default_parameters(check).items()
    ]
    head = ("Name", "Default", *(budget.value for budget in Budget), "A rule's `where` joins it as")
    return _table(head, rows) if rows else "None."


def _costs(check: type[Check]) -> str:
    costs = {budget: make_check(check, _preset(check, budget)).cost(EXAMPLE) for budget in Budget}
    rows = [
        (budget.value, f"{cost.queries:,}", f"{cost.passes:,}", f"{cost.seconds:g}")
        for budget, cost in costs.items()
    ]
    head = ("Budget", "Rows scored on the target", "Rows through the twin", "Seconds besides")
    return _table(head, rows)


def _preset(check: type[Check], budget: Budget) -> dict[str, Json]:
    return {**get_default_parameters(check), **check.presets.get(budget, {})}


def _value(value: Json) -> str:
    return f"`{encode_canonical(value).decode()}`"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines
    )


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items) or "Nothing."


def _join(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def main() -> None:
    """Write every page, and remove the page of a check that is gone."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    written = pages(discover_checks())
    for stale in {path.name for path in FOLDER.glob("*.md")} - set(written):
        (FOLDER / stale).unlink()
    for name, text in written.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    sys.stdout.write(f"{len(written)} pages in {FOLDER}\n")


if __name__ == "__main__":
    main()
