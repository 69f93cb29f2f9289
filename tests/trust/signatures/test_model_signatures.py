"""Signing a model's files, and verifying what was signed."""

import base64
import json
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from signature_forge import FILES, Forge, file_digest, key_of

from auditor.domain.artifacts import FileDigest
from auditor.errors import ArtifactError
from auditor.trust.signatures.keys import PublicKey, read_public_key
from auditor.trust.signatures.model_signing import sign_files, verify_model
from auditor.trust.signatures.sigstore_bundle import sign_bundle
from auditor.trust.verification_result import IssueCode, IssueGrade, VerificationProfile

CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


@pytest.mark.parametrize("curve", CURVES)
def test_what_a_key_signed_verifies_with_its_public_key(curve: str) -> None:
    signer = key_of(CURVES[curve], 11)
    found = verify_model(sign_files(FILES, signer, name="model"), signer.public_pem(), FILES)
    assert found.verified
    assert found.identity == PublicKey(signer.key.public_key()).identity


@pytest.mark.parametrize("curve", CURVES)
def test_the_same_files_and_key_give_the_same_bytes(curve: str) -> None:
    signer = key_of(CURVES[curve], 12)
    first = sign_files(FILES, signer, name="model")
    assert sign_files(tuple(reversed(FILES)), signer, name="model") == first


def test_the_signature_over_a_known_message_is_that_of_rfc_6979() -> None:
    # RFC 6979, A.2.5: curve P-256, SHA-256, message "sample".
    private = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
    signature = key_of(ec.SECP256R1(), private).sign(b"sample")
    r = "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
    s = "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
    assert r.lower() in signature.hex()
    assert s.lower() in signature.hex()


def test_the_root_digest_is_that_of_the_concatenated_digests() -> None:
    bundle = json.loads(sign_files(FILES, key_of(ec.SECP256R1(), 13), name="m"))
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    joined = b"".join(bytes.fromhex(item.sha256) for item in FILES)
    assert statement["subject"] == [{"name": "m", "digest": {"sha256": sha256(joined).hexdigest()}}]


def test_an_identity_is_the_digest_of_the_key_in_der(forge: Forge) -> None:
    der = base64.b64decode(b"".join(forge.pem.splitlines()[1:-1]))
    assert read_public_key(forge.pem).identity == f"key:sha256:{sha256(der).hexdigest()}"
    assert read_public_key(forge.pem).cosign_hint == base64.b64encode(sha256(der).digest()).decode()


def test_a_lone_file_that_the_reference_named_a_dot_is_taken_by_compat_with_a_warning(
    forge: Forge,
) -> None:
    lone = FileDigest(".", FILES[1].size, FILES[1].sha256)
    bundle = forge.sign(forge.statement((lone,)))
    assert not verify_model(bundle, forge.pem, FILES[1:2]).verified
    found = verify_model(bundle, forge.pem, FILES[1:2], profile=VerificationProfile.COMPAT)
    assert found.verified
    assert [(item.code, item.grade) for item in found.objections] == [
        (IssueCode.SINGLE_FILE_NAME, IssueGrade.WARNING)
    ]


def test_a_lone_file_that_the_reference_named_a_dot_must_still_be_the_one_signed(
    forge: Forge,
) -> None:
    lone = FileDigest(".", FILES[1].size, FILES[1].sha256)
    bundle = forge.sign(forge.statement((lone,)))
    found = verify_model(bundle, forge.pem, FILES[:1], profile=VerificationProfile.COMPAT)
    assert not found.verified
    assert IssueCode.DIGEST_MISMATCH in found.codes


def test_a_strange_hint_is_a_warning_when_the_signature_holds(forge: Forge) -> None:
    payload = json.dumps(forge.statement()).encode()
    found = verify_model(sign_bundle(payload, forge.signer, hint="release-key"), forge.pem, FILES)
    assert found.verified
    assert found.codes == (IssueCode.KEY_HINT,)


@pytest.mark.parametrize("keyid", ["", None, "any", "absent"])
def test_a_key_id_is_optional_and_says_nothing(forge: Forge, keyid: str | None) -> None:
    bundle = forge.bundle(json.dumps(forge.statement()).encode())
    bundle["dsseEnvelope"]["signatures"][0]["keyid"] = keyid
    if keyid == "absent":
        del bundle["dsseEnvelope"]["signatures"][0]["keyid"]
    assert verify_model(json.dumps(bundle).encode(), forge.pem, FILES).verified


def test_members_that_the_specification_leaves_open_are_ignored(forge: Forge) -> None:
    statement = forge.statement()
    statement["predicate"]["model_card"] = {"licence": "MIT"}
    statement["predicate"]["resources"][0]["annotations"] = {}
    assert verify_model(forge.sign(statement), forge.pem, FILES).verified


def test_ignore_paths_that_hide_nothing_do_no_harm(forge: Forge) -> None:
    statement = forge.statement()
    statement["predicate"]["serialization"]["ignore_paths"] = ["model.sig", ".git"]
    assert verify_model(forge.sign(statement), forge.pem, FILES).verified


def test_a_payload_whose_signature_fails_is_not_returned(forge: Forge) -> None:
    other = key_of(ec.SECP256R1(), 14).public_pem()
    found = verify_model(forge.sign(forge.statement()), other, FILES)
    assert (found.payload, found.identity) == (None, None)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ((), "no file"),
        ((file_digest(".git/config", b""),), "git"),
        ((file_digest(".gitattributes", b""),), "git"),
        ((file_digest("a\nb", b""),), "cannot be signed"),
        ((file_digest("../a", b""),), "cannot be signed"),
        ((file_digest("a", b""), file_digest("A", b"")), "same file"),
        ((file_digest("a", b""), file_digest("a", b"1")), "twice"),
    ],
)
def test_a_model_that_no_strict_verifier_would_accept_is_not_signed(
    files: tuple[FileDigest, ...], words: str
) -> None:
    with pytest.raises(ArtifactError, match=words):
        sign_files(files, key_of(ec.SECP256R1(), 15), name="model")


names = st.from_regex(r"[a-z0-9 .:_äé日-]{1,8}(/[a-z0-9]{1,4})?", fullmatch=True).filter(
    lambda name: (
        all(part not in {".", ".."} for part in name.split("/")) and not name.startswith(".git")
    )
)


@given(st.lists(names, min_size=1, max_size=6, unique_by=str.casefold), st.binary(max_size=3))
def test_every_model_with_clean_names_verifies_as_signed(listed: list[str], content: bytes) -> None:
    files = tuple(file_digest(name, content + name.encode()) for name in listed)
    signer = key_of(ec.SECP256R1(), 16)
    found = verify_model(sign_files(files, signer, name="model"), signer.public_pem(), files)
    assert found.objections == ()
    assert found.verified
