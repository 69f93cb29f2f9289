"""Whose signature opens a bundle, and when: keys, certificates, keyless signers, revocations."""

import base64
import hashlib
import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from authority_forge import EMAIL, MOMENT, NOW, Pki
from cryptography.hazmat.primitives.asymmetric import ec
from hostile_trust import keyless
from signature_forge import Forge, key_of

from auditor.trust.encoding.dsse import IN_TOTO, legacy_pae
from auditor.trust.signatures.keys import read_public_key
from auditor.trust.signatures.sigstore_bundle import sign_bundle
from auditor.trust.signatures.trusted_signers import (
    SignerIdentity,
    TrustedKey,
    TrustedSigners,
    VerificationTime,
)
from auditor.trust.signatures.verify import open_bundle, verify_exact_bundle
from auditor.trust.verification_result import (
    IssueCode,
    IssueGrade,
    SignatureVerification,
    VerificationProfile,
)

SECOND = timedelta(seconds=1)
OTHER = key_of(ec.SECP256R1(), 41)
PKI = Pki.made()


def signed(forge: Forge) -> bytes:
    return forge.sign(forge.statement())


def spoiled(bundle: bytes) -> bytes:
    """The same bundle with another payload under its signature."""
    found = json.loads(bundle)
    found["dsseEnvelope"]["payload"] = base64.b64encode(b"{}").decode()
    return json.dumps(found).encode()


def by_old_encoding(bundle: bytes, forge: Forge) -> bytes:
    """The same bundle as version 0.2 of the reference signed it."""
    found = json.loads(bundle)
    old = legacy_pae(IN_TOTO, base64.b64decode(found["dsseEnvelope"]["payload"]))
    signature = base64.b64encode(forge.signer.sign(old)).decode()
    found["dsseEnvelope"]["signatures"] = [{"sig": signature}]
    return json.dumps(found).encode()


def trusting(*pems: bytes) -> TrustedSigners:
    return TrustedSigners(keys=tuple(TrustedKey(pem) for pem in pems))


def refused(found: SignatureVerification) -> tuple[IssueCode, ...]:
    """The codes of a bundle that did not open; nothing in it is given out."""
    assert (found.identity, found.payload, found.verified) == (None, None, False)
    return found.codes


def test_any_of_several_keys_opens_what_it_signed_and_is_named(forge: Forge) -> None:
    identity = read_public_key(forge.pem).identity
    for pems in ((forge.pem, OTHER.public_pem()), (OTHER.public_pem(), forge.pem)):
        found = open_bundle(signed(forge), trusting(*pems))
        assert (found.identity, found.objections) == (identity, ())
        assert found.payload == json.dumps(forge.statement()).encode()


def test_a_spoiled_signature_is_held_against_the_key_that_the_bundle_names(forge: Forge) -> None:
    bundle = spoiled(signed(forge))
    words = "the signature does not hold under the given key"
    for pems in ((forge.pem,), (forge.pem, OTHER.public_pem()), (OTHER.public_pem(), forge.pem)):
        found = open_bundle(bundle, trusting(*pems))
        assert (refused(found), found.mistakes) == ((IssueCode.SIGNATURE,), (words,))
    found = open_bundle(bundle, trusting(OTHER.public_pem()))
    assert refused(found) == (IssueCode.KEY,)
    assert found.mistakes == (f"{words}, and the bundle names another key",)


def test_the_old_encoding_is_known_under_any_of_the_keys(forge: Forge) -> None:
    bundle = by_old_encoding(signed(forge), forge)
    for pems in ((forge.pem, OTHER.public_pem()), (OTHER.public_pem(), forge.pem)):
        assert refused(open_bundle(bundle, trusting(*pems))) == (IssueCode.LEGACY_PAE,)


NEVER = "there is no time at which the key can be judged"
ELSE = "the key is trusted at another time only"


@pytest.mark.parametrize(
    ("begins", "ends", "at", "mistake"),
    [
        (None, None, None, None),
        (NOW, None, NOW, None),
        (NOW + SECOND, None, NOW, ELSE),
        (NOW, None, None, NEVER),
        (None, NOW, NOW, None),
        (None, NOW - SECOND, NOW, ELSE),
        (None, NOW, None, NEVER),
        (NOW, NOW, NOW, None),
        (NOW + SECOND, NOW + SECOND, NOW, ELSE),
        (NOW - SECOND, NOW - SECOND, NOW, ELSE),
    ],
)
def test_a_key_is_trusted_from_its_first_second_to_its_last(
    begins: datetime | None,
    ends: datetime | None,
    at: datetime | None,
    mistake: str | None,
    forge: Forge,
) -> None:
    trusted = TrustedSigners(keys=(TrustedKey(forge.pem, begins, ends),))
    found = open_bundle(signed(forge), trusted, moment=None if at is None else VerificationTime(at))
    assert found.mistakes == (() if mistake is None else (mistake,))
    assert found.verified == (mistake is None)


@pytest.mark.parametrize("what", ["key", "statement"])
def test_what_is_revoked_opens_only_what_is_proven_older(what: str, forge: Forge) -> None:
    payload = json.dumps(forge.statement()).encode()
    raw = {"key": read_public_key(forge.pem).der, "statement": payload}[what]
    words = {"key": "the key is revoked", "statement": "the signed statement is revoked"}[what]
    trusted = replace(trusting(forge.pem), revoked={hashlib.sha256(raw).hexdigest(): NOW})
    earlier = NOW - SECOND
    assert open_bundle(
        signed(forge), trusted, moment=VerificationTime(earlier, proven=True)
    ).verified
    for moment in (VerificationTime(NOW, proven=True), VerificationTime(earlier), None):
        found = open_bundle(signed(forge), trusted, moment=moment)
        assert (refused(found), found.mistakes) == ((IssueCode.REVOKED,), (words,))


