"""From a signer's certificate to a trusted root: each link, each authority, and each one's time.

Source: RFC 5280, section 6.1, without policies and name constraints (which are refused). There are
no default roots: whoever verifies names the authorities.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from auditor.clock import written
from auditor.signatures.certificates import (
    CODE,
    Certificate,
    Purpose,
    object_to_any,
    object_to_issuer,
    read_certificates,
    signed_strongly,
)
from auditor.signatures.objections import Code, Objection, quoted
from auditor.signatures.trust import Moment, Trusted


def object_to_chain(
    chain: Sequence[Certificate], trusted: Trusted, moment: Moment | None
) -> list[Objection]:
    """Return what speaks against a chain, the signer's certificate first.

    Raises ``Refused`` where a trusted root cannot be read.
    """
    roots = [item for pem in trusted.roots for item in read_certificates(pem)]
    path, found = anchored(chain, roots)
    found += object_to_links(path, moment)
    if any(trusted.revokes(digest, moment) for digest in _digests(path)):
        found.append(Objection(Code.REVOKED, "a certificate of the chain, or its key, is revoked"))
    return found


def object_to_links(
    path: Sequence[Certificate], moment: Moment | None, purpose: Purpose = CODE
) -> list[Objection]:
    """Return what speaks against certificates that should issue each other, wherever they lead."""
    found = list(purpose.object_to_leaf(path[0]))
    for place, certificate in enumerate(path):
        who = _who(place)
        found += object_to_any(certificate, who)
        found += object_to_time(certificate, moment, who)
        if place:
            found += object_to_issuer(certificate, _authorities(path[1:place]), who, purpose)
    for place, (certificate, issuer) in enumerate(pairwise(path)):
        found += _object_to_link(certificate, issuer, place)
    return found


def object_to_time(
    certificate: Certificate, moment: Moment | None, who: str
) -> Iterator[Objection]:
    """Yield an objection unless a certificate is valid at the moment that counts."""
    if moment is None:
        yield Objection(Code.CERT_TIME, "there is no time at which certificates can be judged")
        return
    first = certificate.parsed.not_valid_before_utc
    last = certificate.parsed.not_valid_after_utc
    if not first <= moment.at <= last:
        at = written(moment.at)
        text = f"{who} is valid from {first:%Y-%m-%d} to {last:%Y-%m-%d}, and not at {at}"
        yield Objection(Code.CERT_TIME, text)


def trusted_name(leaf: Certificate, trusted: Trusted) -> tuple[str | None, tuple[Objection, ...]]:
    """Return the trusted name that a certificate bears, or why there is none."""
    wanted = {item.name for item in trusted.identities if item.issuer is None}
    if not wanted:
        text = "nobody says whose certificate to trust, and any of the authority's would do"
        return None, (Objection(Code.NO_IDENTITY, text),)
    for name in leaf.names:
        if name in wanted:
            return str(name), ()
    borne = ", ".join(quoted(str(name)) for name in leaf.names[:3]) or "no name"
    return None, (Objection(Code.IDENTITY, f"the signer bears {borne}, which is not trusted"),)


def anchored(
    chain: Sequence[Certificate], roots: Sequence[Certificate]
) -> tuple[list[Certificate], list[Objection]]:
    """Return a chain up to the trusted root that it leads to, or an objection to its end."""
    known = {root.digest for root in roots}
    for place, certificate in enumerate(chain):
        if place and certificate.digest in known:
            return [*chain[: place + 1]], []
    last = chain[-1]
    for root in roots:
        if root.digest != last.digest and issued(last, root):
            return [*chain, root], []
    return [*chain], [Objection(Code.CERT_ROOT, "the chain leads to none of the trusted roots")]


def _object_to_link(
    certificate: Certificate, issuer: Certificate, place: int
) -> Iterator[Objection]:
    who = _who(place)
    if not issued(certificate, issuer):
        yield Objection(Code.CERT_CHAIN, f"{who} was not issued by the one after it")
    elif not signed_strongly(certificate):
        yield Objection(Code.CERT_ALGORITHM, f"{who} is signed over a hash that is broken")


def issued(certificate: Certificate, issuer: Certificate) -> bool:
    """Whether one certificate's key signed another, under its name."""
    try:
        certificate.parsed.verify_directly_issued_by(issuer.parsed)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def _authorities(between: Sequence[Certificate]) -> int:
    """Self-issued certificates, which roll a key over, count for no path length."""
    return sum(item.parsed.subject != item.parsed.issuer for item in between)


def _digests(path: Sequence[Certificate]) -> Iterator[str]:
    for item in path:
        yield from item.revocable


def _who(place: int) -> str:
    return "the signer's certificate" if not place else f"certificate {place + 1} of the chain"
