"""HTML report: one self-contained page without network requests or scripts.

The page is limited in size so that it opens in any browser, regardless of how much the record
holds; the largest sections are left out first.
"""

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from auditor._resources import find_shipped_folder
from auditor._time import format_moment
from auditor.domain.findings import Verdict
from auditor.domain.number_text import format_count
from auditor.reports.doubts import suggest_doubt_cure
from auditor.reports.formats.annex_iv import build_technical_documentation
from auditor.reports.html.baseline_changes import compare_with_baseline
from auditor.reports.html.check_sections import BlockPage, render_blocks
from auditor.reports.html.controls import list_frameworks, list_legal_basis
from auditor.reports.html.coverage import (
    build_gap_rows,
    list_doubted_figures,
    list_open_obligations,
    split_requested_gaps,
)
from auditor.reports.html.examples import (
    build_contact_sheets,
    build_galleries,
    build_reconstruction_sheets,
)
from auditor.reports.html.findings import (
    MOST_CARDS,
    MOST_DECIDING,
    MOST_KEPT,
    FindingCard,
    build_cards,
    build_finding_references,
    count_outcomes,
    describe_intervals,
    describe_reading,
    list_deciding_cards,
    merge_targets,
    select_required,
    sort_by_slack,
)
from auditor.reports.html.lineage import draw_lineage
from auditor.reports.html.measurements import (
    MOST_ROWS,
    build_figure_sections,
    build_measurement_rows,
)
from auditor.reports.html.risks import MOST_RISKS, build_risk_rows
from auditor.reports.html.run_details import (
    build_edge_rows,
    build_request_facts,
    build_target_facts,
    shorten_digest,
)
from auditor.reports.html.targets import build_target_overview
from auditor.reports.html.verdict import (
    build_decision_section,
    build_verify_command,
    describe_verdict,
    gather_open_questions,
)
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.report_formats import ReportFormat, encode_text
from auditor.reports.text_length import count_octets
from auditor.reports.wording import (
    MEANINGS,
    OUTCOMES,
    load_external_duties,
    load_glossary,
    mark_code,
    shorten_text,
    shorten_title,
)

MOST_BYTES = 1_990_000
"""Of a page: a report is one file under 2 MB."""
LEFT_OUT = "This part does not fit into the page ({size} kB). What it shows is in the record."
SECTION = re.compile(
    r'<section id="(?P<name>[a-z-]+)">\n(?P<head><h2>[^<]*</h2>)\n.*?</section>', re.DOTALL
)
"""A part of a page; parts never lie in each other, and text from a record makes no markup."""
KEPT = frozenset({"findings", "verify"})
"""Parts that others point into, or that say how to check the page."""


@dataclass(frozen=True, slots=True)
class PageLimits:
    """So many findings, measurements and characters of one text; ``pictures`` take the most."""

    cards: int
    rows: int
    text: int
    pictures: bool = True

    @property
    def said(self) -> str:
        """Say what a page leaves out that has less room than others; empty where it has most."""
        if self == ROOMS[0]:
            return ""
        pictures = "" if self.pictures else ", examples are not shown"
        return (
            "This record is larger than one page can show. Here are the worst "
            f"{self.cards} findings and the first {self.rows} measurements, texts are cut after "
            f"{format_count(self.text)} characters{pictures}. The whole stands in record.json, and "
            "what the policy and the owners wrote in the evidence."
        )


ROOMS = (
    PageLimits(MOST_CARDS, MOST_ROWS, 4_000),
    PageLimits(MOST_CARDS, 600, 600),
    PageLimits(60, 300, 400),
    PageLimits(30, 100, 250, pictures=False),
)


def fit_page(page: Callable[[PageLimits], str], most: int = MOST_BYTES) -> str:
    """Return the page with the most room that is no larger than ``most`` bytes in UTF-8.

    Where the least room is not enough, the largest parts are left out, which the page says there.
    """
    made = ""
    for room in ROOMS:
        made = page(room)
        if count_octets(made) <= most:
            return made
    return _without_the_largest(made, most)


