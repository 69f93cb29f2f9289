"""Good signatures of somebody who is not, no longer, or not yet trusted."""

import hashlib
import json
from dataclasses import replace
from datetime import timedelta

from authority_forge import NOW, Issued, Pki
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from hostile_corpus import Made, case
from signature_forge import FILES, Forge, file_digest, key_of

from auditor.trust.signatures.keys import KeySigner, read_public_key
from auditor.trust.signatures.model_serialisations import HashAlgorithm
from auditor.trust.signatures.trusted_signers import SignerIdentity, TrustedKey, TrustedSigners
from auditor.trust.verification_result import IssueCode

DAY = timedelta(days=1)


def good(forge: Forge) -> bytes:
    return forge.sign(forge.statement())


@case(IssueCode.METHOD_UNTRUSTED)
def a_key_where_certificates_are_trusted(forge: Forge) -> Made:
    return good(forge), FILES, Pki.made().trusted


@case(IssueCode.METHOD_UNTRUSTED)
def a_certificate_where_a_key_is_trusted(forge: Forge) -> Made:
    return Pki.made().sign(), FILES, TrustedSigners.key(forge.pem)


@case(IssueCode.METHOD_UNTRUSTED)
def a_certificate_whose_own_key_is_trusted(_: Forge) -> Made:
    pki = Pki.made()
    return pki.sign(), FILES, TrustedSigners.key(KeySigner(pki.own_key).public_pem())


@case(IssueCode.METHOD_UNTRUSTED)
def nobody_is_trusted(forge: Forge) -> Made:
    return good(forge), FILES, TrustedSigners()


@case(IssueCode.METHOD_UNTRUSTED)
def a_keyless_signature_where_a_key_is_trusted(forge: Forge) -> Made:
    return keyless(Pki.made()), FILES, TrustedSigners.key(forge.pem)


@case(IssueCode.UNSUPPORTED)
def a_keyless_signature_that_nobody_can_check(_: Forge) -> Made:
    trusted = TrustedSigners(
        trusted_root=b"{}", identities=(SignerIdentity.parse("a@b.c", "https://issuer"),)
    )
    return keyless(Pki.made()), FILES, trusted


@case(IssueCode.REVOKED)
def a_keyless_certificate_that_is_revoked(_: Forge) -> Made:
    pki = Pki.made()
    trusted = TrustedSigners(
        trusted_root=b"{}",
        identities=(SignerIdentity.parse("a@b.c", "https://issuer"),),
        revoked={pki.leaf.read.digest: None},
    )
    return keyless(pki), FILES, trusted


@case(IssueCode.KEY)
def a_key_of_another_kind_of_curve(_: Forge) -> Made:
    other = Forge(key_of(ec.SECP384R1(), 5))
    return other.sign(other.statement()), FILES


@case(IssueCode.KEY)
def none_of_several_keys(forge: Forge) -> Made:
    pems = [key_of(curve, 55).public_pem() for curve in (ec.SECP256R1(), ec.SECP521R1())]
    return good(forge), FILES, TrustedSigners(keys=tuple(TrustedKey(pem) for pem in pems))


@case(IssueCode.KEY)
def a_trusted_key_that_is_none(forge: Forge) -> Made:
    return good(forge), FILES, TrustedSigners.key(b"-----BEGIN PUBLIC KEY-----")


@case(IssueCode.KEY_TIME)
def a_key_whose_time_is_over(forge: Forge) -> Made:
    return good(forge), FILES, TrustedSigners(keys=(TrustedKey(forge.pem, not_after=NOW - DAY),))


@case(IssueCode.KEY_TIME)
def a_key_whose_time_has_not_come(forge: Forge) -> Made:
    return good(forge), FILES, TrustedSigners(keys=(TrustedKey(forge.pem, not_before=NOW + DAY),))


@case(IssueCode.REVOKED)
def a_revoked_key(forge: Forge) -> Made:
    digest = hashlib.sha256(read_public_key(forge.pem).der).hexdigest()
    return good(forge), FILES, replace(TrustedSigners.key(forge.pem), revoked={digest: None})


@case(IssueCode.REVOKED)
def a_key_that_was_revoked_later_than_anyone_can_prove_it_signed(forge: Forge) -> Made:
    digest = hashlib.sha256(read_public_key(forge.pem).der).hexdigest()
    return good(forge), FILES, replace(TrustedSigners.key(forge.pem), revoked={digest: NOW + DAY})


