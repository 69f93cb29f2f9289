"""A text model from the audit file to the record: the example, as its user audits it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "docstrings"
Command = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("report", "*.py", "*.md")
    return Path(shutil.copytree(EXAMPLE, tmp_path / "docstrings", ignore=ignored))


def audited(auditor: Command, folder: Path, *checks: str) -> list[dict[str, Any]]:
    only = [part for check in checks for part in ("--only", check)]
    out = folder / "out"
    auditor("audit", folder / "audit.yaml", "--budget", "smoke", "--out", out, *only)
    found: list[dict[str, Any]] = json.loads((out / "record.json").read_text())["readings"]
    return found


def test_checks_on_scores_and_words_measure_it_and_attacks_on_numbers_say_why_not(
    auditor: Command, folder: Path
) -> None:
    asked = ("quality.accuracy", "evasion.text", "evasion.linf", "evasion.linf_query")
    found = audited(auditor, folder, *asked)
    (accuracy,) = (item for item in found if item.get("metric") == "accuracy")
    assert (accuracy["n"], round(accuracy["value"], 3)) == (704, 0.899)
    curve = {
        item["params"]["words"]: item["value"]
        for item in found
        if item.get("metric") == "robust_accuracy"
    }
    assert 0.9 > curve[1] > curve[2] > curve[4] > 0.3
    gaps = {item["check"]: item for item in found if item["kind"] == "gap"}
    assert set(gaps) == {"evasion.linf", "evasion.linf_query"}
    for gap in gaps.values():
        assert gap["reason"] == "needs_numeric_input"
        assert "text" in gap["detail"]
    key = folder / "out" / "signer.pub"
    assert auditor("verify", folder / "out", "--key", key).code == 0
    report = (folder / "out" / "report.html").read_text(encoding="utf-8")
    assert "Accuracy under misspelled or replaced words" in report
    assert "word 5" in report


def test_without_leave_no_text_leaves_the_machine(auditor: Command, folder: Path) -> None:
    path = folder / "audit.yaml"
    path.write_text(path.read_text().replace("show_examples: true", "show_examples: false"))
    audited(auditor, folder, "evasion.text")
    texts = (folder / "test.csv").read_text(encoding="utf-8").splitlines()
    pieces = {" ".join(line.split(",")[2].split()[:4]) for line in texts[1:]}
    written = [file.read_bytes() for file in (folder / "out").rglob("*") if file.is_file()]
    assert not [piece for piece in pieces if any(piece.encode() in raw for raw in written)]


@pytest.mark.slow
def test_a_draft_names_the_column_of_texts(auditor: Command, folder: Path) -> None:
    (folder / "audit.yaml").unlink()
    done = auditor(
        "init", folder / "model.onnx", "--data", folder / "test.csv", "--out", folder / "audit.yaml"
    )
    assert done.code == 0
    drafted = (folder / "audit.yaml").read_text()
    assert '  text: "text"' in drafted
    assert 'slices: ["origin"]' in drafted
    assert audited(auditor, folder, "quality.accuracy")[0]["kind"] != "gap"
