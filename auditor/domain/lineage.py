"""Lineage: edges between digests."""

from dataclasses import dataclass

from auditor.domain.canonical import Json


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """``source`` stands in ``relation`` (a W3C PROV term) to ``destination``, as ``role``."""

    source: str
    relation: str
    destination: str
    role: str

    def to_json(self) -> dict[str, Json]:
        """Return the record's form."""
        return {
            "source": self.source,
            "relation": self.relation,
            "destination": self.destination,
            "role": self.role,
        }
