"""What the command shows: tables of findings, of steps, and of whatever is listed."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from auditor.cli.installing import as_installed
from auditor.cli.texts import plain, printable
from auditor.domain.checks import Check
from auditor.domain.findings import Finding
from auditor.domain.policies import Effect, Mode, Policy
from auditor.domain.readings import Gap, Reason
from auditor.domain.records import AuditRecord
from auditor.domain.steps import Step, StepResult
from auditor.domain.trust import Binding
from auditor.domain.verdicts import Outcome, Verdict
from auditor.judging.words import answer_asked
from auditor.rendering.askings import asked_gaps, left_out
from auditor.rendering.attempts import attempt_words
from auditor.rendering.easings import easing_words
from auditor.rendering.numbers import figure
from auditor.rendering.phrases import bound_words, limit_values, limits_text
from auditor.rendering.scopes import scope_sentences
from auditor.rendering.suspicions import suspicions
from auditor.rendering.verdicts import because
from auditor.signing.ledger_keys import LEDGER_PRIVATE

OUTCOMES = {
    Outcome.FAILED: "[bold red]failed[/]",
    Outcome.UNKNOWN: "[yellow]unknown[/]",
    Outcome.WITHSTOOD: "[cyan]withstood[/]",
    Outcome.PASSED: "[green]passed[/]",
    Outcome.WAIVED: "[magenta]waived[/]",
    Outcome.NOT_APPLICABLE: "[dim]not applicable[/]",
}
VERDICTS = {
    Verdict.PASS: "[bold green]PASS[/]",
    Verdict.FAIL: "[bold red]FAIL[/]",
    Verdict.INCONCLUSIVE: "[bold yellow]INCONCLUSIVE[/]",
}
STEPS = {
    StepResult.HOLDS: "[green]holds[/]",
    StepResult.FAILED: "[bold red]failed[/]",
    StepResult.NOT_PRESENT: "[dim]not present[/]",
    StepResult.NOT_CHECKED: "[yellow]not checked[/]",
    StepResult.WITHHELD: "[bold yellow]withheld[/]",
}
LEFT_OUT = "not run: left out by --only"
WORST_FIRST = list(OUTCOMES)


def show_record(
    console: Console, record: AuditRecord, policy: Policy, checks: Mapping[str, type[Check]]
) -> None:
    """Show the table of findings, the worst first, and the verdict."""
    console.print(_table(console, record, policy, checks))
    asked, others = asked_gaps(record)
    show_gaps(console, asked)
    _count(console, len(others))
    for text in suspicions(record):
        console.print(f"[yellow]suspicious[/] {plain(text)}", highlight=False, soft_wrap=True)
    enforced = policy.mode is Mode.ENFORCE
    console.print(
        f"Verdict: {VERDICTS[record.verdict]} under {plain(policy.name)} {plain(policy.version)},"
        f" budget {record.request.budget.value}"
        + ("" if enforced else f"; the policy's mode is {policy.mode}: nothing is enforced"),
        highlight=False,
    )
    for text in scope_sentences(record):
        console.print(f"[yellow]endpoint[/] {plain(text)}", highlight=False, soft_wrap=True)
    console.print(because(record), highlight=False, markup=False)
    if eased := easing_words(record.request):
        console.print(f"[yellow]declared[/] {plain(eased)}", highlight=False, soft_wrap=True)
    if said := attempt_words(record.request):
        console.print(f"Attempt: {plain(said)}", highlight=False, soft_wrap=True)


def _table(
    console: Console, record: AuditRecord, policy: Policy, checks: Mapping[str, type[Check]]
) -> Table:
    several = len(record.request.targets) > 1
    table = Table(
        title=plain(f"{record.request.name} {record.request.version}"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    rules = [finding.name for finding in record.findings]
    heads = ("rule", *(["target"] if several else []), "outcome", "found", "asked")
    _add_columns(console, table, heads, rules)
    for finding in sorted(record.findings, key=lambda item: WORST_FIRST.index(item.outcome)):
        effect = "" if finding.effect is Effect.DENY else f" ({finding.effect})"
        table.add_row(
            plain(finding.name),
            *([plain(finding.target)] if several else []),
            OUTCOMES[finding.outcome] + effect,
            plain(_found(record, finding, policy)),
            plain(_asked(finding, policy, checks)),
        )
    return table


def show_report(console: Console, folder: Path) -> None:
    """Say where the report lies."""
    place = folder / "report.html"
    console.print(f"Report: {place}", highlight=False, markup=False, soft_wrap=True)


def say(console: Console, text: str) -> None:
    """Say something in plain words, whatever they hold."""
    console.print(printable(text), highlight=False, markup=False, soft_wrap=True)


def show_words(console: Console, words: str) -> None:
    """Say what must not be overlooked, if there is something."""
    if words:
        console.print(f"[yellow]Note[/] {plain(words)}", highlight=False, soft_wrap=True)


def show_gaps(console: Console, gaps: Iterable[Gap]) -> None:
    """Say what is missing and what helps, each once however many checks lack it."""
    show_lacks(console, ((gap, _why(gap), f"{gap.check} on {gap.target}") for gap in gaps))


def show_lacks(console: Console, lacks: Iterable[tuple[Gap, str, str]]) -> None:
    """Say each Gap once: in which words, what helps, and who lacks it."""
    lacking: dict[tuple[str, str], dict[str, None]] = {}
    for gap, why, who in lacks:
        words = as_installed(f"{why.rstrip('.')}. {gap.cure}")
        lacking.setdefault((gap.reason.value, words), {})[who] = None
    for (reason, words), checks in lacking.items():
        console.print(
            f"[yellow]{reason}[/] {plain(words)} [dim]({', '.join(map(plain, checks))})[/]",
            highlight=False,
            soft_wrap=True,
        )


def _count(console: Console, unasked: int) -> None:
    """Say how much else is missing, which the report lists."""
    if unasked:
        console.print(
            f"[dim]{unasked} figures that no rule asks for are not there; the report says why.[/]",
            highlight=False,
            soft_wrap=True,
        )


def _why(gap: Gap) -> str:
    """Say why a measurement is missing; what each check would have cost stays in the report."""
    if gap.reason is Reason.OVER_BUDGET:
        return f"Too costly for what one audit may take on {gap.target}"
    return gap.detail


def _asked(finding: Finding, policy: Policy, checks: Mapping[str, type[Check]]) -> str:
    """Say the limit in the unit that the check declares, so also where there is no figure."""
    rule = next((item for item in policy.rules if item.id == finding.rule), None)
    if rule is None:
        return finding.limits
    if rule.limits is None:
        return answer_asked(rule.require) or finding.limits
    check = checks.get(rule.check)
    metric = None if check is None else check.emits.get(rule.metric)
    return finding.limits if metric is None else limits_text(rule.limits, metric.unit)


def _found(record: AuditRecord, finding: Finding, policy: Policy) -> str:
    """Say the deciding figure with as many digits as keep it on its side of the rule's limits."""
    rule = next((item for item in policy.rules if item.id == finding.rule), None)
    deciding = [record.readings[index] for index in finding.readings[:1]]
    for reading in deciding:
        if isinstance(reading, Gap):
            return reading.reason.value
        words = figure(reading, limit_values(None if rule is None else rule.limits))
        doubt = ", doubted" if reading.doubted else ""
        interval = f" ({words.interval})" if words.interval else ""
        return f"{bound_words(reading)}{words.value}{interval}{doubt}"
    return LEFT_OUT if left_out(record, finding) else "-"


