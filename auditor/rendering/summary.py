"""The summary: the verdict and the findings as Markdown, for a pull request or a terminal."""

import re
from collections.abc import Iterable, Sequence

from auditor.rendering.cards import Card, cards
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.lacking import GapRow, gap_rows
from auditor.rendering.runs import Fact
from auditor.rendering.stories.story import Cure
from auditor.rendering.targets.side_by_side import side_by_side
from auditor.rendering.verdicts import verdict_words
from auditor.rendering.visible import visible

MARKS = re.compile(r"([\\`*_\[\]|~<>&])")
STARTS = re.compile(r"^(\d*)([#+=.)-])")
"""What would begin a heading, a rule or a list at the start of a line."""
MOST_FINDINGS = 200
MOST_GAPS = 100


def render_markdown(inputs: RenderedInputs) -> str:
    """Render ``summary.md``; what comes from the record is escaped and stays on its line."""
    verdict = verdict_words(inputs)
    shown = cards(inputs)
    lines = [f"# {verdict.headline}", "", *(escape_markdown(item) for item in verdict.sentences)]
    lines += ["", *(_fact(fact) for fact in verdict.facts), ""]
    lines += _beside(inputs, shown)
    lines += ["## Findings", "", *_table(shown[:MOST_FINDINGS])]
    for card in shown[:MOST_FINDINGS]:
        if card.bad:
            lines += ["", *_details(card)]
    lines += ["", "## What could not be measured", "", *_gaps(inputs)]
    lines += ["", "## Verify", "", "    auditor verify DIR --key signer.pub", ""]
    lines += [f"Record `{inputs.record.digest}`. The report with plots is `report.html`."]
    return "\n".join(lines) + "\n"


def escape_markdown(text: str) -> str:
    """Return ``text`` as one line that Markdown shows as it stands."""
    return STARTS.sub(r"\1\\\2", MARKS.sub(r"\\\1", visible(" ".join(text.split()))))


def _fact(fact: Fact) -> str:
    digest = f" ({escape_markdown(fact.digest)})" if fact.digest else ""
    return f"- {fact.name}: {escape_markdown(fact.text)}{digest}"


def _table(shown: Sequence[Card]) -> list[str]:
    if not shown:
        return ["No rule was judged."]
    rows = ["| Outcome | Rule | Weight | Measured | Target |", "|---|---|---|---|---|"]
    rows += [
        f"| **{card.word}** | {escape_markdown(card.finding.title)} | {card.weight} "
        f"| {escape_markdown(card.value)} | {escape_markdown(card.finding.target)} |"
        for card in shown
    ]
    return rows


def _beside(inputs: RenderedInputs, shown: Sequence[Card]) -> list[str]:
    """Set targets side by side, where there is more than one."""
    beside = side_by_side(inputs, shown)
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
        lines += [*_grid(["Rule", *heads], rows), ""]
    tables = [(item.header, item.rows) for item in [beside.chips] if item is not None]
    for header, listed in (*tables, (beside.choice.header, beside.choice.rows)):
        cells = [[escape_markdown(cell) for cell in row] for row in listed]
        lines += [*_grid([escape_markdown(name) for name in header], cells), ""]
    return lines


def _cell(card: Card | None) -> str:
    return "not judged" if card is None else f"**{card.word}** {escape_markdown(card.value)}"


def _grid(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows)]


def _details(card: Card) -> list[str]:
    lines = [f"### {card.word}: {escape_markdown(card.finding.title)}", ""]
    lines += [escape_markdown(card.headline), ""]
    lines += [f"- Asked: {escape_markdown(card.asked)}"]
    lines += [f"- Found: {escape_markdown(sentence)}" for sentence in card.found]
    if card.would_decide:
        lines.append(f"- {escape_markdown(card.would_decide)}")
    if card.controls:
        lines.append(f"- Evidence for: {escape_markdown('; '.join(card.controls))}")
    if card.story is not None:
        told = [text for part in card.story.parts for text in part.told]
        lines += [f"- {escape_markdown(text)}" for text in told]
        lines += [f"- To do: {_cure(cure)}" for cure in card.story.cures]
    if card.remedy:
        lines.append(f"- Remedy: {escape_markdown(card.remedy)}")
    return lines


def _cure(cure: Cure) -> str:
    code = f" `{cure.code}`" if cure.code else ""  # our own words, never the record's
    return f"{escape_markdown(cure.text)}{code}"


def _gaps(inputs: RenderedInputs) -> list[str]:
    rows = gap_rows(inputs)
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
