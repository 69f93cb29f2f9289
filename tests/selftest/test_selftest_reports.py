"""What a selftest shows and returns: counts with exact intervals, and what never looks green."""

import io

import pytest
from rich.console import Console

from auditor.cli.commands.selftest import choose_exit_code
from auditor.cli.main import ExitCode, adapt_install_hints
from auditor.cli.selftest_output import show_selftest_report, show_specimen
from auditor.errors import suggest_install
from auditor.selftest.results import SelftestReport, SpecimenOutcome, SpecimenResult, tally_defects
from auditor.selftest.specimens import Specimen


def row(
    seen: SpecimenOutcome, seed: int = 1, *, defect: str = "leak", why: str = ""
) -> SpecimenResult:
    planted = seen in {SpecimenOutcome.FOUND, SpecimenOutcome.MISSED, SpecimenOutcome.BROKEN}
    specimen = Specimen("toys", defect, "line", seed, planted, 0.5)
    return SpecimenResult(
        specimen, seen, 1.5, ("no-leak",) if seen is SpecimenOutcome.FOUND else (), why
    )


def report(
    *seen: SpecimenOutcome, not_run: dict[str, tuple[str, ...]] | None = None
) -> SelftestReport:
    rows = tuple(row(item, seed) for seed, item in enumerate(seen))
    return SelftestReport("quick", rows, not_run or {}, 12.0)


GOOD = report(
    SpecimenOutcome.FOUND, SpecimenOutcome.FOUND, SpecimenOutcome.QUIET, SpecimenOutcome.QUIET
)


@pytest.mark.parametrize(
    ("tried", "code"),
    [
        (GOOD, ExitCode.DONE),
        (
            report(SpecimenOutcome.FOUND, SpecimenOutcome.MISSED, SpecimenOutcome.QUIET),
            ExitCode.FAILED,
        ),
        (report(SpecimenOutcome.FOUND, SpecimenOutcome.FALSE_ALARM), ExitCode.FAILED),
        (report(SpecimenOutcome.BROKEN, SpecimenOutcome.QUIET), ExitCode.FAILED),
        (report(SpecimenOutcome.FOUND, SpecimenOutcome.UNDECIDED), ExitCode.FAILED),
        (
            report(SpecimenOutcome.FOUND, SpecimenOutcome.QUIET, not_run={"deep": ("torch",)}),
            ExitCode.INCONCLUSIVE,
        ),
        (report(SpecimenOutcome.MISSED, not_run={"deep": ("torch",)}), ExitCode.FAILED),
        (report(), ExitCode.INCONCLUSIVE),
    ],
)
def test_nothing_that_was_missed_alarmed_undecided_broken_or_not_run_ends_with_zero(
    tried: SelftestReport, code: ExitCode
) -> None:
    assert choose_exit_code(tried) is code


def test_counts_are_of_planted_and_clean_and_have_exact_intervals() -> None:
    (tally,) = tally_defects(
        report(
            SpecimenOutcome.FOUND,
            SpecimenOutcome.MISSED,
            SpecimenOutcome.BROKEN,
            SpecimenOutcome.QUIET,
        ).rows
    )
    assert (tally.planted, tally.clean) == (3, 1)
    assert tally.found is not None
    assert tally.alarmed is not None
    # One of three: Clopper and Pearson's limits solve the binomial tails for 2.5 % each.
    assert tally.found.low == pytest.approx(0.00840, abs=1e-5)
    assert tally.found.high == pytest.approx(0.90570, abs=1e-5)
    assert (tally.alarmed.low, tally.alarmed.high) == (0, pytest.approx(0.975))


def test_each_defect_and_strength_has_a_line_of_its_own() -> None:
    rows = [
        row(SpecimenOutcome.FOUND),
        row(SpecimenOutcome.QUIET),
        row(SpecimenOutcome.MISSED, defect="copy"),
    ]
    assert [(item.defect, len(item.rows)) for item in tally_defects(rows)] == [
        ("leak", 2),
        ("copy", 1),
    ]


def test_the_json_says_the_contract_and_every_specimen() -> None:
    told = report(
        SpecimenOutcome.FOUND,
        SpecimenOutcome.MISSED,
        SpecimenOutcome.QUIET,
        SpecimenOutcome.FALSE_ALARM,
    ).to_json()
    assert [told[name] for name in ("planted", "found", "clean", "false_alarms")] == [2, 1, 2, 1]
    rows = told["rows"]
    assert isinstance(rows, list)
    assert rows[0] == {
        "name": "toys-leak-0.5-line-0-planted",
        "family": "toys",
        "defect": "leak",
        "strength": 0.5,
        "architecture": "line",
        "seed": 0,
        "planted": True,
        "seen": "found",
        "by": ["no-leak"],
        "why": "",
        "outcomes": {},
        "seconds": 1.5,
    }


def shown(tried: SelftestReport) -> str:
    console = Console(file=io.StringIO(), width=80)
    show_selftest_report(console, tried)
    file = console.file
    assert isinstance(file, io.StringIO)
    return " ".join(file.getvalue().split())


def test_the_table_says_counts_intervals_and_time() -> None:
    said = shown(GOOD)
    assert "leak 0.5" in said
    assert "2 of 2 planted defects found, 0 of 2 clean twins falsely alarmed, in 12 s" in said


def test_a_clean_twin_of_which_nothing_was_measured_is_counted_and_shown() -> None:
    tried = report(SpecimenOutcome.FOUND, SpecimenOutcome.QUIET, SpecimenOutcome.UNDECIDED)
    (tally,) = tally_defects(tried.rows)
    assert (tried.to_json()["undecided"], tally.to_json()["undecided"], tally.clean) == (1, 1, 2)
    assert "0 of 2 clean twins falsely alarmed, 1 undecided, in 12 s" in shown(tried)
    assert "undecided" not in shown(GOOD).split("2 of 2 planted")[1]


def test_a_family_that_was_not_run_is_shown_with_what_installs_it() -> None:
    said = shown(report(SpecimenOutcome.FOUND, not_run={"deep": ("torch",)}))
    assert "not run deep: torch is not installed (" in said
    assert adapt_install_hints(suggest_install("selftest")) in said


def test_a_row_says_why_something_was_missed_and_cannot_draw_on_the_terminal() -> None:
    console = Console(file=io.StringIO(), width=80)
    show_specimen(console, row(SpecimenOutcome.MISSED, why="no-leak unknown: \x1b[2J[bold]rows"))
    file = console.file
    assert isinstance(file, io.StringIO)
    said = file.getvalue()
    assert "missed" in said
    assert "[bold]rows" in said
    assert "\x1b" not in said
