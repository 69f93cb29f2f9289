"""Technical documentation as a file of its own: Markdown that goes into a dossier as it stands."""

from collections.abc import Iterator

from auditor.rendering.annex.dossier import TechnicalDocumentation, technical_documentation
from auditor.rendering.annex.entries import Entry, Source
from auditor.rendering.cards import cards
from auditor.rendering.cells import Table, spoken
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import DASH
from auditor.rendering.summary import escape_inline
from auditor.rendering.summary import escape_markdown as plain
from auditor.rendering.verdicts import moment, verdict_words, verify_command

ANNEX = "annex-iv.md"


def render_annex(inputs: RenderedInputs) -> str | None:
    """Render ``annex-iv.md``, or return nothing where nobody asks for it."""
    found = spoken(inputs, cards(inputs), 0)
    made = technical_documentation(inputs, found)
    return None if made is None else "\n".join(_lines(inputs, made)) + "\n"


def _lines(inputs: RenderedInputs, made: TechnicalDocumentation) -> Iterator[str]:
    record, request = inputs.record, inputs.record.request
    counts = made.counts
    name = plain(f"{request.name} {request.version}")
    yield f"# Technical documentation (EU AI Act, Annex IV): {name}"
    yield ""
    yield (
        f"Assembled from the audit record `{record.digest}` of {plain(moment(record.finished))}, "
        f"whose verdict is: {plain(verdict_words(inputs).headline)}. {counts[Source.SEEN]} entries "
        f"come from the audit, {counts[Source.DECLARED]} are declared by their owners and not "
        f"checked by it, {counts[Source.MISSING]} are missing. Whether the documentation suffices "
        "is for people to decide."
    )
    yield ""
    yield f"The record is signed: `{verify_command(record)}` checks it and this file."
    if made.owed:
        yield from ("", "## Missing, and who must fill it", "")
        for owner, items in made.owed:
            yield f"- **{plain(owner)}** ({len(items)}): {plain('; '.join(items))}"
    for section in made.sections:
        yield from ("", f"## {section.ref}. {section.title}")
        for point in section.points:
            if point.title:
                yield from ("", f"### {point.ref} {point.title}")
            for entry in point.entries:
                yield from ("", *_entry(entry))


def _entry(entry: Entry) -> Iterator[str]:
    yield f"**{plain(entry.name)}** {DASH} *{plain(entry.origin)}*"
    if entry.lines:
        yield ""
        yield from (f"- {plain(line)}" for line in entry.lines)
    if entry.table is not None:
        yield ""
        yield from table_lines(entry.table)


def table_lines(table: Table) -> Iterator[str]:
    """Yield a table in Markdown, every cell on its line."""
    yield f"| {' | '.join(table.header)} |"
    yield "|---" * len(table.header) + "|"
    for row in table.rows:
        yield f"| {' | '.join(escape_inline(cell.text) for cell in row)} |"
    if table.more:
        yield from ("", f"{table.more} more are in the record.")
