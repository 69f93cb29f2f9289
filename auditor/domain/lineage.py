"""Lineage: edges between digests, and what stands at their ends (W3C PROV-DM)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from auditor.domain.digests import Digest, is_digest
from auditor.domain.json import Json, digest_json, write_fields

INVALIDATED = "wasInvalidatedBy"
"""The relation of a record to the trial that refuted it."""


@dataclass(frozen=True, slots=True, order=True)
class LineageEdge:
    """``source`` stands in ``relation`` (a W3C PROV term) to ``destination``, as ``role``."""

    source: str
    relation: str
    destination: str
    role: str

    to_json = write_fields


@dataclass(frozen=True, slots=True)
class LineageEntity:
    """A thing by its digest (``prov:Entity``); ``uri`` is where it was said to lie, if anywhere."""

    kind: str
    digest: str
    uri: str = ""
    attrs: Mapping[str, Json] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The kind and the digest: one file may be a document and a data set as well."""
        return build_entity_id(self.kind, self.digest)


@dataclass(frozen=True, slots=True)
class LineageActivity:
    """Something that was done (``prov:Activity``), from ``started`` to ``ended`` (UTC)."""

    kind: str
    name: str
    started: str
    ended: str
    attrs: Mapping[str, Json] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The kind and the name under which it is known."""
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True)
class ProvenanceGraph:
    """What one signed document states of where things come from."""

    entities: tuple[LineageEntity, ...]
    activities: tuple[LineageActivity, ...]
    edges: tuple[LineageEdge, ...]

    @property
    def digest(self) -> Digest:
        """The one digest of the set of edges, which the ledger binds."""
        return digest_edges(self.edges)


def build_entity_id(kind: str, digest: str) -> str:
    """Return ``kind:`` and the hexadecimal digest; what is no SHA-256 keeps its own name."""
    bare = digest.removeprefix(f"{kind}:")
    return f"{kind}:{Digest(bare).hex if is_digest(bare) else bare}"


def digest_edges(edges: Iterable[LineageEdge]) -> Digest:
    """Return the digest of a set of edges: over the canonical list, in their order."""
    return digest_json([edge.to_json() for edge in sorted(set(edges))])
