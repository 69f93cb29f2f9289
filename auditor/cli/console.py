"""Terminal output of results: tables of findings and steps, notices and progress."""

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from auditor.checks.measure import CONFIDENCE, compute_readings
from auditor.cli.main import adapt_install_hints
from auditor.cli.terminal_text import escape_markup, make_printable
from auditor.domain.checks import Check
from auditor.domain.findings import Finding, Outcome, Verdict
from auditor.domain.observed_checks import Result
from auditor.domain.policies import EnforcementMode, Policy, RuleEffect
from auditor.domain.readings import Gap, GapReason, Measurement
from auditor.domain.records import AuditRecord
from auditor.domain.trust import ModelBinding
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.policy.evaluate.messages import describe_required_answer
from auditor.reports.html.coverage import is_left_out, list_suspicions, split_requested_gaps
from auditor.reports.html.verdict import describe_attempt, explain_verdict
from auditor.reports.numbers import format_measurement
from auditor.reports.scope_wording import describe_scope
from auditor.reports.wording import (
    describe_bound,
    describe_eased_settings,
    format_limits,
    list_limit_values,
)
from auditor.trust.keys.ledger_key import LEDGER_PRIVATE

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
    asked, others = split_requested_gaps(record)
    show_gaps(console, asked)
    _count(console, len(others))
    for text in list_suspicions(record):
        console.print(
            f"[yellow]suspicious[/] {escape_markup(text)}", highlight=False, soft_wrap=True
        )
    enforced = policy.mode is EnforcementMode.ENFORCE
    console.print(
        f"Verdict: {VERDICTS[record.verdict]} under {escape_markup(policy.name)} "
        f"{escape_markup(policy.version)}, budget {record.request.budget.value}"
        + ("" if enforced else f"; the policy's mode is {policy.mode}: nothing is enforced"),
        highlight=False,
    )
    for text in describe_scope(record):
        console.print(f"[yellow]endpoint[/] {escape_markup(text)}", highlight=False, soft_wrap=True)
    console.print(explain_verdict(record), highlight=False, markup=False)
    if eased := describe_eased_settings(record.request):
        console.print(
            f"[yellow]declared[/] {escape_markup(eased)}", highlight=False, soft_wrap=True
        )
    if said := describe_attempt(record.request):
        console.print(f"Attempt: {escape_markup(said)}", highlight=False, soft_wrap=True)


