"""Verifies supply-chain documents: signatures, and declarations against the actual inputs.

A declaration is confirmed, contradicted, or only claimed. Trusted signers are one key, or those
that a trust policy names.
"""

import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol
from urllib.parse import unquote, urlsplit

from auditor.domain.json import Json
from auditor.domain.supply_chain import SupplyItem, SupplyPart
from auditor.domain.trust_context import TrustPolicyStatus
from auditor.trust.encoding.dsse import DsseEnvelope, parse_envelope
from auditor.trust.encoding.strict_json import read_json_object
from auditor.trust.policies.evaluate_signature import find_policy_issues
from auditor.trust.policies.query import TrustQuery
from auditor.trust.policies.signed_statements import open_statement, read_predicate_type, to_bundle
from auditor.trust.signatures.keys import read_public_key
from auditor.trust.supply_chain.document_parsers import (
    SHA256,
    DeclaredInput,
    DocumentDeclaration,
    DocumentFault,
    DocumentKind,
    DocumentRemark,
    MalformedDocumentError,
    clean_text,
    is_croissant,
    parse_front_matter,
    read_bom,
    read_croissant,
    read_model_card,
    read_statement,
)
from auditor.trust.verification_result import IssueGrade, VerificationError, VerificationIssue


class DocumentSignatureStatus(StrEnum):
    """How far the signature of a document is known to hold."""

    VERIFIED = "verified"
    REFUSED = "refused"
    NOT_VERIFIED = "not_verified"
    UNSIGNED = "unsigned"


