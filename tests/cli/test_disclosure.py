"""Rows of a record's evidence are withheld: seen to be, counted, and not to be guessed."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import pytest
from disclosed_folders import HIDDEN, ONLY, everything
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor.checks.registry import discover_checks
from auditor.domain.artifacts import FileDigest, digest_files
from auditor.domain.evidence import encode_evidence
from auditor.domain.readings import Measurement, Reading
from auditor.domain.record_json import read_record
from auditor.domain.verification_steps import StepResult
from auditor.errors import AuditorError
from auditor.reports.folder import RecordFolder, write_folder
from auditor.workflows.disclosure.redact import RedactionChoice, redact_folder
from auditor.workflows.verify.disclosure import open_disclosed_evidence, recompute_disclosed_figures

Command = Callable[..., Any]
CHECKS = discover_checks()


def labels(folder: Path) -> list[str]:
    return [line.rsplit(",", 1)[1] for line in (folder / "test.csv").read_text().split()[1:]]


def tried(folder: Path, row: int, guess: str) -> Iterator[str]:
    """Every digest that a plain record would have if the label of one row were ``guess``."""
    lines = (folder / "test.csv").read_text().splitlines()
    lines[row + 1] = f"{lines[row + 1].rsplit(',', 1)[0]},{guess}"
    raw = ("\n".join(lines) + "\n").encode()
    file = FileDigest("test.csv", len(raw), hashlib.sha256(raw).hexdigest())
    known = ["no", "yes"]
    codes = [known.index(line.rsplit(",", 1)[1]) for line in lines[1:]]
    yield file.sha256
    yield digest_files((file,)).removeprefix("sha256:")
    yield encode_evidence(np.array(codes, dtype=np.int64)).digest.removeprefix("sha256:")


def told(folder: Path, row: int) -> set[str]:
    """The labels of one row that a folder's own bytes confirm to who knows all other rows."""
    seen = everything(folder)
    return {
        guess
        for guess in ("no", "yes")
        for digest in tried(folder.parent, row, guess)
        if digest.encode() in seen
    }


@pytest.mark.slow
def test_a_withheld_label_can_be_tried_out_in_a_plain_record_and_not_in_a_disclosed_one(
    auditor: Command, disclosed: Path
) -> None:
    plain = (disclosed / "audit.yaml").read_text().replace("disclosure: rows\n", "")
    (disclosed / "plain.yaml").write_text(plain)
    assert auditor("audit", "plain.yaml", *ONLY, "--out", "plain").code == 0
    for row in (1, 5, 200):
        truth = labels(disclosed)[row]
        shutil.rmtree(disclosed / "plain" / "evidence")  # the digests in the record are enough
        (disclosed / "plain" / "evidence").mkdir()
        assert told(disclosed / "plain", row) == {truth}
        assert told(disclosed / "part", row) == set()


def test_nothing_in_the_folder_names_a_withheld_row(disclosed: Path) -> None:
    plain, wide = (name.encode() for name in ('"r200"', "r200"))
    wide = wide.decode().encode("utf-32-le")
    part, full = everything(disclosed / "part"), everything(disclosed / "full")
    assert wide in full
    assert wide not in part
    assert "r199".encode("utf-32-le") in part
    assert plain not in part
    assert b"r200" not in (disclosed / "full" / "record.json").read_bytes()
    assert b"r200" not in (disclosed / "full" / "report.html").read_bytes()


def test_the_key_and_what_it_opens_stay_behind(disclosed: Path) -> None:
    key = json.loads((disclosed / "full" / "disclosure.key").read_bytes())
    part = everything(disclosed / "part")
    assert key["key"].encode() not in part
    for hidden in (*key["blobs"].values(), *(one["sha256"] for one in key["inputs"].values())):
        assert hidden.removeprefix("sha256:").encode() not in part
    assert not (disclosed / "part" / "rows").exists()


def test_a_folder_with_its_key_is_verified_as_any_other(disclosed: Path, verify: Command) -> None:
    ended = verify("full")
    assert ended.code == 0, ended.said
    assert "nothing is withheld" in ended.said
    assert "holds figures" in ended.said


