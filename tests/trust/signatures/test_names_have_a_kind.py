"""A name in a certificate is an e-mail address or a URI, and one never stands for the other."""

import json
from dataclasses import replace

import pytest
from authority_forge import EMAIL, MOMENT, NOW, URI, Pki, Wish
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from keyless_forge import ISSUER, Sigstore
from signature_forge import FILES
from trust_papers import PREDICATE, judged, policy, ruled

from auditor.errors import TrustPolicyError
from auditor.trust.signatures.model_signing import (
    ModelFileDigests,
    compare_manifest,
    open_signature,
    verify_model,
)
from auditor.trust.signatures.trusted_signers import (
    SignerIdentity,
    SignerName,
    SignerNameKind,
    TrustedSigners,
)
from auditor.trust.signatures.verify import verify_keyless
from auditor.trust.verification_result import IssueCode, SignatureVerification

SIGSTORE = Sigstore()

TEXTS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


def bearing(name: x509.GeneralName) -> Pki:
    return Pki.made(Wish(names=(name,)))


def look(pki: Pki, asked: str) -> SignatureVerification:
    trusted = replace(pki.trusted, identities=(SignerIdentity.parse(asked),))
    return verify_model(pki.sign(), trusted, FILES, moment=MOMENT)


CONFUSED = {
    "a URI whose text begins with email:": (x509.UniformResourceIdentifier, f"email:{EMAIL}"),
    "a URI that is the text of an address": (x509.UniformResourceIdentifier, EMAIL),
    "an address whose text begins with uri:": (x509.RFC822Name, f"uri:{URI}"),
    "an address that is the text of a URI": (x509.RFC822Name, URI),
}


@pytest.mark.parametrize("what", CONFUSED)
def test_a_certificate_of_the_other_kind_is_refused(what: str) -> None:
    form, text = CONFUSED[what]
    asked = f"email:{EMAIL}" if EMAIL in text else f"uri:{URI}"
    pki = bearing(form(text))
    for said in (asked, asked.partition(":")[2]):
        assert look(pki, said).codes == (IssueCode.IDENTITY,)
    # The very name is taken where it is asked for with its kind.
    kind = "uri" if form is x509.UniformResourceIdentifier else "email"
    assert look(pki, f"{kind}:{text}").verified


@pytest.mark.parametrize("what", CONFUSED)
def test_a_trust_policy_refuses_the_other_kind(what: str) -> None:
    form, text = CONFUSED[what]
    asked = f"email:{EMAIL}" if EMAIL in text else f"uri:{URI}"
    pki = bearing(form(text))
    signer = {"root": "acme", "identity": asked}
    require = [{"predicate": PREDICATE, "any_of": [signer]}]
    trust = policy(
        lambda d: d.update(roots={"acme": {"pem": pki.root.pem.decode()}}),
        ruled(models=["*"], require=require),
    )
    assert judged(trust, pki.sign(), files=FILES, looked=NOW).codes == (IssueCode.IDENTITY,)


@pytest.mark.parametrize("what", CONFUSED)
def test_a_keyless_signature_of_the_other_kind_is_refused(what: str) -> None:
    form, text = CONFUSED[what]
    asked = f"email:{EMAIL}" if EMAIL in text else f"uri:{URI}"
    bundle = json.dumps(SIGSTORE.bundle(form(text))).encode()
    for said in (asked, asked.partition(":")[2]):
        trusted = TrustedSigners(
            trusted_root=SIGSTORE.trusted_root, identities=(SignerIdentity.parse(said, ISSUER),)
        )
        opened = open_signature(bundle, trusted, keyless=verify_keyless)
        assert not compare_manifest(opened, ModelFileDigests.of(FILES)).verified


def test_a_keyless_identity_that_reads_as_the_other_kind_is_told_with_its_kind() -> None:
    bundle = json.dumps(SIGSTORE.bundle(x509.UniformResourceIdentifier(EMAIL))).encode()
    asked = (SignerIdentity.parse(f"uri:{EMAIL}", ISSUER),)
    trusted = TrustedSigners(trusted_root=SIGSTORE.trusted_root, identities=asked)
    opened = open_signature(bundle, trusted, keyless=verify_keyless)
    found = compare_manifest(opened, ModelFileDigests.of(FILES))
    # Without the kind it would be the identity of whoever holds the address.
    assert (found.verified, found.identity) == (True, f"sigstore:uri:{EMAIL}?issuer={ISSUER}")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (EMAIL, SignerNameKind.EMAIL),
        (URI, SignerNameKind.URI),
        ("spiffe://acme/release", SignerNameKind.URI),
        ("urn:acme:release", SignerNameKind.URI),
        ("mailto:a@b.example", SignerNameKind.URI),
    ],
)
def test_a_name_without_a_kind_has_the_one_that_its_form_shows(
    text: str, kind: SignerNameKind
) -> None:
    assert SignerName.parse(text) == SignerName(kind, text)


@pytest.mark.parametrize("text", ["release", "acme.example/release", "email:", "uri:"])
def test_a_name_of_no_kind_is_refused_by_trust_policies(text: str) -> None:
    signer = {"root": "acme", "identity": text}
    require = [{"predicate": PREDICATE, "any_of": [signer]}]
    roots = {"acme": {"pem": Pki.made().root.pem.decode()}}
    with pytest.raises(TrustPolicyError, match="kind") as refused:
        policy(lambda d: d.update(roots=roots), ruled(models=["*"], require=require))
    assert "email:" in refused.value.cure


names = st.builds(SignerName, st.sampled_from(SignerNameKind), TEXTS)


@given(names, names)
def test_a_name_stands_for_itself_alone(one: SignerName, other: SignerName) -> None:
    assert SignerName.parse(str(one)) == one
    assert (str(one) == str(other)) is (one == other)
    assert (one.short == other.short) is (one == other)
    assert SignerName.parse(one.short) == one
