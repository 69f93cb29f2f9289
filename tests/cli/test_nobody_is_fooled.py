"""What must never come out green: forged, weakened, stale, undeclared, or unrun."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from auditor.domain.evidence import decode_evidence, encode_evidence
from auditor.domain.json import compute_digest, encode_canonical
from auditor.reports.folder import EVIDENCE, RECORD, SIGNER

Command = Callable[..., Any]
Once = Callable[[str, Callable[[], None]], None]
ONLY = ("--only", "quality.accuracy")
ATTACK = """\
  - id: robust
    title: It withstands questions
    severity: high
    effect: deny
    measure: evasion.linf_query/robust_accuracy
    where: {eps: 0.1}
    at_least: 0.01
    accept: withstood
"""


def record_in(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / RECORD).read_bytes())
    return found


def forge(folder: Path) -> None:
    """Swap the decisions for the labels, as someone without the key would."""
    record = record_in(folder)
    (seen,) = record["observations"]
    labels = decode_evidence((folder / EVIDENCE / seen["evidence"]["labels"][7:]).read_bytes())
    blob = encode_evidence(np.asarray(labels))
    (folder / EVIDENCE / blob.digest[7:]).write_bytes(blob.raw)
    old = seen["evidence"]["decided"]
    seen["evidence"]["decided"] = blob.digest
    (folder / EVIDENCE / old[7:]).unlink()
    (folder / RECORD).write_bytes(encode_canonical(record))


@pytest.fixture
def audited(auditor: Command, example: Path, once: Once) -> Path:
    def make() -> None:
        ended = auditor("audit", example / "audit.yaml", *ONLY, "--out", example / "out")
        assert ended.code == 0, ended.said

    once("audited", make)
    return example / "out"


def test_a_forged_record_is_not_laundered_by_judging_it(
    auditor: Command, example: Path, audited: Path
) -> None:
    forge(audited)
    ended = auditor("judge", audited, "--policy", example / "policy.yaml")
    assert ended.code == 2
    assert "does not verify" in ended.said


def test_a_record_that_somebody_else_signed_is_judged_only_with_their_key_named(
    auditor: Command, example: Path, audited: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITOR_HOME", str(tmp_path / "mine"))
    auditor("keys", "new")
    asked = ("judge", audited, "--policy", example / "policy.yaml", "--out", tmp_path / "judged")
    assert auditor(*asked).code == 2
    assert auditor(*asked, "--key", audited / SIGNER).code == 0


def test_a_weaker_attack_does_not_satisfy_a_policy_that_asks_for_the_usual_one(
    auditor: Command, example: Path
) -> None:
    policy = (example / "policy.yaml").read_text() + ATTACK
    (example / "usual.yaml").write_text(policy)
    weak = policy.replace("checks: {}", "checks: {evasion.linf_query: {iterations: 1}}")
    (example / "weak.yaml").write_text(weak)
    only = (*ONLY, "--only", "evasion.linf_query", "--out", example / "out")
    audited = auditor("audit", example / "audit.yaml", "--policy", example / "weak.yaml", *only)
    assert audited.code == 0, audited.said
    ended = auditor("judge", example / "out", "--policy", example / "usual.yaml")
    assert ended.code == 3, ended.said
    assert "other_parameters" in ended.said
    same = auditor("judge", example / "out", "--policy", example / "weak.yaml")
    assert same.code == 0, same.said


def test_scores_in_a_file_never_stand_in_for_a_model_that_could_not_run(
    auditor: Command, example: Path
) -> None:
    shape = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3])
    scores = helper.make_tensor_value_info("p", TensorProto.FLOAT, [None, 2])
    node = helper.make_node("Unrunnable", ["x"], ["p"], domain="nowhere")
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("nowhere", 1)]
    graph = helper.make_graph([node], "g", [shape], [scores])
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), example / "model.onnx")
    lines = (example / "test.csv").read_text().splitlines()
    perfect = [f"{line},{float(line.endswith('yes'))}" for line in lines[1:]]
    (example / "test.csv").write_text("\n".join([lines[0] + ",p", *perfect]))
    audit = (example / "audit.yaml").read_text()
    (example / "audit.yaml").write_text(audit.replace("labels: y,", "labels: y, scores: [p],"))
    ended = auditor("audit", example / "audit.yaml", *ONLY)
    assert ended.code in {2, 3}, ended.said


def test_what_a_model_says_differently_each_time_proves_nothing(
    auditor: Command, example: Path
) -> None:
    shape = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3])
    scores = helper.make_tensor_value_info("p", TensorProto.FLOAT, [None, 1])
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["s"], keepdims=1, noop_with_empty_axes=0),
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[1], keepdims=1),
        helper.make_node("RandomUniformLike", ["m"], ["r"], low=0.0, high=0.2),
        helper.make_node("Mul", ["m", "m"], ["q"]),
        helper.make_node("Add", ["q", "r"], ["t"]),
        helper.make_node("Clip", ["t"], ["p"]),
    ]
    graph = helper.make_graph(nodes, "g", [shape], [scores])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(made, example / "model.onnx")
    policy = example / "policy.yaml"
    policy.write_text(policy.read_text().replace("0.6", "0.01"))
    ended = auditor("audit", example / "audit.yaml", *ONLY)
    assert ended.code == 3, ended.said
    readings = record_in(example / "report")["readings"]
    assert {(item["repeat"], item["doubted"]) for item in readings if "repeat" in item} == {
        ("interval", True)
    }


def test_judging_an_old_record_again_does_not_make_it_fresh(
    auditor: Command, example: Path, audited: Path
) -> None:
    auditor("judge", audited, "--policy", example / "policy.yaml")
    old, fresh = record_in(audited), record_in(example / "out-judged")
    assert fresh["registered"] == old["registered"]
    assert fresh["finished"] >= old["finished"]
    assert fresh["id"] != old["id"]


def test_judging_the_same_record_twice_gives_two_records(
    auditor: Command, example: Path, audited: Path
) -> None:
    asked = ("judge", audited, "--policy", example / "policy.yaml")
    assert auditor(*asked).code == 0
    assert auditor(*asked).code == 0


def test_an_emptied_record_is_not_reproduced(auditor: Command, audited: Path) -> None:
    record = record_in(audited)
    record["readings"], record["observations"], record["findings"] = [], [], []
    record["verdict"] = "inconclusive"
    (audited / RECORD).write_bytes(encode_canonical(record))
    assert auditor("reproduce", audited).code == 1


def test_a_widened_record_is_not_reproduced(auditor: Command, audited: Path) -> None:
    record = record_in(audited)
    for reading in record["readings"]:
        reading.update(value=0.999, low=0, high=1, repeat="interval")
    (audited / RECORD).write_bytes(encode_canonical(record))
    assert auditor("reproduce", audited).code == 1


@pytest.mark.parametrize(
    ("change", "step"), [({"confidence": 0.01}, "judgement"), ({"assurance": "A3"}, "assurance")]
)
def test_a_record_that_claims_more_than_it_shows_does_not_verify(
    auditor: Command, audited: Path, home: Path, change: dict[str, Any], step: str
) -> None:
    from auditor.trust.keys.files import load_signer  # noqa: PLC0415 -- this forger has the key
    from auditor.trust.signatures.records import sign_record  # noqa: PLC0415

    raw = encode_canonical(record_in(audited) | change)
    (audited / RECORD).write_bytes(raw)
    artifact = record_in(audited)["request"]["artifact"]
    shown = {
        path.name: path.read_bytes()
        for path in audited.iterdir()
        if path.suffix in {".html", ".md", ".sarif", ".xml"}
        or path.name.startswith(("prov", "bom"))
    }
    bundle = sign_record(
        raw, artifact["digest"], artifact["name"], load_signer(home / "signer.key"), files=shown
    )
    (audited / "record.sigstore.json").write_bytes(bundle)
    ended = auditor("verify", audited, "--key", audited / SIGNER)
    assert ended.code == 1
    assert "holds signature" in ended.said
    assert f"failed {step}" in ended.said


def test_another_signer_pub_and_stray_files_are_found(
    auditor: Command, audited: Path, tmp_path: Path
) -> None:
    key = shutil.copy(audited / SIGNER, tmp_path / "trusted.pub")
    (audited / "readme.txt").write_text("trust me")
    ended = auditor("verify", audited, "--key", key)
    assert (ended.code, "readme.txt" in ended.said) == (1, True)
    (audited / "readme.txt").unlink()
    auditor("keys", "new", "--home", tmp_path / "other")
    shutil.copy(tmp_path / "other" / "signer.pub", audited / SIGNER)
    ended = auditor("verify", audited, "--key", key)
    assert (ended.code, SIGNER in ended.said) == (1, True)


def test_a_folder_that_only_looks_like_a_record_is_not_replaced(
    auditor: Command, example: Path
) -> None:
    precious = example / "thesis"
    precious.mkdir()
    (precious / RECORD).write_text("x")
    (precious / "chapter.txt").write_text("years of work")
    assert auditor("audit", example / "audit.yaml", *ONLY, "--out", precious).code == 2
    assert (precious / "chapter.txt").read_text() == "years of work"


def test_a_policy_that_only_observes_says_so_and_judges_by_the_same_code(
    auditor: Command, example: Path, audited: Path
) -> None:
    text = (example / "policy.yaml").read_text()
    lax = text.replace("0.6", "0.999").replace("smoke}", "smoke, mode: observe}")
    (example / "lax.yaml").write_text(lax)
    for asked in (
        ("audit", example / "audit.yaml", *ONLY, "--policy", example / "lax.yaml"),
        ("judge", audited, "--policy", example / "lax.yaml"),
    ):
        ended = auditor(*asked)
        assert ended.code == 0
        assert "Verdict: FAIL" in ended.said
        assert "nothing is enforced" in ended.said


def test_evidence_without_leave_holds_none_of_the_users_rows(
    auditor: Command, example: Path
) -> None:
    only = ("--only", "evasion.linf_query", "--out", example / "out")
    auditor("audit", example / "audit.yaml", *only)
    blobs = [decode_evidence(path.read_bytes()) for path in (example / "out" / EVIDENCE).iterdir()]
    rows = np.loadtxt(example / "test.csv", delimiter=",", skiprows=1, usecols=(1, 2, 3))
    users = {row.astype(np.float32).tobytes() for row in rows}
    for blob in blobs:
        if isinstance(blob, np.ndarray) and blob.ndim == 2 and blob.shape[1] == 3:
            assert not users & {row.astype(np.float32).tobytes() for row in blob}


def test_the_digest_of_a_blob_is_its_name(audited: Path) -> None:
    for path in (audited / EVIDENCE).iterdir():
        assert compute_digest(path.read_bytes()) == f"sha256:{path.name}"
