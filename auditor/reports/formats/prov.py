"""Lineage as W3C PROV-JSON.

Source: W3C member submission PROV-JSON (2013) over PROV-DM.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import cast
from urllib.parse import quote

from auditor.domain.json import Json
from auditor.domain.lineage import LineageActivity, LineageEdge, LineageEntity
from auditor.domain.provenance import build_provenance
from auditor.domain.records import AuditRecord
from auditor.reports.report_formats import ReportFormat, encode_document

NODE = re.compile(r"[a-z][a-z0-9-]*:[0-9a-f]{64}")
PREFIXES: Mapping[str, str] = MappingProxyType(
    {"auditor": "urn:auditor:", "sha256": "urn:auditor:sha256:"}
)
RELATIONS: Mapping[str, tuple[str, str, str, str]] = MappingProxyType(
    {
        "used": ("activity", "prov:activity", "entity", "prov:entity"),
        "wasGeneratedBy": ("entity", "prov:entity", "activity", "prov:activity"),
        "wasDerivedFrom": ("entity", "prov:generatedEntity", "entity", "prov:usedEntity"),
        "wasAttributedTo": ("entity", "prov:entity", "agent", "prov:agent"),
        "wasAssociatedWith": ("activity", "prov:activity", "agent", "prov:agent"),
        "wasInformedBy": ("activity", "prov:informed", "activity", "prov:informant"),
        "wasInvalidatedBy": ("entity", "prov:entity", "activity", "prov:activity"),
        "hadMember": ("entity", "prov:collection", "entity", "prov:entity"),
        "specializationOf": ("entity", "prov:specificEntity", "entity", "prov:generalEntity"),
    }
)
"""Relation to the kind and the role of its source, and of its destination."""
INFLUENCE = ("entity", "prov:influencee", "entity", "prov:influencer")
"""What any other relation is shown as: PROV's most general one."""
WITH_ROLE = frozenset({"used", "wasGeneratedBy", "wasInvalidatedBy"})
Document = dict[str, dict[str, Json]]


def render_prov(record: AuditRecord) -> Mapping[str, Json]:
    """Return the record's lineage; its own digest joins it, which no edge inside can name."""
    stated = build_provenance(record)
    return build_prov_document(stated.entities, stated.activities, stated.edges)


def build_prov_document(
    entities: Iterable[LineageEntity],
    activities: Iterable[LineageActivity],
    edges: Iterable[LineageEdge],
) -> Mapping[str, Json]:
    """Return a PROV-JSON document of edges and of what is known of their ends."""
    document: Document = {"prefix": dict(PREFIXES)}
    deeds = tuple(activities)
    done = frozenset(item.id for item in deeds)
    for index, edge in enumerate(sorted(set(edges)), start=1):
        source, source_role, target, target_role = RELATIONS.get(edge.relation, INFLUENCE)
        ends = (_section(edge.source, done), _section(edge.destination, done))
        relation = edge.relation
        if relation not in RELATIONS or ends != (source, target):
            # What PROV does not let these two be to each other is still an influence.
            relation, (_, source_role, _, target_role) = "wasInfluencedBy", INFLUENCE
        for node in (edge.source, edge.destination):
            _place(document, node, done)
        body: dict[str, Json] = {
            source_role: _name(edge.source),
            target_role: _name(edge.destination),
        }
        if relation in WITH_ROLE:
            body["prov:role"] = edge.role
        document.setdefault(relation, {})[f"_:r{index}"] = body
    for entity in entities:
        _place(document, entity.id, done).update(_told(entity))
    for deed in deeds:
        _place(document, deed.id, done).update(
            {
                "prov:startTime": deed.started,
                "prov:endTime": deed.ended,
                "prov:label": f"{deed.kind} of {deed.attrs.get('model', 'a record')}",
            }
        )
    return document


def _told(entity: LineageEntity) -> Iterator[tuple[str, Json]]:
    yield "auditor:kind", entity.kind
    for name, value in entity.attrs.items():
        if isinstance(value, str | int):
            yield f"auditor:{name}", value
    if entity.uri:
        yield "prov:location", entity.uri


def _section(node: str, done: frozenset[str]) -> str:
    if node in done:
        return "activity"
    return "agent" if node.startswith("key:") else "entity"


def _place(document: Document, node: str, done: frozenset[str]) -> dict[str, Json]:
    section = document.setdefault(_section(node, done), {})
    return cast("dict[str, Json]", section.setdefault(_name(node), {}))


def _name(node: str) -> str:
    """Return a name that is the same whoever writes it: the digest, or the node's own id."""
    if NODE.fullmatch(node) and not node.startswith("key:"):
        return f"sha256:{node.partition(':')[2]}"
    return f"auditor:{quote(node, safe='')}"


FORMATS = (
    ReportFormat(
        "prov",
        "prov.json",
        lambda inputs: encode_document(render_prov(inputs.record)),
        kept=True,
    ),
)
