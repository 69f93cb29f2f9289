"""What a cheat can do who has the program and a key: all that fits together, and is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.cli.isolated_command import IsolatedCommand
from auditor.selftest.families.deceit import FAMILY, VERIFY
from auditor.selftest.results import SpecimenOutcome, SpecimenResult
from auditor.selftest.run import run_specimen
from auditor.selftest.specimens import Specimen

Cheat = Callable[[str], SpecimenResult]


@pytest.fixture
def door(tmp_path: Path) -> IsolatedCommand:
    return IsolatedCommand(tmp_path / "home")


@pytest.fixture
def cheat(tmp_path: Path, door: IsolatedCommand) -> Cheat:
    def call(trick: str) -> SpecimenResult:
        specimen = Specimen(FAMILY.name, trick, "logistic", 1, planted=True)
        return run_specimen(FAMILY, specimen, tmp_path / "specimen", door)

    return call


@pytest.mark.slow
def test_invented_answers_verify_and_are_not_reproduced(
    cheat: Cheat, door: IsolatedCommand, tmp_path: Path
) -> None:
    row = cheat("invented-answers")
    assert row.seen is SpecimenOutcome.FOUND, row.why
    verified = door(VERIFY, tmp_path / "specimen")
    assert verified.code == 0, "what fits together and is signed by its own key verifies"


@pytest.mark.slow
@pytest.mark.parametrize("trick", ["old-record", "many-attempts", "other-machine"])
def test_a_gate_refuses_a_record_that_verifies(
    trick: str, cheat: Cheat, door: IsolatedCommand, tmp_path: Path
) -> None:
    row = cheat(trick)
    assert row.seen is SpecimenOutcome.FOUND, row.why
    verified = door(VERIFY, tmp_path / "specimen")
    assert verified.code == 0, verified.said