def _without_the_largest(page: str, most: int) -> str:
    parts = [found for found in SECTION.finditer(page) if found["name"] not in KEPT]
    for part in sorted(parts, key=lambda found: -count_octets(found[0])):
        if count_octets(page) <= most:
            break
        page = page.replace(part[0], "\n".join(_emptied(part)), 1)
    return page


def _emptied(part: re.Match[str]) -> Iterator[str]:
    yield f'<section id="{part["name"]}">'
    yield part["head"]
    yield f"<p>{LEFT_OUT.format(size=format_count(count_octets(part[0]) // 1000))}</p>"
    yield "</section>"


FIGURES = re.compile(
    r"<(?P<kept>style|title|code|pre)\b[^>]*>.*?</(?P=kept)>|<[^>]*>"
    r"|(?<![\w.,:/+\-\u2013\u2212)\]])-(?=\.?\d)"
    r"|(?<=\bn) (?== \d)|(?<=\bn =) (?=\d)"
    r"|(?<=\d) (?=(?:%|[m\u00b5n]?s|[KMGT]?i?B|nats?|min|h)(?![\w-]))",
    re.DOTALL,
)
"""A hyphen that is a minus sign, a space between a number and its unit or name, or markup."""
TYPESET: Mapping[str, str] = {"-": "\N{MINUS SIGN}", " ": "\N{NO-BREAK SPACE}"}


def typeset_figures(page: str) -> str:
    """Return a page whose numbers have minus signs and stay on one line with their units.

    Markup and code stay as they are: ``page`` comes from our templates, so that ``<`` and ``>`` in
    it are markup alone.
    """
    return FIGURES.sub(lambda found: TYPESET.get(found[0], found[0]), page)


PICTURES = ("galleries", "contact_sheets", "reconstructions")


def render_html(inputs: ReportInputs, *, on_paper: bool = False) -> str:
    """Render ``report.html``, below 2 MB; everything from the record is escaped.

    ``on_paper`` gives each printed page the record's digest and its number.
    """
    shown, rows = build_cards(inputs), build_measurement_rows(inputs)
    record, found = inputs.record, build_finding_references(inputs, shown)
    counts = count_outcomes(record.findings)
    required = Counter(item.outcome for item in select_required(record.findings))
    always = {
        "record": record,
        "verdict": describe_verdict(inputs),
        "counts": [(it, OUTCOMES[it], count, required[it]) for it, count in counts],
        "meanings": [(outcome, OUTCOMES[outcome], MEANINGS[outcome]) for outcome, _ in counts],
        "decisions": build_decision_section(inputs),
        "since": compare_with_baseline(inputs),
        "risks": build_risk_rows(inputs, found),
        "most_risks": MOST_RISKS,
        "frameworks": list_frameworks(inputs, found),
        "laws": list_legal_basis(inputs),
        "annex": build_technical_documentation(inputs, found),
        "words": OUTCOMES,
        "several_targets": len(record.request.targets) > 1,
        "registered": format_moment(record.registered),
        "finished": format_moment(record.finished),
        **_rest(inputs),
    }
    deciding, most = _list_deciding(inputs, shown)
    style, policy = build_style(_running(always["record_digest"]) if on_paper else "")
    template = build_template_environment().get_template("report.html.j2")

    def page(room: PageLimits) -> str:
        there = shown[: room.cards]
        named = merge_targets(deciding[: room.cards])[:most]
        told = {
            **always,
            "room": room,
            "cards": there,
            "there": frozenset(card.anchor for card in there),
            "more_cards": shown[room.cards :],
            "deciding": named,
            "intervals": describe_intervals(record, [card.finding for card, _ in named]),
            "more_deciding": len(deciding) - sum(len(targets) for _, targets in named),
            "opened": () if record.verdict is Verdict.PASS else [card for card, _ in named],
            "open": gather_open_questions(shown, room.cards),
            "beside": build_target_overview(inputs, there),
            "measurements": rows[: room.rows],
            "more_measurements": len(rows[room.rows :]),
            **({} if room.pictures else dict.fromkeys(PICTURES, ())),
        }
        made = template.render(style=style, content_security=policy, **told)
        return typeset_figures(made).rstrip() + "\n"

    return fit_page(page)


