"""The report: one self-contained page that needs no network and no script."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from auditor.rendering.annex.dossier import technical_documentation
from auditor.rendering.askings import asked_gaps
from auditor.rendering.blocks.sections import Page, blocks
from auditor.rendering.cards import Card, cards, outcome_counts, reading_sentence
from auditor.rendering.cells import spoken
from auditor.rendering.coverage import cannot_evidence, doubted
from auditor.rendering.deciding import open_questions
from auditor.rendering.decisions import decisions
from auditor.rendering.doubting import doubt_cure
from auditor.rendering.examples import galleries
from auditor.rendering.frameworks import frameworks
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.juxtaposed.since import since_baseline
from auditor.rendering.lacking import gap_rows
from auditor.rendering.laws import laws
from auditor.rendering.lineages.graph import lineage_graph
from auditor.rendering.measurements import MeasurementRow, measurement_rows
from auditor.rendering.panels import sections
from auditor.rendering.phrases import MEANINGS, OUTCOMES
from auditor.rendering.quoting import brief, coded, shortened, unbroken
from auditor.rendering.reconstructions import reconstructions
from auditor.rendering.risks import MOST_RISKS, risk_rows
from auditor.rendering.rooms import ROOMS, Room, fitted
from auditor.rendering.runs import edge_rows, request_facts, short, target_facts
from auditor.rendering.sheets import contact_sheets
from auditor.rendering.targets.side_by_side import side_by_side
from auditor.rendering.texts import glossary, outside
from auditor.rendering.verdicts import moment, verdict_words, verify_command
from auditor.shipped import shipped

PICTURES = ("galleries", "contact_sheets", "reconstructions")


def render_html(inputs: RenderedInputs, *, on_paper: bool = False) -> str:
    """Render ``report.html``, below 2 MB; everything from the record is escaped.

    ``on_paper`` gives each printed page the record's digest and its number.
    """
    shown, rows = cards(inputs), measurement_rows(inputs)
    always = {**_verdict(inputs, shown), **_rest(inputs)}
    style, policy = style_of(_running(always["record_digest"]) if on_paper else "")
    template = environment().get_template("report.html.j2")

    def page(room: Room) -> str:
        told = {**always, **_in_room(inputs, room, shown, rows)}
        return template.render(style=style, content_security=policy, **told).rstrip() + "\n"

    return fitted(page)


def _in_room(
    inputs: RenderedInputs, room: Room, shown: Sequence[Card], rows: Sequence[MeasurementRow]
) -> Mapping[str, object]:
    there = shown[: room.cards]
    return {
        "room": room,
        "cards": there,
        "there": frozenset(card.anchor for card in there),
        "more_cards": shown[room.cards :],
        "open": open_questions(shown, room.cards),
        "beside": side_by_side(inputs, there),
        "measurements": rows[: room.rows],
        "more_measurements": len(rows[room.rows :]),
        **({} if room.pictures else dict.fromkeys(PICTURES, ())),
    }


def _verdict(inputs: RenderedInputs, shown: Sequence[Card]) -> Mapping[str, object]:
    record, found = inputs.record, spoken(inputs, shown)
    counts = outcome_counts(record.findings)
    return {
        "record": record,
        "verdict": verdict_words(inputs),
        "counts": [(outcome, OUTCOMES[outcome], count) for outcome, count in counts],
        "meanings": [(outcome, OUTCOMES[outcome], MEANINGS[outcome]) for outcome, _ in counts],
        "decisions": decisions(inputs),
        "since": since_baseline(inputs),
        "risks": risk_rows(inputs, found),
        "most_risks": MOST_RISKS,
        "frameworks": frameworks(inputs, found),
        "laws": laws(inputs),
        "annex": technical_documentation(inputs, found),
        "words": OUTCOMES,
        "several_targets": len(record.request.targets) > 1,
        "registered": moment(record.registered),
        "finished": moment(record.finished),
    }


def _rest(inputs: RenderedInputs) -> Mapping[str, object]:
    unsure = doubted(inputs)
    cures = [doubt_cure(inputs.record, item) for item in unsure]
    asked, others = asked_gaps(inputs.record)
    return {
        "sections": sections(inputs),
        "blocks": blocks(inputs, draw_block),
        "galleries": galleries(inputs),
        "contact_sheets": contact_sheets(inputs),
        "reconstructions": reconstructions(inputs),
        "show_examples": inputs.show_examples,
        "gaps": gap_rows(inputs, asked),
        "more_gaps": gap_rows(inputs, others),
        "doubted": [reading_sentence(inputs, item) for item in unsure],
        "doubt_cures": [cure for cure in dict.fromkeys(cures) if cure],
        "outside": outside(),
        "cannot_evidence": cannot_evidence(inputs),
        "request_facts": request_facts(inputs),
        "targets": target_facts(inputs),
        "edges": edge_rows(inputs),
        "lineage": lineage_graph(inputs.record),
        "glossary": glossary(),
        "record_digest": inputs.record.digest,
        "short": short,
        "signer": inputs.signer,
        "verify": verify_command(inputs.record),
    }


def draw_block(page: Page) -> str:
    """Write a check's own block as markup; everything that it says is escaped."""
    return environment().get_template("block.html.j2").render(page=page)


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return where our pages' templates are found, and how they escape."""
    found = Environment(
        loader=FileSystemLoader(shipped("reports") / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"coded": _coded, "brief": brief, "drawn": escape, "whole": _whole,
                      "unbroken": unbroken}  # fmt: skip
    return found


@pass_context
def _shown(context: Context, value: object) -> object:
    """Make what a template writes visible and not too long; our own markup stays as it is."""
    text = isinstance(value, str) and not isinstance(value, Markup)
    return shortened(str(value), _longest(context)) if text else value


@pass_context
def _coded(context: Context, text: str) -> Markup:
    return coded(shortened(text, _longest(context)))


def _whole(text: str) -> Markup:
    """Return what no page has too little room for: the verdict, and what is left out."""
    return escape(shortened(text, ROOMS[0].text))


def _longest(context: Context) -> int | None:
    room = context.get("room")
    return room.text if isinstance(room, Room) else None


def style_of(more: str = "") -> tuple[Markup, str]:
    """Return the stylesheet, and a content policy that allows it by hash and pictures as data.

    ``more`` is appended to it, and must be ours.
    """
    raw = _sheet() + more
    digest = base64.b64encode(hashlib.sha256(raw.encode()).digest()).decode("ascii")
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; "
    return Markup(raw), policy + "form-action 'none'"  # noqa: S704 -- our own file, not input


@lru_cache(maxsize=1)
def _sheet() -> str:
    return (shipped("reports") / "report.css").read_text(encoding="utf-8")


def _running(digest: object) -> str:
    """Return what stands at the edge of each page: a digest needs no escaping."""
    return (
        f'@page {{ @top-left {{ content: "Record {digest}" }} '
        '@top-right { content: counter(page) " / " counter(pages) } }\n'
    )
