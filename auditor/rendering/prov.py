"""Lineage as W3C PROV-JSON.

Source: W3C member submission PROV-JSON (2013) over PROV-DM. The record's id is both the audit
(an activity) and what came of it (an entity) in lineage edges; PROV keeps the two apart, so a node
that stands in both places is split: the activity's name ends in ``-run``.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import quote

from auditor.domain.canonical import Json
from auditor.domain.lineage import Edge
from auditor.domain.records import AuditRecord

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
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
        "specializationOf": ("entity", "prov:specificEntity", "entity", "prov:generalEntity"),
    }
)
"""Relation to the kind and the role of its source, and of its destination."""
INFLUENCE = ("entity", "prov:influencee", "entity", "prov:influencer")
"""What any other relation is shown as: PROV's most general one."""


def render_prov(record: AuditRecord) -> Mapping[str, Json]:
    """Return the record's lineage; its own digest joins it, which no edge inside can name."""
    audit = record.id
    edges = [
        *record.lineage,
        Edge(audit, "wasGeneratedBy", audit, "audit"),
        Edge(record.digest, "specializationOf", audit, "record"),
    ]
    document: dict[str, dict[str, Json]] = {"prefix": dict(PREFIXES)}
    for index, edge in enumerate(sorted(set(edges)), start=1):
        _relate(document, edge, f"_:r{index}")
    run = document.setdefault("activity", {})
    run[_name(audit, "activity")] = {
        "prov:startTime": record.registered,
        "prov:endTime": record.finished,
        "prov:label": f"audit of {record.request.name} {record.request.version}",
    }
    return document


def _relate(document: dict[str, dict[str, Json]], edge: Edge, key: str) -> None:
    relation = edge.relation if edge.relation in RELATIONS else "wasInfluencedBy"
    source, source_role, target, target_role = RELATIONS.get(edge.relation, INFLUENCE)
    subject, object_ = _name(edge.source, source), _name(edge.destination, target)
    document.setdefault(source, {}).setdefault(subject, {})
    label: Json = {} if target == "agent" else {"prov:label": edge.role}
    known = document.setdefault(target, {})
    if not known.get(object_):
        known[object_] = label
    body: dict[str, Json] = {source_role: subject, target_role: object_}
    if relation in {"used", "wasGeneratedBy"}:
        body["prov:role"] = edge.role
    document.setdefault(relation, {})[key] = body


def _name(node: str, kind: str) -> str:
    if DIGEST.fullmatch(node):
        return node
    return f"auditor:{quote(node, safe='')}{'-run' if kind == 'activity' else ''}"
