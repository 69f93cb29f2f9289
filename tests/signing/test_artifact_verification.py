"""Verifying an artifact against its signature, step by step."""

import json
from pathlib import Path

import pytest

from auditor.domain.steps import StepResult, all_hold
from auditor.errors import ArtifactError, KeyFileError, SignatureFormatError
from auditor.signatures.bundles import seal
from auditor.signatures.serialisations import Hash, Serialisation
from auditor.signatures.signers import sign_files, sign_model
from auditor.signatures.trust import Trusted
from auditor.signing.artifacts import digest_artifact, measure_artifact, measure_as_signed
from auditor.signing.keys import KeyFiles, load_public_key, load_signer, new_keys
from auditor.signing.verification import Question, verify_artifact


@pytest.fixture
def keys(tmp_path: Path) -> KeyFiles:
    return new_keys(tmp_path / "keys")


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


def trusting(key: Path) -> Question:
    return Question(Trusted.key(load_public_key(key).pem))


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
    other = new_keys(tmp_path / "other").public
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
    signature.write_bytes(seal(text, load_signer(keys.private)))
    assert results(model, signature, keys.public) == [HOLDS, HOLDS, FAILED, SKIPPED]


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
    how = Serialisation(Hash.BLAKE2B, 4096)
    measured = measure_artifact(path, how)
    bundle = sign_model(measured, signer, name="m.bin")
    found = measure_as_signed(path, bundle, pem)
    assert found is not None
    assert (found.hash, found.shard, found.digests) == ("blake2b", 4096, measured.digests)
    # Nothing is hashed for whole files by SHA-256, nor for a signature that does not hold.
    whole = sign_model(measure_artifact(path), signer, name="m.bin")
    assert measure_as_signed(path, whole, pem) is None
    other = new_keys(tmp_path / "other").public.read_bytes()
    assert measure_as_signed(path, bundle, other) is None
    assert measure_as_signed(path, b"{}", pem) is None
