"""Terminal output of an audit plan: one screen of what matters, or every check, rule and input."""

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from auditor.cli.console import print_plain, show_gap_groups, show_notice, show_rows
from auditor.cli.main import adapt_install_hints
from auditor.domain.datasets import DatasetRole
from auditor.domain.name_suggestions import format_name_list
from auditor.domain.number_text import format_counted, format_duration
from auditor.domain.readings import Gap
from auditor.policy.plan import AuditPlan, CheckPlan, InputTier, RulePlan, RuleProspect
from auditor.reports.html.coverage import describe_fill
from auditor.reports.terminal_text import escape_markup
from auditor.workflows.prepare import PreparedAudit
from auditor.workflows.result_tables import PROSPECTS, describe_more_time

SIGNED = "provenance.signature/verified"
MOST_EXPENSIVE = 5
MOST_UNDECIDED = 3
MOST_MISSING = 3
COLUMNS_A_NAME = 10
NO_ANSWER = "No reading can answer it: "


def show_plan(
    console: Console,
    prepared: PreparedAudit,
    plans: Mapping[str, AuditPlan],
    *,
    everything: bool = False,
) -> None:
    """Show the plan of each target: a summary, and with ``everything`` all that it rests on."""
    for place, (target, plan) in enumerate(plans.items()):
        if place:
            print_plain(console, "")
        _show_headline(console, prepared, target, plan)
        if everything:
            _show_everything(console, prepared, plan)
        else:
            _show_rules(console, prepared, plan)
            # Where no pace is known, the most queries stand for the longest.
            running = sorted(
                (item for item in plan.checks if item.missing is None),
                key=lambda item: (item.seconds or 0.0, item.queries),
                reverse=True,
            )
            of = format_counted(len(running), "check")
            console.print(f"[bold]Most expensive of {of}[/]", highlight=False)
            _show_grid(
                console,
                ("left", "right", "right"),
                [
                    (it.check, format_duration(it.seconds), format_counted(it.queries, "query"))
                    for it in running[:MOST_EXPENSIVE]
                ],
            )
            _show_missing(console, plan)
    if not everything:
        print_plain(console, "With --all, the plan lists every check, rule and input.")


def _show_headline(console: Console, prepared: PreparedAudit, target: str, plan: AuditPlan) -> None:
    took = plan.duration[:1].upper() + plan.duration[1:]
    price = "" if plan.price is None else f", price {plan.price:.4f}"
    print_plain(
        console,
        f"Can be decided: {len(plan.decidable)} of {format_counted(len(plan.applicable), 'rule')}. "
        f"{took}, at most {format_counted(plan.queries, 'query')}{price}.",
    )
    model, policy = prepared.file.model, prepared.policy
    budget = prepared.request.budget
    print_plain(
        console,
        f"{model.name} on {target}: policy {policy.name} {policy.version}, "
        f"budget {budget.value}, {format_counted(prepared.size.rows, 'row')}",
    )
    space, rows = prepared.materials.space, prepared.materials.datasets.get(DatasetRole.EVALUATION)
    if not isinstance(space, Gap) and rows is not None and rows.inputs is not None:
        show_notice(console, describe_fill(space.measure_fill(rows.inputs)))
    if not budget.covers(policy.least_budget):
        show_notice(
            console,
            f"The verdict cannot be a pass: policy {policy.name} requires at least the budget "
            f"{policy.least_budget.value}.",
        )
    lacking = {item.check for item in plan.checks if item.missing is not None}
    if prepared.materials.signature.bundle is None and any(
        it.measure == SIGNED and it.check not in lacking for it in plan.applicable
    ):
        show_notice(console, "The model is not signed; a rule requires it (`auditor sign`).")
    if plan.shortened or plan.left_out:
        limit = format_duration(prepared.request.seconds)
        fewer, none = (format_counted(it, "check") for it in (plan.shortened, plan.left_out))
        print_plain(
            console, f"Within {limit} (--max-minutes): fewer rows for {fewer}; {none} left out."
        )
    print_plain(console, describe_more_time(plan))


def _show_rules(console: Console, prepared: PreparedAudit, plan: AuditPlan) -> None:
    """Name the rules that the rows decide, and say of the others what they lack."""
    decided = [item.rule for item in plan.decidable]
    if decided:
        _show_names(console, "Can be decided", decided)
    others = [item for item in plan.applicable if item not in plan.decidable]
    near = [it for it in others if it.foreseen.prospect is RuleProspect.OPEN and it.foreseen.rows]
    told = [(it.rule, _count_rows(it, prepared.size.rows)) for it in near]
    _show_some_rules(console, "Decided only where the figure is far from its limit", told)
    told = [(it.rule, _explain_undecided(it, plan)) for it in others if it not in near]
    _show_some_rules(console, "Not expected to be decided", told)
    away = [item.rule for item in plan.rules if item not in plan.applicable]
    if away:
        _show_names(console, "Do not apply", away)


