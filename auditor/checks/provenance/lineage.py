"""Whether what came with a model speaks of what the audit was given: compared digest by digest."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar, cast

from auditor.domain.artifacts import FileDigest
from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.checks import Metric, Need
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, GapReason, Measurement, Reading, Unit
from auditor.domain.subjects import CheckShard, Subject
from auditor.domain.supply_chain import SupplyDocument, SupplyItem, read_supply_item
from auditor.domain.trust import read_trust_context
from auditor.trust.policies.evidence import describe_missing_extra, read_trust_query
from auditor.trust.supply_chain.verify import (
    DocumentSignatureStatus,
    DocumentVerifier,
    InputMatch,
    KeyDocumentVerifier,
    MatchOutcome,
    PolicyDocumentVerifier,
    SignedDeclaration,
    list_undeclared_files,
    match_declarations,
    read_supply_document,
)

METHOD = "sha256-match"
MOST_LISTED = 100
TITLES = {
    "confirmed": "Declared inputs whose digest is that of something given",
    "confirmed_signed": "Confirmed inputs that a verified signature vouches for",
    "contradicted": "Declared inputs in whose place something else was given",
    "claimed": "Declared inputs that nothing given could be compared with",
    "undeclared": "Given files that no document declares",
    "documents": "Documents that came with the model",
    "unsigned": "Documents whose signature was not found to hold",
    "malformed": "Documents that could not be read as a whole",
}
UP = frozenset({"confirmed", "confirmed_signed"})


@dataclass(frozen=True, slots=True)
class LineageCheck:
    """Compares the digests that documents declare with the files that the audit was given.

    Read are in-toto statements, SLSA provenance, CycloneDX bills of materials, Croissant metadata
    and model cards. A declared input is **confirmed** where something given bears its SHA-256,
    **contradicted** where what was given in its place or under its name is something else, and
    **only claimed** where there is nothing to compare. An unsigned document speaks for nobody in
    particular: what it confirms shows that it belongs to these files, not who says so.
    ``confirmed_signed`` counts what a signature vouches for that is one of ``model.key``, or of
    those whom the trust policy lets sign documents of that type. With a malformed document among
    them the counts are doubted, and where nothing could be compared ``contradicted`` is a Gap:
    silence contradicts nothing, and proves nothing.
    """

    id: ClassVar[str] = "provenance.lineage"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Declared inputs that the digests confirm"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.DOCUMENTS})
    uses: ClassVar[tuple[str, ...]] = ()
    emits: ClassVar[Mapping[str, Metric]] = {
        name: Metric(
            title,
            Unit.COUNT,
            higher_is_better=None if name in {"claimed", "documents"} else name in UP,
            exact=True,
        )
        for name, title in TITLES.items()
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "25"),
        FrameworkControl("eu-ai-act", "Annex IV 2(a)"),
        FrameworkControl("eu-ai-act", "Annex IV 2(d)"),
        FrameworkControl("nist-ai-rmf", "MAP 4.1"),
        FrameworkControl("nist-ai-rmf", "MANAGE 3.1"),
        FrameworkControl("iso-42001", "A.10.3"),
        FrameworkControl("mitre-atlas", "AML.T0010.003"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {}
    grid: ClassVar[Mapping[str, str]] = {}

    def cost(self, size: AuditSize) -> CheckCost:
        """Say what observing will spend: the documents are read when figures are made."""
        return CheckCost(seconds=0.01)

    def precision(self, size: AuditSize, confidence: float) -> Mapping[str, float]:
        """Return nothing: counts over all documents have no interval."""
        return {}

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Return the documents, whom to believe, and the digests of all that was given."""
        supply, key = subject.supply, subject.signature.key
        trust, artifact = subject.signature.trust, subject.artifact
        believed: dict[str, Json] = {}
        if trust is not None and artifact is not None:
            model: Json = {"name": artifact.name, "version": artifact.version}
            believed = {"trust": trust.to_json(), "model": model}
            believed |= describe_missing_extra(None, [item.raw for item in supply.documents])
        return {
            "lineage": {
                "documents": [_write(item) for item in supply.documents],
                "key": None if key is None else base64.b64encode(key).decode(),
                "given": [item.to_json() for item in supply.given],
                **believed,
            }
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Read and compare anew from the evidence alone."""
        seen = cast("Mapping[str, Json]", evidence["lineage"])
        listed = cast("Sequence[Mapping[str, Json]]", seen["given"])
        believed = _believed(seen)
        documents = [
            _read(item) for item in cast("Sequence[Mapping[str, Json]]", seen["documents"])
        ]
        told = [
            (item.file, read_supply_document(item.file.name, item.raw, believed))
            for item in documents
        ]
        return _readings(told, tuple(read_supply_item(item) for item in listed))


def _believed(seen: Mapping[str, Json]) -> DocumentVerifier:
    asked = read_trust_query(seen)
    if asked is not None:
        given = read_trust_context(cast("Mapping[str, Json]", seen["trust"]))
        return PolicyDocumentVerifier(asked, given.standing)
    kept = cast("str | None", seen["key"])
    return KeyDocumentVerifier(None if kept is None else base64.b64decode(kept))


def _readings(
    documents: Sequence[tuple[FileDigest, Sequence[SignedDeclaration]]], given: Sequence[SupplyItem]
) -> tuple[Reading, ...]:
    told = [one for _, says in documents for one in says]
    matches = match_declarations(told, given)
    found = {kind: [item for item in matches if item.outcome is kind] for kind in MatchOutcome}
    confirmed = found[MatchOutcome.CONFIRMED]
    signed = [item for item in confirmed if item.standing is DocumentSignatureStatus.VERIFIED]
    doubted = any(item.malformed for item in told)
    counts: dict[str, Sequence[Json]] = {
        "confirmed": _entries(confirmed),
        "confirmed_signed": _entries(signed),
        "contradicted": _entries(found[MatchOutcome.CONTRADICTED]),
        "claimed": _entries(found[MatchOutcome.CLAIMED]),
        "undeclared": [item.to_json() for item in list_undeclared_files(confirmed, given)],
    }
    compared = len(matches) - len(counts["claimed"])
    readings = [
        _count(name, entries, len(matches), "inputs", doubted=doubted)
        if compared or name != "contradicted"
        else _NOTHING_COMPARED
        for name, entries in counts.items()
    ]
    papers: dict[str, Sequence[Json]] = {
        "documents": [_about(file, says) for file, says in documents],
        "unsigned": [_standing(item) for item in told if not _holds(item)],
        "malformed": [_standing(item) for item in told if item.malformed],
    }
    of_papers = (_count(name, each, len(told), "documents") for name, each in papers.items())
    return (*readings, *of_papers)


def _count(
    metric: str, entries: Sequence[Json], n: int, listed: str, *, doubted: bool = False
) -> Measurement:
    return Measurement(
        metric=metric,
        value=len(entries),
        method=METHOD,
        n=n,
        unit=Unit.COUNT,
        doubted=doubted,
        details={listed: list(entries[:MOST_LISTED]), "in_all": len(entries)},
    )


def _entries(matches: Sequence[InputMatch]) -> list[Json]:
    return [item.to_json() for item in matches]


def _holds(item: SignedDeclaration) -> bool:
    return item.signed.standing is DocumentSignatureStatus.VERIFIED


def _about(file: FileDigest, told: Sequence[SignedDeclaration]) -> Json:
    says: list[Json] = [_standing(item) for item in told[:MOST_LISTED]]
    return {"name": file.name, "sha256": file.sha256, "says": says}


def _standing(item: SignedDeclaration) -> dict[str, Json]:
    """Say of a document what it is, who vouches for it, and what is wrong with it."""
    return {
        "name": item.name,
        "kind": item.declaration.kind.value,
        "signature": item.signed.standing.value,
        "identity": item.signed.identity,
        "about": dict(item.declaration.about),
        "remarks": [remark.to_json() for remark in item.remarks],
    }


def _write(document: SupplyDocument) -> Json:
    """Keep a document as text where it is text, so that people can read the evidence."""
    content: Json = None
    if document.raw is not None:
        try:
            content = {"text": document.raw.decode("utf-8")}
        except UnicodeDecodeError:
            content = {"base64": base64.b64encode(document.raw).decode()}
    return {**document.file.to_json(), "content": content}


def _read(said: Mapping[str, Json]) -> SupplyDocument:
    """Read a document back; the digest of one that was kept is worked out anew."""
    told = cast("Mapping[str, str]", said)
    content = cast("Mapping[str, str] | None", said["content"])
    if content is None:
        file = FileDigest(told["name"], int(cast("int", said["size"])), told["sha256"])
        return SupplyDocument(file, None)
    text, coded = content.get("text"), content.get("base64", "")
    raw = base64.b64decode(coded) if text is None else text.encode()
    return SupplyDocument(FileDigest(told["name"], len(raw), sha256(raw).hexdigest()), raw)


_NOTHING_COMPARED = Gap(
    reason=GapReason.NOT_DEFINED,
    detail="The documents declare no SHA-256 of anything that the audit was given.",
    cure="Add documents that declare digests, or name what they speak of in the audit file.",
    metric="contradicted",
)

CHECK: type[LineageCheck] = LineageCheck
