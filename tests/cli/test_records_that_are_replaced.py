"""An audit into a folder that holds a record says which one went, and what brings it back."""

import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditor.errors import StoreError
from auditor.reports.folder import PAPER, PROOF, RECORD, TIMESTAMP
from auditor.store.record_store import RecordStore

Command = Callable[..., Any]
AGAIN = ("audit", "audit.yaml", "--only", "quality.accuracy", "--out")


def record_id(folder: Path) -> str:
    return "aud-" + (folder / RECORD).read_text().partition('"id":"aud-')[2][:24]


def held(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_command_that_an_audit_names_brings_the_replaced_folder_back(
    auditor: Command, finished: Path, home: Path
) -> None:
    before, name = held(finished / "out"), record_id(finished / "out")
    ended = auditor("audit", "audit.yaml", "--only", "data.balance", "--out", "out")
    said = f"Replaced the record of {name} (pass) in out; `auditor export {name} --out {name}.zip`"
    assert f"{said} brings it back" in ended.said, ended.said
    (command,) = re.findall(r"`auditor (export [^`]*)`", ended.said)
    assert auditor(*command.split()).code == 0
    with zipfile.ZipFile(finished / f"{name}.zip") as archive:
        after = {item: archive.read(item) for item in archive.namelist()}
    # The ledger has grown since: its proof is a new one of the same record.
    assert (after.keys(), after | {PROOF: b""}) == (before.keys(), before | {PROOF: b""})
    assert auditor("verify", f"{name}.zip", "--key", home / "signer.pub").code == 0


def test_only_what_is_there_is_replaced_by_an_audit_or_a_judgement(
    auditor: Command, finished: Path
) -> None:
    assert "Replaced" not in auditor(*AGAIN, "elsewhere").said
    judge = ("judge", "out", "--policy", "policy.yaml")
    assert "Replaced" not in auditor(*judge).said
    assert f"Replaced the record of {record_id(finished / 'out-judged')}" in auditor(*judge).said


def test_what_does_not_come_back_is_said(auditor: Command, finished: Path, home: Path) -> None:
    (finished / "out" / TIMESTAMP).write_bytes(b"x")
    assert "brings it back, without its timestamp" in auditor(*AGAIN, "out").said
    (finished / "out" / PAPER).write_bytes(b"x")
    assert "`auditor export` cannot publish it again" in auditor(*AGAIN, "out").said
    shutil.rmtree(home)
    assert "your store has no copy of it" in auditor(*AGAIN, "out").said
    (finished / "out" / RECORD).write_bytes(b"{}")
    ended = auditor(*AGAIN, "out")
    assert (ended.code, "Replaced a record that cannot be read" in ended.said) == (0, True)


@pytest.mark.parametrize(
    ("was", "instead"),
    [
        ('"id":"aud-', '"id":"no\\nVerdict: PASS'),  # a name that brings a line of its own
        (
            '"conditions_facts":{',
            '"conditions_facts":{"a":' + "9" * 30 + ",",
        ),  # a number that no record can hold
    ],
)
def test_a_forged_record_neither_speaks_nor_keeps_a_record_from_being_written(
    auditor: Command, finished: Path, was: str, instead: str
) -> None:
    record = finished / "out" / RECORD
    text = record.read_text()
    assert was in text
    record.write_text(text.replace(was, instead, 1))
    ended = auditor(*AGAIN, "out")
    assert (ended.code, "Replaced a record that cannot be read" in ended.said) == (0, True)
    assert not re.search("Verdict: PASS[0-9a-f]", ended.said)
    assert record_id(finished / "out") in record.read_text()


def test_a_store_that_cannot_be_read_is_said(
    auditor: Command, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.cli.output_folder.open_existing_store", failing)
    assert "your store could not be read to find a copy of it" in auditor(*AGAIN, "out").said


def failing(_: object) -> RecordStore:
    raise StoreError("the store is gone", cure="Bring it back.")


def test_rows_of_evidence_come_back_withheld(auditor: Command, disclosed: Path) -> None:
    assert "brings it back, without its rows" in auditor(*AGAIN, "full").said
