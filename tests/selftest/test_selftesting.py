"""A selftest of toys: what is planted is found, what is clean stays quiet, what breaks is told."""

import os
import sys
from pathlib import Path

import pytest
from toy_family import Toys

from auditor.cli.isolated_command import IsolatedCommand
from auditor.errors import UsageError
from auditor.selftest.results import SelftestReport, SpecimenOutcome, SpecimenResult
from auditor.selftest.run import run_selftest
from auditor.selftest.scale import SelftestScale

Visit = dict[str, SpecimenResult]


def visited(folder: Path, *families: Toys) -> tuple[SelftestReport, list[SpecimenResult]]:
    told: list[SpecimenResult] = []
    door = IsolatedCommand(folder / "home")
    return run_selftest(families, SelftestScale.QUICK, folder / "zoo", door, told.append), told


@pytest.fixture(scope="module")
def audited(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[SelftestReport, list[SpecimenResult], Path]:
    """A selftest of toys, run once."""
    folder = tmp_path_factory.mktemp("selftest")
    odd = Toys(defects=("harmless", "broken", "unmakeable"), twins=False)
    return *visited(folder, Toys(defects=("turned",)), odd), folder


def rows(report: SelftestReport) -> Visit:
    return {row.specimen.name: row for row in report.rows}


@pytest.mark.slow
def test_a_planted_defect_is_found_by_its_rule_and_the_clean_twin_is_quiet(
    audited: tuple[SelftestReport, list[SpecimenResult], Path],
) -> None:
    seen = rows(audited[0])
    found, quiet = seen["toys-turned-line-1-planted"], seen["toys-turned-line-1-clean"]
    assert (found.seen, found.by, found.outcomes) == (
        SpecimenOutcome.FOUND, ("accuracy",), {"accuracy": "failed"},
    )  # fmt: skip
    assert (quiet.seen, quiet.by, quiet.outcomes) == (
        SpecimenOutcome.QUIET,
        (),
        {"accuracy": "passed"},
    )


@pytest.mark.slow
def test_what_no_rule_sees_is_missed_and_the_reason_is_told(
    audited: tuple[SelftestReport, list[SpecimenResult], Path],
) -> None:
    missed = rows(audited[0])["toys-harmless-line-1-planted"]
    assert missed.seen is SpecimenOutcome.MISSED
    assert missed.why.startswith("accuracy passed: Required: accuracy of at least 60 %.")


@pytest.mark.slow
def test_a_specimen_that_cannot_be_made_or_audited_is_broken_and_never_good(
    audited: tuple[SelftestReport, list[SpecimenResult], Path],
) -> None:
    report, seen = audited[0], rows(audited[0])
    assert seen["toys-unmakeable-line-1-planted"].why == (
        "it cannot be made: RuntimeError: the recipe is lost"
    )
    broken = seen["toys-broken-line-1-planted"]
    assert broken.seen is SpecimenOutcome.BROKEN
    assert broken.why.startswith("the audit ended with 2: ")
    assert not report.good


@pytest.mark.slow
def test_a_clean_twin_of_which_nothing_was_measured_is_undecided_and_never_good(
    tmp_path: Path,
) -> None:
    report, _ = visited(tmp_path, Toys(defects=("unread",)))
    planted, clean = report.rows
    assert (planted.seen, clean.seen) == (SpecimenOutcome.MISSED, SpecimenOutcome.UNDECIDED)
    assert clean.outcomes == {"accuracy": "unknown"}
    assert clean.why.startswith("accuracy undecided: Required: accuracy of at least 0.6.")
    assert not SelftestReport("quick", (clean,), {}, 1.0).good


@pytest.mark.slow
def test_each_row_is_told_as_it_ends_with_its_time(
    audited: tuple[SelftestReport, list[SpecimenResult], Path],
) -> None:
    report, told, _ = audited
    assert tuple(told) == report.rows
    assert all(0 < row.seconds <= report.seconds for row in told)


@pytest.mark.slow
def test_a_selftest_has_keys_and_a_store_of_its_own(
    audited: tuple[SelftestReport, list[SpecimenResult], Path],
) -> None:
    home = audited[2] / "home"
    assert {"signer.key", "ledger.key", "auditor.db"} <= {path.name for path in home.iterdir()}


def test_a_command_that_refuses_finds_what_was_done_before_it(tmp_path: Path) -> None:
    report, _ = visited(tmp_path, Toys(defects=("loosened",)))
    planted, clean = report.rows
    assert (planted.seen, planted.by) == (SpecimenOutcome.FOUND, ("accuracy",))
    assert (clean.seen, clean.outcomes) == (SpecimenOutcome.QUIET, {"auditor policies": "0"})
    assert report.good
    told = tmp_path / "zoo" / "toys-loosened-line-1-clean" / "home.txt"
    assert told.read_text() == str(tmp_path / "home")


def test_a_command_called_apart_leaves_the_callers_environment_and_streams_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITOR_HOME", str(tmp_path / "mine"))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    before, streams = dict(os.environ), (sys.stdout, sys.stderr, Path.cwd())
    ended = IsolatedCommand(tmp_path / "home")(["keys", "show"], tmp_path)
    assert ended.code == 2
    assert str(tmp_path / "home") in ended.said
    assert (dict(os.environ), (sys.stdout, sys.stderr, Path.cwd())) == (before, streams)
    assert not (tmp_path / "mine").exists()


def test_a_family_whose_packages_are_missing_is_named_as_not_run(tmp_path: Path) -> None:
    toys = Toys(packages=("a_module_that_is_nowhere",))
    door = IsolatedCommand(tmp_path / "home")
    report = run_selftest([toys], SelftestScale.QUICK, tmp_path / "zoo", door, lambda _: None)
    assert (report.rows, report.not_run) == ((), {"toys": ("a_module_that_is_nowhere",)})


def test_specimens_are_never_written_among_other_files(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="not an empty folder"):
        run_selftest(
            [Toys()],
            SelftestScale.QUICK,
            tmp_path,
            IsolatedCommand(tmp_path / "home"),
            lambda _: None,
        )
