"""The summary: the verdict and the findings as Markdown, for a pull request or a terminal."""

import re
from collections.abc import Iterable, Sequence

from auditor.domain.explanations import SuggestedCure
from auditor.domain.findings import Verdict
from auditor.reports.html.baseline_changes import (
    FigureShift,
    compare_with_baseline,
)
from auditor.reports.html.check_blocks import list_block_sources
from auditor.reports.html.coverage import GapRow, build_gap_rows
from auditor.reports.html.findings import (
    FindingCard,
    build_cards,
    build_finding_references,
    list_deciding_cards,
    merge_targets,
)
from auditor.reports.html.risks import build_risk_rows, build_risks_table
from auditor.reports.html.run_details import RunFact
from auditor.reports.html.targets import build_target_overview
from auditor.reports.html.verdict import (
    VerdictWording,
    build_decision_section,
    build_verify_command,
    describe_verdict,
)
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.report_formats import ReportFormat, encode_text
from auditor.reports.text_length import fit_lines
from auditor.reports.wording import escape_invisible, shorten_title

MARKS = re.compile(r"([\\`*_\[\]|~<>&$])")
PICTOGRAM = re.compile(r":(?=(?!\d\d:)[\w+\\-]+:)")
"""What begins a word between colons, of which code hosts make a picture; no time of day."""
UNMADE = ":&ZeroWidthSpace;"
STARTS = re.compile(r"^(\d*)([#+=.)-])")
"""What would begin a heading, a rule or a list at the start of a line."""
MOST_DECIDING = 10
MOST_FINDINGS = 200
MOST_GAPS = 100
MOST_MOVED = 10
MOST_BLOCKS = 100


def render_markdown(inputs: ReportInputs) -> str:
    """Render ``summary.md``; what comes from the record is escaped and stays on its line."""
    verdict = describe_verdict(inputs)
    shown = build_cards(inputs)
    lines = [f"# {verdict.headline}", "", *(escape_markdown(item) for item in verdict.sentences)]
    lines += ["", *_deciding(verdict, shown)]
    declared, unasked = ([item.text for item in of] for of in (verdict.declared, verdict.unasked))
    lines += _listed("Declared, not checked", declared)
    lines += _listed("Limits of this verdict", [*verdict.limits, *unasked])
    lines += [*(_fact(fact) for fact in verdict.facts), ""]
    lines += _beside(inputs, shown)
    # Say how declared risks stand, where there are any
    found = build_finding_references(inputs, shown, 0)
    rows = build_risk_rows(inputs, found)
    if not rows:
        risks = []
    else:
        risks_table = build_risks_table(rows)
        cells = [[escape_markdown(cell.text) for cell in row] for row in risks_table.rows]
        risks_lines = [f"## Risks ({len(rows)})", "", *format_grid(risks_table.header, cells), ""]
        hidden = f"{risks_table.more} more are in the file of risks among the evidence."
        risks = [*risks_lines, hidden, ""] if risks_table.more else risks_lines
    lines += risks
    table_shown = shown[:MOST_FINDINGS]
    if not table_shown:
        table = ["No rule was judged."]
    else:
        table = [
            "| Outcome | Rule | Required | Weight | Measured | Target |",
            "|---|---|---|---|---|---|",
        ]
        table += [
            f"| **{card.word}** | {escape_markdown(card.finding.title)} "
            f"| {escape_markdown(shorten_title(card.limit))} | {card.weight} "
            f"| {escape_markdown(card.value)} | {escape_markdown(card.finding.target)} |"
            for card in table_shown
        ]
    lines += ["## Findings", "", *table]
    for card in shown[:MOST_FINDINGS]:
        if card.bad:
            lines += ["", *format_card(card)]
    if len(shown) > MOST_FINDINGS:
        lines += ["", f"{len(shown) - MOST_FINDINGS} more findings are in `record.json`."]
    lines += _since(inputs)
    lines += _decisions(inputs)
    lines += _blocks(inputs)
    lines += ["", "## What could not be measured", "", *format_gaps(inputs)]
    tail = ["", "## Verify", "", f"    {build_verify_command(inputs.record)}", ""]
    tail += [f"Record `{inputs.record.digest}`. The report with plots is `report.html`."]
    return "\n".join(fit_lines(lines, tail)) + "\n"


