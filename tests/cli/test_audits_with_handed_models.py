"""Ready shadow models and a generator, from the audit file to the record and back."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handed_models import decoder, drawn, handed, write

Command = Callable[..., Any]
AUDIT = """\
apiVersion: auditor/v1
kind: Audit
model: {name: handed, version: 1.0.0, artifact: model.onnx}
task: {classes: ["0", "1", "2"], output: logits}
input: {domain: [-6.0, 6.0]}
data:
  evaluation: {path: test.npz, labels: y}
  training: {path: train.npz, labels: y}
shadows: {models: shadows, inclusion: inclusion.npy, rows: [training, evaluation]}
generator: {path: generator.onnx}
policy: privacy
budget: smoke
"""
ONLY = ("--only", "privacy.membership", "--only", "privacy.inversion")


@pytest.mark.slow
def test_what_is_handed_over_is_used_recorded_and_runs_again(
    auditor: Command, tmp_path: Path
) -> None:
    write(tmp_path, handed())
    decoder(tmp_path / "generator.onnx", drawn(8, 400)[0], 4)
    (tmp_path / "audit.yaml").write_text(AUDIT)
    out = tmp_path / "out"

    planned = auditor("plan", tmp_path / "audit.yaml", *ONLY, "--format", "json")
    (plan,) = json.loads(planned.out).values()
    tiers = {item["input"]: item for item in plan["tiers"]}
    assert tiers["shadow models"]["here"] is tiers["generator"]["here"] is True
    assert tiers["shadow models"]["deepens"] == ["privacy.membership"]
    assert tiers["generator"]["deepens"] == ["privacy.inversion"]

    ended = auditor("audit", tmp_path / "audit.yaml", *ONLY, "--out", out)
    assert ended.code in {1, 3}, ended.said
    record = json.loads((out / "record.json").read_text())
    assert len(record["request"]["shadows"]["models"]) == 6
    assert record["request"]["shadows"]["rows"] == ["training", "evaluation"]
    readings = [item for item in record["readings"] if item["kind"] == "measurement"]
    found = {(item["metric"], *sorted(item["params"].items())): item for item in readings}
    verdict = found["verdict", ("attack", "lira"), ("shadows", "ready")]
    assert verdict["value"] == "shown", verdict["details"]
    alike = found["verdict", ("attack", "all"), ("shadows", "all")]["details"]["ready_shadows"]
    assert alike["retrained"] == 6
    assert alike["rows"] >= 30
    for attack in ("gradient", "scores", "labels"):
        gain = found["gain_over_baseline", ("attack", attack), ("prior", "generator")]
        assert "drawn_row" in gain["details"]

    verified = auditor("verify", out, "--key", out / "signer.pub")
    assert verified.code == 0, verified.said
    (tmp_path / "shadows").rename(tmp_path / "elsewhere")
    again = auditor("reproduce", out)
    assert again.code == 0, again.said


@pytest.mark.slow
def test_a_generator_of_other_rows_stops_the_audit_and_is_named(
    auditor: Command, tmp_path: Path
) -> None:
    write(tmp_path, handed(shadows=3))
    decoder(tmp_path / "generator.onnx", np.zeros((50, 9)) + np.arange(50)[:, None], 3)
    (tmp_path / "audit.yaml").write_text(AUDIT)
    ended = auditor("audit", tmp_path / "audit.yaml", *ONLY, "--out", tmp_path / "out")
    assert ended.code == 2, ended.said
    assert "makes rows of shape [9]" in ended.said
    assert "a row of the data has the shape [6]" in ended.said
