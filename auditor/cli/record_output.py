"""Terminal output of a record: the table of its findings, the verdict, gaps and the report."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from auditor.cli.console import OUTCOMES, fill_table, show_gap_groups
from auditor.domain.checks import Check
from auditor.domain.findings import Finding, Outcome, Verdict
from auditor.domain.number_text import DASH, format_counted, format_measurement
from auditor.domain.policies import EnforcementMode, Policy, RuleEffect
from auditor.domain.readings import Gap, GapReason
from auditor.domain.records import AuditRecord
from auditor.policy.pack_names import explain_pack_name
from auditor.reports.declarations import ListedStatement
from auditor.reports.html.coverage import is_left_out, list_suspicions, split_requested_gaps
from auditor.reports.html.findings import (
    MOST_DECIDING,
    describe_intervals,
    describe_limit,
    find_unmet_term,
    is_deciding,
    sort_worst_first,
    suggest_remedy,
)
from auditor.reports.html.first_screen import describe_loosened
from auditor.reports.html.run_details import list_free_names
from auditor.reports.html.unjudged import describe_unjudged
from auditor.reports.html.verdict import (
    describe_attempt,
    describe_second_judgement,
    describe_verdict,
    explain_verdict,
)
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.scope_wording import describe_scope
from auditor.reports.terminal_text import escape_markup
from auditor.reports.waiver_text import describe_exception, list_exceptions
from auditor.reports.wording import (
    EFFECTS,
    describe_bound,
    describe_compared_column,
    list_limit_values,
)

VERDICTS = {
    Verdict.PASS: "[bold green]PASS[/]",
    Verdict.FAIL: "[bold red]FAIL[/]",
    Verdict.INCONCLUSIVE: "[bold yellow]INCONCLUSIVE[/]",
}
LEFT_OUT = "not run: left out by --only"
WORST_FIRST = list(OUTCOMES)
PREDICTIONS = " of recorded predictions, not of a model"


def show_record(console: Console, inputs: ReportInputs) -> None:
    """Show the verdict and what decided it, then the table of findings and what is missing.

    The first screen of the report has the same limits and declarations.
    """
    record, policy, checks = inputs.record, inputs.policy, inputs.checks
    enforced = policy.mode is EnforcementMode.ENFORCE
    exceptions = list_exceptions(record)
    waived = f" ({describe_exception(exceptions)})" if exceptions else ""
    console.print(
        f"Verdict: {_mark_verdict(record)}{waived} under {escape_markup(policy.name)} "
        f"{escape_markup(policy.version)}, budget {record.request.budget.value}"
        + ("" if enforced else f"; the policy's mode is {policy.mode}: nothing is enforced"),
        highlight=False,
    )
    if named := explain_pack_name(record.request.policy):
        console.print(f"[yellow]policy[/] {escape_markup(named)}", highlight=False, soft_wrap=True)
    for text in list_free_names(record):
        console.print(f"[yellow]ran on[/] {escape_markup(text)}", highlight=False, soft_wrap=True)
    for text in describe_second_judgement(record):
        console.print(f"[yellow]note[/] {escape_markup(text)}", highlight=False)
    for text in describe_scope(record):
        label = "predictions" if record.request.predictions_only else "endpoint"
        console.print(f"[yellow]{label}[/] {escape_markup(text)}", highlight=False)
    console.print(explain_verdict(record), highlight=False, markup=False)
    _show_deciding(console, record, policy, checks)
    for said in describe_unjudged(inputs):
        _show_listed(console, "unjudged", said)
    _show_findings(console, record, policy, checks)
    asked, others = split_requested_gaps(record)
    show_gaps(console, asked)
    # Say how much else is missing, which the report lists
    unasked = len(others)
    if unasked:
        figures, verb = format_counted(unasked, "figure"), "is" if unasked == 1 else "are"
        console.print(
            (
                f"[dim]{figures} that no rule requires {verb} missing; the report lists the "
                "reasons.[/]"
            ),
            highlight=False,
            soft_wrap=True,
        )
    _show_limits(console, inputs)
    if attempt := describe_attempt(record.request):
        console.print(f"Attempt: {escape_markup(attempt)}", highlight=False, soft_wrap=True)


def _show_listed(console: Console, label: str, said: ListedStatement) -> None:
    colon = ":" if said.items else ""
    lead = f"[yellow]{label}[/] {escape_markup(said.lead)}{colon}"
    for line in (lead, *(f"  {escape_markup(item)}" for item in said.items)):
        console.print(line, highlight=False, soft_wrap=True)


def _show_deciding(
    console: Console, record: AuditRecord, policy: Policy, checks: Mapping[str, type[Check]]
) -> None:
    """Show the rules that kept the verdict from being a pass, and what to do about each."""
    ordered = sort_worst_first(record.findings)
    deciding = [item for item in ordered if is_deciding(item, record.verdict)]
    alike: dict[tuple[str, ...], list[Finding]] = {}
    for finding in deciding:
        found, asked = _found(record, finding, policy), _asked(finding, policy, checks)
        rule = next((item for item in policy.rules if item.id == finding.rule), None)
        limits = None if rule is None else rule.under(record.request.claims).limits
        told = (finding.name, found, asked, suggest_remedy(record, finding, limits))
        alike.setdefault(told, []).append(finding)
    shown = list(alike.items())[:MOST_DECIDING]
    for (name, found, asked, remedy), (finding, *others) in shown:
        targets = ", ".join(item.target for item in (finding, *others))
        where = f" on {targets}" if len(record.request.targets) > 1 else ""
        named = escape_markup(f"{name}{where}: {finding.title}")
        lines = [
            f"{OUTCOMES[finding.outcome]} {named}",
            escape_markup(f"  Found: {found}. Required: {asked}."),
        ]
        if remedy:
            lines.append(f"  To do: {escape_markup(remedy)}")
        for line in lines:
            console.print(line, highlight=False, soft_wrap=True)
    if hidden := len(deciding) - sum(len(same) for _, same in shown):
        console.print(f"{hidden} more in the table.", highlight=False)


def _show_limits(console: Console, inputs: ReportInputs) -> None:
    """Show what nobody checked and what narrows the verdict, in the report's words."""
    wording, suspicions = describe_verdict(inputs), list_suspicions(inputs.record)
    for text in suspicions:
        _show_listed(console, "suspicious", ListedStatement(text))
    named = explain_pack_name(inputs.record.request.policy)  # said beside the verdict
    for said in wording.declared:
        if said.lead != named:
            _show_listed(console, "declared, not checked", said)
    for said in describe_loosened(inputs.policy):
        _show_listed(console, "limits", said)
    for text in wording.limits:
        if text not in {*suspicions, named}:
            _show_listed(console, "limits", ListedStatement(text))


