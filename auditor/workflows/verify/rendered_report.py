"""Renders a record again and compares the result with the signed report files."""

import html
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType

from auditor import __version__
from auditor.domain.findings import Verdict
from auditor.domain.records import AuditRecord
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.reports.folder import PAPER, RecordFolder
from auditor.reports.formats.html import MOST_BYTES
from auditor.reports.html.check_blocks import BLOCKS, list_third_party_packages
from auditor.reports.html.check_sections import MOST_BYTES_OF_ALL
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.report_formats import list_shipped_formats, render_formats
from auditor.reports.waiver_text import EXCEPTION
from auditor.reports.wording import VERDICTS

RENDERINGS = "renderings"
"""The step that compares the report's files with the record."""
STATED: Mapping[Verdict, tuple[str, ...]] = MappingProxyType(
    {
        Verdict.PASS: (VERDICTS[Verdict.PASS], EXCEPTION, "Approved by", "Approved as"),
        Verdict.FAIL: (VERDICTS[Verdict.FAIL],),
        Verdict.INCONCLUSIVE: (VERDICTS[Verdict.INCONCLUSIVE],),
    }
)
"""How pages head each verdict: the texts of this version, the plain one first."""
FORMER: Mapping[Verdict, str] = MappingProxyType(
    {
        Verdict.PASS: "May be deployed",
        Verdict.FAIL: "May not be deployed",
        Verdict.INCONCLUSIVE: "Not decided: may not be deployed",
    }
)
"""How the pages of earlier versions head it."""

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
    folder: RecordFolder,
    inputs: ReportInputs,
    altered: Collection[str] = (),
    *,
    same_code: bool,
    same_environment: bool,
) -> VerificationStep:
    """Say whether the folder's files show the record as it is rendered here.

    What other code rendered may look otherwise, but has to state the same verdict, model and
    record; and so may what another version of a package shows in its block. Around the blocks
    nothing may differ. ``altered`` files are not the ones that were signed, which is said already.
    """
    formats = (item for item in list_shipped_formats() if item.kept or folder.has(item.file))
    files = render_formats(inputs, formats)
    shown = {name for name, raw in files.items() if folder.has(name) and folder.read(name) == raw}
    changed = [name for name in files if name not in shown]
    if changed and not same_code:
        return _look_into(
            folder, inputs.record, {it: files[it] for it in changed if it not in altered}
        )
    others = list_third_party_packages(inputs)
    own = BLOCKS.issuperset(changed) and all(_alike(folder, name, files[name]) for name in changed)
    if changed and others and own and not same_environment:
        made = f"{', '.join(changed)} hold what {', '.join(others)} shows of its own"
        detail = f"{made}, and other packages were installed where that was signed"
        return VerificationStep(RENDERINGS, StepResult.NOT_CHECKED, detail)
    mistakes = [f"{name} does not show this record" for name in changed]
    return VerificationStep.of(
        RENDERINGS, mistakes, "rendering this record again gives the same files"
    )


def was_compared(steps: Iterable[VerificationStep]) -> bool:
    """Whether the report's files were found to show the record, and not only to be signed."""
    return any(item.name == RENDERINGS and item.result is StepResult.HOLDS for item in steps)


def describe_makers(record: AuditRecord) -> str:
    """Name the auditor that a record says it was made by, and this one; the code where it differs.

    The first is a word of the signer.
    """
    made = str(record.tool.get("version", "unknown"))
    if made != __version__:
        return f"made by auditor {made}, this is {__version__}"
    code = str(record.tool.get("code", "unknown")).removeprefix("sha256:")[:12]
    return f"made by auditor {made} with code {code}\u2026, this is {__version__} with other code"


def _look_into(
    folder: RecordFolder, record: AuditRecord, made: Mapping[str, bytes]
) -> VerificationStep:
    """Look for what pages of any version state; the rest of them is not compared."""
    there = [name for name in made if folder.has(name)]
    mistakes = [
        f"{name} {said}"
        for name in there
        if name in BLOCKS
        for said in _misstated(record, _read_text(folder.read(name)), _read_text(made[name]))
    ]
    if mistakes:
        return VerificationStep(RENDERINGS, StepResult.FAILED, "; ".join(mistakes))
    if not made:
        detail = "rendering this record again gives the other files"
        return VerificationStep(RENDERINGS, StepResult.HOLDS, detail)
    named = ", ".join(there) or "the report"
    detail = f"{named} not compared with the record ({describe_makers(record)})"
    return VerificationStep(RENDERINGS, StepResult.NOT_CHECKED, detail)


def _misstated(record: AuditRecord, page: str, made: str) -> Iterator[str]:
    """Say what a page states otherwise than the record; ``made`` is the text rendered here.

    A page also names other verdicts, such as that of a record it compares with; then both do.
    """
    mine = VERDICTS[record.verdict]
    for verdict, texts in STATED.items():
        read = str.casefold if verdict is Verdict.PASS else str
        for text in () if verdict is record.verdict else (*texts[:2], FORMER[verdict]):
            if read(text) in read(page) and read(text) not in read(made):
                yield f'says "{text}", but the verdict of the record is "{mine}"'
    if not any(text in page for text in (*STATED[record.verdict], FORMER[record.verdict])):
        yield f'does not state the verdict of the record, "{mine}"'
    for what, text in (("model", record.request.name), ("digest of the record", record.digest)):
        if text in made and text not in page:
            yield f"does not name the {what}, {text}"


def _read_text(raw: bytes) -> str:
    """Return the words of a page, with no tags and in one line."""
    text = re.sub(r"<[^>]*>", " ", raw.decode("utf-8", errors="replace"))
    return " ".join(html.unescape(text).split())


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
