"""What a model said of 277,677 people over four years, audited without the model.

The expected figures were measured apart from this project, on the same rows.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from fetching import made_by

pytestmark = [pytest.mark.slow, pytest.mark.fetches, pytest.mark.xdist_group("census")]

EXAMPLE = Path(__file__).parents[2] / "examples" / "employment"
PATIENCE = 300
"""Seconds that a registry may take."""
FAILED = 1
YEARS = ("2015", "2016", "2017", "2018")
EVERYBODY = """\
apiVersion: auditor/v1
kind: Audit
model: {name: employment, version: 1.0.0}
task: {kind: classification, classes: ["0", "1"], positive: "1", favourable: "1"}
targets: [cpu]
data:
  evaluation:
    path: everybody.parquet
    labels: employed
    scores: [predicted_probability]
    predictions: prediction
    groups: [SEX, DIS]
policy: policy.yaml
budget: smoke
seed: 7
"""
Readings = list[Mapping[str, Any]]


def auditor(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "auditor", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "AUDITOR_HOME": str(folder / "home"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example with its data, or a skip where the registry is out of reach."""
    made = tmp_path_factory.mktemp("census")
    for name in ("audit-census.yaml", "policy.yaml"):
        shutil.copy(EXAMPLE / name, made / name)
    made_by(EXAMPLE / "make.py", made)
    return made


@pytest.fixture(scope="module")
def yearly(folder: Path) -> dict[str, Any]:
    """The record of the example's audit: 2015 as the reference, the later years audited."""
    ended = auditor(folder, "audit", "audit-census.yaml", "--budget", "smoke", "--out", "yearly")
    assert ended.returncode == FAILED, ended.stdout + ended.stderr
    record: dict[str, Any] = json.loads((folder / "yearly" / "record.json").read_bytes())
    return record


@pytest.fixture(scope="module")
def everybody(folder: Path) -> Readings:
    """The readings of an audit of all four years together."""
    before, now = (pl.read_parquet(folder / f"{name}.parquet") for name in ("reference", "current"))
    pl.concat([before, now.select(before.columns)]).write_parquet(folder / "everybody.parquet")
    (folder / "audit.yaml").write_text(EVERYBODY)
    only = ("--only", "fairness.groups", "--only", "quality.accuracy")
    auditor(folder, "audit", "audit.yaml", *only, "--out", "all")
    found: Readings = json.loads((folder / "all" / "record.json").read_bytes())["readings"]
    return found


def of(readings: Readings, check: str, metric: str, **params: str) -> Iterator[Mapping[str, Any]]:
    for item in readings:
        named = (item["check"], item.get("metric")) == (check, metric)
        if named and item["kind"] == "measurement" and params.items() <= item["params"].items():
            yield item


def the(readings: Readings, check: str, metric: str, **params: str) -> Mapping[str, Any]:
    (found,) = of(readings, check, metric, **params)
    return found


@pytest.mark.parametrize(
    ("column", "group", "metric", "known"),
    [
        ("SEX", "1", "fpr", 0.179),
        ("SEX", "2", "fpr", 0.233),
        ("DIS", "1", "selection_rate", 0.091),
        ("DIS", "2", "selection_rate", 0.606),
        ("DIS", "1", "tpr", 0.313),
        ("DIS", "2", "tpr", 0.892),
    ],
)
def test_groups_are_treated_as_was_measured_apart(
    everybody: Readings, column: str, group: str, metric: str, known: float
) -> None:
    found = the(everybody, "fairness.groups", metric, group_column=column, group=group)
    assert found["value"] == pytest.approx(known, abs=0.0006)


def test_the_area_under_the_curve_is_what_was_measured_apart(everybody: Readings) -> None:
    assert 0.903 <= the(everybody, "quality.accuracy", "auc")["value"] <= 0.906


def test_accuracy_is_flat_over_the_years(yearly: dict[str, Any]) -> None:
    values = [
        the(yearly["readings"], "quality.periods", "accuracy", period=year)["value"]
        for year in YEARS
    ]
    assert values == pytest.approx([0.827, 0.825, 0.829, 0.828], abs=0.0006)
    change = the(yearly["readings"], "quality.periods", "accuracy_change")
    assert change["low"] < 0 < change["high"]


def test_calibration_drifts_over_the_years(yearly: dict[str, Any]) -> None:
    found = of(yearly["readings"], "quality.periods", "debiased_l2")
    values = [item["details"]["ece_15"] for item in found]
    assert values == pytest.approx([0.0063, 0.0104, 0.0114, 0.0129], abs=0.0001)
    assert the(yearly["readings"], "quality.periods", "calibration_change")["low"] > 0


def test_estimates_without_labels_are_right_and_doubted(yearly: dict[str, Any]) -> None:
    truth = the(yearly["readings"], "quality.accuracy", "accuracy")["value"]
    found = list(of(yearly["readings"], "data.decay", "estimated_accuracy"))
    assert len(found) == 2
    for item in found:
        assert item["low"] <= truth <= item["high"]
        assert item["doubted"]


def test_no_alarm_is_raised_and_no_rule_passes_on_that(yearly: dict[str, Any]) -> None:
    alarm = the(yearly["readings"], "data.decay", "alarm")
    assert alarm["value"] is False
    assert alarm["doubted"]
    outcomes = {item["rule"]: item["outcome"] for item in yearly["findings"]}
    assert outcomes["no-proof-of-decay"] == "withstood"
    assert outcomes["calibration-holds"] == "failed"
    assert outcomes["same-for-the-disabled"] == "failed"
    assert outcomes["as-accurate-as-claimed"] == "passed"


def test_many_rows_make_small_p_values_of_small_changes(yearly: dict[str, Any]) -> None:
    readings = yearly["readings"]
    assert the(readings, "data.drift", "largest_distance")["high"] < 0.06
    columns = of(readings, "data.drift", "distance")
    small = [item for item in columns if item["details"]["adjusted_p_value"] < 0.05]
    assert len(small) >= 8


def test_both_data_sets_are_in_the_lineage(yearly: dict[str, Any]) -> None:
    named = {item["role"]: item["digest"] for item in yearly["request"]["datasets"]}
    used = {edge["role"]: edge["destination"] for edge in yearly["lineage"]}
    assert used["reference"] == named["reference"]
    assert used["evaluation"] == named["evaluation"]


def test_the_record_verifies_from_its_evidence(folder: Path, yearly: dict[str, Any]) -> None:
    ended = auditor(folder, "verify", "yearly", "--key", "yearly/signer.pub")
    assert ended.returncode == 0, ended.stdout + ended.stderr
