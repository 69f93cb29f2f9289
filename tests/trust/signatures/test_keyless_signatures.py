"""Keyless signatures, offline, under a Sigstore of our own that is pinned."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from bundle_mutations import changed as changed_at
from bundle_mutations import spots, values
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from keyless_forge import ISSUER, SIGNED_AT, WORKFLOW, Sigstore, b64
from signature_forge import FILES, key_of

from auditor.errors import KeyFileError, suggest_install
from auditor.trust.signatures.model_signing import (
    ModelFileDigests,
    compare_manifest,
    open_signature,
)
from auditor.trust.signatures.trusted_signers import SignerIdentity, TrustedSigners
from auditor.trust.signatures.verify import verify_keyless
from auditor.trust.verification_result import IssueCode, SignatureVerification

SIGSTORE = Sigstore()
TRUSTED = TrustedSigners(
    trusted_root=SIGSTORE.trusted_root,
    identities=(SignerIdentity.parse(f"uri:{WORKFLOW}", ISSUER),),
)


def look(bundle: dict[str, Any], trusted: TrustedSigners = TRUSTED) -> SignatureVerification:
    raw = json.dumps(bundle).encode()
    opened = open_signature(raw, trusted, keyless=verify_keyless)
    return compare_manifest(opened, ModelFileDigests.of(FILES))


def test_a_keyless_signature_verifies_years_after_its_certificate_ended() -> None:
    found = look(SIGSTORE.bundle())
    assert (found.objections, found.verified) == ((), True)
    assert found.identity == f"sigstore:{WORKFLOW}?issuer={ISSUER}"


def test_one_of_several_trusted_identities_is_enough() -> None:
    others = (
        SignerIdentity.parse("a@b.c", ISSUER),
        SignerIdentity.parse(WORKFLOW, "https://x"),
        SignerIdentity.parse(WORKFLOW, ISSUER),
    )
    assert look(SIGSTORE.bundle(), replace(TRUSTED, identities=others)).verified


ENTRY = ("verificationMaterial", "tlogEntries", 0)


def changed(*path: str | int, value: object) -> Callable[[], dict[str, Any]]:
    def build() -> dict[str, Any]:
        bundle = SIGSTORE.bundle()
        inner: Any = bundle
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
        return bundle

    return build


def twice() -> dict[str, Any]:
    bundle = SIGSTORE.bundle()
    bundle["verificationMaterial"]["tlogEntries"] *= 2
    return bundle


def entry_of_another() -> dict[str, Any]:
    bundle, other = SIGSTORE.bundle(), SIGSTORE.bundle(statement={"_type": "x"})
    bundle["verificationMaterial"]["tlogEntries"] = other["verificationMaterial"]["tlogEntries"]
    return bundle


def stranger(**keys: object) -> Callable[[], dict[str, Any]]:
    return lambda: replace(SIGSTORE, **keys).bundle()  # type: ignore[arg-type]


OTHER = key_of(ec.SECP256R1(), 999).key
HOSTILE: dict[str, tuple[IssueCode, Callable[[], dict[str, Any]]]] = {
    "of another workflow": (
        IssueCode.KEYLESS,
        lambda: SIGSTORE.bundle(x509.UniformResourceIdentifier(WORKFLOW + "x")),
    ),
    "of another issuer": (IssueCode.KEYLESS, lambda: SIGSTORE.bundle(issuer="https://evil.example")),
    "of the name as an e-mail": (
        IssueCode.IDENTITY, lambda: SIGSTORE.bundle(x509.RFC822Name(WORKFLOW))
    ),
    "seen too late": (IssueCode.KEYLESS, stranger(seen=SIGNED_AT + timedelta(hours=1))),
    "seen too early": (IssueCode.KEYLESS, stranger(seen=SIGNED_AT - timedelta(hours=1))),
    "of another log": (IssueCode.KEYLESS, stranger(log=OTHER)),
    "of another certificate log": (IssueCode.KEYLESS, stranger(certificates=OTHER)),
    "with the entry of another": (IssueCode.KEYLESS, entry_of_another),
    "with two entries": (IssueCode.KEYLESS, twice),
    "without a promise": (IssueCode.KEYLESS, changed(*ENTRY, "inclusionPromise", value=None)),
    "with a promise of nothing": (
        IssueCode.KEYLESS,
        changed(*ENTRY, "inclusionPromise", value={"signedEntryTimestamp": b64(b"x" * 70)}),
    ),
    "without a proof": (IssueCode.KEYLESS, changed(*ENTRY, "inclusionProof", value=None)),
    "with a proof of another root": (
        IssueCode.KEYLESS, changed(*ENTRY, "inclusionProof", "rootHash", value=b64(b"0" * 32))
    ),
    "with an entry of no kind": (IssueCode.KEYLESS, changed(*ENTRY, "kindVersion", value={})),
    "with an entry of nothing": (IssueCode.KEYLESS, changed(*ENTRY, value={})),
    "with another time": (IssueCode.KEYLESS, changed(*ENTRY, "integratedTime", value="1780272006")),
    "over another predicate": (
        IssueCode.PREDICATE,
        lambda: SIGSTORE.bundle(statement={
            "_type": "https://in-toto.io/Statement/v1", "subject": [], "predicate": {},
            "predicateType": "https://slsa.dev/provenance/v1"}),
    ),
    "with another signature": (
        IssueCode.KEYLESS, changed("dsseEnvelope", "signatures", 0, "sig", value=b64(b"x" * 70))
    ),
    "with another payload": (
        IssueCode.KEYLESS, changed("dsseEnvelope", "payload", value=b64(b"{}"))
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_a_keyless_signature_is_refused(what: str) -> None:
    code, build = HOSTILE[what]
    found = look(build())
    assert not found.verified
    assert code in found.codes, found.objections
    assert all(item.text.isascii() and item.text.isprintable() for item in found.objections)


@given(st.data())
def test_a_changed_keyless_bundle_neither_crashes_nor_verifies_something_else(
    data: st.DataObject,
) -> None:
    good = SIGSTORE.bundle()
    path = data.draw(st.sampled_from([*spots(good)]))
    how = data.draw(st.sampled_from(["gone", "twice", "other"]))
    found = look(changed_at(good, path, how, data.draw(values)))
    assert found.payload in {None, base64.b64decode(good["dsseEnvelope"]["payload"])}
    assert not found.verified or found.identity == f"sigstore:{WORKFLOW}?issuer={ISSUER}"


def test_another_trust_root_trusts_nobody_of_this_one() -> None:
    other = replace(SIGSTORE, log=OTHER).trusted_root
    assert look(SIGSTORE.bundle(), replace(TRUSTED, trusted_root=other)).codes == (
        IssueCode.KEYLESS,
    )


def test_a_name_without_an_issuer_is_no_identity() -> None:
    named = replace(TRUSTED, identities=(SignerIdentity.parse(WORKFLOW),))
    assert look(SIGSTORE.bundle(), named).codes == (IssueCode.NO_IDENTITY,)


def test_a_trust_root_that_is_none_is_the_users_mistake() -> None:
    with pytest.raises(KeyFileError, match="trust root"):
        look(SIGSTORE.bundle(), replace(TRUSTED, trusted_root=b"[]"))


def test_without_the_extra_the_install_line_is_told() -> None:
    program = (
        "import sys; sys.modules['sigstore'] = None\n"
        "from auditor.trust.signatures.verify import verify_keyless\n"
        "from auditor.trust.signatures.trusted_signers import SignerIdentity, TrustedSigners\n"
        "from auditor.errors import MissingExtraError\n"
        "identities = (SignerIdentity.parse('a@b', 'c'),)\n"
        "trusted = TrustedSigners(trusted_root=b'', identities=identities)\n"
        "try:\n    verify_keyless(b'', trusted)\n"
        "except MissingExtraError as error:\n    print(error.cure)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert suggest_install("sigstore") in done.stdout


def test_sigstore_is_loaded_only_for_keyless_signatures() -> None:
    program = (
        "import sys; import auditor.trust.artifacts.verify\n"
        "print([name for name in ('sigstore', 'blake3') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
