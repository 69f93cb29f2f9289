"""The command: what it refuses, and what it writes where."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from auditor.cli.main import main


def ended(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["auditor", "selftest", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


def test_a_family_that_there_is_not_ends_with_two(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(monkeypatch, "--family", "nowhere") == 2
    assert "there is no family nowhere. There are artifacts, " in capsys.readouterr().err


def test_a_folder_that_holds_something_is_not_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert ended(monkeypatch, "--family", "claims", "--keep", tmp_path) == 2
    assert "is not an empty folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.slow
def test_a_selftest_that_is_stopped_ends_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-u", "-c", "from auditor.cli.main import main; main()"]
    with subprocess.Popen(
        [*command, "selftest", "--family", "claims"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        process_group=0,
    ) as running:
        assert running.stdout is not None
        assert "claims-accuracy" in running.stdout.readline()
        running.send_signal(signal.SIGINT)
        said, wrong = running.communicate(timeout=120)
        assert running.returncode == 4, wrong
    assert "planted defects found" not in said
    assert list(tmp_path.glob("auditor-run-*")) == []
