"""Show a plan: what each check costs, and what each rule can come to."""

from collections.abc import Mapping

from rich.console import Console

from auditor.cli.installing import as_installed
from auditor.cli.showing import show_lacks, show_rows
from auditor.cli.texts import printable
from auditor.domain.budgets import Budget
from auditor.engines.affording import SMOKE_SECONDS
from auditor.planning.plans import AuditPlan, CheckPlan, Prospect
from auditor.planning.tiers import Tier
from auditor.preparing import Prepared

PROSPECTS = {
    Prospect.CERTAIN: "decided for certain",
    Prospect.LIKELY: "likely to decide",
    Prospect.OPEN: "may stay unknown",
    Prospect.NEVER: "cannot pass",
    Prospect.UNANSWERABLE: "no answer possible",
    Prospect.UNFORESEEN: "cannot be foreseen",
    Prospect.NOT_APPLICABLE: "not applicable",
}


def show_plan(console: Console, prepared: Prepared, plans: Mapping[str, AuditPlan]) -> None:
    """Show the plans of all targets."""
    budget, policy = prepared.request.budget.value, prepared.policy
    for target, plan in plans.items():
        console.print(
            f"{prepared.file.model.name} on {target}, budget {budget}, "
            f"policy {policy.name} {policy.version}, {prepared.size.rows} rows",
            highlight=False,
            markup=False,
        )
        for column, groups in prepared.size.groups.items():
            counts = ", ".join(f"{name} {sum(rows.values())}" for name, rows in groups.items())
            console.print(f"rows by {column}: {counts}", highlight=False, markup=False)
        heads = ("check", "queries", "passes", "time", "missing or set aside")
        show_rows(console, heads, map(_check, plan.checks))
        lacks = ((it.missing, it.missing.detail, it.check) for it in plan.checks if it.missing)
        show_lacks(console, lacks)
        show_rows(
            console,
            ("rule", "with these rows", "why"),
            [
                (item.rule, PROSPECTS[item.foreseen.prospect], as_installed(item.foreseen.message))
                for item in plan.rules
            ],
        )
        _show_tiers(console, plan)
        price = "not priced" if plan.price is None else f"{plan.price:.4f}"
        console.print(
            f"At most {plan.queries:,} queries, about {_time(plan.seconds)}, money: {price}",
            highlight=False,
        )
        if prepared.request.budget is Budget.SMOKE:
            bound = f"smoke stops at {_time(SMOKE_SECONDS)} of target time; the cheapest go first"
            console.print(bound, highlight=False)


def _show_tiers(console: Console, plan: AuditPlan) -> None:
    if plan.tiers:
        console.print("What each input unlocks of privacy and poisoning:", highlight=False)
        show_rows(console, ("input", "here", "answers", "more"), map(_tier, plan.tiers))
    for tier in plan.tiers:
        if tier.why:
            text = printable(as_installed(f"{tier.input}: {tier.why}"))
            console.print(text, highlight=False, markup=False, soft_wrap=True)


def _check(check: CheckPlan) -> tuple[str, ...]:
    if check.missing is not None:
        return (check.check, "-", "-", "-", check.missing.reason.value)
    return (
        check.check,
        f"{check.queries:,}",
        f"{check.passes:,}",
        _time(check.seconds),
        "; ".join(check.notes),
    )


def _tier(tier: Tier) -> tuple[str, ...]:
    more = [f"it would add {', '.join(tier.adds)}"] if tier.adds else []
    deepens = "deepens" if tier.here else "it would deepen"
    more += [f"{deepens} {', '.join(tier.deepens)}"] if tier.deepens else []
    more += [f"{check} needs {', '.join(others)} too" for check, others in tier.waits.items()]
    answers = ", ".join(tier.answers) or "-"
    return (tier.input, "yes" if tier.here else "no", answers, "; ".join(more) or "-")


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.1f} min"  # noqa: PLR2004 -- a minute
