"""The example that promises more privacy than its own numbers keep fails, and is told why."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditor.targets.training_recipe import is_sandbox_available

EXAMPLE = Path(__file__).parents[2] / "examples" / "digits" / "audit-privacy.yaml"
Command = Callable[..., Any]
FAST = ("--budget", "smoke", "--only", "privacy.dp_claim")


@pytest.mark.slow
def test_a_claim_below_its_own_arithmetic_and_canaries_fails_the_audit(
    auditor: Command, tmp_path: Path
) -> None:
    ended = auditor("audit", EXAMPLE, *FAST, "--out", tmp_path / "out")
    assert ended.code == 1, ended.said
    record = json.loads((tmp_path / "out" / "record.json").read_text())
    outcomes = {item["rule"]: item["outcome"] for item in record["findings"]}
    assert outcomes["privacy-as-claimed"] == "failed"
    if is_sandbox_available():
        assert outcomes["privacy-not-contradicted"] == "failed"
    assert record["request"]["claims"]["privacy"]["epsilon"] == 1.0
    assert record["request"]["recipe"]["allowed"] is True
    readings = {item.get("metric"): item for item in record["readings"]}
    worked_out = readings["epsilon_recomputed"]
    assert worked_out["low"] <= 2.004 <= worked_out["high"] + 1e-3
    if is_sandbox_available():
        assert readings["epsilon_lower_bound"]["value"] > 1.0, "the recipe adds no noise"
    else:
        assert "Bubblewrap does not work" in json.dumps(record["readings"])


def test_a_plan_of_the_example_says_what_each_input_unlocks(auditor: Command) -> None:
    ended = auditor(
        "plan", EXAMPLE, "--format", "json", "--only", "privacy.dp_claim",
        "--only", "privacy.membership", "--only", "poisoning.input_screen",
    )  # fmt: skip
    (planned,) = json.loads(ended.out).values()
    tiers = {item["input"]: item for item in planned["tiers"]}
    assert tiers["privacy claim"]["answers"] == ["privacy.dp_claim"]
    assert tiers["training set"]["here"] is True
    assert tiers["production set"]["adds"] == ["poisoning.input_screen"]
