"""Render a record again, and hold what comes out against the files that were signed."""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.reports.folder import PAPER, RecordFolder
from auditor.reports.formats.html import MOST_BYTES
from auditor.reports.formats.render_all import render_all
from auditor.reports.html.check_blocks import BLOCKS, list_third_party_packages
from auditor.reports.html.check_sections import MOST_BYTES_OF_ALL
from auditor.reports.inputs import ReportInputs

OWN: Mapping[str, tuple[re.Pattern[str], ...]] = MappingProxyType(
    {
        "report.html": (
            re.compile(r'<li><a href="#blocks">[^<]*</a></li>\n'),
            re.compile(r'<section id="blocks">\n.*?</section>', re.DOTALL),
        ),
        "summary.md": (
            re.compile(r"^## What checks show of their own\n.*?(?=^## )", re.MULTILINE | re.DOTALL),
        ),
    }
)
"""What of a file packages of checks make or are named in; the rest shows the record, as ever."""


def check_rendering(
    folder: RecordFolder, inputs: ReportInputs, *, same_code: bool, same_environment: bool
) -> VerificationStep:
    """Say whether the folder's files show the record as it is rendered here.

    Another version of auditor shows it in its own way, and so may another version of a package
    its block: neither is a mistake of the folder. Around the blocks nothing may differ.
    """
    files = render_all(inputs)
    shown = {name for name, raw in files.items() if folder.has(name) and folder.read(name) == raw}
    changed = [name for name in files if name not in shown]
    if changed and not same_code:
        there = ", ".join(name for name in changed if folder.has(name)) or "none of its files"
        detail = f"another version of auditor rendered {there} in its own way, and signed that"
        return VerificationStep("renderings", StepResult.NOT_CHECKED, detail)
    others = list_third_party_packages(inputs)
    own = BLOCKS.issuperset(changed) and all(_alike(folder, name, files[name]) for name in changed)
    if changed and others and own and not same_environment:
        made = f"{', '.join(changed)} hold what {', '.join(others)} shows of its own"
        detail = f"{made}, and other packages were installed where that was signed"
        return VerificationStep("renderings", StepResult.NOT_CHECKED, detail)
    mistakes = [f"{name} does not show this record" for name in changed]
    return VerificationStep.of(
        "renderings", mistakes, "rendering this record again gives the same files"
    )


def report_unchecked_pdf(folder: RecordFolder) -> Iterator[VerificationStep]:
    """Say of a PDF that nobody held it against the record: no two printings are equal."""
    if folder.has(PAPER):
        detail = f"{PAPER} was signed as it is, and not held against the record: report.html is"
        yield VerificationStep("paper", StepResult.NOT_CHECKED, detail)


def _alike(folder: RecordFolder, name: str, made: bytes) -> bool:
    """Whether the folder's file is the one made here, but for what packages of checks show.

    A page so large that blocks may decide how much else it shows is not looked into.
    """
    if not folder.has(name):
        return False
    crowded = len(made) > MOST_BYTES - MOST_BYTES_OF_ALL
    return crowded or _around(name, folder.read(name)) == _around(name, made)


def _around(name: str, raw: bytes) -> str:
    text = raw.decode("utf-8", errors="replace")
    for part in OWN[name]:
        text = part.sub("", text, count=1)
    return text