def _deciding(verdict: VerdictWording, shown: Sequence[FindingCard]) -> list[str]:
    """Name the rules that kept the verdict from a pass, each with its figure and its cure."""
    if verdict.verdict is Verdict.PASS:
        return []
    cards = list_deciding_cards(shown, verdict.verdict)
    lines = [_decision(card, targets) for card, targets in merge_targets(cards)]
    title = "Failed rules" if verdict.verdict is Verdict.FAIL else "Undecided rules"
    more = len(lines) - MOST_DECIDING
    return _listed(title, [*lines[:MOST_DECIDING], *([f"{more} more"] if more > 0 else [])])


def _decision(card: FindingCard, targets: Sequence[str]) -> str:
    where = f" on {', '.join(targets)}" if len(targets) > 1 else ""
    remedy = f" To do: {card.remedy}" if card.remedy else ""
    return f"{card.finding.title}{where}: {card.headline}{remedy}"


def _listed(title: str, items: Sequence[str]) -> list[str]:
    lines = [f"- {escape_markdown(item)}" for item in items]
    return [f"**{title}**", "", *lines, ""] if lines else []


def escape_markdown(text: str) -> str:
    """Return ``text`` as one line that Markdown shows as it stands."""
    return STARTS.sub(r"\1\\\2", escape_inline(text))


def escape_inline(text: str) -> str:
    """Return ``text`` as Markdown shows it as it stands where no line begins, as in a cell."""
    return PICTOGRAM.sub(UNMADE, MARKS.sub(r"\\\1", escape_invisible(" ".join(text.split()))))


def _fact(fact: RunFact) -> str:
    digest = f" ({escape_markdown(fact.digest)})" if fact.digest else ""
    return f"- {fact.name}: {escape_markdown(fact.text)}{digest}"


def _beside(inputs: ReportInputs, shown: Sequence[FindingCard]) -> list[str]:
    """Set targets side by side, where there is more than one."""
    beside = build_target_overview(inputs, shown)
    if beside is None:
        return []
    lines = [f"## Targets ({len(inputs.record.request.targets)})", ""]
    lines += [escape_markdown(beside.choice.sentence), ""]
    if beside.matrix is not None:
        heads = [
            f"{escape_markdown(item.name)}: {item.word} ({item.level})"
            for item in beside.matrix.columns
        ]
        rows = [
            (escape_markdown(line.title), *(_cell(card) for card in line.cells))
            for line in beside.matrix.lines
        ]
        lines += [*format_grid(["Rule", *heads], rows), ""]
    tables = [(item.header, item.rows) for item in [beside.chips] if item is not None]
    for header, listed in (*tables, (beside.choice.header, beside.choice.rows)):
        cells = [[escape_markdown(cell) for cell in row] for row in listed]
        lines += [*format_grid([escape_markdown(name) for name in header], cells), ""]
    return lines


def _since(inputs: ReportInputs) -> list[str]:
    """Say what moved since the baseline, or why that cannot be told, where there is one."""
    found = compare_with_baseline(inputs)
    if found is None:
        return []
    said = (*found.sentences, *found.notes)
    lines = ["", f"## {escape_inline(found.title)}", ""]
    lines += [escape_markdown(text.replace("`", "")) for text in said]
    if found.why:
        lines += ["", escape_markdown(f"No figure can be compared: {found.why}.")]
    if found.moved:
        header = ("Way", "Figure", "Measure", "Target", "Before", "After")
        lines += ["", *format_grid(header, map(_moved, found.moved[:MOST_MOVED]))]
    # Say what came out otherwise, what differs, and what was not compared, as lines of a list
    hidden = max(0, len(found.moved) - MOST_MOVED) + found.more
    told = [f"{hidden} more figures moved."] if hidden else []
    told += [
        f"{row.turned.title}, {row.where}: {row.before} before, {row.after} now"
        for row in found.turned[:MOST_MOVED]
    ]
    hidden = max(0, len(found.turned) - MOST_MOVED) + found.more_turned
    told += [f"{hidden} more findings changed."] if hidden else []
    told += [f"Not compared: {text}" for text in found.apart[:MOST_MOVED]]
    hidden = max(0, len(found.apart) - MOST_MOVED) + found.more_apart
    told += [f"{hidden} more checks were not compared."] if hidden else []
    names = ", ".join(name.lower() for name, _, _ in found.differences)
    told = [*told, f"Other differences: {names}."] if names else told
    return [*lines, "", *(f"- {escape_markdown(text)}" for text in told)] if told else lines


