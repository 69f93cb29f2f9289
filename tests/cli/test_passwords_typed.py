"""A password typed at a terminal: asked for by name, twice for a new key, and never shown."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from auditor.trust.keys.files import load_signer

SECRET = b"correct horse"


def typed(words: list[str], folder: Path) -> tuple[int, str]:
    """Run the command at a terminal of its own, and answer every question with the secret."""
    here, there = pty.openpty()
    code = "from auditor.cli.main import main; main()"
    running = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stdin=there, stdout=there, stderr=there, cwd=folder, start_new_session=True,
    )  # fmt: skip
    os.close(there)
    shown, answered = b"", 0
    while True:
        try:
            found = os.read(here, 1024)
        except OSError:  # the terminal is gone with the command
            break
        if not found:
            break
        shown += found
        if shown.count(b": ", answered) and shown.rstrip(b"\r\n").endswith(b": "):
            os.write(here, SECRET + b"\n")
            answered = len(shown)
    os.close(here)
    return running.wait(timeout=60), shown.decode()


@pytest.mark.slow
def test_a_new_key_is_locked_by_what_is_typed_twice_and_opened_by_it(
    home: Path, tmp_path: Path
) -> None:
    code, shown = typed(["keys", "new", "--encrypt", "--role", "model"], tmp_path)
    assert code == 0, shown
    assert shown.count("Password of the new key") == 1
    assert "Repeat for confirmation" in shown
    assert SECRET.decode() not in shown
    load_signer(home / "model.key", password=SECRET)
    (tmp_path / "weights").write_bytes(b"weights")
    code, shown = typed(["sign", "weights", "--out", "weights.sig"], tmp_path)
    assert code == 0, shown
    assert f"Password of {home / 'model.key'}" in shown.replace("\r\n", "")
    assert (tmp_path / "weights.sig").exists()
