"""What the command shows of policy tests: the cases, what differs, and what was never seen."""

from rich.console import Console

from auditor.cli.showing import OUTCOMES, show_rows
from auditor.cli.texts import plain
from auditor.domain.policies import Rule
from auditor.domain.verdicts import Outcome
from auditor.packs.cases.running import CaseResult, CasesResult

KEPT = frozenset({Outcome.PASSED, Outcome.WITHSTOOD})


def show_tests(console: Console, result: CasesResult) -> None:
    """Show every case, what differs in it, and which outcomes each rule was seen with."""
    policy = result.tests.policy
    head = f"{result.tests.source}: {policy.name} {policy.version}, {len(result.cases)} cases"
    console.print(plain(head), highlight=False, soft_wrap=True)
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


def never_seen(rule: Rule, seen: frozenset[Outcome]) -> tuple[str, ...]:
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
            f"[bold red]differs[/] {plain(result.case.where)}: {plain(result.case.name)}: "
            f"{plain(item.what)}: expected {item.expected.replace('_', ' ')}, "
            f"found {item.found.replace('_', ' ')}. {plain(item.message)}",
            highlight=False,
            soft_wrap=True,
        )


def _coverage(console: Console, rule: Rule, seen: frozenset[Outcome]) -> None:
    shown = ", ".join(words for outcome, words in OUTCOMES.items() if outcome in seen) or "nothing"
    absent = never_seen(rule, seen)
    rest = f"; never {', '.join(absent)}" if absent else ""
    console.print(f"  {plain(rule.id)}: {shown}{rest}", highlight=False, soft_wrap=True)
