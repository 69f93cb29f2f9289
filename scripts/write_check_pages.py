"""Writes one page a check into docs/checks, from nothing but what the check declares."""  # noqa: INP001 -- a script

import inspect
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from auditor.checks.registry import discover_checks
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.checks import Check, Metric
from auditor.domain.json import Json, encode_canonical
from auditor.domain.readings import BoundKind, Unit
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
    BoundKind.AT_MOST: "the true value is at most this",
    BoundKind.AT_LEAST: "the true value is at least this",
}
INTRODUCTION = (
    "To use a check, name it in a rule of [your policy](../policy.md). Its page shows you the "
    "requirements, metrics, parameters and cost.\n\n"
    "The pages use a few terms. A **row** is one input of your data. The **target** is your "
    "model as you deploy it. Its **twin** is a differentiable copy, "
    "which gives attacks their gradients; success counts on the target alone. A **bound** means "
    "that a better method may find more. A **doubted** figure passes a rule only if its worst "
    "case does. A **Gap** is a measurement that is missing, with the reason."
)
COST = (
    "`auditor plan` counts this for 1,000 rows, two classes and two groups. Run it on your audit "
    "file to see your own cost."
)
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
    return _join(["# Checks", GENERATED, INTRODUCTION, _table(("Check", "Title", "Metrics"), rows)])


def page(check: type[Check]) -> str:
    """Describe one check."""
    return _join(
        [
            f"# {check.title}",
            GENERATED,
            f"`{check.id}`, version {check.version}.",
            inspect.getdoc(check) or "",
            "## Requirements",
            _requirements(check),
            *(["It uses the results of:", _list(check.uses)] if check.uses else []),
            "## Metrics",
            _table(
                ("Metric", "Meaning", "Unit", "Figure", "Better"),
                [_metric(name, metric) for name, metric in check.emits.items()],
            ),
            "## Parameters",
            _parameters(check),
            "## Cost",
            COST,
            _costs(check),
            "## Controls",
            "Your results are evidence for these controls:",
            _list(f"{control.framework}: {control.ref}" for control in check.controls),
        ]
    )


def _requirements(check: type[Check]) -> str:
    if not check.needs:
        return "No fixed requirement. Figures that lack their data are Gaps with the reason."
    needs = _list(sorted(need.value for need in check.needs))
    return f"If your audit lacks one of these, the check reports a Gap with the reason:\n\n{needs}"


def _metric(name: str, metric: Metric) -> tuple[str, ...]:
    return (
        f"`{name}`",
        metric.title,
        "" if metric.unit is Unit.NONE else metric.unit.value,
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
    head = ("Name", "Default", *(budget.value for budget in Budget), "Key in your rule's `where`")
    return _table(head, rows) if rows else "This check has no parameters."


def _costs(check: type[Check]) -> str:
    costs = {budget: make_check(check, _preset(check, budget)).cost(EXAMPLE) for budget in Budget}
    rows = [
        (budget.value, f"{cost.queries:,}", f"{cost.passes:,}", f"{cost.seconds:g}")
        for budget, cost in costs.items()
    ]
    head = ("Budget", "Rows scored on the target", "Rows through the twin", "Other seconds")
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
    return "\n".join(f"- {item}" for item in items)


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
