"""What a cheat can do who has the program and a key: all that fits together, and is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.cli.apart import Apart
from auditor.selftesting import tried
from auditor.zoo.families.deceit import FAMILY, VERIFY
from auditor.zoo.specimens import Specimen
from auditor.zoo.tallies import Row, Seen

Cheat = Callable[[str], Row]


@pytest.fixture
def door(tmp_path: Path) -> Apart:
    return Apart(tmp_path / "home")


@pytest.fixture
def cheat(tmp_path: Path, door: Apart) -> Cheat:
    def call(trick: str) -> Row:
        specimen = Specimen(FAMILY.name, trick, "logistic", 1, planted=True)
        return tried(FAMILY, specimen, tmp_path / "specimen", door)

    return call


@pytest.mark.slow
def test_invented_answers_verify_and_are_not_reproduced(
    cheat: Cheat, door: Apart, tmp_path: Path
) -> None:
    row = cheat("invented-answers")
    assert row.seen is Seen.FOUND, row.why
    verified = door(VERIFY, tmp_path / "specimen")
    assert verified.code == 0, "what fits together and is signed by its own key verifies"


@pytest.mark.slow
@pytest.mark.parametrize("trick", ["old-record", "many-attempts", "other-machine"])
def test_a_gate_refuses_a_record_that_verifies(
    trick: str, cheat: Cheat, door: Apart, tmp_path: Path
) -> None:
    row = cheat(trick)
    assert row.seen is Seen.FOUND, row.why
    verified = door(VERIFY, tmp_path / "specimen")
    assert verified.code == 0, verified.said
