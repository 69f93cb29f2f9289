"""`auditor challenge`: a counterexample that holds shuts the gate, and nothing else does."""

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from auditor.attacks.evasion.evidence import recount_rows
from auditor.domain.challenges import Challenge, ChallengeOutcome, ExampleResult, ExampleTrial
from auditor.domain.json import compute_digest
from auditor.domain.observed_checks import ObservedCheck
from auditor.domain.record_json import read_record
from auditor.reports.folder import (
    CHALLENGES,
    EXAMPLES,
    RECORD,
    SIGNED,
    RecordFolder,
    add_challenge,
    challenge_name,
)
from auditor.trust.signatures.decisions import sign_challenge
from auditor.trust.signatures.keys import KeySigner
from auditor.workflows.evidence import load_results
from auditor.workflows.verify.verifiers import build_verifier

Command = Callable[..., Any]
Once = Callable[[str, Callable[[], None]], None]
CHECK = "evasion.linf_query"
STRANGER = KeySigner(ec.derive_private_key(83, ec.SECP256R1()))
WEIGHTS, BIAS = np.array([6.0, 4.0, 0.0]), -5.0
POLICY = """\
apiVersion: auditor/v1
kind: Policy
metadata: {name: weak, version: 1.0.0, owner: tests@example.org, least_budget: smoke}
params: {}
checks: {evasion.linf_query: {eps: [0.05, 0.1], iterations: 1, rows: 200}}
rules:
  - id: accuracy
    title: It is right often enough
    severity: high
    effect: deny
    measure: quality.accuracy/accuracy
    at_least: 0.6
    rationale: A coin is right half the time.
    remediation: Train it.
  - id: robust
    title: It withstands small changes
    severity: high
    effect: deny
    measure: evasion.linf_query/robust_accuracy
    where: {eps: 0.1}
    at_least: 0.68
    accept: withstood
    rationale: Somebody may try.
    remediation: Train it otherwise.
"""
ONLY = ("--only", CHECK, "--only", "quality.accuracy")
GATE = (
    "gate", "--artifact", "model.onnx", "--policy", "weak.yaml",
    "--record", "out", "--key", "out/signer.pub",
)  # fmt: skip


@pytest.fixture
def passed(auditor: Command, inside: Path, once: Once) -> Path:
    """The folder of an audit whose weak attack the model withstood."""

    def make() -> None:
        (inside / "weak.yaml").write_text(POLICY)
        ended = auditor("audit", "audit.yaml", "--policy", "weak.yaml", *ONLY, "--out", "out")
        assert ended.code == 0, ended.said

    once("passed", make)
    return inside


def rows_of(folder: Path) -> tuple[np.ndarray, list[str]]:
    table = pl.read_csv(folder / "test.csv")
    return table.select("a", "b", "c").to_numpy(), table["id"].to_list()


def standing(folder: Path, eps: float) -> tuple[np.ndarray, list[str]]:
    """Return the rows that the record counts as robust at ``eps``, and that a step of it breaks."""
    old = RecordFolder(folder / "out")
    record = read_record(old.read(RECORD))
    checks = build_verifier(folder / "out" / "signer.pub").checks
    (seen,) = (
        item
        for item in load_results(old, record, checks)
        if isinstance(item, ObservedCheck) and item.check.id == CHECK
    )
    counted = recount_rows(seen.evidence)
    robust = counted.right[list(counted.budgets).index(eps)]
    inputs, ids = rows_of(folder)
    named = [str(item) for item in seen.evidence["ids"]]  # type: ignore[union-attr]  # ids are texts
    kept = {name for name, stands in zip(named, robust, strict=True) if stands}
    near = np.abs(inputs @ WEIGHTS + BIAS) < 10 * eps * 0.98
    inside = ((inputs[:, :2] > eps) & (inputs[:, :2] < 1 - eps)).all(axis=1)
    chosen = [at for at, name in enumerate(ids) if name in kept and near[at] and inside[at]]
    return inputs[chosen], [ids[at] for at in chosen]


def crossed(inputs: np.ndarray, eps: float) -> np.ndarray:
    """Step over the line: the model is linear, and so is the best attack on it."""
    side = np.sign(inputs @ WEIGHTS + BIAS)[:, None]
    return np.asarray(inputs - eps * side * np.sign(WEIGHTS))


def offer(folder: Path, **arrays: object) -> Path:
    np.savez(folder / "x.npz", **arrays)  # type: ignore[arg-type]  # each test names arrays
    return folder / "x.npz"


def told(folder: Path) -> dict[str, Any]:
    (path,) = (folder / "out" / CHALLENGES).glob("*.json")
    envelope = json.loads(path.read_bytes())["dsseEnvelope"]
    found: dict[str, Any] = json.loads(base64.b64decode(envelope["payload"]))["predicate"]
    return found


