"""Whatever is done to a folder of which rows are withheld, or to one with its key, is told."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from disclosed_folders import FULLY, PARTLY, Change

from auditor.domain.verification_steps import StepResult
from auditor.reports.folder import RECORD, RecordFolder
from auditor.workflows.verify.folder import RecordVerifier, verify_folder
from auditor.workflows.verify.verifiers import build_verifier

Command = Callable[..., Any]


@pytest.fixture(scope="module")
def known() -> dict[str, RecordVerifier]:
    """What verifies, made once: it depends on the signer's key alone."""
    return {}


@pytest.fixture
def failures(known: dict[str, RecordVerifier], disclosed: Path) -> Callable[[str, Change], str]:
    """Change a copy of a folder and return what fails, in words."""

    def look(name: str, act: Change) -> str:
        folder = disclosed / name
        if not known:
            known["key"] = build_verifier(folder / "signer.pub")
        act(folder)
        steps = verify_folder(RecordFolder(folder), known["key"])
        return "; ".join(step.detail for step in steps if step.result is StepResult.FAILED)

    return look


@pytest.mark.parametrize("name", ["part", "full"])
def test_what_is_not_changed_is_not_refused(
    failures: Callable[[str, Change], str], name: str
) -> None:
    assert not failures(name, lambda folder: None)


@pytest.mark.parametrize("change", PARTLY)
def test_what_is_changed_in_a_folder_with_withheld_rows_is_refused(
    failures: Callable[[str, Change], str], change: str
) -> None:
    act, reason = PARTLY[change]
    assert reason in failures("part", act)


@pytest.mark.parametrize("change", FULLY)
def test_what_is_changed_in_a_folder_with_its_key_is_refused(
    failures: Callable[[str, Change], str], change: str
) -> None:
    act, reason = FULLY[change]
    assert reason in failures("full", act)


def test_too_much_assurance_is_refused_where_rows_are_withheld(
    failures: Callable[[str, Change], str],
) -> None:
    def claim(folder: Path) -> None:
        raw = (folder / RECORD).read_bytes()
        (folder / RECORD).write_bytes(raw.replace(b'"assurance":"A0"', b'"assurance":"A3"'))

    assert "ASSURANCE: nothing shows more than A0" in failures("part", claim)


def test_a_plain_record_takes_no_key_and_no_openings(finished: Path, auditor: Command) -> None:
    for name in ("disclosure.key", "openings/" + "ab" * 32, "rows/" + "ab" * 32):
        folder = finished / "tampered"
        shutil.copytree(finished / "out", folder)
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
        ended = auditor("verify", folder, "--key", folder / "signer.pub")
        assert ended.code == 1, (name, ended.said)
        shutil.rmtree(folder)
