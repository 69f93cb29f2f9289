"""Terminal output of policies: their tests, explanations and differences."""

from collections.abc import Iterable, Mapping

from rich.console import Console

from auditor.cli.console import OUTCOMES, show_rows
from auditor.domain.findings import KEPT, Outcome
from auditor.domain.number_text import format_counted
from auditor.domain.policies import Rule, SettingChange, StrictnessChange
from auditor.policy.diff import PolicyDifference, RuleDifference
from auditor.policy.explain import RuleExplanation
from auditor.policy.run_policy_tests import PolicyTestResults
from auditor.reports.terminal_text import escape_markup


def show_policy_tests(console: Console, result: PolicyTestResults) -> None:
    """Show every case, what differs in it, and which outcomes each rule was seen with."""
    policy = result.tests.policy
    head = f"{result.tests.source}: {policy.name} {policy.version}, "
    head += format_counted(len(result.cases), "case")
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
        for item in case.differences:
            console.print(
                f"[bold red]differs[/] {escape_markup(case.case.where)}: "
                f"{escape_markup(case.case.name)}: {escape_markup(item.what)}: "
                f"expected {item.expected.replace('_', ' ')}, "
                f"found {item.found.replace('_', ' ')}. {escape_markup(item.message)}",
                highlight=False,
                soft_wrap=True,
            )
    console.print("Outcomes that each rule was seen with:", highlight=False)
    for rule in policy.rules:
        seen = result.coverage[rule.id]
        shown = (
            ", ".join(words for outcome, words in OUTCOMES.items() if outcome in seen) or "nothing"
        )
        absent = list_unseen_outcomes(rule, seen)
        rest = f"; never {', '.join(absent)}" if absent else ""
        console.print(f"  {escape_markup(rule.id)}: {shown}{rest}", highlight=False, soft_wrap=True)


def list_unseen_outcomes(rule: Rule, seen: frozenset[Outcome]) -> tuple[str, ...]:
    """Return the outcomes that a rule can have and that no case shows."""
    wanted = {
        "passed or withstood": KEPT,
        "failed": frozenset({Outcome.FAILED}),
        "undecided": frozenset({Outcome.UNKNOWN}),
        **({"not applicable": frozenset({Outcome.NOT_APPLICABLE})} if rule.when else {}),
    }
    return tuple(name for name, outcomes in wanted.items() if not outcomes & seen)


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
