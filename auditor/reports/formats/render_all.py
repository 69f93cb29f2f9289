"""Every rendering of a record, by the name of its file."""

from collections.abc import Mapping

from auditor.domain.canonical import canonical
from auditor.rendering.annex.markdown import ANNEX, render_annex
from auditor.rendering.bom import render_bom
from auditor.rendering.codequality import render_code_quality
from auditor.rendering.guide import GUIDE, VERIFIER, offline_verifier, render_guide
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.junit import render_junit
from auditor.rendering.openlineage import render_openlineage
from auditor.rendering.prov import render_prov
from auditor.rendering.report import render_html
from auditor.rendering.sarif import render_code_scanning, render_sarif
from auditor.rendering.summary import render_markdown


def render_all(inputs: RenderedInputs) -> Mapping[str, bytes]:
    """Return the bytes of each file; the same inputs give the same bytes."""
    annex = render_annex(inputs)
    return {
        **({} if annex is None else {ANNEX: _text(annex)}),
        "report.html": _text(render_html(inputs)),
        "summary.md": _text(render_markdown(inputs)),
        "results.sarif": canonical(render_sarif(inputs)) + b"\n",
        "code-scanning.sarif": canonical(render_code_scanning(inputs)) + b"\n",
        "code-quality.json": canonical(render_code_quality(inputs)) + b"\n",
        "junit.xml": render_junit(inputs.record, inputs.waivers),
        "prov.json": canonical(render_prov(inputs.record)) + b"\n",
        "bom.cdx.json": canonical(render_bom(inputs.record)) + b"\n",
        "openlineage.json": canonical(render_openlineage(inputs.record)) + b"\n",
        GUIDE: _text(render_guide(inputs)),
        VERIFIER: offline_verifier(),
    }


def _text(written: str) -> bytes:
    return written.encode("utf-8", errors="replace")
