"""Check of lineage: whether supply-chain documents match the audit's inputs digest by digest."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import ClassVar, cast

from auditor.domain.artifacts import FileDigest
from auditor.domain.budgets import AuditSize, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.evidence import Evidence
from auditor.domain.explanations import (
    MOST_TOLD,
    Explanation,
    ExplanationContext,
    count_rest,
    entry_text,
    list_entries,
    read_number,
    tell_details,
)
from auditor.domain.json import Json, read_json
from auditor.domain.number_text import format_count
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, GapReason, Measurement, Reading, Unit
from auditor.domain.supply_chain import SupplyDocument, SupplyItem
from auditor.domain.trust_context import TrustContext
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
    "confirmed": "Declared inputs with the digest of a given file",
    "confirmed_signed": "Confirmed inputs that a verified signature vouches for",
    "contradicted": "Declared inputs replaced by a different file",
    "claimed": "Declared inputs without a file to compare",
    "undeclared": "Given files that no document declares",
    "documents": "Documents that came with the model",
    "unsigned": "Documents without a valid signature",
    "malformed": "Documents that could not be read as a whole",
}
UP = frozenset({"confirmed", "confirmed_signed"})
STANDINGS = {
    "verified": "under a valid signature",
    "refused": "under a signature that is not valid for any trusted signer",
    "not_verified": "under a signature that could not be verified",
    "unsigned": "unsigned",
}
"What is said of a document's signature."


@dataclass(frozen=True, slots=True)
class LineageCheck(Check):
    """Compares the digests that your documents declare with the files of the audit.

    The check reads in-toto statements, SLSA provenance, CycloneDX bills of materials, Croissant
    metadata and model cards. Each declared input is one of:

    - **confirmed**: a file of the audit has its SHA-256;
    - **contradicted**: the file in its place or under its name has another digest;
    - **only claimed**: the audit has no file to compare.

    An unsigned document proves no author: its confirmed inputs show that it belongs to these files,
    not who wrote it. ``confirmed_signed`` counts inputs under a signature by ``model.key``, or by a
    signer that your trust policy allows for that type of document.

    If a document is malformed, the counts are doubted. If no input could be compared,
    ``contradicted`` is a Gap, because a missing comparison proves no match.
    """

    id: ClassVar[str] = "provenance.lineage"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Declared inputs confirmed by digests"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.DOCUMENTS})
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

    def cost(self, size: AuditSize) -> CheckCost:
        """Say what observing will spend: the documents are read when figures are made."""
        return CheckCost(seconds=0.01)

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Return the documents, whom to believe, and the digests of all that was given."""
        supply, key = subject.supply, subject.signature.key
        trust, artifact = subject.signature.trust, subject.artifact
        believed: dict[str, Json] = {}
        if trust is not None and artifact is not None:
            model: Json = {"name": artifact.name, "version": artifact.version}
            believed = {"trust": trust.to_json(), "model": model}
            believed |= describe_missing_extra(None, [item.raw for item in supply.documents])
        found = []
        for item in supply.documents:
            # Keep a document as text where it is text, so that people can read the evidence
            content: Json = None
            if item.raw is not None:
                try:
                    content = {"text": item.raw.decode("utf-8")}
                except UnicodeDecodeError:
                    content = {"base64": base64.b64encode(item.raw).decode()}
            found.append({**item.file.to_json(), "content": content})
        return {
            "lineage": {
                "documents": found,
                "key": None if key is None else base64.b64encode(key).decode(),
                "given": [item.to_json() for item in supply.given],
                **believed,
            }
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Read and compare anew from the evidence alone."""
        seen = cast("Mapping[str, Json]", evidence["lineage"])
        believed: DocumentVerifier
        asked = read_trust_query(seen)
        if asked is not None:
            given = read_json(TrustContext, seen["trust"], "trust")
            believed = PolicyDocumentVerifier(asked, given.standing)
        else:
            kept = cast("str | None", seen["key"])
            believed = KeyDocumentVerifier(None if kept is None else base64.b64decode(kept))
        documents = [
            _read(item) for item in cast("Sequence[Mapping[str, Json]]", seen["documents"])
        ]
        told = [
            (item.file, read_supply_document(item.file.name, item.raw, believed))
            for item in documents
        ]
        return _readings(told, read_json(tuple[SupplyItem, ...], seen["given"], "given"))

    @classmethod
    def explain(cls, scene: ExplanationContext) -> Explanation:
        """Tell which inputs or documents were counted, and in whose name the documents speak."""
        return tell_details(scene, "Content of the documents", partial(_told, scene))


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
        "unsigned": [
            _standing(item)
            for item in told
            if item.signed.standing is not DocumentSignatureStatus.VERIFIED
        ],
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


def _told(scene: ExplanationContext, m: Measurement) -> Iterator[str]:
    listed = list_entries(m.details.get("inputs"))
    papers = list_entries(m.details.get("documents"))
    for item in listed[:MOST_TOLD]:
        part, name = entry_text(item, "part"), entry_text(item, "name")
        yield _input(item) if "why" in item else f"{part}: {name}."
    for paper in papers[:MOST_TOLD]:
        said = list_entries(paper.get("says")) or [paper]
        yield from (_paper(item) for item in said[:MOST_TOLD])
    total = m.details.get("in_all")
    yield from count_rest(total if isinstance(total, int) else 0)
    if not papers:
        yield from _nobody(scene)


def _input(item: Mapping[str, Json]) -> str:
    part = f" as {entry_text(item, 'part').replace('_', ' ')}" if item.get("part") else ""
    standing = STANDINGS.get(entry_text(item, "signature"), "unsigned")
    document, where, why = (entry_text(item, name) for name in ("document", "where", "why"))
    name = entry_text(item, "name") or "an input"
    return f"{document} ({standing}) declares {name}{part} at {where}: {why}."


def _paper(item: Mapping[str, Json]) -> str:
    standing = STANDINGS.get(entry_text(item, "signature"), "unsigned")
    listed = list_entries(item.get("remarks"))
    remarks = [f"{entry_text(it, 'code')}: {entry_text(it, 'text')}" for it in listed]
    said = f"; {'; '.join(remarks)}" if remarks else ""
    return f"{entry_text(item, 'name')} ({entry_text(item, 'kind')}), {standing}{said}."


def _nobody(scene: ExplanationContext) -> Iterator[str]:
    """Say that documents without a signature that holds speak for nobody in particular."""
    m = scene.figure(LineageCheck.id, "unsigned")
    unsigned = read_number(m)
    if m is not None and unsigned:
        yield (
            f"Of {format_count(m.n)} documents, {format_count(int(unsigned))} stand under no "
            "signature that was found to hold: what they declare is declared by nobody in "
            "particular."
        )


CHECK: type[Check] = LineageCheck
