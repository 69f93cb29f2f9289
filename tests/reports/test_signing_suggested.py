"""An artifact without a signature shows the command that signs it."""

from dataclasses import replace

from rendering_records import FAILING, REQUEST

from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.json import Json
from auditor.domain.readings import Measurement
from auditor.domain.requests import InputFile
from auditor.reports.html.findings import suggest_signing

FILE = FileDigest("model.onnx", 3, "ab" * 32)
REQUESTED = replace(
    REQUEST,
    artifact=Artifact("m", "1", (FileDigest("model.data", 9, "cd" * 32), FILE)),
    inputs=(InputFile("my models/model.onnx", FILE),),
)
RECORD = replace(FAILING, request=REQUESTED)


def verified(*codes: str) -> Measurement:
    found: list[Json] = [{"code": code, "text": "", "grade": "error"} for code in codes]
    return Measurement(metric="verified", value=False, method="", n=1, details={"findings": found})


def test_an_unsigned_artifact_is_signed_by_the_path_of_the_audit_file() -> None:
    assert suggest_signing(RECORD, verified("UNSIGNED")) == (
        "Run `auditor sign 'my models/model.onnx' --out 'my models/model.sig'`, set "
        "`model.signature: my models/model.sig` and `model.key` to the public key in the audit "
        "file, and audit again."
    )


def test_other_faults_and_missing_models_suggest_no_signing() -> None:
    assert "set `model.key` to its public key" in suggest_signing(RECORD, verified("KEY"))
    assert suggest_signing(RECORD, verified("NO_KEY")).startswith("The signature is there, but no")
    assert suggest_signing(RECORD, verified("UNSIGNED", "NO_KEY")) == ""
    assert suggest_signing(RECORD, verified()) == ""
    assert suggest_signing(RECORD, None) == ""
    alone = replace(RECORD, request=replace(REQUESTED, artifact=None))
    assert suggest_signing(alone, verified("UNSIGNED")) == ""
