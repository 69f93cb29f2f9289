"""An audit of a model that was signed by another hash than the artifact's own digest."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize("how", [("--hash", "blake3"), ("--shard-size", "4096")])
def test_an_audit_verifies_its_copy_as_the_signer_hashed_it(
    how: tuple[str, ...], auditor: Callable[..., Any], example: Path, home: Path
) -> None:
    signed = auditor("sign", example / "model.onnx", "--out", example / "model.sig", *how)
    assert signed.code == 0, signed.said
    file = example / "audit.yaml"
    named = f"artifact: model.onnx, signature: model.sig, key: {home / 'model.pub'}"
    file.write_text(file.read_text().replace("artifact: model.onnx", named))
    out = example / "out"
    auditor("audit", file, "--only", "provenance.signature", "--out", out)
    record = json.loads((out / "record.json").read_bytes())
    found: list[Any] = [item for item in record["readings"] if item["kind"] == "measurement"]
    assert [(item["metric"], item["value"]) for item in found] == [("verified", True)]
    assert found[0]["details"]["identity"].startswith("key:sha256:")
    assert auditor("verify", out, "--key", home / "signer.pub").code == 0
