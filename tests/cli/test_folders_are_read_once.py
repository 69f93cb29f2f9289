"""A command says of a record's folder what it was at first, whatever is put there meanwhile."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from swapped_files import swapped_once_read

from auditor.domain.findings import Outcome
from auditor.domain.record_json import read_record

Command = Callable[..., Any]
KEY = ("--key", "out/signer.pub")
GATE = ("gate", "--artifact", "model.onnx", "--policy", "policy.yaml", "--record", "out", *KEY)
AUDITED = ("audit", "audit.yaml", "--only", "quality.accuracy", "--out", "out")


def embellished(raw: bytes) -> bytes:
    """The same record with every rule kept, as whoever wants a pass would write it."""
    record = read_record(raw)
    kept = tuple(replace(item, outcome=Outcome.PASSED) for item in record.findings)
    return replace(record, findings=kept).canonical()


@pytest.fixture
def failing(auditor: Command, inside: Path) -> Path:
    """The folder of an audit whose record is signed, verifies and fails."""
    policy = (inside / "policy.yaml").read_text().replace("0.6", "0.999")
    (inside / "policy.yaml").write_text(policy)
    assert auditor(*AUDITED).code == 1
    return inside / "out"


def test_a_gate_stays_shut_when_a_pass_is_put_there_after_verifying(
    auditor: Command, failing: Path
) -> None:
    place = failing / "record.json"
    with swapped_once_read(place, embellished(place.read_bytes())) as done:
        ended = auditor(*GATE)
    assert done.is_set()
    assert ended.code == 1, ended.said
    assert "verdict" in ended.said
    assert json.loads(place.read_bytes())["verdict"] == "pass"  # it lies there by now


def test_a_comment_speaks_of_the_record_that_was_verified(auditor: Command, failing: Path) -> None:
    place = failing / "record.json"
    genuine = place.read_bytes()
    with swapped_once_read(place, embellished(genuine)) as done:
        ended = auditor("comment", "out", *KEY)
    assert done.is_set()
    assert "\N{WHITE HEAVY CHECK MARK}" not in ended.out, ended.out
    # The other order: what is shown first is not what is verified.
    place.write_bytes(embellished(genuine))
    with swapped_once_read(place, genuine) as done:
        ended = auditor("comment", "out", *KEY)
    assert done.is_set()
    assert "not believed" in ended.out, ended.out


def test_a_comparison_shows_the_records_that_were_verified(
    auditor: Command, failing: Path, inside: Path
) -> None:
    shutil.copytree(failing, inside / "before")
    place = failing / "record.json"
    with swapped_once_read(place, embellished(place.read_bytes())) as done:
        ended = auditor("compare", "before", "out", *KEY, "--out", "page.html")
    assert done.is_set()
    assert ended.code == 0, ended.said
    assert "Approved for deployment" not in (inside / "page.html").read_text()


def test_what_is_judged_again_is_what_was_verified(
    auditor: Command, failing: Path, inside: Path
) -> None:
    place = failing / "record.json"
    genuine = place.read_bytes()
    (inside / "lax.yaml").write_text((inside / "policy.yaml").read_text().replace("0.999", "0.5"))
    with swapped_once_read(place, embellished(genuine)) as done:
        ended = auditor("judge", "out", "--policy", "lax.yaml", "--out", "again")
    assert done.is_set()
    assert ended.code == 0, ended.said
    again = json.loads((inside / "again" / "record.json").read_bytes())
    assert again["derived_from"] == read_record(genuine).digest
    assert auditor("judge", "again", "--policy", "lax.yaml", "--out", "twice").code == 0
    twice = json.loads((inside / "twice" / "record.json").read_bytes())
    # However often it is judged, the failed record and its verdict stay named.
    assert twice["derived_from"] == read_record(genuine).digest
    assert twice["tool"]["first_verdict"] == again["tool"]["first_verdict"] == "fail"
