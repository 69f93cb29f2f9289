"""Our own stronger attack against a record of a weaker one, on the network of the digits."""

import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from auditor.attacks.evasion.evidence import recount_rows
from auditor.checks.evasion.linf import LinfEvasionCheck
from auditor.domain.check_subject import CheckShard
from auditor.domain.record_json import read_record
from auditor.inputs.materialize import materialize_inputs
from auditor.reports.folder import RECORD, RecordFolder
from auditor.workflows.engine.audit_subject import open_subject
from auditor.workflows.prepare import prepare_audit
from auditor.workflows.reproduce import read_recorded_audit_file
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.wiring import OPENERS, build_input_finder, build_record_resolvers
from auditor.workflows.workspace import open_workspace

pytestmark = pytest.mark.slow

Command = Callable[..., Any]
DIGITS = Path(__file__).parents[2] / "examples" / "digits"
POLICY = """\
apiVersion: auditor/v1
kind: Policy
metadata: {name: weak, version: 1.0.0, owner: tests@example.org, least_budget: smoke}
params: {}
checks: {evasion.linf: {eps: [0.05, 0.1], stages: ["square:1"], rows: 200}}
rules:
  - id: robust
    title: It withstands small changes
    severity: high
    effect: deny
    measure: evasion.linf/robust_accuracy
    where: {eps: 0.1}
    at_least: 0.7
    accept: withstood
    rationale: Somebody may try.
    remediation: Train it otherwise.
"""
AUDIT = """\
apiVersion: auditor/v1
kind: Audit
model: {name: digits, version: 1.0.0, artifact: model.onnx}
task: {kind: classification, classes: ["0","1","2","3","4","5","6","7","8","9"], output: logits}
input: {domain: [0.0, 1.0]}
targets: [cpu]
data: {evaluation: {path: test.npz, labels: y}}
policy: policy.yaml
budget: smoke
seed: 7
show_examples: true
"""
CHECKS = ("evasion.linf", "evasion.masking", "evasion.certified", "quality.accuracy")
GATE = (
    "gate", "--artifact", "model.onnx", "--policy", "policy.yaml",
    "--record", "out", "--key", "out/signer.pub",
)  # fmt: skip


@pytest.fixture
def passed(auditor: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an audit by which the network withstands one random step."""
    folder = tmp_path / "digits"
    folder.mkdir()
    for name in ("model.onnx", "test.npz"):
        shutil.copy(DIGITS / name, folder)
    (folder / "policy.yaml").write_text(POLICY)
    (folder / "audit.yaml").write_text(AUDIT)
    monkeypatch.chdir(folder)
    only = [word for name in CHECKS for word in ("--only", name)]
    assert auditor("audit", "audit.yaml", *only, "--out", "out").code == 0
    return folder


def crafted(folder: Path, eps: float) -> dict[str, np.ndarray]:
    """Attack the record's own rows as strongly as an audit would."""
    old = RecordFolder(folder / "out")
    record = read_record(old.read(RECORD))
    with (
        open_workspace(AuditorSettings.from_environment()) as place,
        TemporaryDirectory() as scratch,
    ):
        fetch = build_input_finder(place.store.blobs, None)
        laid = materialize_inputs(record.request.inputs, fetch, Path(scratch))
        parts, raw = build_record_resolvers(record, old), fetch(record.request.audit_file)
        asked = read_recorded_audit_file(raw, record.request, parts)
        with prepare_audit(asked, laid.locate, parts) as prepared:
            spec, brought = record.request.targets[0], prepared.materials
            with open_subject(spec, brought, OPENERS, twin=lambda _: True) as subject:
                strong = LinfEvasionCheck(
                    eps=(eps,), stages=("fmn:30x3", "cross_entropy:20"), rows=200
                )
                seen = strong.observe(subject, CheckShard())
    broken = recount_rows(seen).broken[0]
    places, ids = np.asarray(seen["crafted_rows"]), list(seen["ids"])  # type: ignore[arg-type]
    kept = [at for at, place in enumerate(places) if broken[place]]
    inputs = np.asarray(seen["crafted"])[kept]
    return {"inputs": inputs, "rows": np.array([ids[places[at]] for at in kept])}


def test_a_stronger_attack_refutes_what_a_weak_one_let_pass(auditor: Command, passed: Path) -> None:
    strong = crafted(passed, 0.1)
    assert len(strong["rows"]) > 50
    assert auditor(*GATE).code == 0
    few = {name: values[:3] for name, values in strong.items()}
    np.savez("few.npz", **few)  # type: ignore[arg-type]  # numpy's stub wants flags
    assert auditor("challenge", "out", "--examples", "few.npz").code == 1
    assert auditor(*GATE).code == 0
    np.savez("many.npz", **strong)  # type: ignore[arg-type]
    ended = auditor("challenge", "out", "--examples", "many.npz")
    assert ended.code == 1
    assert "robust was withstood and is failed" in ended.said
    assert auditor(*GATE).code == 1
    assert auditor("ledger", "verify").code == 0


def test_noise_and_what_is_beyond_the_budget_refute_nothing(auditor: Command, passed: Path) -> None:
    data = np.load("test.npz")
    key = next(name for name in data.files if name != "y")
    clean = data[key][:20]
    noise = np.random.default_rng(1).uniform(-0.004, 0.004, clean.shape).astype(clean.dtype)
    tame = np.clip(clean + noise, 0, 1)
    np.savez("tame.npz", inputs=tame, rows=np.arange(1, 21))
    ended = auditor("challenge", "out", "--examples", "tame.npz")
    assert ended.code == 0
    assert "misled" in ended.said
    wide = crafted(passed, 0.2)
    far = np.abs(wide["inputs"] - data[key][wide["rows"].astype(int) - 1]).reshape(
        len(wide["rows"]), -1
    )
    beyond = far.max(axis=1) > 0.11
    assert beyond.sum() > 20
    np.savez("wide.npz", inputs=wide["inputs"][beyond], rows=wide["rows"][beyond])
    ended = auditor("challenge", "out", "--examples", "wide.npz")
    assert ended.code == 0
    assert "largest" in ended.said
    assert auditor(*GATE, "--strict").code == 0
