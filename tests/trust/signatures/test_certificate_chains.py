"""Certificates that should be believed, at the time and for the name that they are good for."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from authority_forge import (
    CODE,
    EMAIL,
    INTERMEDIATE,
    MOMENT,
    NOW,
    ROOT,
    SERVER,
    URI,
    Issued,
    Pki,
    Wish,
    issue,
)
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from signature_forge import FILES, key_of

from auditor.errors import KeyFileError
from auditor.trust.signatures.keys import KeySigner
from auditor.trust.signatures.model_signing import (
    ModelFileDigests,
    refuse_unfit_chain,
    sign_model,
    verify_model,
)
from auditor.trust.signatures.trusted_signers import (
    SignerIdentity,
    TrustedKey,
    TrustedSigners,
    VerificationTime,
)
from auditor.trust.verification_result import IssueCode, SignatureVerification

PKI = Pki.made()
CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
DAY = timedelta(days=1)


def look(
    pki: Pki, trusted: TrustedSigners | None = None, moment: VerificationTime | None = MOMENT
) -> SignatureVerification:
    return verify_model(pki.sign(), trusted or pki.trusted, FILES, moment=moment)


@pytest.mark.parametrize("curve", CURVES)
def test_what_a_certificate_signed_verifies_and_names_the_signer(curve: str) -> None:
    pki = Pki.made(curve=CURVES[curve])
    bundle = sign_model(
        ModelFileDigests.of(FILES),
        KeySigner(pki.own_key),
        name="model",
        chain=[item.read for item in pki.chain],
    )
    found = verify_model(bundle, pki.trusted, FILES, moment=MOMENT)
    assert found.verified
    assert found.objections == ()
    assert found.identity == f"email:{EMAIL}"


@pytest.mark.parametrize("name", [EMAIL, f"email:{EMAIL}", URI, f"uri:{URI}"])
def test_a_signer_is_known_by_each_of_its_names(name: str) -> None:
    found = look(
        PKI,
        replace(
            PKI.trusted, identities=(SignerIdentity.parse("nobody@x"), SignerIdentity.parse(name))
        ),
    )
    assert found.verified
    assert found.identity in {f"email:{EMAIL}", f"uri:{URI}"}


def test_a_root_may_be_sent_along_and_stand_among_others() -> None:
    stranger = issue(ROOT, key_of(ec.SECP256R1(), 666).key)
    trusted = replace(PKI.trusted, roots=(stranger.pem + PKI.root.pem,))
    bundle = PKI.sign(chain=(*PKI.chain, PKI.root))
    assert verify_model(bundle, trusted, FILES, moment=MOMENT).verified


def test_an_authority_in_the_middle_may_be_the_root_that_is_trusted() -> None:
    assert look(PKI, replace(PKI.trusted, roots=(PKI.intermediate.pem,))).verified


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(public_exponent=65537, key_size=2048),
        ed25519.Ed25519PrivateKey.from_private_bytes(b"7" * 32),
    ],
    ids=["RSA", "Ed25519"],
)
def test_authorities_may_have_keys_of_other_kinds(
    key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey,
) -> None:
    middle = issue(INTERMEDIATE, key, PKI.root)
    leaf = issue_leaf(Wish(), PKI.own_key, middle)
    bundle = PKI.sign(chain=(leaf, middle))
    assert verify_model(bundle, PKI.trusted, FILES, moment=MOMENT).verified


def issue_leaf(wish: Wish, key: ec.EllipticCurvePrivateKey, issuer: Issued) -> Issued:
    """An Edwards key signs over no named hash."""
    if not isinstance(issuer.key, ed25519.Ed25519PrivateKey):
        return issue(wish, key, issuer)
    good = Pki.made(wish).leaf.certificate
    builder = x509.CertificateBuilder(
        issuer.certificate.subject, good.subject, key.public_key(), 3, NOW - DAY, NOW + DAY
    )
    for item in good.extensions:
        builder = builder.add_extension(item.value, critical=item.critical)
    return Issued(builder.sign(issuer.key, None), key)


@given(st.integers(-40, 400))
def test_a_chain_is_good_exactly_while_its_certificate_is(days: int) -> None:
    found = look(PKI, moment=VerificationTime(NOW + timedelta(days=days)))
    assert found.verified == (-30 <= days <= 335)
    assert (IssueCode.CERT_TIME in found.codes) != found.verified


def test_an_expired_certificate_is_good_for_what_was_provably_signed_before() -> None:
    pki = Pki.made(Wish(until=-DAY))
    assert not look(pki).verified
    assert look(pki, moment=VerificationTime(NOW - 10 * DAY, proven=True)).verified


def test_without_a_time_no_certificate_is_good() -> None:
    assert look(PKI, moment=None).codes.count(IssueCode.CERT_TIME) == 3


def test_a_revocation_leaves_alone_only_what_was_provably_signed_before_it() -> None:
    revoked = replace(PKI.trusted, revoked={PKI.leaf.read.digest: NOW})
    earlier = NOW - DAY
    assert not look(PKI, revoked, VerificationTime(earlier)).verified
    assert look(PKI, revoked, VerificationTime(earlier, proven=True)).verified
    assert not look(PKI, revoked, VerificationTime(NOW + DAY, proven=True)).verified


def test_a_key_is_trusted_within_its_time(forge_pem: bytes, forge_bundle: bytes) -> None:
    key = TrustedKey(forge_pem, not_before=NOW - DAY, not_after=NOW + DAY)
    trusted = TrustedSigners(keys=(TrustedKey(PKI_KEY), key))
    assert verify_model(forge_bundle, trusted, FILES, moment=MOMENT).verified
    assert verify_model(forge_bundle, trusted, FILES).codes == (IssueCode.KEY_TIME,)


PKI_KEY = KeySigner(PKI.own_key).public_pem()


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        VerificationTime(datetime(2026, 1, 1))  # noqa: DTZ001 -- the case
    with pytest.raises(ValueError, match="Z"):
        VerificationTime.parse("2026-01-01T00:00:00+02:00")
    assert VerificationTime.parse("2026-01-01T00:00:00Z").at == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("chain", "words"),
    [
        (Pki.made(Wish(purposes=(CODE, SERVER))).chain, "TLS"),
        (Pki.made(Wish(until=-DAY)).chain, "valid from"),
        (Pki.made(Wish(ca=True)).chain, "CA:TRUE"),
        ((PKI.leaf, PKI.leaf), "CA:FALSE"),
        ((PKI.intermediate, PKI.root), "key is not the one"),
    ],
)
def test_a_chain_that_no_strict_verifier_would_accept_signs_nothing(
    chain: tuple[Issued, ...], words: str
) -> None:
    with pytest.raises(KeyFileError, match=words):
        refuse_unfit_chain([item.read for item in chain], KeySigner(PKI.own_key), MOMENT)


def test_a_good_chain_may_sign() -> None:
    refuse_unfit_chain([item.read for item in PKI.chain], KeySigner(PKI.own_key), MOMENT)
