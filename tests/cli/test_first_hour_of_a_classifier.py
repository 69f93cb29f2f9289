"""A person with a good classifier reaches a pass by `auditor init`, and its bad twins do not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from numpy.typing import NDArray
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Command = Callable[..., Any]
Array = NDArray[Any]
ASKED = (
    "quality.accuracy", "quality.calibration", "evasion.linf", "evasion.linf_query",
    "hardware.latency", "provenance.artifact", "provenance.signature",
)  # fmt: skip
"""The checks that `baseline` asks of a classifier that decides about no people."""
TRAINED, ROWS = 3000, 5000
COLUMNS = ("flow", "cycles", "pressure", "tilt", "force", "distance", "uptime", "starts")
NAMES = np.array(["sound", "worn"])
STRICT = """\
apiVersion: auditor/v1
kind: Policy
extends: baseline
metadata: {name: strict, version: 1.0.0, owner: risk@example.org}
rules:
  - {id: calibration-slope, effect: deny}
"""
ATTACKS = "The attacks of evasion.linf and evasion.linf_query"
pytestmark = pytest.mark.slow


def readings() -> tuple[Array, Array]:
    """Rows of a machine on eight scales, and whether a part is worn."""
    rng = np.random.default_rng(3)
    worn = rng.integers(0, 2, ROWS)
    shift = np.array([1.2, 1.0, -1.1, 0.9, -1.2, 0.6, 0.8, -0.5])
    plain = rng.normal(size=(ROWS, 8)) + np.outer(worn - 0.5, shift)
    scale = np.array([900, 10, 40, 1.2, 60, 0.6, 300, 3])
    rows = plain * scale + np.array([3000, 40, 300, 6, 600, 4, 1500, 15])
    rows[:, [1, 6, 7]] = np.round(rows[:, [1, 6, 7]])
    return rows.astype(np.float32), worn


def fit(rows: Array, labels: Array) -> Any:  # noqa: ANN401 -- scikit-learn has no types
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, labels)


def write(folder: Path, model: Any, rows: Array, labels: Array, *, arrays: bool = False) -> Path:  # noqa: ANN401
    """Write a model and the rows that it was not trained on; return the file of the rows."""
    made = to_onnx(model, rows[:1], options={"zipmap": False})
    (folder / "model.onnx").write_bytes(made.SerializeToString())
    rest, wanted = rows[TRAINED:], NAMES[labels[TRAINED:]]
    if arrays:
        np.savez(folder / "rows.npz", x=rest, y=wanted)
        return folder / "rows.npz"
    table = pd.DataFrame(rest, columns=COLUMNS)
    table["state"] = wanted
    table.to_csv(folder / "rows.csv", index=False)
    return folder / "rows.csv"


def draft(auditor: Command, home: Path, data: Path) -> Path:
    """Draft, sign, and make the two edits that the draft asks for; return the audit file."""
    folder = data.parent
    audit = folder / "audit.yaml"
    for words in (
        ("init", folder / "model.onnx", "--data", data, "--out", audit),
        ("sign", folder / "model.onnx", "--out", folder / "model.sig"),
    ):
        ended = auditor(*words)
        assert ended.code == 0, ended.said
    text = audit.read_text().replace("signature: null", "signature: model.sig")
    text = text.replace("key: null", f"key: {home / 'model.pub'}")
    audit.write_text(text.replace("tags: []", "tags: [not-about-people]"))
    return audit


def audit_by(auditor: Command, audit: Path) -> tuple[Any, dict[str, str]]:
    """Audit by `baseline` at the budget ci; return how it ended, and the outcome of each rule."""
    only = [part for check in ASKED for part in ("--only", check)]
    out = audit.parent / "report"
    ended = auditor("audit", audit, "--budget", "ci", *only, "--out", out)
    findings = json.loads((out / "record.json").read_bytes())["findings"]
    return ended, {it["rule"]: it["outcome"] for it in findings}


@pytest.mark.parametrize("arrays", [False, True], ids=["table", "arrays"])
def test_a_good_signed_classifier_passes_as_it_was_drafted(
    auditor: Command, home: Path, tmp_path: Path, *, arrays: bool
) -> None:
    rows, labels = readings()
    model = fit(rows[:TRAINED], labels[:TRAINED])
    audit = draft(auditor, home, write(tmp_path, model, rows, labels, arrays=arrays))
    drafted = yaml.safe_load((tmp_path / "schema.yaml").read_text())["features"]
    assert len(drafted) == len(COLUMNS)
    ended, outcomes = audit_by(auditor, audit)
    assert ended.code == 0, ended.said
    assert outcomes["evasion-small"] == outcomes["evasion-small-query"] == "withstood"
    assert outcomes["calibration-size"] == outcomes["calibration-slope"] == "passed"
    # the smallest step of `starts` is larger than this share of its range
    assert f"{ATTACKS} at eps 0.02 could move 7 of 8 inputs, each by at most" in ended.said


def test_a_classifier_that_learnt_flipped_labels_fails(
    auditor: Command, home: Path, tmp_path: Path
) -> None:
    rows, labels = readings()
    poisoned = labels[:TRAINED].copy()
    poisoned[(np.arange(TRAINED) % 4 != 0) & (poisoned == 1)] = 0
    audit = draft(auditor, home, write(tmp_path, fit(rows[:TRAINED], poisoned), rows, labels))
    ended, outcomes = audit_by(auditor, audit)
    assert (ended.code, outcomes["accuracy"]) == (1, "failed"), ended.said


@pytest.fixture
def brittle(auditor: Command, home: Path, tmp_path: Path) -> Path:
    """A model that lives on one column, which tells the class by a thousandth of its range."""
    rows, labels = readings()
    noise = np.random.default_rng(4).normal(size=ROWS) * 4e-5
    rows[:, 3] = (labels - 0.5) * 2e-3 + noise
    rows[::500, 3] = 1 + labels[::500]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1e6, max_iter=5000))
    inside = np.flatnonzero(rows[:TRAINED, 3] < 1)
    model.fit(rows[inside], labels[inside])
    return draft(auditor, home, write(tmp_path, model, rows, labels))


def test_a_brittle_classifier_fails(auditor: Command, brittle: Path) -> None:
    ended, outcomes = audit_by(auditor, brittle)
    assert outcomes["accuracy"] == "passed"
    assert (ended.code, outcomes["evasion-small"]) == (1, "failed"), ended.said


def test_a_range_that_leaves_out_rows_is_refused_and_fixed_inputs_stand_beside_the_verdict(
    auditor: Command, brittle: Path
) -> None:
    schema = brittle.with_name("schema.yaml")
    text = schema.read_text()
    features = yaml.safe_load(text)["features"]
    lived_on = features[3]
    tiny = [dict(it, range=[-0.01, 0.01]) if it is lived_on else it for it in features]
    schema.write_text(yaml.safe_dump({"features": tiny}))
    ended = auditor("audit", brittle, "--budget", "ci", "--only", "evasion.linf")
    assert ended.code == 2
    assert "outside the range [-0.01, 0.01]" in ended.said
    every = [dict(it, immutable=True) for it in features]
    schema.write_text(yaml.safe_dump({"features": every}))
    ended, outcomes = audit_by(auditor, brittle)
    assert (ended.code, outcomes["evasion-small"]) == (3, "unknown"), ended.said
    fixed = [dict(it, immutable=True) if it is lived_on else it for it in features]
    schema.write_text(yaml.safe_dump({"features": fixed}))
    ended, _ = audit_by(auditor, brittle)
    assert f"{ATTACKS} at eps 0.02 could move 6 of 8 inputs" in ended.said
    assert "(input.immutable): tilt" in ended.said


def test_a_classifier_that_claims_too_much_certainty_fails_where_calibration_is_required(
    auditor: Command, home: Path, tmp_path: Path
) -> None:
    rows, labels = readings()
    model = fit(rows[:TRAINED], labels[:TRAINED])
    model[-1].coef_ *= 12
    model[-1].intercept_ *= 12
    audit = draft(auditor, home, write(tmp_path, model, rows, labels))
    ended, outcomes = audit_by(auditor, audit)
    assert outcomes["calibration-slope"] == "failed", ended.said
    strict = tmp_path / "strict.yaml"
    strict.write_text(STRICT)
    ended = auditor("judge", tmp_path / "report", "--policy", strict, "--out", tmp_path / "judged")
    assert ended.code == 1, ended.said