def _moved(shift: FigureShift) -> list[str]:
    row, target = shift.row, shift.row.moved.after.target
    cells = (shift.way, row.title, row.measure, target, row.before, row.after)
    return [escape_inline(cell) for cell in cells]


def _decisions(inputs: ReportInputs) -> list[str]:
    """Show waivers, and what is asked of people, where there is any of it."""
    found = build_decision_section(inputs)
    if found is None:
        return []
    lines = ["", "## Decisions", ""]
    warnings = [f"- **Warning**: {escape_markdown(text)}" for text in found.warnings]
    lines += [*warnings, ""] if warnings else []
    rows = [[escape_markdown(cell) for cell in row] for row in found.rows]
    lines += [*format_grid(found.header, rows), ""] if rows else []
    return [*lines, escape_markdown(f"{found.asked} {found.after}".strip())]


def _blocks(inputs: ReportInputs) -> list[str]:
    """Name the checks that show something of their own in the report."""
    own = [item for item in list_block_sources(inputs) if not item.absent]
    said = [
        f"- {escape_markdown(item.title)} on {escape_markdown(item.seen.target)}, from "
        f"{escape_markdown(item.source)}"
        for item in own[:MOST_BLOCKS]
    ]
    if len(own) > MOST_BLOCKS:
        said.append(f"- {len(own) - MOST_BLOCKS} more")
    head = ["", "## What checks show of their own", ""]
    return [*head, "`report.html` has a block of each:", "", *said] if own else []


def _cell(card: FindingCard | None) -> str:
    return "not judged" if card is None else f"**{card.word}** {escape_markdown(card.value)}"


def format_grid(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table of cells that are escaped already."""
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows)]


def format_card(card: FindingCard) -> list[str]:
    """Say what was asked and found, and what to do, under a heading."""
    lines = [f"### {card.word}: {escape_markdown(card.finding.title)}", ""]
    lines += [escape_markdown(card.headline), ""]
    lines += [f"- Required: {escape_markdown(card.asked)}"]
    lines += [f"- Found: {escape_markdown(sentence)}" for sentence in card.found]
    if card.would_decide:
        lines.append(f"- {escape_markdown(card.would_decide)}")
    if card.controls:
        lines.append(f"- Touches: {escape_markdown('; '.join(card.controls))}")
    if card.story is not None:
        told = [text for part in card.story.parts for text in part.told]
        lines += [f"- {escape_markdown(text)}" for text in told]
        lines += [f"- To do: {_cure(cure)}" for cure in card.story.cures]
    if card.remedy:
        lines.append(f"- Remedy: {escape_markdown(card.remedy)}")
    return lines


def _cure(cure: SuggestedCure) -> str:
    code = f" `{cure.code}`" if cure.code else ""  # our own words, never the record's
    return f"{escape_markdown(cure.text)}{code}"


def format_gaps(inputs: ReportInputs) -> list[str]:
    """List what could not be measured, and why."""
    rows = build_gap_rows(inputs)
    if not rows:
        return ["Every check that was asked for gave figures."]
    said = [line for row in rows[:MOST_GAPS] for line in _gap(row)]
    hidden = len(rows) - len(rows[:MOST_GAPS])
    return [*said, f"- {hidden} more are in `record.json`."] if hidden else said


def _gap(row: GapRow) -> list[str]:
    several = len(row.details) > 1
    detail = "" if several else _sentence("".join(row.details))
    what = escape_markdown(f"{'; '.join(row.names)}{row.where}")
    said = f"- {what}: {row.reason}. {escape_markdown(detail)} {escape_markdown(row.cure)}".rstrip()
    return [said, *(f"  - {escape_markdown(item)}" for item in row.details if several)]


def _sentence(text: str) -> str:
    return f"{text.rstrip('.')}." if text else ""


FORMATS = (
    ReportFormat(
        "markdown",
        "summary.md",
        lambda inputs: encode_text(render_markdown(inputs)),
        kept=True,
    ),
)
