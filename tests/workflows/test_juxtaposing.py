"""Two folders side by side, as they verify here: whole, or but for checks of another version."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from zipfile import ZipFile

import pytest

from auditor.domain.checks import Check
from auditor.errors import RecordError
from auditor.reports.folder import RecordFolder
from auditor.workflows.compare import compare_folders
from auditor.workflows.verify.folder import RecordVerifier, verify_folder
from auditor.workflows.verify.verifiers import build_verifier

RECORDS = Path(__file__).parents[1] / "golden" / "records" / "v1.zip"


@pytest.fixture
def folder(tmp_path: Path) -> RecordFolder:
    with ZipFile(RECORDS) as packed:
        packed.extractall(tmp_path)
    return RecordFolder(tmp_path / "out")


def reader(folder: RecordFolder) -> RecordVerifier:
    return build_verifier(folder.path / "signer.pub")


def newer(known: RecordVerifier, name: str) -> RecordVerifier:
    """A version of auditor in which one check measures otherwise than when the record was made."""
    check: type[Check] = known.checks[name]
    fresh = type(check.__name__, (check,), {"version": check.version + 1, "__slots__": ()})
    return replace(known, checks={**known.checks, name: fresh})


def test_a_record_beside_itself_did_not_move(folder: RecordFolder) -> None:
    found, taken = compare_folders(
        folder, folder, partial(verify_folder, verifier=reader(folder)), reader(folder)
    )
    assert found.moved
    assert (found.alone, found.proven, found.got_worse, taken) == (0, 0, False, ())


def test_figures_of_a_check_that_is_newer_here_count_as_they_are_signed(
    folder: RecordFolder,
) -> None:
    known = newer(reader(folder), "quality.accuracy")
    found, taken = compare_folders(folder, folder, partial(verify_folder, verifier=known), known)
    assert not found.got_worse
    assert [text.split(": ")[1] for text in taken] == [
        "quality.accuracy version 2 is not installed here"
    ] * 2


def test_but_all_else_of_such_a_record_must_hold(folder: RecordFolder) -> None:
    known = newer(reader(folder), "quality.accuracy")
    page = folder.path / "report.html"
    page.write_text(page.read_text().replace("May be", "Must be"))
    with pytest.raises(RecordError, match="does not verify: files"):
        compare_folders(folder, folder, partial(verify_folder, verifier=known), known)


def test_a_record_that_lies_is_not_compared(folder: RecordFolder) -> None:
    blob = next((folder.path / "evidence").iterdir())
    blob.write_bytes(blob.read_bytes() + b" ")
    known = reader(folder)
    with pytest.raises(RecordError, match="does not verify: evidence"):
        compare_folders(folder, folder, partial(verify_folder, verifier=known), known)
