"""Chains that should not be believed: each signature in them holds, unless that is the case."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from authority_forge import (
    ANY,
    CLIENT,
    CODE,
    EMAIL,
    INTERMEDIATE,
    ISSUES,
    MAIL,
    ROOT,
    SERVER,
    SIGNS,
    URI,
    Issued,
    Pki,
    Wish,
    issue,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hostile_corpus import Made, case, register
from signature_forge import FILES, Forge, key_of

from auditor.trust.signatures.trusted_signers import SignerIdentity
from auditor.trust.verification_result import IssueCode

DAY = timedelta(days=1)
GOOD = Wish()


def pki_case(name: str, code: IssueCode, build: Callable[[], Pki]) -> None:
    """A case in which only certificates are wrong."""

    def made(_: Forge) -> Made:
        pki = build()
        return pki.sign(), FILES, pki.trusted

    register(name, code, made)


def leaf_case(name: str, code: IssueCode, wish: Wish) -> None:
    """A case in which only the signer's certificate is wrong."""
    pki_case(name, code, lambda: Pki.made(wish))


def issuer_case(name: str, code: IssueCode, wish: Wish) -> None:
    """A case in which only the authority below the root is wrong."""
    pki_case(name, code, lambda: Pki.made(intermediate=wish))


def chain_case(
    name: str, code: IssueCode, chain: Callable[[Pki], Sequence[Issued | bytes]]
) -> None:
    """A case in which other certificates are sent than the right ones."""

    def made(_: Forge) -> Made:
        pki = Pki.made()
        return pki.sign(chain=chain(pki)), FILES, pki.trusted

    register(name, code, made)


for usual, purposes in {
    "leaf_for_tls_servers": (SERVER,),
    "leaf_for_tls_clients": (CLIENT,),
    "leaf_for_any_purpose": (ANY,),
    "leaf_for_code_and_tls_servers": (CODE, SERVER),
    "leaf_for_code_and_any_purpose": (CODE, ANY),
}.items():
    leaf_case(usual, IssueCode.CERT_TLS, replace(GOOD, purposes=purposes))