@pytest.mark.slow
def test_many_real_examples_refute_the_verdict_and_shut_the_gate_for_good(
    auditor: Command, passed: Path
) -> None:
    assert auditor(*GATE).code == 0
    inputs, rows = standing(passed, 0.1)
    assert len(rows) > 10
    offered = offer(passed, inputs=crossed(inputs, 0.0999), rows=np.array(rows))
    ended = auditor("challenge", "out", "--examples", offered)
    assert ended.code == 1
    assert f"REFUTED: {len(rows)} examples hold; robust was withstood and is" in ended.said
    assert told(passed)["outcome"] == "refuted"
    shut = auditor(*GATE)
    assert shut.code == 1
    assert "robust was withstood" in shut.said
    shutil.rmtree(passed / "out" / CHALLENGES)
    assert auditor(*GATE).code == 1, "the ledger here remembers"
    assert auditor("verify", "out", "--key", "out/signer.pub").code == 0
    assert auditor("ledger", "verify").code == 0
    assert "REFUTED" in auditor("lineage", "out").said
    assert "Records that depend on it: 1 (1 refuted)" in auditor("lineage", "test.csv").said
    assert auditor("judge", "out", "--policy", "policy.yaml", "--out", "again").code == 2


def test_the_document_in_the_folder_shuts_the_gate_elsewhere_too(
    auditor: Command, passed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, rows = standing(passed, 0.1)
    offered = offer(passed, inputs=crossed(inputs, 0.0999), rows=np.array(rows))
    assert auditor("challenge", "out", "--examples", offered).code == 1
    monkeypatch.setenv("AUDITOR_HOME", str(passed / "elsewhere"))
    assert auditor(*GATE).code == 1
    assert "REFUTED" in auditor("lineage", "out").said
    assert not (passed / "elsewhere").exists()
    for path in (passed / "out" / CHALLENGES).glob("*.json"):
        path.write_bytes(b"{}")
    unreadable = auditor(*GATE)
    assert unreadable.code == 1
    assert "cannot be read" in unreadable.said
    shutil.rmtree(passed / "out" / CHALLENGES)
    assert auditor(*GATE).code == 0


def judged(auditor: Command, source: str, out: str, policy: str = "weak.yaml") -> None:
    ended = auditor("judge", source, "--policy", policy, "--out", out, "--key", "out/signer.pub")
    assert ended.code == 0, ended.said


def gate_of(auditor: Command, record: str) -> int:
    code: int = auditor(*(record if item == "out" else item for item in GATE)).code
    return code


def breaking(folder: Path) -> Path:
    inputs, rows = standing(folder, 0.1)
    return offer(folder, inputs=crossed(inputs, 0.0999), rows=np.array(rows))


@pytest.mark.slow
def test_a_challenge_to_a_judged_record_counts_for_all_of_the_same_evidence(
    auditor: Command, passed: Path
) -> None:
    judged(auditor, "out", "j1")
    judged(auditor, "out", "sibling")
    assert auditor("challenge", "j1", "--examples", breaking(passed)).code == 1
    assert [gate_of(auditor, name) for name in ("j1", "out", "sibling")] == [1, 1, 1]
    for name in ("out", "sibling"):
        again = auditor("judge", name, "--policy", "weak.yaml", "--out", "j2")
        assert again.code == 2
        assert "was challenged" in again.err


@pytest.mark.slow
def test_a_store_that_lacks_the_records_knows_a_challenge_by_its_evidence(
    auditor: Command, passed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged(auditor, "out", "j1")
    judged(auditor, "j1", "j2")
    shutil.copytree(passed / "out", passed / "copy")
    monkeypatch.setenv("AUDITOR_HOME", str(passed / "elsewhere"))
    assert gate_of(auditor, "j2") == 0
    ended = auditor("challenge", "copy", "--examples", breaking(passed), "--inputs", ".")
    assert ended.code == 1
    assert [gate_of(auditor, name) for name in ("out", "j1", "j2")] == [1, 1, 1]
    again = auditor("judge", "j2", "--policy", "weak.yaml", "--key", "out/signer.pub")
    assert again.code == 2
    assert "was challenged" in again.err


@pytest.mark.slow
def test_examples_that_a_lenient_policy_bears_still_refute_the_record_itself(
    auditor: Command, passed: Path
) -> None:
    (passed / "lenient.yaml").write_text(POLICY.replace("at_least: 0.68", "at_least: 0.01"))
    judged(auditor, "out", "lenient", "lenient.yaml")
    offered = breaking(passed)
    assert "Lowered" in auditor("challenge", "lenient", "--examples", offered).said
    assert "REFUTED" in auditor("challenge", "out", "--examples", offered).said
    assert gate_of(auditor, "out") == 1


@pytest.mark.slow
def test_a_refuted_record_leaves_the_store_with_its_challenges(
    auditor: Command, passed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged(auditor, "out", "j1")
    assert auditor("challenge", "out", "--examples", breaking(passed)).code == 1
    for name in ("out", "j1"):
        kept = json.loads((passed / name / RECORD).read_bytes())["id"]
        assert auditor("export", kept, "--out", f"{name}.zip").code == 0
        shutil.unpack_archive(passed / f"{name}.zip", passed / f"{name}-unpacked")
    places = [passed / name / CHALLENGES for name in ("out", "out-unpacked", "j1-unpacked")]
    first, *others = [{path.name: path.read_bytes() for path in at.iterdir()} for at in places]
    assert {Path(name).suffix for name in first} == {".json", ".npz"}
    assert others == [first, first]
    assert not (passed / "j1" / CHALLENGES).exists()
    assert auditor("export", "j1", "--out", "folder.zip").code == 0
    shutil.unpack_archive(passed / "folder.zip", passed / "folder-unpacked")
    monkeypatch.setenv("AUDITOR_HOME", str(passed / "elsewhere"))
    for name in ("out-unpacked", "j1-unpacked", "folder-unpacked"):
        shut = auditor(*(name if item == "out" else item for item in GATE))
        assert shut.code == 1
        assert "robust was withstood" in shut.said


def test_a_record_that_keeps_its_rows_apart_is_not_challenged(
    auditor: Command, inside: Path
) -> None:
    (inside / "weak.yaml").write_text(POLICY)
    with (inside / "audit.yaml").open("a") as file:
        file.write("disclosure: rows\n")
    auditor(
        "audit", "audit.yaml", "--policy", "weak.yaml", "--only", "quality.accuracy", "--out", "out"
    )
    offered = offer(inside, inputs=np.zeros((1, 3)), rows=np.array(["r0"]))
    ended = auditor("challenge", "out", "--examples", offered)
    assert ended.code == 2
    assert "disclosure: rows" in ended.err


@pytest.mark.slow
def test_small_challenges_add_up_to_a_large_one(auditor: Command, passed: Path) -> None:
    inputs, rows = standing(passed, 0.1)
    points = crossed(inputs, 0.0999)
    first = offer(passed, inputs=points[:1], rows=np.array(rows[:1]))
    ended = auditor("challenge", "out", "--examples", first)
    assert ended.code == 1
    assert "Lowered: 1 example holds" in ended.said
    assert auditor(*GATE).code == 0
    assert auditor(*GATE, "--strict").code == 1
    again = auditor("challenge", "out", "--examples", first)
    assert again.code == 0
    assert "counts as broken within this budget already" in again.said
    outcomes = []
    for part in np.array_split(np.arange(1, len(rows)), 3):
        chosen = [rows[at] for at in part]
        offered = offer(passed, inputs=points[part], rows=np.array(chosen))
        assert auditor("challenge", "out", "--examples", offered).code == 1
        outcomes.append(auditor(*GATE).code)
    assert outcomes[-1] == 1
    assert auditor("ledger", "verify").code == 0


def forged(folder: Path, outcome: ChallengeOutcome, **arrays: object) -> None:
    """Put somebody's signed word into the record's folder, with examples only where some are."""
    record = read_record(RecordFolder(folder / "out").read(RECORD))
    raw = offer(folder, **arrays).read_bytes() if arrays else b"lost"
    word = Challenge(
        record=record.digest, record_id=record.id, artifact=None, target="cpu",
        identity=record.fingerprints["cpu"].identity,
        examples=compute_digest(raw),
        trials=(ExampleTrial(0, "r1", CHECK, ExampleResult.HOLDS, "yes"),), disproved=(), moved=(),
        outcome=outcome, signer=STRANGER.identity, tried="2026-01-01T00:00:00Z",
    )  # fmt: skip
    add_challenge(folder / "out", sign_challenge(word, STRANGER), raw)
    if not arrays:
        (folder / "out" / challenge_name(compute_digest(raw), EXAMPLES)).unlink()


def test_no_word_that_somebody_signed_ends_the_challenges_after_it(
    auditor: Command, passed: Path
) -> None:
    for outcome in (ChallengeOutcome.FAILED, ChallengeOutcome.LOWERED):
        forged(passed, outcome)
    forged(passed, ChallengeOutcome.LOWERED, inputs=np.zeros((1, 4)), rows=np.array(["r0"]))
    forged(passed, ChallengeOutcome.LOWERED, inputs=np.full((1, 3), np.nan), rows=np.array(["r0"]))
    (passed / "out" / challenge_name(compute_digest(b"{}"), SIGNED)).write_bytes(b"{}")
    inputs, rows = standing(passed, 0.1)
    offered = offer(passed, inputs=crossed(inputs, 0.0999), rows=np.array(rows))
    ended = auditor("challenge", "out", "--examples", offered)
    assert ended.code == 1, ended.err
    assert f"REFUTED: {len(rows)} examples hold" in ended.said
    assert ended.said.count("An earlier challenge was skipped") == 4
    for words in ("neither whole in the folder", "shape (4,)", "NaN", "cannot be read"):
        assert words in ended.said


def test_a_refuted_verdict_keeps_its_gate_shut_without_its_examples(
    auditor: Command, passed: Path
) -> None:
    forged(passed, ChallengeOutcome.REFUTED)
    inputs, rows = standing(passed, 0.1)
    offered = offer(passed, inputs=inputs[:1], rows=np.array(rows[:1]))
    ended = auditor("challenge", "out", "--examples", offered)
    assert ended.code == 0, ended.err
    assert "neither whole in the folder nor in the store here" in ended.said
    assert auditor(*GATE).code == 1


def test_what_does_not_hold_leaves_no_trace(auditor: Command, passed: Path) -> None:
    inputs, rows = standing(passed, 0.1)
    every, ids = rows_of(passed)
    fake = inputs[0] + 0.01 * np.sign(inputs[0] @ WEIGHTS + BIAS) * np.sign(WEIGHTS)
    wide = np.clip(crossed(inputs[1:2], 0.3), 0, 1)[0]
    out_of_box = np.array([every[2][0], every[2][1], 1.05])
    points = np.array([fake, wide, out_of_box, every[3], every[4]])
    named = np.array([rows[0], rows[1], ids[2], "nobody", ids[4]])
    ended = auditor("challenge", "out", "--examples", offer(passed, inputs=points, rows=named))
    assert ended.code == 0
    assert f"No example holds under {CHECK}, quality.accuracy" in ended.said
    for words in ("is not misled", "larger than the largest budget", "starts from no row"):
        assert words in ended.said
    assert not (passed / "out" / CHALLENGES).exists()
    assert "challenge" not in auditor("ledger", "show").said
    assert auditor(*GATE, "--strict").code == 0


def test_own_rows_with_labels_say_nothing_about_a_share(auditor: Command, passed: Path) -> None:
    points = np.array([[0.9, 0.9, 0.5]])
    ended = auditor(
        "challenge", "out", "--examples", offer(passed, inputs=points, labels=np.array(["no"]))
    )
    assert ended.code == 0
    assert "a share of them is all that the record claims" in ended.said


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"inputs": np.array([[0.1, np.nan, 0.2]]), "rows": np.array(["r0"])}, "NaN"),
        ({"inputs": np.zeros((2, 4)), "rows": np.array(["r0", "r1"])}, "shape (4,)"),
        ({"inputs": np.zeros((2, 3)), "rows": np.array(["r0"])}, "rows has shape (1,)"),
        ({"inputs": np.zeros((2, 3))}, "neither rows nor labels"),
        ({"rows": np.array(["r0"])}, "no array 'inputs'"),
        ({"inputs": np.zeros((1, 3)), "rows": np.array(["r0"]), "y": np.zeros(1)}, "array 'y'"),
        ({"inputs": np.array([["a", "b", "c"]]), "rows": np.array(["r0"])}, "not numbers"),
        ({"inputs": np.zeros((0, 3)), "rows": np.array([], dtype=str)}, "0 examples"),
    ],
    ids=["nan", "shape", "rows", "unnamed", "no-inputs", "stranger", "texts", "empty"],
)
def test_malformed_examples_are_refused(
    auditor: Command, passed: Path, arrays: dict[str, object], words: str
) -> None:
    ended = auditor("challenge", "out", "--examples", offer(passed, **arrays))
    assert ended.code == 2
    assert words in ended.err


def test_a_record_that_does_not_verify_is_not_challenged(auditor: Command, passed: Path) -> None:
    (passed / "out" / "summary.md").write_text("all is well")
    offered = offer(passed, inputs=np.zeros((1, 3)), rows=np.array(["r0"]))
    ended = auditor("challenge", "out", "--examples", offered)
    assert ended.code == 2
    assert "does not verify" in ended.err


def test_without_the_inputs_nothing_is_tried(
    auditor: Command, passed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITOR_HOME", str(passed / "elsewhere"))
    offered = offer(passed, inputs=np.zeros((1, 3)), rows=np.array(["r0"]))
    assert auditor("challenge", "out", "--examples", offered).code == 2
    assert auditor("challenge", "out", "--examples", offered, "--inputs", ".").code == 0
