"""The table of ART's attack classes has a row for each of them, and its figures come again."""

import ast
import importlib.util
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "art-attacks.md"
ROW = re.compile(r"^\| `(\w+)` \|(.*)\|$", re.MULTILINE)
FOLDERS = (
    "evasion",
    "poisoning",
    "extraction",
    "inference/membership_inference",
    "inference/attribute_inference",
    "inference/model_inversion",
    "inference/reconstruction",
)
OTHERS = ("poisoning", "extraction", "inference", "detector")
DETECTORS = {
    "ActivationDefence", "NeuralCleanse", "ProvenanceDefense", "RONIDefense",
    "SpectralSignatureDefense", "STRIP",
}  # fmt: skip
EVASION = r"[01]\.\d\d at l\w+ [\d.]+ \(confirmed \d+/\d+, \d+ s\)"
INTERVAL = r"-?[01]\.\d\d \[-?[01]\.\d\d, -?[01]\.\d\d\]"
CLAIM = rf"((area |fidelity |accuracy down by )?{INTERVAL}.*|flags [01]\.\d\d of .*) \(\d+ s\)"
AGAIN = ("DeepFool", "FastGradientMethod", "GeoDA", "SquareAttack")
CLAIMED = {"CopycatCNN": "extraction", "MembershipInferenceBlackBoxRuleBased": "inference"}


def exported() -> set[str]:
    """Read what ART exports from its own files, which importing it would take seconds for."""
    spec = importlib.util.find_spec("art")
    assert spec is not None
    assert spec.origin is not None
    found = set()
    for folder in FOLDERS:
        path = Path(spec.origin).parent / "attacks" / folder / "__init__.py"
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom):
                found |= {item.name for item in node.names if item.name[0].isupper()}
    return found


def table() -> dict[str, list[str]]:
    rows = ROW.findall(PAGE.read_text(encoding="utf-8"))
    return {name: [cell.strip() for cell in cells.split(" | ")] for name, cells in rows}


def test_every_class_that_art_exports_has_a_row() -> None:
    assert exported() | DETECTORS == set(table())


def test_every_row_gives_a_figure_or_a_gap_with_its_reason() -> None:
    for name, cells in table().items():
        figures, form = (cells[3:], CLAIM) if cells[0] in OTHERS else (cells[2:], EVASION)
        assert len(figures) == 2
        for figure in figures:
            assert re.fullmatch(rf"{form}|Gap: .{{10,}}", figure), (name, figure)


@pytest.mark.slow
def test_a_sample_of_rows_comes_out_again() -> None:
    script: dict[str, Any] = runpy.run_path(str(ROOT / "scripts" / "write_art_table.py"))
    rows = table()
    with script["opened"]("digits") as subject:
        for name in AGAIN:
            again, written = script["measure"](name, subject), rows[name][2]
            assert again.partition(",")[0] == written.partition(",")[0]


@pytest.mark.slow
def test_a_sample_of_claims_comes_out_again() -> None:
    script: dict[str, Any] = runpy.run_path(str(ROOT / "scripts" / "write_art_claims.py"))
    rows = table()
    with script["opened"]("digits") as subject:
        for name, kind in CLAIMED.items():
            again, written = script["measure"](name, kind, subject), rows[name][3]
            assert again.rpartition(" (")[0] == written.rpartition(" (")[0]
