"""A folder is what it was when it was read first, whatever is put there afterwards."""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import RecordError
from auditor.reports.folder import APPROVALS, EVIDENCE, PROOF, RECORD, SIGNER, RecordFolder

HEX = "ab" * 32
NAMES = (RECORD, SIGNER, f"{EVIDENCE}/{HEX}", f"{APPROVALS}/{HEX}.pub")
DEEDS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(["read", "write", "remove", "link", "pipe"])),
    max_size=12,
)


def write(root: Path, name: str, text: str) -> None:
    place = root / name
    place.parent.mkdir(exist_ok=True)
    place.unlink(missing_ok=True)
    place.write_text(text)


@given(DEEDS)
def test_a_file_is_read_as_it_was_first_or_not_at_all(deeds: list[tuple[str, str]]) -> None:
    with TemporaryDirectory() as named:
        root, first = Path(named), dict[str, bytes]()
        for name in NAMES:
            write(root, name, "first")
        folder = RecordFolder(root)
        for at, (name, deed) in enumerate(deeds):
            place = root / name
            if deed == "write":
                write(root, name, f"other {at}")
            elif deed != "read":
                place.unlink(missing_ok=True)
            if deed == "link":
                place.symlink_to("/etc/hostname")
            elif deed == "pipe":
                os.mkfifo(place)
            elif deed == "read":
                try:
                    raw = folder.read(name)
                except RecordError:
                    continue
                assert first.setdefault(name, raw) == raw


class Shifting(Mapping[str, Path]):
    """Where files lie: at one place when they are asked for first, at another ever after."""

    def __init__(self, root: Path, names: tuple[str, ...]) -> None:
        self.root, self.names, self.asked = root, names, set[str]()

    def __getitem__(self, name: str) -> Path:
        if name not in self.names:
            raise KeyError(name)
        side = "after" if name in self.asked else "before"
        self.asked.add(name)
        return self.root / side / name

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def test_files_whose_place_shifts_stay_the_first_ones(tmp_path: Path) -> None:
    for side in ("before", "after"):
        for name in NAMES:
            (tmp_path / side / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / side / name).write_text(side)
    folder = RecordFolder(tmp_path, Shifting(tmp_path, NAMES))
    assert [folder.read(RECORD), folder.read(RECORD)] == [b"before", b"before"]
    assert folder.read(NAMES[-1]) == b"before"
    with pytest.raises(RecordError, match="changed while it was read"):
        folder.read(NAMES[-1])


def test_what_lies_there_is_listed_once(tmp_path: Path) -> None:
    for name in NAMES:
        write(tmp_path, name, "first")
    folder = RecordFolder(tmp_path)
    before = (folder.has(PROOF), folder.strangers(), folder.approvals(), folder.evidence_names())
    assert before == (False, (), (NAMES[-1],), (HEX,))
    write(tmp_path, PROOF, "proof")
    write(tmp_path, "stranger", "x")
    shutil.rmtree(tmp_path / APPROVALS)
    write(tmp_path, f"{EVIDENCE}/{'cd' * 32}", "x")
    assert before == (
        folder.has(PROOF), folder.strangers(), folder.approvals(), folder.evidence_names(),
    )  # fmt: skip


def test_files_by_their_places_have_strangers_too(tmp_path: Path) -> None:
    places = {name: tmp_path / name for name in (RECORD, "stranger", f"{EVIDENCE}/odd")}
    assert RecordFolder(tmp_path, places).strangers() == (f"{EVIDENCE}/odd", "stranger")
