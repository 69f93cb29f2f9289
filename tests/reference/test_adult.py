"""The example that fetches a network of others, and whom it is asked of, audited as it says.

The expected figures were measured apart from this project, with the network in Keras.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fetching import made_by

pytestmark = [pytest.mark.slow, pytest.mark.fetches, pytest.mark.xdist_group("adult")]

EXAMPLE = Path(__file__).parents[2] / "examples" / "adult"
ASKED = ("fairness.slices", "fairness.clusters", "fairness.groups", "quality.accuracy")
FAILED = 1
PATIENCE = 600


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the example's inputs were made; skip where a registry is out of reach."""
    made = tmp_path_factory.mktemp("adult")
    for name in ("audit-adult.yaml", "policy.yaml"):
        shutil.copy(EXAMPLE / name, made / name)
    made_by(EXAMPLE / "make.py", "--into", made)
    return made


@pytest.fixture(scope="module")
def record(folder: Path) -> Mapping[str, Any]:
    only = [word for check in ASKED for word in ("--only", check)]
    command = [str(Path(sys.executable).parent / "auditor"), "audit", "audit-adult.yaml", *only]
    home = {**os.environ, "AUDITOR_HOME": str(folder / "home")}
    done = subprocess.run(
        [*command, "--out", "report"], cwd=folder, capture_output=True, text=True,
        timeout=PATIENCE, check=False, env=home,
    )  # fmt: skip
    assert done.returncode == FAILED, done.stdout + done.stderr
    found: Mapping[str, Any] = json.loads((folder / "report" / "record.json").read_text())
    return found


def readings(record: Mapping[str, Any], check: str, metric: str) -> list[Mapping[str, Any]]:
    every = record["readings"]
    return [item for item in every if (item["check"], item.get("metric")) == (check, metric)]


def group(record: Mapping[str, Any], metric: str, name: str) -> Mapping[str, Any]:
    (found,) = [
        item
        for item in readings(record, "fairness.groups", metric)
        if item["params"].get("group") == name
    ]
    return found


def test_accuracy_and_ranking_are_those_that_others_measured(record: Mapping[str, Any]) -> None:
    (accuracy,) = readings(record, "quality.accuracy", "accuracy")
    (auc,) = readings(record, "quality.accuracy", "auc")
    assert accuracy["n"] == 16_281
    assert accuracy["value"] == pytest.approx(0.814, abs=5e-4)
    assert auc["value"] == pytest.approx(0.881, abs=5e-4)


@pytest.mark.parametrize(
    ("metric", "name", "value"),
    [
        ("selection_rate", "Male", 0.381),
        ("selection_rate", "Female", 0.121),
        ("selection_rate", "White", 0.314),
        ("selection_rate", "Black", 0.125),
        ("tpr", "Male", 0.757),
        ("tpr", "Female", 0.583),
    ],
)
def test_groups_are_treated_as_others_measured(
    record: Mapping[str, Any], metric: str, name: str, value: float
) -> None:
    found = group(record, metric, name)
    assert found["value"] == pytest.approx(value, abs=6e-4)
    assert found["low"] < value < found["high"]


def test_the_gap_between_men_and_women_is_told_with_its_interval(record: Mapping[str, Any]) -> None:
    (gap,) = [
        item
        for item in readings(record, "fairness.groups", "selection_rate_gap")
        if item["params"] == {"group_column": "sex"}
    ]
    assert gap["value"] == pytest.approx(0.260, abs=1e-3)
    assert 0.2 < gap["low"] < gap["value"] < gap["high"] < 0.3
    (ratio,) = [
        item
        for item in readings(record, "fairness.groups", "impact_ratio")
        if item["params"] == {"group_column": "sex"}
    ]
    assert ratio["value"] == pytest.approx(0.32, abs=5e-3)


def test_slices_are_confirmed_on_which_a_reader_can_act(record: Mapping[str, Any]) -> None:
    found = {
        tuple(sorted(item["slice"].items())): item
        for item in readings(record, "fairness.slices", "error")
        if item["slice"]
    }
    married = found[(("marital_status", "Married-civ-spouse"),)]
    assert married["details"]["lift"] > 4
    assert married["value"] == pytest.approx(0.332, abs=0.02)
    # The network says more than 50,000 of most of them.
    assert married["details"]["mistakes"][0]["decided"] == ">50K"
    assert (("marital_status", "Married-spouse-absent"),) in found  # merged with the others
    assert not any("0 to 1" in name for place in found for name, _ in place)


def test_the_report_tells_them(folder: Path, record: Mapping[str, Any]) -> None:
    page = (folder / "report" / "report.html").read_text(encoding="utf-8")
    assert record["verdict"] == "fail"
    assert "1. marital_status: Married-civ-spouse. 33" in page
    assert "a worse part of slice 1" in page
    assert "detectable differences" in page


def test_people_alike_to_the_network_are_found_too(record: Mapping[str, Any]) -> None:
    found = [item for item in readings(record, "fairness.clusters", "error") if item["slice"]]
    assert found
    assert found[0]["details"]["view"]["layer"] == "dense_1"
    assert max(item["value"] for item in found) > 0.4
