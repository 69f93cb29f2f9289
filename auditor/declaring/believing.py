"""Whose signature under a document is believed: one key's, or theirs whom a policy names."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from auditor.declaring.declarations import Remark, clean
from auditor.domain.trust import Standing as Accepted
from auditor.signatures.dsse import Envelope
from auditor.signatures.keys import read_public_key
from auditor.signatures.objections import Grade, Objection, Refused
from auditor.trusting.asking import Asked
from auditor.trusting.judging import object_to_policy
from auditor.trusting.papers import open_paper, predicate_of


class Standing(StrEnum):
    """How far the signature of a document is known to hold."""

    VERIFIED = "verified"
    REFUSED = "refused"
    NOT_VERIFIED = "not_verified"
    UNSIGNED = "unsigned"


@dataclass(frozen=True, slots=True)
class Signed:
    """What came of a signature: ``identity`` is the signer's, and only of one that holds."""

    standing: Standing
    identity: str | None = None
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True, slots=True)
class Sealed:
    """An envelope, the bundle that it lies in, and the certificate member that this brings."""

    envelope: Envelope
    bundle: bytes
    certificate: str | None = None


class Believed(Protocol):
    """Says of a document's signature whether it is that of somebody believed."""

    def look(self, sealed: Sealed) -> Signed:
        """Return what comes of the signature."""
        ...


@dataclass(frozen=True, slots=True)
class ByKey:
    """Believes one public key, as PEM; ``None`` believes nobody."""

    key: bytes | None = None

    def look(self, sealed: Sealed) -> Signed:
        """Return what comes of the signature."""
        if sealed.certificate is not None:
            text = f"it is signed by a {sealed.certificate}, and the audit names a key at most"
            return _unverified("UNSUPPORTED", text)
        if self.key is None:
            return _unverified("NO_KEY", "it is signed, and the audit names no model.key")
        try:
            public = read_public_key(self.key)
        except Refused as refused:
            return _unverified(refused.code.value, refused.problem)
        envelope = sealed.envelope
        if public.holds(envelope.signature, envelope.signed):
            return Signed(Standing.VERIFIED, public.identity)
        text = "its signature does not hold under model.key"
        remark = Remark("SIGNATURE", text, Grade.WARNING)
        return Signed(Standing.REFUSED, remarks=(remark,))


@dataclass(frozen=True, slots=True)
class ByPolicy:
    """Believes whom the rule for the model lets sign statements of the document's type."""

    asked: Asked
    accepted: Accepted
    against: tuple[Objection, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Look once at what speaks against the policy as a whole."""
        found = object_to_policy(self.asked, self.accepted)
        against = tuple(item for item in found if item.grade is Grade.ERROR)
        object.__setattr__(self, "against", against)

    def look(self, sealed: Sealed) -> Signed:
        """Return what comes of the signature."""
        rule = self.asked.rule
        if rule is None or self.against:
            return _unverified(self.against[0].code.value, self.against[0].text)
        predicate = predicate_of(sealed.bundle)
        wanted = next((item for item in rule.require if item.predicate == predicate), None)
        if wanted is None:
            text = f"{rule} of the trust policy lets nobody sign a {clean(predicate)}"
            return _unverified("NO_RULE", text)
        found = open_paper(self.asked, rule, sealed.bundle, wanted)
        if found.verified:
            return Signed(Standing.VERIFIED, found.identity)
        remarks = tuple(
            Remark(item.code.value, clean(item.text), Grade.WARNING) for item in found.objections
        )
        return Signed(Standing.REFUSED, remarks=remarks)


def _unverified(code: str, text: str) -> Signed:
    remark = Remark(code, clean(text), Grade.WARNING)
    return Signed(Standing.NOT_VERIFIED, remarks=(remark,))


UNSIGNED = Signed(Standing.UNSIGNED)
NOBODY = ByKey()