def test_what_is_withheld_is_seen_and_counted_and_never_called_right(
    disclosed: Path, verify: Command
) -> None:
    ended = verify("part")
    assert ended.code == 3, ended.said
    assert "3 of 240 rows withheld: quality.accuracy on cpu" in ended.said
    assert "all withheld: fairness.groups on cpu" in ended.said
    assert "withheld figures 0 of 27 readings recomputed; the others are not checked" in ended.said
    assert "withheld judgement not checked" in ended.said
    for kept in ("signature", "files", "evidence", "parameters", "verdict", "renderings"):
        assert f"holds {kept}" in ended.said


def test_what_the_shown_rows_allow_is_said(disclosed: Path, verify: Command) -> None:
    """Worked out from the signed figure and the labels of the rows that are left."""
    record = read_record((disclosed / "full" / "record.json").read_bytes())
    (signed,) = (one.value for one in record.readings if told_of(one))
    assert isinstance(signed, float)
    right = correct(disclosed)
    shown = [right[at] for at in range(240) if f"r{at}" not in HIDDEN]
    low, high = sum(shown) / 240, (sum(shown) + 3) / 240
    assert low <= signed <= high
    found = sum(shown) / 237
    said = (
        f"accuracy of quality.accuracy on cpu, signed as {signed:.6g}, is {found:.6g} on the 237 "
        f"rows shown and lies between {low:.6g} and {high:.6g}"
    )
    assert said in verify("part").said


def told_of(reading: Reading) -> TypeGuard[Measurement]:
    """Whether a reading is the one accuracy over all rows."""
    asked = reading.check == "quality.accuracy" and isinstance(reading, Measurement)
    return asked and reading.metric == "accuracy"


def correct(folder: Path) -> list[bool]:
    """Which rows the model of the example decides rightly, by its own formula."""
    found = []
    for line in (folder / "test.csv").read_text().split()[1:]:
        _, a, b, _, _, label = line.split(",")
        found.append((6 * float(a) + 4 * float(b) - 5 >= 0) == (label == "yes"))
    return found


def test_a_signed_share_that_the_shown_rows_rule_out_is_a_lie(disclosed: Path) -> None:
    part = RecordFolder(disclosed / "part")
    record = read_record(part.read("record.json"))
    remains = open_disclosed_evidence(part, record, CHECKS)
    assert recompute_disclosed_figures(record, remains)[0].result is StepResult.WITHHELD

    def lied(**changes: Any) -> str:  # noqa: ANN401 -- fields of a measurement
        readings = tuple(
            replace(one, **changes) if told_of(one) else one for one in record.readings
        )
        (step,) = recompute_disclosed_figures(replace(record, readings=readings), remains)
        assert step.result is StepResult.FAILED
        return step.detail

    assert "cannot be 0.975" in lied(value=234 / 240)
    assert "cannot be 0.5:" in lied(value=0.5)
    assert "cannot be 0.87:" in lied(value=0.87)  # no number of 240 rows
    assert "is said of 1000 rows, and 240 were bound" in lied(n=1000)
    assert "rests on no evidence" in lied(check="quality.errors")


def test_an_opening_that_is_gone_is_counted_and_no_crime(disclosed: Path, verify: Command) -> None:
    for path in (disclosed / "part" / "openings").iterdir():
        path.unlink()
    ended = verify("part")
    assert ended.code == 3
    assert "all withheld: fairness.groups on cpu, quality.accuracy on cpu" in ended.said


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.integers(0, 239), min_size=1), st.data())
def test_any_rows_can_be_withheld_and_no_byte_of_what_is_shown_can_be_changed(
    disclosed: Path, rows: set[int], data: st.DataObject
) -> None:
    full, any_rows = RecordFolder(disclosed / "full"), disclosed / "any"
    record = read_record(full.read("record.json"))
    choice = RedactionChoice(frozenset(f"r{row}" for row in rows))
    write_folder(any_rows, redact_folder(full, record, CHECKS, choice).files)
    remains = open_disclosed_evidence(RecordFolder(any_rows), record, CHECKS)
    assert recompute_disclosed_figures(record, remains)[0].result is StepResult.WITHHELD
    (accuracy,) = (one for one in remains if one.observation.check == "quality.accuracy")
    assert accuracy.rows == (len(rows), 240)
    assert len(np.asarray(accuracy.evidence["ids"])) == 240 - len(rows)
    places = sorted((any_rows / "openings").iterdir())
    places += [any_rows / "evidence" / path.name for path in places]
    path = data.draw(st.sampled_from(places))
    raw = bytearray(path.read_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(raw))
    with pytest.raises(AuditorError):
        open_disclosed_evidence(RecordFolder(any_rows), record, CHECKS)
