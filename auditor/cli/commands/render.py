"""Render a record's report again, as a PDF to file or to send."""

from pathlib import Path

import click

from auditor.cli.input_paths import RECORD_FOLDER
from auditor.errors import UsageError
from auditor.reports.folder import RecordFolder
from auditor.reports.formats.html import render_html
from auditor.reports.formats.pdf import print_pdf
from auditor.reports.publish import build_rendering_inputs
from auditor.reports.terminal import create_console
from auditor.workflows.evidence import load_record_policy
from auditor.workflows.verify.verifiers import build_own_verifier


@click.command("render")
@click.argument("folder", type=RECORD_FOLDER)
@click.option("--pdf", type=click.Path(path_type=Path), required=True, help="Output file.")
def command(folder: Path, pdf: Path) -> int:
    """Write the report of the record in FOLDER as a PDF. Needs an installed browser.

    The PDF has the full content of report.html, with all sections expanded. Each page shows its
    number and the digest of the record. A PDF is not signed: to check it, verify the folder.
    """
    place = RecordFolder(folder)
    record = place.record
    reader = build_own_verifier(place)
    policy = load_record_policy(place, record, reader.load_policy)
    inputs = build_rendering_inputs(record, policy, reader.checks, place.evidence)
    raw = print_pdf(render_html(inputs, on_paper=True))
    try:
        pdf.write_bytes(raw)
    except OSError as error:
        raise UsageError(
            f"{pdf} cannot be written: {error.strerror}", cure="Choose another file with --pdf."
        ) from None
    create_console().print(
        f"{pdf} shows record {record.digest}; `auditor verify {folder}` checks whether it is valid",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    return 0