@case(IssueCode.REVOKED)
def a_revoked_statement(forge: Forge) -> Made:
    digest = hashlib.sha256(json.dumps(forge.statement()).encode()).hexdigest()
    return good(forge), FILES, replace(TrustedSigners.key(forge.pem), revoked={digest: None})


@case(IssueCode.REVOKED)
def a_revoked_certificate(_: Forge) -> Made:
    pki = Pki.made()
    return pki.sign(), FILES, replace(pki.trusted, revoked={pki.leaf.read.digest: None})


@case(IssueCode.REVOKED)
def a_certificate_whose_key_is_revoked(_: Forge) -> Made:
    pki = Pki.made()
    return pki.sign(), FILES, replace(pki.trusted, revoked={pki.leaf.read.key_digest: None})


@case(IssueCode.REVOKED)
def a_revoked_authority(_: Forge) -> Made:
    pki = Pki.made()
    return pki.sign(), FILES, replace(pki.trusted, revoked={pki.intermediate.read.digest: None})


@case(IssueCode.REVOKED)
def a_revoked_root(_: Forge) -> Made:
    pki = Pki.made()
    return pki.sign(), FILES, replace(pki.trusted, revoked={pki.root.read.digest: None})


@case(IssueCode.REVOKED)
def a_revoked_certificate_in_another_spelling(_: Forge) -> Made:
    """Its authority's signature (r, s) written as (r, n - s), which holds as well."""
    pki = Pki.made()
    trusted = replace(pki.trusted, revoked={pki.leaf.read.digest: None})
    return pki.sign(chain=(respelled(pki.leaf), pki.intermediate)), FILES, trusted


@case(IssueCode.HASH_TYPE)
def a_hash_that_is_not_believed(forge: Forge) -> Made:
    trusted = replace(TrustedSigners.key(forge.pem), hashes=frozenset({HashAlgorithm.BLAKE3}))
    return good(forge), FILES, trusted


@case(IssueCode.EXTRA_FILE)
def a_file_beside_those_that_need_no_signature(forge: Forge) -> Made:
    trusted = replace(TrustedSigners.key(forge.pem), unsigned=frozenset({"README.md"}))
    extra = (file_digest("README.md", b"#"), file_digest("lib/README.md", b"#"))
    return good(forge), (*FILES, *extra), trusted


@case(IssueCode.GIT_ATTRIBUTES)
def attributes_of_git_at_the_root(forge: Forge) -> Made:
    return good(forge), (*FILES, file_digest(".gitattributes", b"* filter=x"))


@case(IssueCode.EXTRA_FILE)
def attributes_of_git_in_a_folder(forge: Forge) -> Made:
    return good(forge), (*FILES, file_digest("weights/.gitattributes", b"* filter=x"))


@case(IssueCode.GIT_FILE)
def a_file_of_git_that_ignores(forge: Forge) -> Made:
    return good(forge), (*FILES, file_digest(".gitignore", b"*"))


@case(IssueCode.GIT_FILE)
def a_configuration_of_git(forge: Forge) -> Made:
    return good(forge), (*FILES, file_digest(".git/config", b"[core]\nfsmonitor=sh"))


@case(IssueCode.GIT_FILE)
def a_folder_called_as_gits_attributes(forge: Forge) -> Made:
    return good(forge), (*FILES, file_digest(".gitattributes/hook.py", b"import os"))


def keyless(pki: Pki) -> bytes:
    """The shape of a keyless bundle, with a log entry that says nothing."""
    bundle = json.loads(pki.sign())
    listed = bundle["verificationMaterial"]["x509CertificateChain"]["certificates"]
    bundle["verificationMaterial"] = {"certificate": listed[0], "tlogEntries": [{"logIndex": "1"}]}
    return json.dumps(bundle).encode()


def respelled(issued: Issued) -> bytes:
    """The same certificate under the other signature that everyone can make of an ECDSA one."""
    parsed = issued.read.parsed
    r, s = decode_dss_signature(parsed.signature)
    other = encode_dss_signature(r, ec.SECP256R1().group_order - s)
    body = issued.der[4:].removesuffix(parsed.signature)
    body = body[:-2] + bytes([len(other) + 1]) + b"\0" + other
    return issued.der[:2] + len(body).to_bytes(2) + body
