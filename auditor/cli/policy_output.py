"""Terminal output of policies: audit plans, policy tests, explanations and differences."""

from collections.abc import Iterable, Mapping

from rich.console import Console

from auditor.cli.console import OUTCOMES, show_gap_groups, show_rows
from auditor.cli.main import adapt_install_hints
from auditor.cli.terminal_text import escape_markup, make_printable
from auditor.domain.budgets import Budget
from auditor.domain.findings import Outcome
from auditor.domain.policies import Rule, SettingChange, StrictnessChange
from auditor.policy.diff import PolicyDifference, RuleDifference
from auditor.policy.explain import RuleExplanation
from auditor.policy.plan import AuditPlan, CheckPlan, InputTier, RuleProspect
from auditor.policy.testing import CaseResult, PolicyTestResults
from auditor.workflows.engine.time_allowance import SMOKE_SECONDS
from auditor.workflows.prepare import PreparedAudit

PROSPECTS = {
    RuleProspect.CERTAIN: "decided for certain",
    RuleProspect.LIKELY: "likely to decide",
    RuleProspect.OPEN: "may stay unknown",
    RuleProspect.NEVER: "cannot pass",
    RuleProspect.UNANSWERABLE: "no answer possible",
    RuleProspect.UNFORESEEN: "cannot be foreseen",
    RuleProspect.NOT_APPLICABLE: "not applicable",
}


def show_plan(console: Console, prepared: PreparedAudit, plans: Mapping[str, AuditPlan]) -> None:
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
            text = make_printable(adapt_install_hints(f"{tier.input}: {tier.why}"))
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


def _tier(tier: InputTier) -> tuple[str, ...]:
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


KEPT = frozenset({Outcome.PASSED, Outcome.WITHSTOOD})


def show_policy_tests(console: Console, result: PolicyTestResults) -> None:
    """Show every case, what differs in it, and which outcomes each rule was seen with."""
    policy = result.tests.policy
    head = f"{result.tests.source}: {policy.name} {policy.version}, {len(result.cases)} cases"
    console.print(escape_markup(head), highlight=False, soft_wrap=True)
    show_rows(
        console,
        ("case", "result"),
        [
            (case.case.name, "differs" if case.differences else "as expected")
            for case in result.cases
        ],
    )
    for case in result.cases:
        _differences(console, case)
    console.print("Outcomes that each rule was seen with:", highlight=False)
    for rule in policy.rules:
        _coverage(console, rule, result.coverage[rule.id])


def list_unseen_outcomes(rule: Rule, seen: frozenset[Outcome]) -> tuple[str, ...]:
    """Return the outcomes that a rule can have and that no case shows."""
    wanted = {
        "passed or withstood": KEPT,
        "failed": frozenset({Outcome.FAILED}),
        "unknown": frozenset({Outcome.UNKNOWN}),
        **({"not applicable": frozenset({Outcome.NOT_APPLICABLE})} if rule.when else {}),
    }
    return tuple(name for name, outcomes in wanted.items() if not outcomes & seen)


def _differences(console: Console, result: CaseResult) -> None:
    for item in result.differences:
        console.print(
            f"[bold red]differs[/] {escape_markup(result.case.where)}: "
            f"{escape_markup(result.case.name)}: {escape_markup(item.what)}: "
            f"expected {item.expected.replace('_', ' ')}, "
            f"found {item.found.replace('_', ' ')}. {escape_markup(item.message)}",
            highlight=False,
            soft_wrap=True,
        )


def _coverage(console: Console, rule: Rule, seen: frozenset[Outcome]) -> None:
    shown = ", ".join(words for outcome, words in OUTCOMES.items() if outcome in seen) or "nothing"
    absent = list_unseen_outcomes(rule, seen)
    rest = f"; never {', '.join(absent)}" if absent else ""
    console.print(f"  {escape_markup(rule.id)}: {shown}{rest}", highlight=False, soft_wrap=True)


WAYS: Mapping[StrictnessChange, str] = {
    StrictnessChange.LOOSENED: "[bold red]loosened[/]",
    StrictnessChange.TIGHTENED: "[green]tightened[/]",
    StrictnessChange.CHANGED: "[dim]changed[/]",
}


def show_explanation(console: Console, told: Iterable[RuleExplanation]) -> None:
    """Show headings, and under each what there is to say, by topic."""
    for place, item in enumerate(told):
        if place:
            _line(console, "")
        _line(console, f"[bold]{escape_markup(item.heading)}[/]")
        for topic, text in item.said:
            _line(console, f"  [cyan]{topic}[/] {escape_markup(text)}")


def show_difference(console: Console, found: PolicyDifference) -> None:
    """Show in what two policies differ, the audit itself first, then rule by rule."""
    old, new = found.old.shape.metadata, found.new.shape.metadata
    names = f"{old.name} {old.version} → {new.name} {new.version}"
    if found.same:
        _line(console, f"{escape_markup(names)}: the same policy")
        return
    verdict = "asks less somewhere, or something else" if found.loosened else "asks nothing less"
    _line(console, f"[bold]{escape_markup(names)}[/]: {verdict}")
    for change in (*found.audit, *found.params):
        _change(console, change, "")
    _rules(console, "[green]added[/]", found.added)
    _rules(console, "[bold red]removed[/]", found.removed)
    for item in found.changed:
        for change in item.changes:
            _change(console, change, f"{item.rule}: ")


def _rules(console: Console, word: str, rules: Iterable[RuleDifference]) -> None:
    for item in rules:
        _line(console, f"{word} {escape_markup(item.rule)}: {escape_markup(item.title)}")


def _change(console: Console, change: SettingChange, rule: str) -> None:
    why = f" ({change.by}: {change.reason})" if change.reason else ""
    _line(
        console,
        f"{WAYS[change.way]} {escape_markup(rule)}{escape_markup(str(change))}{escape_markup(why)}",
    )


def _line(console: Console, text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)
