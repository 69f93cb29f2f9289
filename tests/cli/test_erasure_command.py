"""Erasing from the command line: the rows are gone, and all that was signed still stands."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


@pytest.fixture
def erased(auditor: Command, disclosed: Path) -> Path:
    shutil.copytree(disclosed / "full", disclosed / "copy")
    ended = auditor("erase", "full", "--yes")
    assert ended.code == 0, ended.said
    assert "Erased the evidence of aud-" in ended.said
    return disclosed


def test_an_erased_record_says_so_and_stays_whole(
    auditor: Command, erased: Path, verify: Command, home: Path
) -> None:
    ended = verify("full", "--ledger-key", home / "ledger.pub")
    assert ended.code == 3, ended.said
    assert "withheld rows erased: nothing is left" in ended.said
    for kept in ("signature", "files", "evidence", "verdict", "renderings", "erasure"):
        assert f"holds {kept}" in ended.said
    assert "holds inclusion proof" in ended.said
    assert auditor("ledger", "verify").code == 0


def test_what_was_in_the_store_and_the_folder_is_gone(erased: Path, home: Path) -> None:
    secret = json.loads((erased / "copy" / "disclosure.key").read_bytes())
    assert not any(path.read_bytes() for path in (home / "disclosure").iterdir())
    left = {path.name for path in (home / "blobs").rglob("*") if path.is_file()}
    gone = {digest.removeprefix("sha256:") for digest in secret["blobs"].values()}
    gone |= {item["sha256"] for item in secret["inputs"].values()}
    assert gone
    assert not gone & left
    for name in ("disclosure.key", "rows", "openings"):
        assert not (erased / "full" / name).exists()


def test_without_the_ledgers_key_an_erasure_is_said_and_not_checked(
    verify: Command, erased: Path
) -> None:
    assert "not checked erasure" in verify("full").said


def test_a_copy_that_was_handed_out_can_be_told_that_it_was_erased(
    auditor: Command, erased: Path, verify: Command, home: Path
) -> None:
    assert verify("copy").code == 0  # nobody can erase what others hold
    assert auditor("disclose", "copy", "--withhold", "ids.txt", "--out", "bare").code == 0
    shutil.rmtree(erased / "bare" / "openings")
    name = json.loads((erased / "bare" / "record.json").read_bytes())["id"]
    proof = erased / "bare" / "erasure.tlog-proof"
    assert auditor("ledger", "prove", f"erasure:{name}", "--out", proof).code == 0
    assert "holds erasure" in verify("bare", "--ledger-key", home / "ledger.pub").said


def test_the_erasure_of_another_record_is_refused(
    auditor: Command, erased: Path, verify: Command
) -> None:
    only = ("--only", "quality.accuracy")
    assert auditor("audit", "audit.yaml", *only, "--out", "other").code == 0
    shutil.rmtree(erased / "other" / "rows")
    (erased / "other" / "disclosure.key").unlink()
    shutil.copy(erased / "full" / "erasure.tlog-proof", erased / "other" / "erasure.tlog-proof")
    ended = verify("other")
    assert ended.code == 1
    assert "erasure.tlog-proof is of another record" in ended.said


@pytest.mark.parametrize("raw", [b"", b"x", b"c2sp.org/tlog-proof@v1\n"], ids=["none", "x", "head"])
def test_what_is_no_proof_of_an_erasure_is_refused(
    erased: Path, verify: Command, raw: bytes
) -> None:
    (erased / "full" / "erasure.tlog-proof").write_bytes(raw)
    ended = verify("full")
    assert ended.code == 1
    assert "failed erasure erasure.tlog-proof" in ended.said


def test_an_erased_record_is_neither_reproduced_nor_judged_nor_disclosed(
    auditor: Command, erased: Path
) -> None:
    for asked in (
        ("reproduce", "full"),
        ("judge", "full", "--policy", "policy.yaml", "--out", "x"),
        ("disclose", "full", "--withhold", "ids.txt", "--out", "x"),
    ):
        assert auditor(*asked).code == 2, asked


def test_who_names_no_record_is_told(auditor: Command, erased: Path) -> None:
    ended = auditor("erase", "aud-nobody", "--yes")
    assert ended.code == 4
    assert "record 'aud-nobody' is not in the store" in ended.said


def test_nothing_is_erased_without_a_yes(
    auditor: Command, disclosed: Path, verify: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "n")
    assert auditor("erase", "full").code == 2
    assert verify("full").code == 0


def test_a_folder_that_cannot_be_cleared_stops_the_erasure_before_it_begins(
    auditor: Command, disclosed: Path, verify: Command
) -> None:
    (disclosed / "full" / "notes.txt").write_text("mine")
    assert auditor("erase", "full", "--yes").code == 2
    (disclosed / "full" / "notes.txt").unlink()
    assert verify("full").code == 0
    assert auditor("disclose", "full", "--withhold", "ids.txt", "--out", "again").code == 0


def test_a_folder_whose_record_is_not_the_stores_erases_nothing(
    auditor: Command, disclosed: Path, home: Path
) -> None:
    path = disclosed / "full" / "record.json"
    path.write_bytes(path.read_bytes().replace(b'"seed":3', b'"seed":4'))
    assert auditor("erase", "full", "--yes").code == 4
    assert all(place.stat().st_size for place in (home / "disclosure").iterdir())
