"""An audit with documents beside the model: kept, judged, verified, and reproduced with them."""

import base64
import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
RULE = """\
  - id: nothing-contradicted
    title: No document contradicts what was given
    severity: critical
    effect: deny
    measure: provenance.lineage/contradicted
    at_most: 0
    rationale: Papers of another model say nothing of this one.
    remediation: Find out which is right.
"""
ONLY = ("--only", "provenance.lineage")


def declare(example: Path, model: str, data: str) -> None:
    """Lay a bill of materials beside the model, and ask that nothing contradict it."""
    hashes = [
        [{"alg": "SHA-256", "content": sha256((example / name).read_bytes()).hexdigest()}]
        for name in (model, data)
    ]
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "metadata": {
            "component": {"type": "machine-learning-model", "name": "line", "hashes": hashes[0]}
        },
        "components": [{"type": "data", "name": "test.csv", "hashes": hashes[1]}],
    }
    (example / "bom.json").write_text(json.dumps(bill), encoding="utf-8")
    policy = example / "policy.yaml"
    head, _, _ = policy.read_text(encoding="utf-8").partition("  - id: accuracy")
    policy.write_text(head + RULE, encoding="utf-8")


@pytest.mark.parametrize(("data", "code"), [("test.csv", 0), ("audit.yaml", 1)])
def test_a_rule_passes_what_the_digests_confirm_and_fails_what_they_contradict(
    auditor: Command, example: Path, data: str, code: int
) -> None:
    declare(example, "model.onnx", data)
    ended = auditor("audit", example / "audit.yaml", *ONLY, "--out", example / "out")
    assert ended.code == code, ended.said
    record = json.loads((example / "out" / "record.json").read_bytes())
    (document,) = record["request"]["documents"]
    assert document["name"] == "bom.json"
    used = [edge for edge in record["lineage"] if edge["role"] == "document"]
    assert [edge["destination"] for edge in used] == [f"sha256:{document['sha256']}"]
    key = example / "out" / "signer.pub"
    assert auditor("verify", example / "out", "--key", key).code == 0


def test_a_record_is_reproduced_with_the_documents_that_were_kept(
    auditor: Command, example: Path
) -> None:
    declare(example, "model.onnx", "test.csv")
    auditor("audit", example / "audit.yaml", *ONLY, "--out", example / "out")
    (example / "bom.json").unlink()
    (example / "model.onnx").unlink()
    ended = auditor("reproduce", example / "out")
    assert ended.code == 0, ended.said
    assert "8 readings equal" in ended.said


def test_the_published_verdict_names_what_was_read_beside_the_model(
    auditor: Command, example: Path, home: Path
) -> None:
    declare(example, "model.onnx", "test.csv")
    signature = example / "model.sig"
    assert auditor("sign", example / "model.onnx", "--out", signature).code == 0
    audit = example / "audit.yaml"
    named = f"artifact: model.onnx, signature: model.sig, key: {home / 'model.pub'}"
    audit.write_text(audit.read_text().replace("artifact: model.onnx", named))
    only = (*ONLY, "--only", "provenance.signature")
    auditor("audit", audit, *only, "--out", example / "out")
    bundle = json.loads((example / "out" / "verdict.vsa.json").read_bytes())
    said = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    digests = [item["digest"]["sha256"] for item in said["predicate"]["inputAttestations"]]
    read = ("out/record.json", "model.sig", "bom.json")
    assert digests == [sha256((example / name).read_bytes()).hexdigest() for name in read]
    payload = json.loads(signature.read_bytes())["dsseEnvelope"]["payload"]
    whole = {item["name"]: item["digest"]["sha256"] for item in said["subject"]}
    assert whole["model.sig#payload"] == sha256(base64.b64decode(payload)).hexdigest()
    assert auditor("verify", example / "out", "--key", home / "signer.pub").code == 0
