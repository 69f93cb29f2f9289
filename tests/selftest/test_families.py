"""Families are found by their files, and their specimens are the same bytes each time."""

import importlib
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

from auditor.cli.isolated_command import IsolatedCommand
from auditor.errors import BrokenCheckError, UsageError
from auditor.selftest.family_registry import discover_families, load_families, select_families
from auditor.selftest.results import SpecimenOutcome
from auditor.selftest.run import run_selftest
from auditor.selftest.scale import SelftestScale
from auditor.selftest.specimens import Specimen

KNOWN = discover_families()
GOOD = "from toy_family import Toys\nFAMILY = Toys(name='good')\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty package of families."""
    folder = tmp_path / "strange_families"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "good.py").write_text(GOOD)
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.startswith(folder.name)]:
        del sys.modules[name]


def imported(folder: Path) -> ModuleType:
    return importlib.import_module(folder.name)


def test_a_file_is_a_family(package: Path) -> None:
    assert list(load_families(imported(package))) == ["good"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nowhere_at_all", "does not import: ModuleNotFoundError"),
        ("1 / 0", "does not import: ZeroDivisionError"),
        ("", "declares no family"),
        ("FAMILY = object()", "declares no family: it lacks name, title"),
        (GOOD, "has the name 'good', and its place says 'other'"),
    ],
)
def test_a_file_that_is_no_family_stops_the_start(package: Path, text: str, said: str) -> None:
    (package / "other.py").write_text(text)
    with pytest.raises(BrokenCheckError, match=said):
        load_families(imported(package))


def test_a_family_that_there_is_not_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"There are .*leakage"):
        select_families(KNOWN, ["leakage", "leekage"])


def test_a_family_that_is_called_as_its_checks_is_told_by_its_own_name() -> None:
    with pytest.raises(UsageError, match="no family provenance") as caught:
        select_families(KNOWN, ["provenance"])
    assert "(`provenance.*`: artifacts)" in caught.value.cure
    assert "artifacts" in KNOWN


def test_a_family_that_is_named_twice_is_visited_once() -> None:
    assert [item.name for item in select_families(KNOWN, ["labels", "labels"])] == ["labels"]
    assert [item.name for item in select_families(KNOWN, [])] == list(KNOWN)


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("scale", [SelftestScale.QUICK, SelftestScale.FULL])
def test_every_planted_specimen_has_a_clean_twin(name: str, scale: SelftestScale) -> None:
    found = KNOWN[name].specimens(scale)
    planted = {_twin(item) for item in found if item.planted}
    assert planted == {_twin(item) for item in found if not item.planted}
    assert 2 * len(planted) == len(found)
    names = sorted(item.name for item in found)
    assert all(one != other for one, other in pairwise(names))


@pytest.mark.parametrize("name", KNOWN)
def test_a_full_selftest_plants_at_least_twenty_of_each_family(name: str) -> None:
    assert sum(item.planted for item in KNOWN[name].specimens(SelftestScale.FULL)) >= 20


def _twin(item: Specimen) -> tuple[str, str, int, float | None]:
    return item.defect, item.architecture, item.seed, item.strength


def written(name: str, specimen: Specimen, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    KNOWN[name].write(specimen, folder)
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("name", KNOWN)
def test_the_same_specimen_is_the_same_bytes(name: str, tmp_path: Path) -> None:
    first = KNOWN[name].specimens(SelftestScale.QUICK)[0]
    found = written(name, first, tmp_path / "one")
    assert found
    assert written(name, first, tmp_path / "two") == found


@pytest.mark.slow
@pytest.mark.parametrize("name", KNOWN)
def test_a_quick_selftest_finds_all_that_is_planted_and_alarms_at_nothing_clean(
    name: str, tmp_path: Path
) -> None:
    door = IsolatedCommand(tmp_path / "home")
    report = run_selftest(
        [KNOWN[name]], SelftestScale.QUICK, tmp_path / "zoo", door, lambda _: None
    )
    wrong = [
        row for row in report.rows if row.seen not in {SpecimenOutcome.FOUND, SpecimenOutcome.QUIET}
    ]
    assert [(row.specimen.name, row.seen, row.why) for row in wrong] == []
    assert report.rows
    assert not report.not_run