@dataclass(frozen=True, slots=True)
class DocumentSignature:
    """What came of a signature: ``identity`` is the signer's, and only of one that holds."""

    standing: DocumentSignatureStatus
    identity: str | None = None
    remarks: tuple[DocumentRemark, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentEnvelope:
    """An envelope, the bundle that it lies in, and the certificate member that this brings."""

    envelope: DsseEnvelope
    bundle: bytes
    certificate: str | None = None


class DocumentVerifier(Protocol):
    """Says of a document's signature whether it is that of somebody believed."""

    def look(self, sealed: DocumentEnvelope) -> DocumentSignature:
        """Return what comes of the signature."""
        ...


@dataclass(frozen=True, slots=True)
class KeyDocumentVerifier:
    """Believes one public key, as PEM; ``None`` believes nobody."""

    key: bytes | None = None

    def look(self, sealed: DocumentEnvelope) -> DocumentSignature:
        """Return what comes of the signature."""
        if sealed.certificate is not None:
            text = f"it is signed by a {sealed.certificate}, and the audit names a key at most"
            return _unverified("UNSUPPORTED", text)
        if self.key is None:
            return _unverified("NO_KEY", "it is signed, and the audit names no model.key")
        try:
            public = read_public_key(self.key)
        except VerificationError as refused:
            return _unverified(refused.code.value, refused.problem)
        envelope = sealed.envelope
        if public.holds(envelope.signature, envelope.signed):
            return DocumentSignature(DocumentSignatureStatus.VERIFIED, public.identity)
        text = "its signature does not hold under model.key"
        remark = DocumentRemark("SIGNATURE", text, IssueGrade.WARNING)
        return DocumentSignature(DocumentSignatureStatus.REFUSED, remarks=(remark,))


@dataclass(frozen=True, slots=True)
class PolicyDocumentVerifier:
    """Believes whom the rule for the model lets sign statements of the document's type."""

    asked: TrustQuery
    accepted: TrustPolicyStatus
    against: tuple[VerificationIssue, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Look once at what speaks against the policy as a whole."""
        found = find_policy_issues(self.asked, self.accepted)
        against = tuple(item for item in found if item.grade is IssueGrade.ERROR)
        object.__setattr__(self, "against", against)

    def look(self, sealed: DocumentEnvelope) -> DocumentSignature:
        """Return what comes of the signature."""
        rule = self.asked.rule
        if rule is None or self.against:
            return _unverified(self.against[0].code.value, self.against[0].text)
        predicate = read_predicate_type(sealed.bundle)
        wanted = next((item for item in rule.require if item.predicate == predicate), None)
        if wanted is None:
            text = f"{rule} of the trust policy lets nobody sign a {clean_text(predicate)}"
            return _unverified("NO_RULE", text)
        found = open_statement(self.asked, rule, sealed.bundle, wanted)
        if found.verified:
            return DocumentSignature(DocumentSignatureStatus.VERIFIED, found.identity)
        remarks = tuple(
            DocumentRemark(item.code.value, clean_text(item.text), IssueGrade.WARNING)
            for item in found.objections
        )
        return DocumentSignature(DocumentSignatureStatus.REFUSED, remarks=remarks)


def _unverified(code: str, text: str) -> DocumentSignature:
    remark = DocumentRemark(code, clean_text(text), IssueGrade.WARNING)
    return DocumentSignature(DocumentSignatureStatus.NOT_VERIFIED, remarks=(remark,))


UNSIGNED = DocumentSignature(DocumentSignatureStatus.UNSIGNED)
NOBODY = KeyDocumentVerifier()


BUNDLE = "application/vnd.dev.sigstore.bundle"
_MATERIALS = ("certificate", "x509CertificateChain")


@dataclass(frozen=True, slots=True)
class SignedStatement:
    """A statement and the signature that it came under."""

    statement: Mapping[str, object]
    signed: DocumentSignature


def open_document(found: Mapping[str, object], believed: DocumentVerifier) -> SignedStatement:
    """Take a statement out of its envelope or bundle; what lies in neither is unsigned.

    ``believed`` says whose signature counts. Raises ``MalformedDocumentError``.
    """
    media_type = found.get("mediaType")
    if isinstance(media_type, str) and media_type.startswith(BUNDLE):
        if "dsseEnvelope" not in found:
            text = "the bundle signs the digest of a file, and holds no statement"
            raise MalformedDocumentError(DocumentFault.FORMAT, text)
        material = found.get("verificationMaterial")
        named = [name for name in _MATERIALS if isinstance(material, dict) and name in material]
        return _open(found, found["dsseEnvelope"], believed, next(iter(named), None))
    if "payloadType" in found and "signatures" in found:
        return _open(found, found, believed, None)
    return SignedStatement(found, UNSIGNED)


def _open(
    found: Mapping[str, object], value: object, believed: DocumentVerifier, certificate: str | None
) -> SignedStatement:
    try:
        envelope = parse_envelope(value)
    except VerificationError as refused:
        raise MalformedDocumentError(refused.code.value, clean_text(refused.problem)) from None
    statement = _statement(envelope)
    sealed = DocumentEnvelope(envelope, to_bundle(found) or b"", certificate)
    return SignedStatement(statement, believed.look(sealed))


def _statement(envelope: DsseEnvelope) -> Mapping[str, object]:
    try:
        return read_json_object(envelope.payload, "the payload")
    except VerificationError as refused:
        raise MalformedDocumentError(refused.code.value, clean_text(refused.problem)) from None


MOST_DOCUMENT_BYTES = 16 * 2**20
"""The most bytes of a document that is read; a bill of materials of a large system has a few."""
MOST_LINES = 1000
LINES, CARDS = ".jsonl", (".md", ".markdown")


@dataclass(frozen=True, slots=True)
class SignedDeclaration:
    """One declaration of a document, and the signature under which it stands."""

    name: str
    declaration: DocumentDeclaration
    signed: DocumentSignature = UNSIGNED

    @property
    def remarks(self) -> tuple[DocumentRemark, ...]:
        """All that is wrong with the document or with its signature."""
        return (*self.declaration.remarks, *self.signed.remarks)

    @property
    def malformed(self) -> bool:
        """Whether the document could not be read as a whole."""
        return any(item.grade is IssueGrade.ERROR for item in self.remarks)


def read_supply_document(
    name: str, raw: bytes | None, believed: DocumentVerifier = NOBODY
) -> tuple[SignedDeclaration, ...]:
    """Read a document; ``raw`` is ``None`` for one that is too large. ``believed`` says whose
    signature counts.

    A file of JSON lines, as attestations are bundled, gives one declaration a line. Nothing is
    raised: what cannot be read is a declaration of nothing, with a remark of the grade error.
    """
    if raw is None or len(raw) > MOST_DOCUMENT_BYTES:
        text = f"it has more than {MOST_DOCUMENT_BYTES} bytes"
        return (_broken(name, DocumentRemark(DocumentFault.TOO_LARGE, text)),)
    if not name.lower().endswith(LINES):
        return (_read(name, raw, believed),)
    lines = [line for line in raw.split(b"\n") if line.strip()]
    if len(lines) > MOST_LINES:
        return (
            _broken(
                name, DocumentRemark(DocumentFault.TOO_MANY, f"it has more than {MOST_LINES} lines")
            ),
        )
    if not lines:
        return (_broken(name, DocumentRemark(DocumentFault.FORMAT, "it is empty")),)
    return tuple(_read(f"{name}:{number}", line, believed) for number, line in enumerate(lines, 1))


def is_unsupported_file(name: str, raw: bytes | None) -> bool:
    """Whether a file is of no kind that is read, such as settings or secrets of whoever audits.

    A text is a card by its ending alone: much else begins with ``---``. ``raw`` is ``None`` for one
    that is too large, which no evidence keeps.
    """
    if raw is None:
        return False
    if not _is_json(raw):
        return not name.lower().endswith(CARDS)
    remarks = (remark for item in read_supply_document(name, raw) for remark in item.remarks)
    return any(remark.code == DocumentFault.UNKNOWN_KIND for remark in remarks)


def _is_json(raw: bytes) -> bool:
    return raw.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"


def _read(name: str, raw: bytes, believed: DocumentVerifier) -> SignedDeclaration:
    try:
        if not _is_json(raw):
            return SignedDeclaration(name, _read_text(name, raw))
        opened = open_document(read_json_object(raw, "the document"), believed)
        return SignedDeclaration(name, _read_json(opened.statement), opened.signed)
    except MalformedDocumentError as error:
        return _broken(name, error.remark)
    except VerificationError as refused:
        return _broken(name, DocumentRemark(refused.code.value, clean_text(refused.problem)))


def _read_json(found: Mapping[str, object]) -> DocumentDeclaration:
    if "_type" in found:
        return read_statement(found)
    if found.get("bomFormat") == "CycloneDX":
        return read_bom(found)
    if is_croissant(found):
        return read_croissant(found)
    text = "it is not an in-toto statement, CycloneDX bill of materials or Croissant description"
    raise MalformedDocumentError(DocumentFault.UNKNOWN_KIND, text)


def _read_text(name: str, raw: bytes) -> DocumentDeclaration:
    front = parse_front_matter(raw)
    if front is not None:
        return read_model_card(front)
    if name.lower().endswith(CARDS):
        text = "a text without front matter, which declares nothing"
        remark = DocumentRemark(DocumentFault.NOTHING_DECLARED, text, IssueGrade.WARNING)
        return DocumentDeclaration(DocumentKind.MODEL_CARD, remarks=(remark,))
    raise MalformedDocumentError(
        DocumentFault.UNKNOWN_KIND, "it is neither JSON nor a card with front matter"
    )


def _broken(name: str, remark: DocumentRemark) -> SignedDeclaration:
    return SignedDeclaration(name, DocumentDeclaration(DocumentKind.UNKNOWN, remarks=(remark,)))


class MatchOutcome(StrEnum):
    """What came of holding one declared input against what was given."""

    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"
    CLAIMED = "claimed"


@dataclass(frozen=True, slots=True)
class InputMatch:
    """One declared input and what came of it; ``given_as`` are the parts that bear its digest."""

    document: str
    standing: DocumentSignatureStatus
    declared: DeclaredInput
    outcome: MatchOutcome
    why: str
    given_as: tuple[SupplyPart, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Return the form that a record holds."""
        part = self.declared.part
        return {
            "document": self.document,
            "signature": self.standing.value,
            "where": self.declared.where,
            "name": self.declared.name,
            "part": None if part is None else part.value,
            "sha256": self.declared.digests.get(SHA256),
            "given_as": [item.value for item in self.given_as],
            "why": self.why,
        }


def match_declarations(
    told: Sequence[SignedDeclaration], given: Sequence[SupplyItem]
) -> tuple[InputMatch, ...]:
    """Return what came of every declared input, in the order in which they stand."""
    return tuple(item for one in told for item in match_declaration(one, given))


def match_declaration(
    told: SignedDeclaration, given: Sequence[SupplyItem]
) -> tuple[InputMatch, ...]:
    """Hold one document against what was given.

    An input is **confirmed** where something given bears its SHA-256. It is **contradicted** where
    what was given under its name is something else; also where the document says which part it
    is, such a part was given, and none of the inputs that it calls so was. Everything else is only
    **claimed**: nothing was given that it could be compared with, or it gives no SHA-256.
    """
    known = {item.sha256 for item in given}
    met = {item.part for item in told.declaration.declared if item.digests.get(SHA256) in known}
    return tuple(
        InputMatch(told.name, told.signed.standing, item, *_judge(item, given, met))
        for item in told.declaration.declared
    )


def _judge(
    item: DeclaredInput, given: Sequence[SupplyItem], met: set[SupplyPart | None]
) -> tuple[MatchOutcome, str, tuple[SupplyPart, ...]]:
    sha256 = item.digests.get(SHA256)
    if sha256 is None:
        others = ", ".join(sorted(item.digests))
        why = f"it is declared by {others} and no SHA-256" if others else "no digest is declared"
        return MatchOutcome.CLAIMED, why, ()
    bearers = tuple(dict.fromkeys(one.part for one in given if one.sha256 == sha256))
    if bearers:
        as_what = " and ".join(part.value for part in bearers)
        if item.part is not None and item.part not in bearers:
            confirmed = f"it is declared as {item.part.value}, and was given as {as_what}"
        else:
            confirmed = f"it was given as {as_what}"
        return MatchOutcome.CONFIRMED, confirmed, bearers
    alike = [one for one in given if one.part in item.parts]
    name = base_name(item.name)
    named = [one for one in alike if name and one.name and base_name(one.name) == name]
    if named:
        why = f"{named[0].part.value} {name} was given with the SHA-256 {named[0].sha256}"
        return MatchOutcome.CONTRADICTED, why, ()
    if item.part is not None and alike and item.part not in met:
        why = f"another {item.part.value} was given, and nothing that the document calls so"
        return MatchOutcome.CONTRADICTED, why, ()
    return MatchOutcome.CLAIMED, "nothing was given to compare it with", ()


def base_name(name: str) -> str:
    """Return the last part of a path or URI, without query and fragment."""
    try:
        path = urlsplit(name).path if "://" in name else name
    except ValueError:  # a bracket that opens no IPv6 address
        path = name
    return posixpath.basename(unquote(path).rstrip("/"))


def list_undeclared_files(
    confirmed: Sequence[InputMatch], given: Sequence[SupplyItem]
) -> tuple[SupplyItem, ...]:
    """Return the given files that no confirmed input is; one digest of several speaks for all."""
    digests = {item.declared.digests[SHA256] for item in confirmed}
    whole = {item.part for item in given if not item.name and item.sha256 in digests}
    return tuple(
        item
        for item in given
        if item.name and item.sha256 not in digests and item.part not in whole
    )