def show_made(console: Console, keys: Iterable[Path]) -> None:
    """Say which private keys a first run made."""
    for path in keys:
        what = "ledger" if path.name == LEDGER_PRIVATE else "signing"
        console.print(f"First run: made the {what} key {path}", highlight=False, markup=False)


def show_bindings(console: Console, bindings: Iterable[Binding]) -> None:
    """Say which other bytes have the name and version of what is audited, or the bytes which."""
    for item in bindings:
        console.print(
            f"[yellow]Note[/] {plain(item.name)} {plain(item.version)} was registered at "
            f"{item.registered} for {item.digest}: new bytes need a new version",
            highlight=False,
            soft_wrap=True,
        )


def show_steps(console: Console, steps: Iterable[Step]) -> None:
    """Show each step of a verification with its result."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for step in steps:
        table.add_row(STEPS[step.result], plain(step.name), plain(step.detail))
    console.print(table)


def show_rows(console: Console, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Show a plain table; the first column holds names, which are not broken where they fit."""
    table, listed = Table(), list(rows)
    _add_columns(console, table, heads, [row[0] for row in listed])
    for row in listed:
        table.add_row(*(plain(cell) for cell in row))
    console.print(table)


def _add_columns(
    console: Console, table: Table, heads: Sequence[str], names: Sequence[str]
) -> None:
    """Add columns that fold, but for names that leave at least half of the width to the others."""
    longest = max((len(line) for name in names for line in name.split("\n")), default=0)
    for place, head in enumerate(heads):
        whole = place == 0 and longest <= console.width // 2
        table.add_column(head, overflow="fold", no_wrap=whole)