def _show_some_rules(console: Console, title: str, told: Sequence[tuple[str, str]]) -> None:
    """Show the first rules with what is told of each, and how many more there are."""
    if not told:
        return
    console.print(f"[bold]{title} ({len(told)})[/]", highlight=False)
    _show_grid(console, ("left", "left"), told[:MOST_UNDECIDED])
    _show_rest(console, len(told) - MOST_UNDECIDED, "more rule")


def _count_rows(item: RulePlan, rows: int) -> str:
    """Say how many rows decide a rule whose figure lies half-way between perfect and the limit."""
    return f"there are {rows:,} rows; half-way to the limit takes {item.foreseen.rows:,}"


def _explain_undecided(item: RulePlan, plan: AuditPlan) -> str:
    """Say in one line what a rule lacks."""
    foreseen = item.foreseen
    words = PROSPECTS[foreseen.prospect]
    if foreseen.rows is not None:
        return f"{words}: a perfect figure needs about {foreseen.rows:,} rows"
    gap = next((it.missing for it in plan.checks if it.check == item.check and it.missing), None)
    if gap is not None:
        return f"{words}: {gap.reason.value.replace('_', ' ')}"
    if foreseen.prospect is RuleProspect.OPEN:
        return words
    why = foreseen.message.removeprefix(NO_ANSWER).removeprefix("Cannot pass: ")
    return f"{words}: {why}"


def _show_missing(console: Console, plan: AuditPlan) -> None:
    """Show what an owner can add, what unlocks most first, each with its cure."""
    missing = plan.missing_inputs
    if not missing:
        return
    console.print("[bold]Missing; what unlocks most comes first[/]", highlight=False)
    for item in missing[:MOST_MISSING]:
        waiting = {"rule": item.rules, "check": item.checks}
        unlocks = "; ".join(
            f"{what}{'s' * (len(names) > 1)} {format_name_list(names, 2)}"
            for what, names in waiting.items()
            if names
        )
        cure = adapt_install_hints(item.gap.cure)
        console.print(
            f"  [yellow]{item.gap.reason.value.replace('_', ' ')}[/] "
            f"{escape_markup(f'({unlocks}): {cure}')}",
            highlight=False,
        )
    _show_rest(console, len(missing) - MOST_MISSING, "more input")


def _show_rest(console: Console, count: int, what: str) -> None:
    if count > 0:
        console.print(f"  [dim]and {format_counted(count, what)}[/]", highlight=False)


def _show_names(console: Console, title: str, names: Sequence[str]) -> None:
    """List names, as many as take two or three lines, and how many more there are."""
    listed = format_name_list(names, console.width // COLUMNS_A_NAME)
    console.print(f"[bold]{title} ({len(names)})[/]: {escape_markup(listed)}", highlight=False)


def _show_grid(console: Console, sides: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table without lines; what does not fit goes on in the next line."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for side in sides:
        table.add_column(justify=side, overflow="fold")  # type: ignore[arg-type]  # rich's own literal
    for name, *cells in rows:
        table.add_row(*map(escape_markup, (f"  {name}", *cells)))
    console.print(table)


def _show_everything(console: Console, prepared: PreparedAudit, plan: AuditPlan) -> None:
    for column, groups in prepared.size.groups.items():
        counts = ", ".join(f"{name} {sum(rows.values())}" for name, rows in groups.items())
        print_plain(console, f"rows by {column}: {counts}")
    heads = ("check", "queries", "passes", "time", "missing or set aside")
    show_rows(console, heads, map(_check, plan.checks))
    lacks = ((it.missing, it.missing.detail, it.check) for it in plan.checks if it.missing)
    show_gap_groups(console, lacks)
    show_rows(
        console,
        ("rule", "with these rows", "why"),
        [
            (
                item.rule,
                PROSPECTS[item.foreseen.prospect],
                adapt_install_hints(item.foreseen.message),
            )
            for item in plan.rules
        ],
    )
    if plan.tiers:
        console.print("What each input unlocks of privacy and poisoning:", highlight=False)
        show_rows(console, ("input", "here", "answers", "more"), map(_tier, plan.tiers))
    for tier in plan.tiers:
        if tier.why:
            print_plain(console, adapt_install_hints(f"{tier.input}: {tier.why}"))


def _check(check: CheckPlan) -> tuple[str, ...]:
    if check.missing is not None:
        return (check.check, "-", "-", "-", check.missing.reason.value)
    return (
        check.check,
        f"{check.queries:,}",
        f"{check.passes:,}",
        format_duration(check.seconds),
        "; ".join(check.notes),
    )


def _tier(tier: InputTier) -> tuple[str, ...]:
    more = [f"it would add {', '.join(tier.adds)}"] if tier.adds else []
    deepens = "deepens" if tier.here else "it would deepen"
    more += [f"{deepens} {', '.join(tier.deepens)}"] if tier.deepens else []
    more += [f"{check} needs {', '.join(others)} too" for check, others in tier.waits.items()]
    answers = ", ".join(tier.answers) or "-"
    return (tier.input, "yes" if tier.here else "no", answers, "; ".join(more) or "-")
