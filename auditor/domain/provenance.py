"""The provenance of a record: its signed lineage edges, entities and signers as one graph."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from auditor.domain.artifacts import FileDigest, digest_files
from auditor.domain.json import Json
from auditor.domain.lineage import (
    LineageActivity,
    LineageEdge,
    LineageEntity,
    ProvenanceGraph,
    build_entity_id,
)
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest

KINDS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("parent", "generator", "shadow"), "artifact"),
        **dict.fromkeys(("evaluation", "training", "reference", "production"), "dataset"),
        "signer": "key",
    }
)
"""What stands in a role, where it is not named after the role itself."""
SIGNER = "signer"
"""The role of who signed a record."""
FROM_THE_RECORD = frozenset({"wasDerivedFrom", "wasAttributedTo"})
"""Relations of the record itself; all others are those of the run that made it."""
Group = tuple[FileDigest, ...]


def build_provenance(record: AuditRecord, signature: str | None = None) -> ProvenanceGraph:
    """Return what a record states: a pure function of its bytes, and of its signature's digest.

    Every edge that the record lists is there, from the record or from the run that made it. Files
    hang below what they make up together; a file that makes up nothing was used by itself.
    ``signature`` is the digest of the bundle that signs the record.
    """
    # What made the record. Judging again began when nobody wrote down: it has an end.
    again = record.derived_from is not None
    started = record.finished if again else record.registered
    about: Mapping[str, Json] = {"model": f"{record.request.name} {record.request.version}"}
    run = LineageActivity(
        "judging" if again else "audit", record.id, started, record.finished, about
    )
    request = record.request
    # Of the record and not of the target: the same place may be shown to be more in another one.
    prints = sorted(record.fingerprints.items())
    levels = [f"{name}: {it.evidence.value}" for name, it in prints if it.evidence is not None]
    itself = LineageEntity(
        "record",
        record.digest,
        attrs={
            "id": record.id,
            "verdict": record.verdict.value,
            "model": f"{request.name} {request.version}",
            "policy": f"{request.policy.name} {request.policy.version}",
            "finished": record.finished,
            **({"evidence": "; ".join(levels)} if levels else {}),
        },
    )
    edges = set(_typed(record, itself.id, run.id))
    edges.add(LineageEdge(itself.id, "wasGeneratedBy", run.id, run.kind))
    entities = {item.id: item for item in (*_named(record), itself)}
    whole, alone = _files(record)
    for owner, group in whole.items():
        edges |= {LineageEdge(owner, "hadMember", _file_id(file), file.name) for file in group}
    edges |= {LineageEdge(run.id, "used", _file_id(file), "input") for file in alone}
    places = {item.file: item.path for item in record.request.inputs}
    for file in (*(file for group in whole.values() for file in group), *alone):
        entities.setdefault(_file_id(file), _file(file, places.get(file, "")))
    if signature is not None:
        entities[build_entity_id("signature", signature)] = LineageEntity("signature", signature)
        edges |= set(_signed(record, itself.id, build_entity_id("signature", signature)))
    ordered = tuple(entities[key] for key in sorted(entities))
    return ProvenanceGraph(ordered, (run,), tuple(sorted(edges)))


def build_lineage(
    record: AuditRecord, catalogues: Mapping[str, str], signer: str
) -> tuple[LineageEdge, ...]:
    """Return the edges from a record to everything that it rests on, which are to stand in it.

    ``catalogues`` are the digests of those that its policy cites, ``signer`` is who signs it.
    """
    tool, origin = record.tool, record.derived_from
    used = [(str(tool.get(role)), role) for role in ("code", "environment")]
    used += _used(record.request)
    used += [(digest, f"catalogue:{name}") for name, digest in catalogues.items()]
    used += [(item.identity, f"target:{name}") for name, item in record.fingerprints.items()]
    edges = {LineageEdge(record.id, "used", digest, role) for digest, role in used}
    edges |= {
        LineageEdge(record.id, "wasDerivedFrom", digest, f"evidence:{item.check}")
        for item in record.observations
        for digest in item.evidence.values()
    }
    if origin is not None:
        edges.add(LineageEdge(record.id, "wasDerivedFrom", origin, "record"))
    return tuple(sorted({*edges, LineageEdge(record.id, "wasAttributedTo", signer, SIGNER)}))


def _used(request: AuditRequest) -> Iterator[tuple[str, str]]:
    """Yield the digest and the role of all that an audit was given."""
    yield from ((item, role) for role, item in request.papers.items())
    yield request.audit_file, "audit_file"
    beside = {
        "artifact": request.artifact,
        "parent": request.parent,
        "recipe": request.recipe,
        "generator": request.generator,
    }
    yield from ((item.digest, role) for role, item in beside.items() if item)
    yield from ((item.digest, item.role) for item in request.datasets)
    if request.trust is not None:
        yield request.trust.digest, "trust_policy"
    yield from ((item.digest, "document") for item in request.documents)
    yield from ((item.digest, "waiver") for item in request.waivers)
    if request.shadows is not None:
        yield from ((digest, "shadow") for digest in request.shadows.models)
        yield request.shadows.inclusion, "inclusion"


def find_entity_kind(role: str) -> str:
    """Return what kind of thing stands in a role; what follows a colon only tells them apart."""
    head = role.partition(":")[0]
    return KINDS.get(head, head.replace("_", "-"))


def _typed(record: AuditRecord, itself: str, run: str) -> Iterator[LineageEdge]:
    known = {edge.destination: _end(edge) for edge in record.lineage}
    for edge in record.lineage:
        own = itself if edge.relation in FROM_THE_RECORD else run
        source = known.get(edge.source, build_entity_id("entity", edge.source))
        yield LineageEdge(
            own if edge.source == record.id else source, edge.relation, _end(edge), edge.role
        )


def _end(edge: LineageEdge) -> str:
    return build_entity_id(find_entity_kind(edge.role), edge.destination)


def _named(record: AuditRecord) -> Iterator[LineageEntity]:
    """Yield everything that the record names, but for other records, which tell of themselves."""
    request, tool = record.request, record.tool
    policy = request.policy
    about: dict[str, Mapping[str, Json]] = {
        build_entity_id("policy", policy.digest): {"name": policy.name, "version": policy.version},
        build_entity_id("code", str(tool.get("code"))): {"version": tool.get("version")},
        build_entity_id("environment", str(tool.get("environment"))): {
            "python": tool.get("python"),
            "packages": tool.get("packages"),
        },
    }
    for model in (request.artifact, request.parent, request.generator):
        if model is not None:
            name = build_entity_id("artifact", model.digest)
            about[name] = {"name": model.name, "version": model.version}
    for item in request.datasets:
        about[build_entity_id("dataset", item.digest)] = {"rows": item.rows}
    for leave in request.waivers:
        about[build_entity_id("waiver", leave.digest)] = {"name": leave.file}
    for place in record.fingerprints.values():
        about[build_entity_id("target", place.identity)] = {"emulated": place.emulated}
    for edge in record.lineage:
        kind = find_entity_kind(edge.role)
        if kind != "record":
            attrs = about.get(_end(edge), {})
            yield LineageEntity(kind, edge.destination.removeprefix(f"{kind}:"), attrs=attrs)


def _files(record: AuditRecord) -> tuple[Mapping[str, Group], Group]:
    """Return the files of what is made of them, by its id, and those that are part of nothing."""
    owners = {edge.destination: _end(edge) for edge in record.lineage}
    whole: dict[str, Group] = {}
    alone: dict[FileDigest, None] = {}
    for group in _groups(record.request):
        owner = owners.get(digest_files(group))
        if owner is not None:
            whole[owner] = group
        else:
            alone |= dict.fromkeys(file for file in group if file.digest not in owners)
    members = {file for group in whole.values() for file in group}
    return whole, tuple(file for file in alone if file not in members)


def _groups(request: AuditRequest) -> Iterator[Group]:
    """Yield the files that were named together: those of a model, those under one path."""
    for model in (request.artifact, request.parent, request.generator):
        if model is not None:
            yield model.files
    for path in dict.fromkeys(item.path for item in request.inputs):
        yield tuple(item.file for item in request.inputs if item.path == path)


def _signed(record: AuditRecord, itself: str, signature: str) -> Iterator[LineageEdge]:
    yield LineageEdge(itself, "wasInfluencedBy", signature, "signature")
    for edge in record.lineage:
        if edge.role == "signer":
            yield LineageEdge(signature, "wasAttributedTo", _end(edge), edge.role)


def _file_id(file: FileDigest) -> str:
    return build_entity_id("file", file.digest)


def _file(file: FileDigest, path: str) -> LineageEntity:
    about: Mapping[str, Json] = {"name": file.name, "size": file.size}
    return LineageEntity("file", file.digest, path, about)
