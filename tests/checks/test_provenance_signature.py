"""The check of the artifact's signature, from evidence alone."""

import json
from dataclasses import replace
from hashlib import sha256
from typing import cast

import pytest
from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric import ec
from unopened_subjects import unopened

from auditor.checks.provenance.signature import CHECK
from auditor.domain.artifacts import FileDigest, SignatureMaterial, SignedResourceDigests
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.evidence import Evidence, decode_evidence, encode_evidence
from auditor.domain.json import parse_json
from auditor.domain.readings import Gap, GapReason, Measurement
from auditor.trust.encoding.dsse import InTotoStatement, SubjectDigest
from auditor.trust.signatures.keys import KeySigner
from auditor.trust.signatures.model_serialisations import (
    FilePart,
    HashAlgorithm,
    ModelSerialisation,
)
from auditor.trust.signatures.model_signing import (
    PREDICATE,
    ManifestEntry,
    ModelFileDigests,
    root_digest,
    sign_files,
    sign_model,
)
from auditor.trust.signatures.sigstore_bundle import sign_bundle

SIGNER = KeySigner(ec.derive_private_key(41, ec.SECP256R1()))
OTHER = KeySigner(ec.derive_private_key(42, ec.SECP256R1()))
FILES = tuple(
    FileDigest(name, len(name), sha256(name.encode()).hexdigest())
    for name in ("model.onnx", "weights.bin")
)
BUNDLE = sign_files(FILES, SIGNER, name="model.onnx")


def subject_of(bundle: bytes | None, key: bytes | None, files: tuple[FileDigest, ...]) -> Subject:
    """A subject whose model cannot be opened: the signature is looked at all the same."""
    return unopened(*files, signature=SignatureMaterial(bundle, key))


def observed(
    bundle: bytes | None = BUNDLE,
    key: bytes | None = SIGNER.public_pem(),
    files: tuple[FileDigest, ...] = FILES,
) -> Evidence:
    """What the check saw, as a record's folder keeps it."""
    evidence = CHECK().observe(subject_of(bundle, key, files), CheckShard())
    return {name: decode_evidence(encode_evidence(item).raw) for name, item in evidence.items()}


def reading(evidence: Evidence) -> Measurement:
    (found,) = CHECK().figures(evidence, 0.95)
    assert isinstance(found, Measurement)
    return found


def codes(found: Measurement) -> list[str]:
    findings = cast("list[dict[str, str]]", found.details["findings"])
    return [item["code"] for item in findings]


def test_a_good_signature_is_verified_and_names_its_key() -> None:
    found = reading(observed())
    assert found.value is True
    assert found.details["identity"] == SIGNER.identity
    assert codes(found) == []
    assert found.n == 2


@pytest.mark.parametrize(
    ("evidence", "code"),
    [
        (observed(bundle=None), "UNSIGNED"),
        (observed(bundle=None, key=None), "UNSIGNED"),
        (observed(key=None), "NO_KEY"),
        (observed(key=OTHER.public_pem()), "KEY"),
        (observed(key=b"\xff\xfe no key"), "KEY"),
        (observed(bundle=b"\xff\xfe no bundle"), "FORMAT"),
        (observed(files=FILES[:1]), "MISSING_FILE"),
        (observed(files=(replace(FILES[0], sha256="0" * 64), FILES[1])), "DIGEST_MISMATCH"),
    ],
)
def test_what_does_not_verify_is_a_no_with_its_code_and_no_identity(
    evidence: Evidence, code: str
) -> None:
    found = reading(evidence)
    assert found.value is False
    assert found.details["identity"] is None
    assert code in codes(found)


def blake3_signed() -> tuple[bytes, SignedResourceDigests]:
    how = ModelSerialisation(HashAlgorithm.BLAKE3)
    digests = {item.name: blake3(item.name.encode()).hexdigest() for item in FILES}
    sizes = {item.name: item.size for item in FILES}
    bundle = sign_model(ModelFileDigests(sizes, digests, how), SIGNER, name="model.onnx")
    return bundle, SignedResourceDigests("blake3", None, digests)


def seen_as(bundle: bytes, measured: SignedResourceDigests | None) -> Evidence:
    subject = subject_of(bundle, SIGNER.public_pem(), FILES)
    material = replace(subject.signature, measured=measured)
    evidence = CHECK().observe(replace(subject, signature=material), CheckShard())
    return {name: decode_evidence(encode_evidence(item).raw) for name, item in evidence.items()}


def test_files_that_were_signed_by_another_hash_are_compared_by_it() -> None:
    bundle, measured = blake3_signed()
    assert reading(seen_as(bundle, measured)).value is True
    other = {**measured.digests, "weights.bin": "0" * 64}
    found = reading(seen_as(bundle, replace(measured, digests=other)))
    assert (found.value, codes(found)) == (False, ["DIGEST_MISMATCH"])


def test_a_hash_that_is_not_installed_is_a_gap() -> None:
    (found,) = CHECK().figures(seen_as(blake3_signed()[0], None), 0.95)
    assert isinstance(found, Gap)
    assert (found.reason, "auditor's extra `blake3`" in found.cure) == (GapReason.NEEDS_EXTRA, True)


def test_a_policy_may_set_the_profile() -> None:
    named = replace(FILES[0], name=".")
    evidence = observed(bundle=sign_lone(named), files=FILES[:1])
    (strict,), (compat,) = (CHECK(name).figures(evidence, 0.95) for name in ("strict", "compat"))
    assert isinstance(strict, Measurement)
    assert isinstance(compat, Measurement)
    assert (strict.value, strict.method) == (False, "oms-1.0-key-strict")
    assert (compat.value, compat.method) == (True, "oms-1.0-key-compat")
    assert codes(compat) == ["SINGLE_FILE_NAME"]


def sign_lone(named: FileDigest) -> bytes:
    """Sign a model's only file as the reference does, which our own signing refuses."""
    part = ManifestEntry(FilePart(named.name), named.sha256)
    subject = SubjectDigest("m", root_digest([part]))
    predicate = {
        "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False},
        "resources": [{"name": ".", "algorithm": "sha256", "digest": named.sha256}],
    }
    return sign_bundle(InTotoStatement((subject,), PREDICATE, predicate).emit(), SIGNER)


def test_the_evidence_holds_bundle_and_key_as_people_can_read_them() -> None:
    seen = json.loads(encode_evidence(observed()["signature"]).raw)
    assert seen["bundle"]["text"].encode() == BUNDLE
    assert seen["key"]["text"].startswith("-----BEGIN PUBLIC KEY-----")
    assert [item["name"] for item in seen["files"]] == ["model.onnx", "weights.bin"]


def test_evidence_that_was_changed_gives_another_figure() -> None:
    raw = encode_evidence(observed()["signature"]).raw.replace(b"weights.bin", b"weightz.bin")
    assert reading({"signature": parse_json(raw)}).value is False


def test_the_figure_is_the_same_at_any_confidence() -> None:
    evidence = observed()
    assert CHECK().figures(evidence, 0.5) == CHECK().figures(evidence, 0.999)


def test_findings_without_end_are_cut_off_and_counted() -> None:
    files = tuple(FileDigest(f"f{index}", 0, "0" * 64) for index in range(500))
    found = reading(observed(files=files))
    assert len(codes(found)) == 100
    assert found.details["findings_in_all"] == 502
