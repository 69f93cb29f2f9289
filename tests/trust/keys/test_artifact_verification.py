"""Verifying an artifact against its signature, step by step."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from auditor.domain.verification_steps import StepResult, all_hold
from auditor.errors import ArtifactError, KeyFileError, SignatureFormatError
from auditor.trust.artifacts.files import (
    digest_artifact,
    find_artifact_files,
    measure_artifact,
    measure_as_signed,
)
from auditor.trust.artifacts.verify import (
    VerificationRequest,
    describe_verification,
    read_signature_file,
    verify_artifact,
)
from auditor.trust.encoding.strict_json import MOST_BYTES
from auditor.trust.keys.files import KeyFiles, create_key_pair, load_public_key, load_signer
from auditor.trust.signatures.model_serialisations import HashAlgorithm, ModelSerialisation
from auditor.trust.signatures.model_signing import sign_files, sign_model
from auditor.trust.signatures.sigstore_bundle import sign_bundle
from auditor.trust.signatures.trusted_signers import TrustedSigners
from auditor.trust.verification_result import (
    IssueCode,
    IssueGrade,
    SignatureVerification,
    VerificationIssue,
)


@pytest.fixture
def keys(tmp_path: Path) -> KeyFiles:
    return create_key_pair(tmp_path / "keys")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "a.bin").write_bytes(b"a")
    (folder / "b.bin").write_bytes(b"b")
    return folder


@pytest.fixture
def signature(model: Path, keys: KeyFiles) -> Path:
    path = model / "model.sig"
    files = digest_artifact(model)
    path.write_bytes(sign_files(files, load_signer(keys.private), name=model.name))
    return path


def trusting(key: Path) -> VerificationRequest:
    return VerificationRequest(TrustedSigners.key(load_public_key(key).pem))


def results(model: Path, signature: Path, key: Path) -> list[StepResult]:
    return [step.result for step in verify_artifact(model, signature, trusting(key))]


HOLDS, FAILED, SKIPPED = StepResult.HOLDS, StepResult.FAILED, StepResult.NOT_CHECKED


def test_a_signed_folder_holds_in_every_step(model: Path, signature: Path, keys: KeyFiles) -> None:
    steps = verify_artifact(model, signature, trusting(keys.public))
    assert [step.name for step in steps] == ["bundle", "signature", "statement", "files"]
    assert all_hold(steps)
    assert keys.identity in steps[1].detail
    assert "2 files" in steps[3].detail


def test_a_changed_file_fails_the_last_step_and_is_named(
    model: Path, signature: Path, keys: KeyFiles
) -> None:
    (model / "b.bin").write_bytes(b"c")
    steps = verify_artifact(model, signature, trusting(keys.public))
    assert [step.result for step in steps] == [HOLDS, HOLDS, HOLDS, FAILED]
    assert "DIGEST_MISMATCH: 'b.bin'" in steps[3].detail


def test_another_key_fails_the_second_step_and_nothing_after_it_is_believed(
    model: Path, signature: Path, tmp_path: Path
) -> None:
    other = create_key_pair(tmp_path / "other").public
    assert results(model, signature, other) == [HOLDS, FAILED, SKIPPED, SKIPPED]


def test_a_changed_bundle_fails_the_first_step(
    model: Path, signature: Path, keys: KeyFiles
) -> None:
    bundle = json.loads(signature.read_bytes())
    bundle["mediaType"] = "text/plain"
    signature.write_text(json.dumps(bundle))
    assert results(model, signature, keys.public) == [FAILED, SKIPPED, SKIPPED, SKIPPED]


def test_a_bad_manifest_fails_the_third_step_whatever_the_files_say(
    model: Path, signature: Path, keys: KeyFiles
) -> None:
    text = b'{"_type": "https://in-toto.io/Statement/v1", "predicateType": "urn:x"}'
    signature.write_bytes(sign_bundle(text, load_signer(keys.private)))
    assert results(model, signature, keys.public) == [HOLDS, HOLDS, FAILED, SKIPPED]


def test_files_are_not_compared_for_a_manifest_that_is_not_believed(
    model: Path, signature: Path, keys: KeyFiles
) -> None:
    (model / "b.bin").write_bytes(b"c")
    trusted = replace(trusting(keys.public).trusted, hashes=frozenset({HashAlgorithm.BLAKE2B}))
    steps = verify_artifact(model, signature, VerificationRequest(trusted))
    assert [step.result for step in steps] == [HOLDS, HOLDS, FAILED, SKIPPED]
    assert steps[3].detail == "a step before this one failed"


PLACES = {
    "a file that is no bundle": (IssueCode.FORMAT, None, "bundle"),
    "a payload that is no statement": (IssueCode.FORMAT, b"{}", "statement"),
    "a key that the bundle brings": (IssueCode.LEGACY_KEY, b"{}", "bundle"),
    "a signature that does not hold": (IssueCode.SIGNATURE, None, "signature"),
    "a manifest with a fault": (IssueCode.ROOT, b"{}", "statement"),
    "what no other step is about": (IssueCode.CONTRADICTION, None, "statement"),
    "a file that is missing": (IssueCode.MISSING_FILE, b"{}", "files"),
}


@pytest.mark.parametrize("case", PLACES)
def test_an_objection_fails_the_step_that_it_is_about(case: str, model: Path) -> None:
    code, payload, place = PLACES[case]
    found = SignatureVerification((VerificationIssue(code, "why"),), "key:sha256:0", payload)
    (failed,) = (
        step
        for step in describe_verification(found, find_artifact_files(model))
        if step.result is FAILED
    )
    assert (failed.name, failed.detail) == (place, f"{code}: why")


def test_a_step_after_a_failed_one_fails_for_its_own_mistakes_alone(model: Path) -> None:
    mistakes = (
        VerificationIssue(IssueCode.SIGNATURE, "one"),
        VerificationIssue(IssueCode.EXTRA_FILE, "two"),
    )
    steps = describe_verification(
        SignatureVerification(mistakes, None, None), find_artifact_files(model)
    )
    assert [step.result for step in steps] == [HOLDS, FAILED, SKIPPED, FAILED]
    assert steps[3].detail == "EXTRA_FILE: two"


def test_a_warning_is_told_in_a_step_that_holds(model: Path) -> None:
    doubt = VerificationIssue(IssueCode.KEY_HINT, "another hint", IssueGrade.WARNING)
    steps = describe_verification(
        SignatureVerification((doubt,), "key:sha256:0", b"{}"), find_artifact_files(model)
    )
    assert all_hold(steps)
    assert steps[1].detail == "the signature holds under key:sha256:0; KEY_HINT: another hint"


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, "1 file and no other: 0"),
        (5, "5 files and no other: 0, 1, 2, 3, 4"),
        (6, "6 files and no other: 0, 1, 2, 3, 4, ..."),
    ],
)
def test_five_files_are_named(count: int, words: str, tmp_path: Path) -> None:
    for number in range(count):
        (tmp_path / str(number)).write_bytes(b"")
    steps = describe_verification(
        SignatureVerification((), "key:sha256:0", b"{}"), find_artifact_files(tmp_path)
    )
    assert steps[3].detail == f"byte for byte, {words}"


def test_of_a_signature_no_more_is_read_than_shows_that_it_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "model.sig"
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 9)
    assert len(read_signature_file(path)) == MOST_BYTES + 1


def test_missing_files_are_named_by_kind(model: Path, signature: Path, keys: KeyFiles) -> None:
    with pytest.raises(KeyFileError):
        trusting(model / "no.pub")
    with pytest.raises(SignatureFormatError, match=r"no\.sig"):
        verify_artifact(model, model / "no.sig", trusting(keys.public))
    with pytest.raises(ArtifactError, match=r"no\.onnx"):
        verify_artifact(model / "no.onnx", signature, trusting(keys.public))


def test_a_staged_model_is_measured_as_its_signer_hashed_it(keys: KeyFiles, tmp_path: Path) -> None:
    path = tmp_path / "m.bin"
    path.write_bytes(bytes(10_000))
    signer, pem = load_signer(keys.private), keys.public.read_bytes()
    how = ModelSerialisation(HashAlgorithm.BLAKE2B, 4096)
    measured = measure_artifact(path, how)
    bundle = sign_model(measured, signer, name="m.bin")
    found = measure_as_signed(path, bundle, pem)
    assert found is not None
    assert (found.hash, found.shard, found.digests) == ("blake2b", 4096, measured.digests)
    # Nothing is hashed for whole files by SHA-256, nor for a signature that does not hold.
    whole = sign_model(measure_artifact(path), signer, name="m.bin")
    assert measure_as_signed(path, whole, pem) is None
    other = create_key_pair(tmp_path / "other").public.read_bytes()
    assert measure_as_signed(path, bundle, other) is None
    assert measure_as_signed(path, b"{}", pem) is None
