"""A record is handed over in one file: the same bytes every time, and only where it verifies."""

import ast
import re
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import RecordError, UsageError
from auditor.reports.folder import LEDGER, PROOF, RECORD, RecordFolder, known_files
from auditor.reports.formats.bundle_zip import pack_bundle, unpack_bundle
from auditor.reports.formats.verification_guide import read_offline_verifier

Command = Callable[..., Any]
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 510, 30


def record_id(folder: Path) -> str:
    text = (folder / RECORD).read_text()
    return "aud-" + text.partition('"id":"aud-')[2][:24]


def test_the_same_record_gives_the_same_bytes_from_the_folder_and_from_the_store(
    auditor: Command, finished: Path
) -> None:
    named = ("out", record_id(finished / "out"), "out")
    for number, source in enumerate(named):
        ended = auditor("export", source, "--out", f"{number}.zip")
        assert ended.code == 0, ended.said
        assert "VERIFY.md" in ended.said
    raw = [(finished / f"{number}.zip").read_bytes() for number in range(len(named))]
    assert raw[0] == raw[1] == raw[2]


def test_a_record_that_was_judged_again_comes_out_of_the_store_too(
    auditor: Command, finished: Path
) -> None:
    assert auditor("judge", "out", "--policy", "policy.yaml", "--out", "judged").code == 0
    for source, packed in (("judged", "a.zip"), (record_id(finished / "judged"), "b.zip")):
        ended = auditor("export", source, "--out", packed)
        assert ended.code == 0, ended.said
    assert (finished / "a.zip").read_bytes() == (finished / "b.zip").read_bytes()


def test_a_bundle_holds_the_whole_folder_and_nothing_else(auditor: Command, finished: Path) -> None:
    assert auditor("export", "out", "--out", "b.zip").code == 0
    with zipfile.ZipFile(finished / "b.zip") as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    places = [path for path in (finished / "out").rglob("*") if path.is_file()]
    assert held == {
        path.relative_to(finished / "out").as_posix(): path.read_bytes() for path in places
    }
    assert {PROOF, LEDGER, "VERIFY.md", "verify.py"} <= held.keys()


def test_a_bundle_verifies_packed_and_unpacked_by_another_program(
    auditor: Command, finished: Path, home: Path
) -> None:
    auditor("export", "out", "--out", "b.zip")
    shutil.unpack_archive(finished / "b.zip", finished / "unpacked")
    keys = ("--key", home / "signer.pub", "--ledger-key", home / "ledger.pub")
    packed, folder = auditor("verify", "b.zip", *keys), auditor("verify", "unpacked", *keys)
    assert (packed.code, folder.code) == (0, 0)
    assert packed.out == folder.out
    assert auditor("verify", "b.zip").code == 2


def test_what_does_not_verify_is_not_exported(auditor: Command, finished: Path) -> None:
    report = finished / "out" / "report.html"
    report.write_bytes(report.read_bytes() + b" ")
    ended = auditor("export", "out", "--out", "b.zip")
    assert (ended.code, "does not verify" in ended.said) == (2, True)
    assert not (finished / "b.zip").exists()


def test_a_file_that_is_there_is_not_overwritten(auditor: Command, finished: Path) -> None:
    (finished / "thesis.zip").write_text("years of work")
    ended = auditor("export", "out", "--out", "thesis.zip")
    assert (ended.code, "exists already" in ended.said) == (2, True)
    assert (finished / "thesis.zip").read_text() == "years of work"


@pytest.mark.parametrize("source", ["aud-000000000000000000000000", "nowhere", "model.onnx"])
def test_what_is_no_record_is_not_exported(auditor: Command, finished: Path, source: str) -> None:
    ended = auditor("export", source, "--out", "b.zip")
    assert (ended.code, "neither a folder nor the ID of a record in the store" in ended.said) == (
        2,
        True,
    )
    assert not (finished / "b.zip").exists()


