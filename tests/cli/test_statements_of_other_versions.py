"""What another version of auditor signed is judged by what it says, not by how it words it."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from auditor import __version__
from auditor._resources import code_digest
from auditor.domain.findings import Verdict
from auditor.domain.json import encode_canonical
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.errors import RecordError
from auditor.reports.attestations import NAMES
from auditor.reports.folder import BUNDLE, RECORD, RESULTS, SIGNER, SVR, VERDICT, RecordFolder
from auditor.reports.publish import build_report_files
from auditor.reports.wording import VERDICTS
from auditor.trust.keys.files import load_signer
from auditor.trust.signatures.records import sign_record
from auditor.trust.signatures.sigstore_bundle import sign_bundle
from auditor.workflows.evidence import load_record_policy
from auditor.workflows.verify.folder import SHOWN, verify_folder
from auditor.workflows.verify.verifiers import build_verifier

AUDITED = ("audit", "audit.yaml", "--only", "quality.accuracy", "--out", "out")
OTHER = "sha256:" + "0" * 64
PASSES = VERDICTS[Verdict.PASS]
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


def test_of_many_other_wordings_three_are_named(
    auditor: Callable[..., Any], inside: Path, home: Path
) -> None:
    with (inside / "policy.yaml").open("a") as policy:
        for at in range(4):
            policy.write(f"""\
  - {{id: more-{at}, title: More, severity: high, effect: deny,
     measure: quality.accuracy/accuracy, at_least: 0.1}}
""")
    assert auditor(*AUDITED).code == 0
    out = inside / "out"
    record = RecordFolder(out).record
    other = tuple(replace(it, message="It went well.") for it in record.findings)
    (out / RECORD).write_bytes(replace(record, findings=other).canonical())
    verifier = replace(build_verifier(home / SIGNER), code=OTHER)
    told = {step.name: step.detail for step in verify_folder(RecordFolder(out), verifier)}
    rules = ", ".join(f"rule {name} on cpu" for name in ("accuracy", "more-0", "more-1"))
    assert told["texts"] == f"another version of auditor worded {rules} and 2 more, and signed that"


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


def show_otherwise(folder: Path, home: Path, name: str, words: str, other: str) -> None:
    """Let the owner write other words on a page of the record, and sign the folder anew."""
    page = (folder / name).read_text(encoding="utf-8")
    assert words in page
    (folder / name).write_text(page.replace(words, other), encoding="utf-8")
    record = RecordFolder(folder).record
    artifact = record.request.artifact
    assert artifact is not None
    shown = {it: (folder / it).read_bytes() for it in SHOWN if (folder / it).exists()}
    signer = load_signer(home / "signer.key")
    bundle = sign_record(
        (folder / RECORD).read_bytes(), artifact.digest, record.request.name, signer, files=shown
    )
    (folder / BUNDLE).write_bytes(bundle)


def build_rendered_again(out: Path, home: Path) -> Mapping[str, bytes]:
    """Return the files of the folder's record as it is now."""
    folder, parts = RecordFolder(out), build_verifier(home / SIGNER)
    policy = load_record_policy(folder, folder.record, parts.load_policy)
    signer = load_signer(home / "signer.key")
    return build_report_files(folder.record, policy, parts.checks, folder.evidence, signer)


def renderings(folder: Path, home: Path, code: str = OTHER) -> VerificationStep:
    found = verify_folder(
        RecordFolder(folder), replace(build_verifier(home / SIGNER), code=code or code_digest())
    )
    assert {it.result for it in found if it.name in {"signature", "files"}} == {StepResult.HOLDS}
    return next(it for it in found if it.name == "renderings")


@pytest.mark.parametrize("name", ["report.html", "summary.md"])
@pytest.mark.parametrize(
    ("words", "other", "said"),
    [
        (PASSES, "Not approved", 'says "Not approved", but the verdict of the record is'),
        (PASSES, "It went well", "does not state the verdict of the record"),
        (PASSES, f"{PASSES}, and Not approved", 'says "Not approved"'),
    ],
    ids=["another verdict", "no verdict", "both verdicts"],
)
def test_a_page_of_other_code_must_state_the_verdict_of_the_record(
    finished: Path, home: Path, name: str, words: str, other: str, said: str
) -> None:
    show_otherwise(finished / "out", home, name, words, other)
    found = renderings(finished / "out", home)
    assert (found.result, f"{name} {said}" in found.detail) == (StepResult.FAILED, True), found


def test_a_page_of_other_code_must_be_of_this_record(finished: Path, home: Path) -> None:
    digest = RecordFolder(finished / "out").record.digest
    show_otherwise(finished / "out", home, "report.html", digest, "sha256:" + "1" * 64)
    found = renderings(finished / "out", home)
    assert found.result is StepResult.FAILED
    assert f"report.html does not name the digest of the record, {digest}" in found.detail


def test_a_page_of_the_same_code_must_be_the_one_made_here(finished: Path, home: Path) -> None:
    show_otherwise(finished / "out", home, "report.html", "</main>", "<p>More.</p></main>")
    found = renderings(finished / "out", home, code="")
    assert found.result is StepResult.FAILED
    assert found.detail == "report.html does not show this record"


def test_what_is_left_uncompared_is_said_at_the_end(
    auditor: Callable[..., Any], finished: Path, home: Path
) -> None:
    out = finished / "out"
    record = json.loads((out / RECORD).read_bytes())
    record["tool"]["version"] = "0.0.1"
    record["tool"]["code"] = OTHER
    (out / RECORD).write_bytes(encode_canonical(record))
    files = build_rendered_again(out, home)
    for name, raw in files.items():
        (out / name).write_bytes(raw)
    show_otherwise(out, home, "report.html", "</main>", "<p>More.</p></main>")
    ended = auditor("verify", out, "--key", home / SIGNER)
    assert (ended.code, "rendered report.html" in ended.said) == (0, False), ended.said
    last = ended.out.rstrip().rpartition("report.html was NOT compared")[2]
    made = f" with the record (made by auditor 0.0.1, this is {__version__}). The record's verdict"
    assert " ".join(last.split()).startswith(f"{made[1:]} is: {PASSES}. To read it"), ended.out
    said = json.loads(auditor("verify", out, "--key", home / SIGNER, "--format", "json").out)
    assert (said["verdict"], said["report_compared"]) == ("pass", False)


def test_a_page_that_is_not_the_signed_one_fails_once(finished: Path, home: Path) -> None:
    (finished / "out" / "report.html").write_text(PASSES)
    found = steps(finished / "out", home)
    assert (found["files"], found["renderings"]) == (StepResult.FAILED, StepResult.HOLDS)
