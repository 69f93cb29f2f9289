"""An audit of a model that was signed by another hash than the artifact's own digest."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SIGNING = re.compile(r"auditor (sign [^`\"\n]+)")
ADVICE = {
    path.relative_to(EXAMPLES).as_posix(): found
    for path in sorted(EXAMPLES.glob("*/[Rm]*"))
    if path.name in {"README.md", "make.py"} and (found := SIGNING.findall(path.read_text()))
}
"""What examples tell whoever made their model anew to run."""


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


@pytest.mark.parametrize("name", ["digits", "docstrings", "loans"])
def test_a_rule_on_the_signature_passes_and_the_record_is_judged_so_again(
    name: str, auditor: Callable[..., Any], tmp_path: Path, home: Path
) -> None:
    out, file = tmp_path / "out", EXAMPLES / name / "audit.yaml"
    auditor("audit", file, "--budget", "ci", "--only", "provenance.signature", "--out", out)
    findings = json.loads((out / "record.json").read_bytes())["findings"]
    outcomes = [it["outcome"] for it in findings if it["measure"].startswith("provenance.signat")]
    assert outcomes == ["passed"]
    verified = auditor("verify", out, "--key", home / "signer.pub")
    assert verified.code == 0, verified.said


@pytest.mark.parametrize("page", ADVICE)
def test_a_model_is_signed_as_the_examples_say_where_audits_have_run(
    page: str, auditor: Callable[..., Any], finished: Path
) -> None:
    (finished / "model.sig").unlink()
    for command in ADVICE[page]:
        ended = auditor(*command.split())
        assert ended.code == 0, ended.said
    assert (finished / "model.sig").is_file()
    assert len(ADVICE) == 6


def test_the_cure_of_a_key_that_is_not_there_leads_to_a_model_that_verifies(
    auditor: Callable[..., Any], finished: Path, home: Path
) -> None:
    file = finished / "audit.yaml"
    (home / "model.key").unlink()
    (home / "model.pub").unlink()
    text, plain = file.read_text(), "artifact: model.onnx"
    file.write_text(text.replace(plain, f"{plain}, signature: model.sig, key: modl.pub"))
    missing = auditor("audit", "audit.yaml", "--only", "provenance.signature")
    (command,) = re.findall(r"Sign the model with `auditor ([^`]*)`", missing.said)
    signed = auditor(command, "model.onnx", "--out", "model.sig")
    named = signed.said.rpartition(": ")[2]
    file.write_text(text.replace(plain, f"{plain}, signature: model.sig, key: {named}"))
    ended = auditor("audit", "audit.yaml", "--only", "provenance.signature", "--out", "signed")
    found = json.loads((finished / "signed/record.json").read_bytes())["readings"]
    assert [item.get("value") for item in found] == [True], ended.said