leaf_case("leaf_for_mail", IssueCode.CERT_EKU, replace(GOOD, purposes=(MAIL,)))
leaf_case("leaf_without_purpose", IssueCode.CERT_EKU, replace(GOOD, purposes=None))
leaf_case("leaf_of_an_authority", IssueCode.CERT_CA, replace(GOOD, ca=True))
leaf_case("leaf_without_usage", IssueCode.CERT_KEY_USAGE, replace(GOOD, usage=None))
leaf_case(
    "leaf_for_agreeing_on_keys", IssueCode.CERT_KEY_USAGE, replace(GOOD, usage=("key_agreement",))
)
leaf_case("leaf_for_issuing", IssueCode.CERT_KEY_USAGE, replace(GOOD, usage=ISSUES))
leaf_case("leaf_that_expired_yesterday", IssueCode.CERT_TIME, replace(GOOD, until=-DAY))
leaf_case(
    "leaf_that_expired_years_ago",
    IssueCode.CERT_TIME,
    replace(GOOD, since=timedelta(days=-800), until=timedelta(days=-400)),
)
leaf_case("leaf_of_tomorrow", IssueCode.CERT_TIME, replace(GOOD, since=DAY))
leaf_case(
    "leaf_with_an_unknown_critical_extension",
    IssueCode.CERT_EXTENSION,
    replace(
        GOOD, extra=((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.9"), b"\5\0"), True),)
    ),
)
leaf_case(
    "leaf_of_another_person",
    IssueCode.IDENTITY,
    replace(GOOD, names=(x509.RFC822Name("intern@acme.example"),)),
)
leaf_case(
    "leaf_of_a_host", IssueCode.IDENTITY, replace(GOOD, names=(x509.DNSName("acme.example"),))
)
leaf_case("leaf_without_a_name", IssueCode.IDENTITY, replace(GOOD, names=()))
leaf_case(
    "leaf_whose_common_name_is_the_identity",
    IssueCode.IDENTITY,
    replace(GOOD, name=EMAIL, names=()),
)
for what, spelled in {
    "in_another_case": EMAIL.upper(),
    "with_something_before_it": f"not-{EMAIL}",
    "with_something_after_it": f"{EMAIL}.evil.example",
    "as_a_part": EMAIL[3:],
}.items():
    leaf_case(
        f"identity_{what}", IssueCode.IDENTITY, replace(GOOD, names=(x509.RFC822Name(spelled),))
    )
leaf_case(
    "identity_as_a_uri_that_is_an_email",
    IssueCode.IDENTITY,
    replace(GOOD, names=(x509.UniformResourceIdentifier(EMAIL),)),
)

issuer_case("issuer_is_no_authority", IssueCode.CERT_ISSUER, replace(INTERMEDIATE, ca=False))
issuer_case(
    "issuer_says_nothing_of_being_one", IssueCode.CERT_ISSUER, replace(INTERMEDIATE, ca=None)
)
issuer_case("issuer_may_not_issue", IssueCode.CERT_ISSUER, replace(INTERMEDIATE, usage=SIGNS))
issuer_case("issuer_without_usage", IssueCode.CERT_ISSUER, replace(INTERMEDIATE, usage=None))
issuer_case("issuer_for_tls_only", IssueCode.CERT_ISSUER, replace(INTERMEDIATE, purposes=(SERVER,)))
issuer_case("issuer_that_expired", IssueCode.CERT_TIME, replace(INTERMEDIATE, until=-DAY))
issuer_case("issuer_of_tomorrow", IssueCode.CERT_TIME, replace(INTERMEDIATE, since=DAY))
for mark in (True, False):
    issuer_case(
        f"issuer_with_{'' if mark else 'un'}critical_name_constraints",
        IssueCode.CERT_EXTENSION,
        replace(
            INTERMEDIATE,
            extra=((x509.NameConstraints([x509.RFC822Name("other.example")], None), mark),),
        ),
    )
issuer_case(
    "issuer_with_critical_policy_constraints",
    IssueCode.CERT_EXTENSION,
    replace(INTERMEDIATE, extra=((x509.PolicyConstraints(0, None), True),)),
)
pki_case("root_that_expired", IssueCode.CERT_TIME, lambda: Pki.made(root=replace(ROOT, until=-DAY)))
pki_case(
    "root_that_is_no_authority",
    IssueCode.CERT_ISSUER,
    lambda: Pki.made(root=replace(ROOT, ca=False)),
)
pki_case(
    "root_that_allows_nobody_below",
    IssueCode.CERT_ISSUER,
    lambda: Pki.made(root=replace(ROOT, path_length=0)),
)


@case(IssueCode.CERT_ISSUER)
def more_authorities_than_the_one_above_allows(_: Forge) -> Made:
    pki = Pki.made()
    below = issue(replace(INTERMEDIATE, name="Sub", serial=7), key_of(ec.SECP256R1(), 77).key,
                  pki.intermediate)  # fmt: skip
    leaf = issue(GOOD, pki.leaf.key, below)
    return pki.sign(chain=(leaf, below, pki.intermediate)), FILES, pki.trusted


@case(IssueCode.CERT_ISSUER)
def a_signer_who_issues_a_certificate(_: Forge) -> Made:
    pki = Pki.made()
    strangers = key_of(ec.SECP256R1(), 78).key
    friend = issue(replace(GOOD, name="Friend", serial=8), strangers, pki.leaf)
    return pki.sign(chain=(friend, *pki.chain), key=strangers), FILES, pki.trusted


chain_case("chain_without_its_middle", IssueCode.CERT_ROOT, lambda p: (p.leaf,))
chain_case("chain_in_the_wrong_order", IssueCode.CERT_CA, lambda p: (p.intermediate, p.leaf))
chain_case(
    "chain_with_a_stranger_between",
    IssueCode.CERT_CHAIN,
    lambda p: (p.leaf, p.leaf, p.intermediate),
)
chain_case("chain_of_a_name_that_was_taken", IssueCode.CERT_CHAIN, lambda p: (p.leaf, impostor(p)))
chain_case("chain_of_nine", IssueCode.CERT_FORMAT, lambda p: (p.leaf, *(p.intermediate,) * 8))
chain_case("certificate_of_no_bytes", IssueCode.CERT_FORMAT, lambda p: (b"", p.intermediate))
chain_case("certificate_of_garbage", IssueCode.CERT_FORMAT, lambda p: (b"\x30\x82", p.intermediate))
chain_case(
    "certificate_with_a_tail", IssueCode.CERT_FORMAT, lambda p: (p.leaf.der + b"\0", p.intermediate)
)
chain_case(
    "certificate_cut_short", IssueCode.CERT_FORMAT, lambda p: (p.leaf.der[:-9], p.intermediate)
)
chain_case("certificate_as_pem", IssueCode.CERT_FORMAT, lambda p: (p.leaf.pem, p.intermediate))
chain_case(
    "certificate_that_is_huge", IssueCode.CERT_FORMAT, lambda p: (b"\x30" * 70_000, p.intermediate)
)
chain_case(
    "certificate_with_a_changed_name", IssueCode.CERT_CHAIN,
    lambda p: (p.leaf.der.replace(b"Release", b"Realise"), p.intermediate),
)  # fmt: skip


def impostor(pki: Pki) -> Issued:
    """An authority of the same name, with a key of its own, under the same root's name."""
    own = issue(ROOT, key_of(ec.SECP256R1(), 666).key)
    return issue(INTERMEDIATE, key_of(ec.SECP256R1(), 667).key, own)


@case(IssueCode.CERT_ROOT)
def a_whole_chain_of_a_strangers(_: Forge) -> Made:
    pki = Pki.made()
    own = issue(ROOT, key_of(ec.SECP256R1(), 666).key)
    leaf = issue(GOOD, pki.leaf.key, own)
    return pki.sign(chain=(leaf, own)), FILES, pki.trusted


@case(IssueCode.CERT_ROOT)
def a_certificate_that_signed_itself(_: Forge) -> Made:
    pki = Pki.made()
    return pki.sign(chain=(issue(GOOD, pki.leaf.key),)), FILES, pki.trusted


@case(IssueCode.CERT_ROOT)
def a_signer_given_as_its_own_root(_: Forge) -> Made:
    pki = Pki.made()
    return pki.sign(chain=(pki.leaf,)), FILES, replace(pki.trusted, roots=(pki.leaf.pem,))


@case(IssueCode.SIGNATURE)
def signed_by_another_key_than_the_certificates(_: Forge) -> Made:
    pki = Pki.made()
    return pki.sign(key=key_of(ec.SECP256R1(), 99).key), FILES, pki.trusted


@case(IssueCode.IDENTITY)
def another_leaf_of_the_same_authority(_: Forge) -> Made:
    pki = Pki.made()
    wish = replace(GOOD, name="Intern", serial=9, names=(x509.RFC822Name("intern@acme.example"),))
    interns = key_of(ec.SECP256R1(), 79).key
    other = issue(wish, interns, pki.intermediate)
    return pki.sign(chain=(other, pki.intermediate), key=interns), FILES, pki.trusted


@case(IssueCode.NO_IDENTITY)
def nobody_says_whose_certificate(_: Forge) -> Made:
    pki = Pki.made()
    return pki.sign(), FILES, replace(pki.trusted, identities=())


@case(IssueCode.NO_IDENTITY)
def an_identity_of_a_keyless_issuer_only(_: Forge) -> Made:
    pki = Pki.made()
    named = (SignerIdentity.parse(EMAIL, issuer="https://accounts.example"),)
    return pki.sign(), FILES, replace(pki.trusted, identities=named)


@case(IssueCode.CERT_FORMAT)
def roots_that_are_no_certificates(_: Forge) -> Made:
    pki = Pki.made()
    return pki.sign(), FILES, replace(pki.trusted, roots=(b"-----BEGIN CERTIFICATE-----",))


@case(IssueCode.CERT_ALGORITHM)
def a_leaf_with_an_rsa_key(_: Forge) -> Made:
    pki = Pki.made()
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return (
        pki.sign(chain=(issue(GOOD, key, pki.intermediate), pki.intermediate)),
        FILES,
        pki.trusted,
    )


@case(IssueCode.CERT_ALGORITHM)
def a_leaf_on_a_curve_of_coins(_: Forge) -> Made:
    pki = Pki.made()
    leaf = issue(GOOD, ec.derive_private_key(5, ec.SECP256K1()), pki.intermediate)
    return pki.sign(chain=(leaf, pki.intermediate)), FILES, pki.trusted


@case(IssueCode.CERT_ALGORITHM)
def a_leaf_with_an_edwards_key(_: Forge) -> Made:
    pki = Pki.made()
    leaf = issue(GOOD, ed25519.Ed25519PrivateKey.from_private_bytes(b"1" * 32), pki.intermediate)
    return pki.sign(chain=(leaf, pki.intermediate)), FILES, pki.trusted


@case(IssueCode.CERT_ALGORITHM)
def an_authority_with_a_short_rsa_key(_: Forge) -> Made:
    pki = Pki.made()
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 -- the case
    middle = issue(INTERMEDIATE, weak, pki.root)
    leaf = issue(GOOD, pki.leaf.key, middle)
    return pki.sign(chain=(leaf, middle)), FILES, pki.trusted


@case(IssueCode.CERT_ALGORITHM)
def an_authority_that_signs_over_a_short_hash(_: Forge) -> Made:
    pki = Pki.made()
    leaf = issue(replace(GOOD, hash=hashes.SHA224()), pki.leaf.key, pki.intermediate)
    return pki.sign(chain=(leaf, pki.intermediate)), FILES, pki.trusted


@case(IssueCode.CERT_FORMAT)
def two_extensions_of_one_kind(_: Forge) -> Made:
    pki = Pki.made()
    der = pki.leaf.der
    # Make the subject's other names a second set of purposes, by their object identifier.
    changed = der.replace(bytes.fromhex("0603551d11"), bytes.fromhex("0603551d25"))
    assert changed != der
    return pki.sign(chain=(changed, pki.intermediate)), FILES, pki.trusted


@case(IssueCode.FORMAT)
def a_chain_with_a_member_beside_it(_: Forge) -> Made:
    pki = Pki.made()
    text = pki.sign().decode()
    return text.replace('{"certificates":', '{"x": 1, "certificates":').encode(), FILES, pki.trusted


@case(IssueCode.BASE64)
def a_certificate_with_a_line_break_in_its_base64(_: Forge) -> Made:
    pki = Pki.made()
    raw = base64.b64encode(pki.leaf.der).decode()
    broken = raw[:64] + "\\n" + raw[64:]
    return pki.sign().decode().replace(raw, broken).encode(), FILES, pki.trusted


URIS = (
    SignerIdentity.parse(f"uri:{URI}/"),
    SignerIdentity.parse(f"uri:{URI[:-1]}"),
    SignerIdentity.parse(f"email:{URI}"),
)
for place, identity in enumerate(URIS):

    def spelled_otherwise(_: Forge, identity: SignerIdentity = identity) -> Made:
        pki = Pki.made()
        return pki.sign(), FILES, replace(pki.trusted, identities=(identity,))

    register(f"trusted_uri_spelled_otherwise_{place}", IssueCode.IDENTITY, spelled_otherwise)


def with_byte(der: bytes, place: int, value: int) -> bytes:
    return der[:place] + bytes([value]) + der[place + 1 :]


chain_case(
    "a_certificate_of_an_unknown_version",
    IssueCode.CERT_FORMAT,
    lambda pki: (with_byte(pki.leaf.der, 12, 38), pki.intermediate),
)
