"""The report on paper: a PDF that says what the page says, and names its record on every page."""

import shutil
import subprocess
from pathlib import Path

import pytest
from debian import installed
from rendering_records import FAILING, inputs_of
from webdriver import CHROMIUM

from auditor.errors import BrowserMissingError
from auditor.reports.formats.html import render_html
from auditor.reports.formats.pdf import print_pdf
from auditor.reports.html.measurements import build_measurement_rows


def test_without_a_browser_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(BrowserMissingError, match="apt-get install chromium"):
        print_pdf("<p>page</p>")


def test_a_browser_that_fails_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\necho out of paper >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrowserMissingError, match="out of paper"):
        print_pdf("<p>page</p>")


def test_only_paper_has_running_heads() -> None:
    digest = f"Record {FAILING.digest}"
    assert f'content: "{digest}"' in render_html(inputs_of(FAILING), on_paper=True)
    assert f'content: "{digest}"' not in render_html(inputs_of(FAILING))


@pytest.mark.slow
@pytest.mark.fetches
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (Debian: chromium)")
def test_the_pdf_says_what_the_page_says(tmp_path: Path) -> None:
    installed(["poppler-utils"], shows=["pdftotext"])
    path = tmp_path / "report.pdf"
    path.write_bytes(print_pdf(render_html(inputs_of(FAILING), on_paper=True)))
    read = subprocess.run(
        [shutil.which("pdftotext") or "pdftotext", path, "-"], capture_output=True, check=True
    )
    pages = [page for page in read.stdout.decode().split("\f") if page.strip()]
    text = " ".join(" ".join(pages).split())
    assert len(pages) > 3
    assert all(f"Record {FAILING.digest}" in " ".join(page.split()) for page in pages)
    assert f"{len(pages)} / {len(pages)}" in text
    assert "Not approved" in text
    for finding in FAILING.findings:
        assert finding.title in text
        assert finding.message in text  # folded on screen where the finding is good
    for row in build_measurement_rows(inputs_of(FAILING)):
        assert row.measure.replace(" ", "") in text.replace(" ", "")
