"""The report: one self-contained page that needs no network and no script."""

import base64
import hashlib
from collections.abc import Mapping
from functools import lru_cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from auditor.rendering.askings import asked_gaps
from auditor.rendering.cards import MOST_CARDS, cards, outcome_counts, reading_sentence
from auditor.rendering.coverage import control_rows, doubted
from auditor.rendering.doubting import doubt_cure
from auditor.rendering.examples import galleries
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.lacking import gap_rows
from auditor.rendering.lineages.graph import lineage_graph
from auditor.rendering.measurements import MOST_ROWS, measurement_rows
from auditor.rendering.panels import sections
from auditor.rendering.phrases import MEANINGS, OUTCOMES
from auditor.rendering.quoting import coded
from auditor.rendering.reconstructions import reconstructions
from auditor.rendering.runs import edge_rows, request_facts, short, target_facts
from auditor.rendering.sheets import contact_sheets
from auditor.rendering.targets.side_by_side import side_by_side
from auditor.rendering.texts import glossary, outside
from auditor.rendering.verdicts import moment, verdict_words
from auditor.rendering.visible import visible
from auditor.shipped import shipped


def render_html(inputs: RenderedInputs) -> str:
    """Render ``report.html``; everything from the record is escaped."""
    style, policy = _style()
    return (
        _environment()
        .get_template("report.html.j2")
        .render(style=style, content_security=policy, **_verdict(inputs), **_rest(inputs))
        .rstrip()
        + "\n"
    )


def _verdict(inputs: RenderedInputs) -> Mapping[str, object]:
    record = inputs.record
    shown = cards(inputs)
    counts = outcome_counts(record.findings)
    return {
        "record": record,
        "verdict": verdict_words(inputs),
        "cards": shown[:MOST_CARDS],
        "more_cards": shown[MOST_CARDS:],
        "counts": [(outcome, OUTCOMES[outcome], count) for outcome, count in counts],
        "meanings": [(outcome, OUTCOMES[outcome], MEANINGS[outcome]) for outcome, _ in counts],
        "beside": side_by_side(inputs, shown[:MOST_CARDS]),
        "several_targets": len(record.request.targets) > 1,
        "registered": moment(record.registered),
        "finished": moment(record.finished),
    }


def _rest(inputs: RenderedInputs) -> Mapping[str, object]:
    rows, unsure = measurement_rows(inputs), doubted(inputs)
    cures = [doubt_cure(inputs.record, item) for item in unsure]
    asked, others = asked_gaps(inputs.record)
    return {
        "sections": sections(inputs),
        "galleries": galleries(inputs),
        "contact_sheets": contact_sheets(inputs),
        "reconstructions": reconstructions(inputs),
        "show_examples": inputs.show_examples,
        "gaps": gap_rows(inputs, asked),
        "more_gaps": gap_rows(inputs, others),
        "doubted": [reading_sentence(inputs, item) for item in unsure],
        "doubt_cures": [cure for cure in dict.fromkeys(cures) if cure],
        "controls": control_rows(inputs.record.findings),
        "outside": outside(),
        "request_facts": request_facts(inputs),
        "targets": target_facts(inputs),
        "measurements": rows[:MOST_ROWS],
        "more_measurements": len(rows) - len(rows[:MOST_ROWS]),
        "edges": edge_rows(inputs),
        "lineage": lineage_graph(inputs.record),
        "glossary": glossary(),
        "record_digest": inputs.record.digest,
        "short": short,
        "signer": inputs.signer,
    }


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(shipped("reports") / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["coded"] = coded
    return environment


def _shown(value: object) -> object:
    """Make what a template writes visible; our own markup stays as it is."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@lru_cache(maxsize=1)
def _style() -> tuple[Markup, str]:
    """Return the stylesheet, and a content policy that allows it by hash and pictures as data."""
    raw = (shipped("reports") / "report.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(raw.encode()).digest()).decode("ascii")
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; "
    return Markup(raw), policy + "form-action 'none'"  # noqa: S704 -- our own file, not input