def test_a_revoked_statement_whose_signature_does_not_hold_is_refused_for_that(
    forge: Forge,
) -> None:
    trusted = replace(trusting(forge.pem), revoked={hashlib.sha256(b"{}").hexdigest(): None})
    assert refused(open_bundle(spoiled(signed(forge)), trusted)) == (IssueCode.SIGNATURE,)


def test_a_doubt_is_told_beside_the_payload(forge: Forge) -> None:
    payload = json.dumps(forge.statement()).encode()
    bundle = sign_bundle(payload, forge.signer, hint="release-key")
    found = open_bundle(bundle, trusting(forge.pem))
    assert (found.payload, found.verified) == (payload, True)
    assert [(item.code, item.grade) for item in found.objections] == [
        (IssueCode.KEY_HINT, IssueGrade.WARNING)
    ]


def test_a_key_that_the_bundle_brings_is_a_doubt_of_compat_alone(forge: Forge) -> None:
    found = json.loads(signed(forge))
    found["verificationMaterial"]["publicKey"]["rawBytes"] = "AAAA"
    bundle = json.dumps(found).encode()
    assert refused(open_bundle(bundle, trusting(forge.pem))) == (IssueCode.LEGACY_KEY,)
    taken = open_bundle(bundle, trusting(forge.pem), profile=VerificationProfile.COMPAT)
    assert (taken.verified, taken.codes) == (True, (IssueCode.LEGACY_KEY,))


def test_a_certificate_opens_what_it_signed_and_nothing_else() -> None:
    found = open_bundle(PKI.sign(), PKI.trusted, moment=MOMENT)
    assert (found.identity, found.objections) == (f"email:{EMAIL}", ())
    found = open_bundle(spoiled(PKI.sign()), PKI.trusted, moment=MOMENT)
    assert refused(found) == (IssueCode.SIGNATURE,)
    assert refused(open_bundle(PKI.sign(), PKI.trusted)) == (IssueCode.CERT_TIME,) * 3
    strangers = replace(PKI.trusted, identities=(SignerIdentity.parse("email:x@acme.example"),))
    assert refused(open_bundle(PKI.sign(), strangers, moment=MOMENT)) == (IssueCode.IDENTITY,)


KEYLESS = keyless(PKI)
PAYLOAD = base64.b64decode(json.loads(KEYLESS)["dsseEnvelope"]["payload"])
SIGSTORE = TrustedSigners(trusted_root=b"{}")


def test_a_keyless_signature_is_whose_its_verifier_says_over_the_payload_that_both_read() -> None:
    asked = []

    def verify(raw: bytes, trusted: TrustedSigners) -> tuple[str, bytes]:
        asked.append((raw, trusted))
        return "uri:https://ci.example", PAYLOAD

    found = open_bundle(KEYLESS, SIGSTORE, keyless=verify)
    assert found == SignatureVerification((), "uri:https://ci.example", PAYLOAD)
    assert asked == [(KEYLESS, SIGSTORE)]
    other = open_bundle(KEYLESS, SIGSTORE, keyless=lambda *_: ("uri:https://ci.example", b"{}"))
    assert refused(other) == (IssueCode.KEYLESS,)
    assert refused(open_bundle(KEYLESS, SIGSTORE)) == (IssueCode.UNSUPPORTED,)


@pytest.mark.parametrize("what", ["certificate", "key"])
def test_a_keyless_signer_that_is_revoked_is_not_asked_about(what: str) -> None:
    read = PKI.leaf.read
    digest = {"certificate": read.digest, "key": read.key_digest}[what]
    found = open_bundle(
        KEYLESS,
        replace(SIGSTORE, revoked={digest: None}),
        keyless=lambda *_: ("uri:https://ci.example", PAYLOAD),
    )
    assert refused(found) == (IssueCode.REVOKED,)
    elsewhere = replace(SIGSTORE, revoked={"0" * 64: None})
    assert open_bundle(KEYLESS, elsewhere, keyless=lambda *_: ("uri:x", PAYLOAD)).verified


def test_a_kind_of_signer_that_nobody_trusts_is_named(forge: Forge) -> None:
    for bundle, trusted, kind in (
        (signed(forge), PKI.trusted, "a key"),
        (PKI.sign(), trusting(forge.pem), "a certificate"),
        (KEYLESS, trusting(forge.pem), "a keyless identity (Sigstore)"),
    ):
        found = open_bundle(bundle, trusted, moment=MOMENT)
        assert refused(found) == (IssueCode.METHOD_UNTRUSTED,)
        words = f"the bundle is signed by {kind}, and no such signer is trusted"
        assert found.mistakes == (words,)


def test_a_bundle_is_opened_exactly_only_in_the_spelling_in_which_it_is_written(
    forge: Forge,
) -> None:
    bundle = sign_bundle(json.dumps(forge.statement()).encode(), forge.signer)
    assert verify_exact_bundle(bundle, forge.pem).verified
    found = verify_exact_bundle(bundle + b"\n", forge.pem)
    assert refused(found) == (IssueCode.FORMAT,)
    assert found.mistakes == ("the bundle is signed, and not spelled as auditor writes it",)
    assert refused(verify_exact_bundle(bundle, OTHER.public_pem())) == (IssueCode.KEY,)
