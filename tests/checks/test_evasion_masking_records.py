"""Masked models audited as a user does: in child processes, judged, verified and run again."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from masked_models import MASKED, ROWS, TRAINED_ON, digits, export, save_program

from auditor.cli.main import main

AUDIT = """\
apiVersion: auditor/v1
kind: Audit
model: {{name: digits, version: 1.0.0, artifact: model.onnx, twin: {twin}}}
task: {{kind: classification, classes: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]}}
input: {{domain: [0.0, 1.0]}}
targets: [cpu]
data: {{evaluation: {{path: test.npz, labels: y}}}}
policy: policy.yaml
budget: smoke
seed: 3
"""
POLICY = """\
apiVersion: auditor/v1
kind: Policy
metadata: {name: tests, version: 1.0.0, owner: tests@example.org, least_budget: smoke}
rules:
  - id: small
    title: It stays right under small changes
    severity: high
    effect: warn
    measure: evasion.linf/robust_accuracy
    where: {eps: 0.02}
    at_least: 0.3
    accept: withstood
    rationale: Small changes are everywhere.
    remediation: Train on attacks.
  - id: large
    title: It stays right under large changes
    severity: high
    effect: deny
    measure: evasion.linf/robust_accuracy
    where: {eps: 0.2}
    at_least: 0.95
    accept: withstood
    rationale: Large changes are seen.
    remediation: Train on attacks.
"""
ASKED = ("evasion.linf", "evasion.linf_query", "evasion.masking")

pytestmark = pytest.mark.slow


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["auditor", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


def written(folder: Path, name: str, twin: str = "auto") -> Path:
    """Write what an audit of a planted model needs."""
    inputs, labels = digits()
    held = slice(TRAINED_ON, TRAINED_ON + ROWS)
    net = MASKED[name](0).net
    export(net, folder / "model.onnx")
    if twin != "auto":
        save_program(net, folder / twin)
    np.savez(folder / "test.npz", x=inputs[held], y=labels[held].astype(str))
    (folder / "audit.yaml").write_text(AUDIT.format(twin=twin))
    (folder / "policy.yaml").write_text(POLICY)
    return folder / "audit.yaml"


def audited(
    monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, *checks: str, twin: str = "auto"
) -> dict[str, Any]:
    only = [part for check in checks for part in ("--only", check)]
    command(monkeypatch, "audit", written(folder, name, twin), *only, "--out", folder / "out")
    record: dict[str, Any] = json.loads((folder / "out" / "record.json").read_text())
    return record


def outcomes(record: dict[str, Any]) -> dict[str, str]:
    return {item["rule"]: item["outcome"] for item in record["findings"]}


def curve(record: dict[str, Any]) -> dict[float, dict[str, Any]]:
    return {
        item["params"]["eps"]: item
        for item in record["readings"]
        if item["check"] == "evasion.linf" and item.get("metric") == "robust_accuracy"
    }


def test_a_masked_model_withstands_nothing_and_its_record_verifies_rejudges_and_repeats(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Path
) -> None:
    record = audited(monkeypatch, tmp_path, "wavy", *ASKED)
    (believable,) = (item for item in record["readings"] if item.get("metric") == "believable")
    assert believable["value"] is False
    found = curve(record)
    assert all(item["doubted"] for item in found.values())
    assert found[0.2]["details"]["believe_instead"]["check"] == "evasion.linf_query"
    assert found[0.2]["value"] < found[0.2]["details"]["found_by_gradients"]["value"]
    assert outcomes(record) == {"small": "unknown", "large": "failed"}
    out = tmp_path / "out"
    assert command(monkeypatch, "verify", out, "--key", out / "signer.pub") == 0
    assert command(monkeypatch, "reproduce", out, "--inputs", tmp_path) == 0
    again = tmp_path / "again"
    command(monkeypatch, "judge", out, "--policy", tmp_path / "policy.yaml", "--out", again)
    rejudged = json.loads((again / "record.json").read_text())
    assert outcomes(rejudged) == outcomes(record)
    assert curve(rejudged) == found
    report = (out / "report.html").read_text()
    assert "the gradients that it rests on are masked" in report

    # A policy that asks for another look at the gradients must not lose the doubt.
    other = tmp_path / "other.yaml"
    other.write_text(POLICY.replace("rules:", "checks: {evasion.masking: {rows: 41}}\nrules:", 1))
    command(monkeypatch, "judge", out, "--policy", other, "--out", tmp_path / "third")
    third = json.loads((tmp_path / "third" / "record.json").read_text())
    assert outcomes(third)["small"] == "unknown"
    assert not curve(third)


def test_who_names_the_attack_alone_does_not_leave_its_examination_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Path
) -> None:
    record = audited(monkeypatch, tmp_path, "wavy", "evasion.linf")
    assert "evasion.masking" in {item["check"] for item in record["readings"]}
    assert all(item["doubted"] for item in curve(record).values())
    assert outcomes(record)["small"] == "unknown"


def test_an_owners_twin_that_has_no_gradient_is_refused_before_masking_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Path
) -> None:
    record = audited(monkeypatch, tmp_path, "int8", *ASKED, twin="twin.pt2")
    gaps = {item["check"]: item for item in record["readings"] if item["kind"] == "gap"}
    assert set(gaps) == {"evasion.linf", "evasion.masking"}
    assert gaps["evasion.masking"]["reason"] == "twin_differs"
    assert "gradient is zero on all of" in gaps["evasion.masking"]["detail"]
    assert "round" in gaps["evasion.masking"]["detail"]
