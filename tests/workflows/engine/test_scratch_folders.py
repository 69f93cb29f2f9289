"""Temporary folders end with who made them, killed or not, and nobody else's are touched."""

import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from auditor._resources import PREFIX, remove_stale_folders, scratch_folder

PACKAGE = Path(__file__).parents[3] / "auditor"
KILLED = """
import os, signal
from auditor._resources import scratch_folder
with scratch_folder() as place:
    (place / "artifact").mkdir()
    (place / "artifact" / "model.onnx").write_bytes(b"a trade secret")
    print(place, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
APART = frozenset({"manifest.py", "emulation.py"})
"""These work beside the files that they make."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_what_a_killed_process_left_goes_at_the_next_start(place: Path) -> None:
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", KILLED],
            env={**os.environ, "TMPDIR": str(place)},
            stdout=subprocess.PIPE,
            check=False,
            text=True,
        )
        assert done.returncode == -signal.SIGKILL
        left = Path(done.stdout.strip())
        assert [path.name for path in place.iterdir()] == [left.name]
        assert left.stat().st_mode & 0o077 == 0
    remove_stale_folders(place)
    assert list(place.iterdir()) == []


def test_a_folder_in_use_stays_and_goes_at_its_end(place: Path) -> None:
    with scratch_folder() as one, scratch_folder() as other:
        (one / "a").write_bytes(b"a")
        remove_stale_folders(place)
        assert (one / "a").read_bytes() == b"a"
        assert other.is_dir()
    assert list(place.iterdir()) == []


def test_an_error_leaves_no_folder_behind(place: Path) -> None:
    with pytest.raises(KeyError), scratch_folder():
        raise KeyError
    assert list(place.iterdir()) == []


def test_links_files_and_other_folders_are_left_alone(place: Path) -> None:
    kept = place / "kept"
    kept.mkdir()
    (kept / "mine").write_bytes(b"mine")
    (place / f"{PREFIX}link").symlink_to(kept)
    (place / f"{PREFIX}file").write_bytes(b"no folder")
    (place / "auditor-else").mkdir()
    before = sorted(place.rglob("*"))
    remove_stale_folders(place)
    assert sorted(place.rglob("*")) == before
    remove_stale_folders(place / "there is none")


def test_nobody_takes_a_folder_that_was_just_made(place: Path) -> None:
    def use(number: int) -> bool:
        remove_stale_folders(place)
        with scratch_folder() as mine:
            (mine / "n").write_text(str(number))
            remove_stale_folders(place)
            return (mine / "n").read_text() == str(number)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(use, range(400)))
    assert list(place.iterdir()) == []


def test_every_temporary_folder_is_one_of_these() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path.name not in APART:
            assert "TemporaryDirectory(" not in path.read_text(), f"{path}: take scratch_folder"