def test_a_record_of_another_key_comes_from_its_folder_alone(
    auditor: Command, finished: Path, home: Path
) -> None:
    (home / "signer.key").unlink()
    (home / "signer.pub").unlink()
    assert auditor("keys", "new").code == 0
    ended = auditor("export", record_id(finished / "out"), "--out", "b.zip")
    assert (ended.code, "another version of auditor, or key" in ended.said) == (2, True)
    assert auditor("export", "out", "--out", "b.zip").code == 0


NAMES = st.one_of(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
    st.from_regex(r"evidence/[0-9a-f]{64}", fullmatch=True),
)


@given(st.dictionaries(NAMES, st.binary(max_size=64), min_size=1, max_size=8))
def test_whatever_is_packed_comes_out_again_and_foreign_readers_see_the_same(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    place = tmp_path_factory.mktemp("packed") / "b.zip"
    place.write_bytes(pack_bundle(files))
    with unpack_bundle(place) as folder:
        assert {name: folder.read(name) for name in files} == files
        assert sum(path.is_file() for path in folder.path.rglob("*")) == len(files)
    with zipfile.ZipFile(place) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == files


@given(st.data())
def test_a_bundle_in_which_one_byte_was_changed_is_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    files = {"a.txt": b"one", "b.txt": b"two", f"evidence/{'0' * 64}": b"three"}
    raw = bytearray(pack_bundle(files))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    place = tmp_path_factory.mktemp("changed") / "b.zip"
    place.write_bytes(raw)
    with pytest.raises(RecordError), unpack_bundle(place):
        pass


@pytest.mark.parametrize("name", ["../a", "/a", "a/b", "evidence/a", "", ".a", "a\nb"])
def test_a_name_that_leads_elsewhere_is_not_packed(name: str) -> None:
    with pytest.raises(UsageError):
        pack_bundle({name: b""})


def test_what_is_unpacked_is_gone_afterwards(tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_bytes(pack_bundle({"a": b"1"}))
    with unpack_bundle(tmp_path / "b.zip") as folder:
        assert isinstance(folder, RecordFolder)
        assert folder.read("a") == b"1"
    assert not folder.path.exists()


def test_the_page_on_publishing_names_every_file_and_every_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "publishing.md").read_text()
    assert {name for name in known_files() if f"`{name}" not in page} == set()
    codes = set(re.findall(r'refuse\(\s*"([A-Z_]+)"', read_offline_verifier().decode()))
    assert len(codes) > 10
    assert {code for code in codes | {"NOT_TRUSTED"} if f"`{code}`" not in page} == set()


def test_the_single_verifier_keeps_its_own_rules() -> None:
    text = read_offline_verifier().decode()
    tree = ast.parse(text, feature_version=(3, 9))
    assert len(text.splitlines()) <= MOST_LINES
    nodes = list(ast.walk(tree))
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    tops = {name.partition(".")[0] for name in modules} - {"__future__"}
    assert tops - sys.stdlib_module_names == {"cryptography"}
    for node in nodes:
        if isinstance(node, ast.FunctionDef):
            told = (ast.get_docstring(node, clean=False) or "").count("\n") + 1
            assert (node.end_lineno or 0) - node.lineno - told < MOST_LINES_OF_A_FUNCTION, node.name


def test_one_format_comes_out_of_the_folder_and_of_the_store_as_the_folder_holds_it(
    auditor: Command, finished: Path
) -> None:
    for number, source in enumerate(("out", record_id(finished / "out"))):
        ended = auditor("export", source, "--format", "junit", "--out", f"{number}.xml")
        assert ended.code == 0, ended.said
        made = (finished / f"{number}.xml").read_bytes()
        assert made == (finished / "out" / "junit.xml").read_bytes()


def test_a_format_that_has_nothing_to_show_writes_no_file(auditor: Command, finished: Path) -> None:
    ended = auditor("export", "out", "--format", "annex-iv", "--out", "annex.md")
    assert ended.code == 2
    assert not (finished / "annex.md").exists()