def _show_findings(
    console: Console, record: AuditRecord, policy: Policy, checks: Mapping[str, type[Check]]
) -> None:
    several = len(record.request.targets) > 1
    intervals = describe_intervals(record, record.findings)
    levels = f", with {intervals}" if intervals else ""
    table = Table(
        title=escape_markup(f"{record.request.name} {record.request.version}{levels}"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    heads = ("rule", *(["target"] if several else []), "outcome", "found", "required")
    rows = []
    idle = [it for it in record.findings if it.outcome is Outcome.NOT_APPLICABLE]
    shown = [it for it in record.findings if it not in idle] or record.findings
    for finding in sorted(shown, key=lambda item: WORST_FIRST.index(item.outcome)):
        effect = "" if finding.effect is RuleEffect.DENY else f", {EFFECTS[finding.effect].lower()}"
        rows.append(
            [
                escape_markup(finding.name),
                *([escape_markup(finding.target)] if several else []),
                OUTCOMES[finding.outcome] + effect,
                escape_markup(_found(record, finding, policy)),
                escape_markup(_asked(finding, policy, checks)),
            ]
        )
    whole = ("found", "required", *(["target"] if several else []))
    fill_table(console, table, heads, rows, whole)
    if names := ", ".join(dict.fromkeys(it.name for it in idle if it not in shown)):
        said = f"[dim]Rules that do not apply: {escape_markup(names)}[/]"
        console.print(said, highlight=False, soft_wrap=True)


def show_report(console: Console, folder: Path) -> None:
    """Say where the report lies."""
    place = folder / "report.html"
    console.print(f"Report: {place}", highlight=False, markup=False, soft_wrap=True)


def show_closing(console: Console, done: str, record: AuditRecord) -> None:
    """Repeat the verdict in the last line, where people look first, and what it counts."""
    counted = []
    for effect, words in EFFECTS.items():
        outcomes = [finding.outcome for finding in record.findings if finding.effect is effect]
        found = (f"{outcomes.count(it)} {said}" for it, said in OUTCOMES.items() if it in outcomes)
        if outcomes:
            lead = "" if effect is RuleEffect.DENY else f"{words.lower()}: "
            counted.append(lead + ", ".join(found))
    judged = PREDICTIONS if record.request.predictions_only else ""
    exceptional = " by exception" if list_exceptions(record) else ""
    said = f"{done}: {_mark_verdict(record)}{exceptional}{judged} ({'; '.join(counted)})"
    console.print(said, highlight=False, soft_wrap=True)


def _mark_verdict(record: AuditRecord) -> str:
    """Return the verdict in its colour: a pass that rests on waivers is not green."""
    return "[bold yellow]PASS[/]" if list_exceptions(record) else VERDICTS[record.verdict]


def show_gaps(console: Console, gaps: Iterable[Gap]) -> None:
    """Say what is missing and what helps, each once however many checks lack it."""
    show_gap_groups(console, ((gap, _why(gap), f"{gap.check} on {gap.target}") for gap in gaps))


def _why(gap: Gap) -> str:
    """Say why a measurement is missing; what each check would have cost stays in the report."""
    if gap.reason is GapReason.OVER_BUDGET:
        return f"Over budget on {gap.target}"
    return gap.detail


def _asked(finding: Finding, policy: Policy, checks: Mapping[str, type[Check]]) -> str:
    rule = next((item for item in policy.rules if item.id == finding.rule), None)
    return describe_limit(finding, rule, checks)


def _found(record: AuditRecord, finding: Finding, policy: Policy) -> str:
    """Say the deciding figure with as many digits as keep it on its side of the rule's limits."""
    rule = next((item for item in policy.rules if item.id == finding.rule), None)
    deciding = [record.readings[index] for index in finding.readings[:1]]
    for reading in deciding:
        if isinstance(reading, Gap):
            return reading.reason.value.replace("_", " ")
        words = format_measurement(
            reading, list_limit_values(None if rule is None else rule.limits)
        )
        doubt = ", doubted" if reading.doubted else ""
        interval = f" ({words.interval})" if words.interval else ""
        column = describe_compared_column(reading)
        return f"{describe_bound(reading)}{words.value}{interval}{column}{doubt}"
    term = find_unmet_term(finding)
    return term or (LEFT_OUT if is_left_out(record, finding) else DASH)
