"""`auditor audit --pdf`: the report on paper, signed with the rest, never the end of an audit."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
AUDITED = ("audit", "audit.yaml", "--only", "quality.accuracy", "--pdf", "--out", "out")
GATE = (
    "gate", "--artifact", "model.onnx", "--policy", "policy.yaml",
    "--record", "out", "--key", "out/signer.pub",
)  # fmt: skip
PRINTS = """#!/bin/sh
for word in "$@"; do case "$word" in --print-to-pdf=*) out="${word#--print-to-pdf=}";; esac; done
for page in "$@"; do :; done
cp "${page#file://}" "$out"
"""
ONCE = f"""{PRINTS}
grep -q "Does it print" "$out" || {{ echo out of paper >&2; exit 3; }}
"""


@pytest.fixture
def browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a browser into the path: a script that `prints` by copying the page."""

    def put(script: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir()
        (folder / "chromium").write_text(script)
        (folder / "chromium").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    return put


def test_without_a_browser_nothing_runs(
    auditor: Command, inside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    ended = auditor(*AUDITED)
    assert (ended.code, "apt-get install chromium" in ended.said) == (2, True)
    assert "Auditing" not in ended.said
    assert not (inside / "out").exists()


def test_the_paper_shows_the_report_is_signed_and_opens_gates(
    auditor: Command, inside: Path, browser: Callable[[str], None]
) -> None:
    browser(PRINTS)
    assert auditor(*AUDITED).code == 0
    paper = inside / "out" / "report.pdf"
    record = (inside / "out" / "report.html").read_text().partition("digest <code>")[2][:71]
    assert f'content: "Record {record}"' in paper.read_text()
    verified = auditor("verify", "out", "--key", "out/signer.pub")
    assert verified.code == 0
    assert "not checked paper report.pdf was signed as it is, and not held against" in verified.said
    assert auditor(*GATE).code == 0
    paper.write_text("Pass")
    forged = auditor("verify", "out", "--key", "out/signer.pub")
    assert (forged.code, "report.pdf is not the file that was signed" in forged.said) == (1, True)
    assert auditor(*GATE).code == 1


def test_an_audit_outlives_a_browser_that_fails_after_it(
    auditor: Command, inside: Path, browser: Callable[[str], None]
) -> None:
    browser(ONCE)
    ended = auditor(*AUDITED)
    assert ended.code == 0
    assert "report.pdf is not written" in ended.said
    assert "out of paper" in ended.said
    assert not (inside / "out" / "report.pdf").exists()
    assert auditor("verify", "out", "--key", "out/signer.pub").code == 0
    (inside / "out" / "report.pdf").write_text("Pass")
    unsigned = auditor("verify", "out", "--key", "out/signer.pub")
    assert (unsigned.code, "report.pdf is not signed" in unsigned.said) == (1, True)
