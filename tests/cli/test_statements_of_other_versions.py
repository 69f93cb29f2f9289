"""What another version of auditor signed is judged by what it says, not by how it words it."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from auditor.domain.json import encode_canonical
from auditor.domain.verification_steps import StepResult
from auditor.errors import RecordError
from auditor.reports.attestations import NAMES
from auditor.reports.folder import RESULTS, SIGNER, SVR, VERDICT, RecordFolder
from auditor.trust.keys.files import load_signer
from auditor.trust.signatures.sigstore_bundle import sign_bundle
from auditor.workflows.verify.folder import verify_folder
from auditor.workflows.verify.verifiers import build_verifier

OTHER = "sha256:" + "0" * 64
Edit = Callable[[Any], object]


def steps(folder: Path, home: Path, code: str | None = OTHER) -> dict[str, StepResult]:
    """What each step of verifying gives, in the hands of a version with another code."""
    parts = build_verifier(home / SIGNER)
    parts = parts if code is None else replace(parts, code=code)
    return {step.name: step.result for step in verify_folder(RecordFolder(folder), parts)}


def sign_again(path: Path, home: Path, edit: Edit) -> None:
    """Let the owner sign another wording."""
    envelope = json.loads(path.read_bytes())["dsseEnvelope"]
    statement = json.loads(base64.b64decode(envelope["payload"]))
    edit(statement)
    path.write_bytes(sign_bundle(encode_canonical(statement), load_signer(home / "signer.key")))


def more(statement: Any) -> None:  # noqa: ANN401 -- JSON
    statement["predicate"]["urn:auditor:ext:more"] = "in a later version"


def another_record(statement: Any) -> None:  # noqa: ANN401 -- JSON
    text = json.dumps(statement["predicate"])
    digests = {part for part in text.split('"') if len(part) == 64}
    for digest in digests:
        text = text.replace(digest, "0" * 64)
    statement["predicate"] = json.loads(text)


def test_what_is_worded_alike_holds_in_any_version(finished: Path, home: Path) -> None:
    found = steps(finished / "out", home)
    assert {found[name] for name in (*NAMES.values(), "renderings")} == {StepResult.HOLDS}


@pytest.mark.parametrize("name", NAMES)
def test_another_wording_is_not_checked_if_it_agrees_and_is_refused_of_the_same_version(
    finished: Path, home: Path, name: str
) -> None:
    sign_again(finished / "out" / name, home, more)
    assert steps(finished / "out", home)[NAMES[name]] is StepResult.NOT_CHECKED
    assert steps(finished / "out", home, code=None)[NAMES[name]] is StepResult.FAILED


def test_an_earlier_version_that_did_not_name_the_models_signature_still_verifies(
    auditor: Callable[..., Any], finished: Path, home: Path
) -> None:
    audit = finished / "audit.yaml"
    named = f"artifact: model.onnx, signature: model.sig, key: {home / 'model.pub'}"
    audit.write_text(audit.read_text().replace("artifact: model.onnx", named))
    only = ("--only", "quality.accuracy", "--only", "provenance.signature", "--out", "signed")
    assert auditor("audit", audit, *only).code == 0
    verdict = finished / "signed" / VERDICT
    sign_again(verdict, home, lambda said: said["subject"].pop())
    sign_again(verdict, home, lambda said: said["predicate"]["inputAttestations"].pop())
    assert steps(finished / "signed", home)["verdict"] is StepResult.NOT_CHECKED
    assert steps(finished / "signed", home, code=None)["verdict"] is StepResult.FAILED


LIES: tuple[tuple[str, Edit], ...] = (
    (VERDICT, lambda said: said["predicate"].update(verificationResult="FAILED")),
    (VERDICT, lambda said: said["predicate"].pop("policy")),
    (VERDICT, lambda said: said.update(subject=[])),
    (SVR, lambda said: said["predicate"].update(properties=["AUDITOR_ASSURANCE_A3"])),
    (RESULTS, lambda said: said["predicate"].update(result="WARNED")),
    (RESULTS, lambda said: said.update(predicateType="urn:x")),
    *((name, another_record) for name in NAMES),
)


@pytest.mark.parametrize(("name", "lie"), LIES, ids=range(len(LIES)))
def test_another_version_may_not_say_something_else(
    finished: Path, home: Path, name: str, lie: Edit
) -> None:
    sign_again(finished / "out" / name, home, lie)
    assert steps(finished / "out", home)[NAMES[name]] is StepResult.FAILED


@pytest.mark.parametrize("name", [SVR, RESULTS])
def test_what_an_earlier_version_did_not_write_is_not_present(
    finished: Path, home: Path, name: str
) -> None:
    (finished / "out" / name).unlink()
    assert steps(finished / "out", home)[NAMES[name]] is StepResult.NOT_PRESENT
    with pytest.raises(RecordError, match=name):
        steps(finished / "out", home, code=None)


def test_every_version_wrote_a_verdict(finished: Path, home: Path) -> None:
    (finished / "out" / VERDICT).unlink()
    with pytest.raises(RecordError, match=VERDICT):
        steps(finished / "out", home)
