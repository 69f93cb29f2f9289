"""The page of results says what was found, what was not, and what was not tried."""

import runpy
import sys
from pathlib import Path

import pytest

from auditor.selftest.family_registry import discover_families
from auditor.selftest.results import SpecimenOutcome, SpecimenResult, append_result_row
from auditor.selftest.scale import SelftestScale
from auditor.selftest.specimens import select_specimens

SCRIPT = Path(__file__).parents[2] / "scripts" / "write_selftest_page.py"
CLAIMS = discover_families()["claims"]


def page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    arguments = [folder / "full.jsonl", folder / "curve.jsonl", "--page", folder / "page.md"]
    monkeypatch.setattr(sys, "argv", ["write", *map(str, arguments)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    return (folder / "page.md").read_text("utf-8")


def test_nothing_that_was_missed_or_not_tried_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full, graded = (
        select_specimens(CLAIMS, scale) for scale in (SelftestScale.FULL, SelftestScale.CURVE)
    )
    missed, *others = full
    append_result_row(
        tmp_path / "full.jsonl",
        SpecimenResult(missed, SpecimenOutcome.MISSED, 2.0, why="it | was `passed`"),
    )
    for one in others:
        seen = SpecimenOutcome.FOUND if one.planted else SpecimenOutcome.QUIET
        append_result_row(tmp_path / "full.jsonl", SpecimenResult(one, seen, 2.0))
    append_result_row(
        tmp_path / "curve.jsonl", SpecimenResult(graded[0], SpecimenOutcome.FOUND, 2.0)
    )
    text = page(tmp_path, monkeypatch)
    # 20 of 21 and 0 of 21 by Clopper and Pearson.
    assert "| `claims` | 20 of 21 (76.2 to 99.9 %) | 0 of 21 (0.0 to 16.1 %) | **no** |" in text
    assert "| `claims` | `accuracy` 0.08 | 20 of 21 (76.2 to 99.9 %) |" in text
    assert "| `claims` | `accuracy` 0.03 | 1 of 1 (2.5 to 100.0 %) |" in text
    assert f"- `{missed.name}`: missed. it / was 'passed'" in text
    lacking = sum(
        len(select_specimens(of, SelftestScale.FULL)) for of in discover_families().values()
    ) - len(full)
    assert f"**{lacking} specimens have not been tried in this run.**" in text