def _table(
    console: Console, record: AuditRecord, policy: Policy, checks: Mapping[str, type[Check]]
) -> Table:
    several = len(record.request.targets) > 1
    table = Table(
        title=escape_markup(f"{record.request.name} {record.request.version}"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    rules = [finding.name for finding in record.findings]
    heads = ("rule", *(["target"] if several else []), "outcome", "found", "asked")
    _add_columns(console, table, heads, rules)
    for finding in sorted(record.findings, key=lambda item: WORST_FIRST.index(item.outcome)):
        effect = "" if finding.effect is RuleEffect.DENY else f" ({finding.effect})"
        table.add_row(
            escape_markup(finding.name),
            *([escape_markup(finding.target)] if several else []),
            OUTCOMES[finding.outcome] + effect,
            escape_markup(_found(record, finding, policy)),
            escape_markup(_asked(finding, policy, checks)),
        )
    return table


def show_report(console: Console, folder: Path) -> None:
    """Say where the report lies."""
    place = folder / "report.html"
    console.print(f"Report: {place}", highlight=False, markup=False, soft_wrap=True)


def print_plain(console: Console, text: str) -> None:
    """Say something in plain words, whatever they hold."""
    console.print(make_printable(text), highlight=False, markup=False, soft_wrap=True)


def show_notice(console: Console, words: str) -> None:
    """Say what must not be overlooked, if there is something."""
    if words:
        console.print(f"[yellow]Note[/] {escape_markup(words)}", highlight=False, soft_wrap=True)


def show_gaps(console: Console, gaps: Iterable[Gap]) -> None:
    """Say what is missing and what helps, each once however many checks lack it."""
    show_gap_groups(console, ((gap, _why(gap), f"{gap.check} on {gap.target}") for gap in gaps))


def show_gap_groups(console: Console, lacks: Iterable[tuple[Gap, str, str]]) -> None:
    """Say each Gap once: in which words, what helps, and who lacks it."""
    lacking: dict[tuple[str, str], dict[str, None]] = {}
    for gap, why, who in lacks:
        words = adapt_install_hints(f"{why.rstrip('.')}. {gap.cure}")
        lacking.setdefault((gap.reason.value, words), {})[who] = None
    for (reason, words), checks in lacking.items():
        console.print(
            f"[yellow]{reason}[/] {escape_markup(words)} "
            f"[dim]({', '.join(map(escape_markup, checks))})[/]",
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
    if gap.reason is GapReason.OVER_BUDGET:
        return f"Too costly for what one audit may take on {gap.target}"
    return gap.detail


def _asked(finding: Finding, policy: Policy, checks: Mapping[str, type[Check]]) -> str:
    """Say the limit in the unit that the check declares, so also where there is no figure."""
    rule = next((item for item in policy.rules if item.id == finding.rule), None)
    if rule is None:
        return finding.limits
    if rule.limits is None:
        return describe_required_answer(rule.require) or finding.limits
    check = checks.get(rule.check)
    metric = None if check is None else check.emits.get(rule.metric)
    return finding.limits if metric is None else format_limits(rule.limits, metric.unit)


def _found(record: AuditRecord, finding: Finding, policy: Policy) -> str:
    """Say the deciding figure with as many digits as keep it on its side of the rule's limits."""
    rule = next((item for item in policy.rules if item.id == finding.rule), None)
    deciding = [record.readings[index] for index in finding.readings[:1]]
    for reading in deciding:
        if isinstance(reading, Gap):
            return reading.reason.value
        words = format_measurement(
            reading, list_limit_values(None if rule is None else rule.limits)
        )
        doubt = ", doubted" if reading.doubted else ""
        interval = f" ({words.interval})" if words.interval else ""
        return f"{describe_bound(reading)}{words.value}{interval}{doubt}"
    return LEFT_OUT if is_left_out(record, finding) else "-"


def show_new_keys(console: Console, keys: Iterable[Path]) -> None:
    """Say which private keys a first run made."""
    for path in keys:
        what = "ledger" if path.name == LEDGER_PRIVATE else "signing"
        console.print(f"First run: made the {what} key {path}", highlight=False, markup=False)


def show_binding_conflicts(console: Console, bindings: Iterable[ModelBinding]) -> None:
    """Say which other bytes have the name and version of what is audited, or the bytes which."""
    for item in bindings:
        console.print(
            f"[yellow]Note[/] {escape_markup(item.name)} {escape_markup(item.version)} was "
            f"registered at {item.registered} for {item.digest}: new bytes need a new version",
            highlight=False,
            soft_wrap=True,
        )


def show_steps(console: Console, steps: Iterable[VerificationStep]) -> None:
    """Show each step of a verification with its result."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for step in steps:
        table.add_row(STEPS[step.result], escape_markup(step.name), escape_markup(step.detail))
    console.print(table)


def show_rows(console: Console, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Show a plain table; the first column holds names, which are not broken where they fit."""
    table, listed = Table(), list(rows)
    _add_columns(console, table, heads, [row[0] for row in listed])
    for row in listed:
        table.add_row(*(escape_markup(cell) for cell in row))
    console.print(table)


def _add_columns(
    console: Console, table: Table, heads: Sequence[str], names: Sequence[str]
) -> None:
    """Add columns that fold, but for names that leave at least half of the width to the others."""
    longest = max((len(line) for name in names for line in name.split("\n")), default=0)
    for place, head in enumerate(heads):
        whole = place == 0 and longest <= console.width // 2
        table.add_column(head, overflow="fold", no_wrap=whole)


class ConsoleProgress:
    """Writes one line a finished check; on a terminal also a bar for the one at hand."""

    def __init__(self, console: Console, checks: int) -> None:
        self._console = console
        self._live = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._all = self._live.add_task("all checks", total=checks, note="")
        self._one = self._live.add_task("", total=None, note="", visible=False)
        self._began: dict[tuple[str, str], float] = {}

    def __enter__(self) -> Self:
        """Start drawing."""
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop drawing."""
        self._live.stop()

    def expects(self, checks: int) -> None:
        """Say how many checks there are, where that was not known before."""
        self._live.update(self._all, total=checks)

    def started(self, target: str, check: Check) -> None:
        """Say that a check begins."""
        self.begun(target, check.id)

    def begun(self, target: str, check: str) -> None:
        """Say that a check begins, by its id."""
        self._began[target, check] = time.monotonic()
        self._live.reset(
            self._one,
            description=f"{escape_markup(check)} on {escape_markup(target)}",
            total=None,
            note="",
            visible=True,
        )

    def advanced(self, done: int, total: int, note: str = "") -> None:
        """Move the bar of the check at hand."""
        self._live.update(self._one, completed=done, total=total, note=note)

    def ended(self, target: str, check: Check, result: Result) -> None:
        """Write the check's line."""
        found = compute_readings([result], CONFIDENCE)
        seen = [reading for reading in found if isinstance(reading, Measurement)]
        if seen:
            self.told(target, check.id, f"{len(seen)} reading{'s' * (len(seen) != 1)}", seen=True)
            return
        reasons = dict.fromkeys(gap.reason.value for gap in found if isinstance(gap, Gap))
        self.told(target, check.id, ", ".join(reasons), seen=False)

    def told(self, target: str, check: str, said: str, *, seen: bool) -> None:
        """Write the line of a check by its id, with what is said of it."""
        now = time.monotonic()
        seconds = now - self._began.pop((target, check), now)
        self._live.advance(self._all)
        self._live.update(self._one, visible=False)
        mark = "[green]seen[/]" if seen else "[yellow]gap [/]"
        words = f": {escape_markup(said)}" if said else ""
        self._console.print(
            f"  {mark} {escape_markup(check)} on {escape_markup(target)}{words} ({seconds:.1f} s)",
            highlight=False,
        )
