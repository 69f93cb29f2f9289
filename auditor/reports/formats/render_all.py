"""Every rendering of a record, by the name of its file."""

from collections.abc import Mapping

from auditor.domain.json import encode_canonical
from auditor.reports.formats.annex_iv import ANNEX, render_annex
from auditor.reports.formats.cyclonedx import render_bom
from auditor.reports.formats.gitlab import render_code_quality
from auditor.reports.formats.html import render_html
from auditor.reports.formats.junit import render_junit
from auditor.reports.formats.markdown import render_markdown
from auditor.reports.formats.openlineage import render_openlineage
from auditor.reports.formats.prov import render_prov
from auditor.reports.formats.sarif import render_code_scanning, render_sarif
from auditor.reports.formats.verification_guide import (
    GUIDE,
    VERIFIER,
    read_offline_verifier,
    render_guide,
)
from auditor.reports.inputs import ReportInputs


def render_all(inputs: ReportInputs) -> Mapping[str, bytes]:
    """Return the bytes of each file; the same inputs give the same bytes."""
    annex = render_annex(inputs)
    return {
        **({} if annex is None else {ANNEX: _text(annex)}),
        "report.html": _text(render_html(inputs)),
        "summary.md": _text(render_markdown(inputs)),
        "results.sarif": encode_canonical(render_sarif(inputs)) + b"\n",
        "code-scanning.sarif": encode_canonical(render_code_scanning(inputs)) + b"\n",
        "code-quality.json": encode_canonical(render_code_quality(inputs)) + b"\n",
        "junit.xml": render_junit(inputs.record, inputs.waivers),
        "prov.json": encode_canonical(render_prov(inputs.record)) + b"\n",
        "bom.cdx.json": encode_canonical(render_bom(inputs.record)) + b"\n",
        "openlineage.json": encode_canonical(render_openlineage(inputs.record)) + b"\n",
        GUIDE: _text(render_guide(inputs)),
        VERIFIER: read_offline_verifier(),
    }


def _text(written: str) -> bytes:
    return written.encode("utf-8", errors="replace")