def _list_deciding(
    inputs: ReportInputs, shown: Sequence[FindingCard]
) -> tuple[list[FindingCard], int]:
    """Return the cards that decided, and how many of them stand beside the verdict at most."""
    deciding = list_deciding_cards(shown, inputs.record.verdict)
    if inputs.record.verdict is Verdict.PASS:
        return sort_by_slack(inputs, deciding), MOST_KEPT
    return deciding, MOST_DECIDING


def _rest(inputs: ReportInputs) -> Mapping[str, object]:
    unsure = list_doubted_figures(inputs)
    cures = [suggest_doubt_cure(inputs.record, item) for item in unsure]
    asked, others = split_requested_gaps(inputs.record)
    return {
        "sections": build_figure_sections(inputs),
        "blocks": render_blocks(inputs, render_block),
        "galleries": build_galleries(inputs),
        "contact_sheets": build_contact_sheets(inputs),
        "reconstructions": build_reconstruction_sheets(inputs),
        "show_examples": inputs.show_examples,
        "gaps": build_gap_rows(inputs, asked),
        "more_gaps": build_gap_rows(inputs, others),
        "doubted": [describe_reading(inputs, item) for item in unsure],
        "doubt_cures": [cure for cure in dict.fromkeys(cures) if cure],
        "outside": load_external_duties(),
        "cannot_evidence": list_open_obligations(inputs),
        "request_facts": build_request_facts(inputs),
        "targets": build_target_facts(inputs),
        "edges": build_edge_rows(inputs),
        "lineage": draw_lineage(inputs.record),
        "glossary": load_glossary(),
        "record_digest": inputs.record.digest,
        "short": shorten_digest,
        "signer": inputs.signer,
        "verify": build_verify_command(inputs.record),
    }


def render_block(page: BlockPage) -> str:
    """Write a check's own block as markup; everything that it says is escaped."""
    return build_template_environment().get_template("block.html.j2").render(page=page)


@lru_cache(maxsize=1)
def build_template_environment() -> Environment:
    """Return where our pages' templates are found, and how they escape."""
    found = Environment(
        loader=FileSystemLoader(find_shipped_folder("reports") / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"coded": _coded, "brief": shorten_title, "drawn": escape, "whole": _whole}
    return found


@pass_context
def _shown(context: Context, value: object) -> object:
    """Make what a template writes visible and not too long; our own markup stays as it is."""
    text = isinstance(value, str) and not isinstance(value, Markup)
    return shorten_text(str(value), _longest(context)) if text else value


@pass_context
def _coded(context: Context, text: str) -> Markup:
    return mark_code(shorten_text(text, _longest(context)))


def _whole(text: str) -> Markup:
    """Return what no page has too little room for: the verdict, and what is left out."""
    return escape(shorten_text(text, ROOMS[0].text))


def _longest(context: Context) -> int | None:
    room = context.get("room")
    return room.text if isinstance(room, PageLimits) else None


def build_style(more: str = "") -> tuple[Markup, str]:
    """Return the stylesheet, and a content policy that allows it by hash and pictures as data.

    ``more`` is appended to it, and must be ours.
    """
    raw = _sheet() + more
    digest = base64.b64encode(hashlib.sha256(raw.encode()).digest()).decode("ascii")
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; "
    return Markup(raw), policy + "form-action 'none'"  # noqa: S704 -- our own file, not input


@lru_cache(maxsize=1)
def _sheet() -> str:
    return (find_shipped_folder("reports") / "report.css").read_text(encoding="utf-8")


def _running(digest: object) -> str:
    """Return what stands at the edge of each page: a digest needs no escaping."""
    return (
        f'@page {{ @top-left {{ content: "Record {digest}" }} '
        '@top-right { content: counter(page) " / " counter(pages) } }\n'
    )


FORMATS = (
    ReportFormat("html", "report.html", lambda inputs: encode_text(render_html(inputs)), kept=True),
)
