"""The summary: the verdict and the findings as Markdown, for a pull request or a terminal."""

import re
from collections.abc import Sequence

from auditor.rendering.cards import Card, cards
from auditor.rendering.coverage import gap_rows
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.runs import Fact
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


def _details(card: Card) -> list[str]:
    lines = [f"### {card.word}: {escape_markdown(card.finding.title)}", ""]
    lines += [escape_markdown(card.headline), ""]
    lines += [f"- Asked: {escape_markdown(card.asked)}"]
    lines += [f"- Found: {escape_markdown(sentence)}" for sentence in card.found]
    if card.would_decide:
        lines.append(f"- {escape_markdown(card.would_decide)}")
    if card.controls:
        lines.append(f"- Evidence for: {escape_markdown('; '.join(card.controls))}")
    if card.remedy:
        lines.append(f"- Remedy: {escape_markdown(card.remedy)}")
    return lines


def _gaps(inputs: RenderedInputs) -> list[str]:
    rows = gap_rows(inputs)
    if not rows:
        return ["Every check that was asked for gave figures."]
    said = [
        f"- {escape_markdown(row.check)} on {escape_markdown(row.target)}: {row.reason}. "
        f"{escape_markdown(_sentence(row.detail))} {escape_markdown(row.cure)}".rstrip()
        for row in rows[:MOST_GAPS]
    ]
    hidden = len(rows) - len(said)
    return [*said, f"- {hidden} more are in `record.json`."] if hidden else said


def _sentence(text: str) -> str:
    return f"{text.rstrip('.')}." if text else ""
