"""Rows in a file: a run that was stopped goes on where it was, and versions are not mixed."""

import json
from pathlib import Path

import pytest
from toy_family import Toys

from auditor.errors import UsageError
from auditor.selftest.results import (
    SpecimenOutcome,
    SpecimenResult,
    append_result_row,
    read_result_rows,
)
from auditor.selftest.run import CommandResult, run_selftest
from auditor.selftest.scale import SelftestScale
from auditor.selftest.specimens import Specimen

ROW = SpecimenResult(
    Specimen("toys", "turned", "line", 1, planted=True, strength=0.5),
    SpecimenOutcome.FOUND, 1.5, ("accuracy",), "", {"accuracy": "failed"},
)  # fmt: skip
OTHER = SpecimenResult(
    Specimen("toys", "turned", "line", 1, planted=False),
    SpecimenOutcome.BROKEN,
    0.25,
    why="it fell",
)


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    assert read_result_rows(path) == {}
    for row in (ROW, OTHER):
        append_result_row(path, row)
    assert list(read_result_rows(path).values()) == [ROW, OTHER]


def test_a_line_that_was_torn_off_is_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    append_result_row(path, ROW)
    whole = path.read_text()
    path.write_text(whole + whole[:40])
    assert list(read_result_rows(path).values()) == [ROW]
    append_result_row(path, OTHER)
    assert list(read_result_rows(path).values()) == [ROW, OTHER]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("years of work", "line 2 of .* is not a row of a selftest: JSONDecodeError"),
        ("{}", "is not a row of a selftest: KeyError"),
        ("[]", "is not a row of a selftest: TypeError"),
        (
            '{"auditor": "0.0.1", "seen": "found"}',
            "is not a row of a selftest: RecordError: row has no field 'family'",
        ),
    ],
)
def test_a_file_that_holds_something_else_is_refused(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "rows.jsonl"
    append_result_row(path, ROW)
    path.write_text(f"{path.read_text()}{line}\n")
    with pytest.raises(UsageError, match=said):
        read_result_rows(path)
    assert path.read_text().endswith(f"{line}\n")


def test_what_another_version_found_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    append_result_row(path, ROW)
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "auditor": "0.0.1"}) + "\n")
    with pytest.raises(UsageError, match=r"was written by auditor 0\.0\.1, and this is "):
        read_result_rows(path)


class Closed:
    """A door that nobody may come to."""

    home = Path("nowhere")

    def __call__(self, arguments: object, folder: Path) -> CommandResult:
        raise AssertionError(folder)


def test_what_is_known_is_not_tried_again_and_its_time_counts(tmp_path: Path) -> None:
    family = Toys(defects=("loosened",))
    specimens = family.specimens(SelftestScale.QUICK)
    known = {one.name: SpecimenResult(one, SpecimenOutcome.FOUND, 40.0) for one in specimens}
    told: list[SpecimenResult] = []
    report = run_selftest(
        [family], SelftestScale.QUICK, tmp_path / "zoo", Closed(), told.append, known
    )
    assert (report.rows, told) == (tuple(known.values()), [])
    assert 80 <= report.seconds < 120
    assert not (tmp_path / "zoo").exists()
