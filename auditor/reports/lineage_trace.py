"""A trace in the lineage graph: all ancestors of a node, or all descendants."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from auditor.domain.json import Json, write_fields
from auditor.domain.lineage import INVALIDATED, LineageActivity, LineageEdge, LineageEntity

SHORT = 12


@dataclass(frozen=True)
class LineageTrace:
    """Edges on all ways from ``roots``: to what they rest on, or, where ``down``, what rests on
    them. What is known of the nodes stands beside, by id.
    """

    roots: tuple[str, ...]
    down: bool
    edges: tuple[LineageEdge, ...]
    entities: Mapping[str, LineageEntity]
    activities: Mapping[str, LineageActivity]

    @classmethod
    def of(
        cls,
        roots: Iterable[str],
        edges: Iterable[LineageEdge],
        entities: Iterable[LineageEntity],
        activities: Iterable[LineageActivity],
        *,
        down: bool = False,
    ) -> "LineageTrace":
        """Put a trace together."""
        return cls(
            roots=tuple(sorted(set(roots))),
            down=down,
            edges=tuple(sorted(set(edges))),
            entities={item.id: item for item in entities},
            activities={item.id: item for item in activities},
        )

    def joined(self, other: "LineageTrace") -> "LineageTrace":
        """Return both together; where both know of a thing, as this one tells it."""
        return replace(
            self,
            edges=tuple(sorted({*self.edges, *other.edges})),
            entities={**other.entities, **self.entities},
            activities={**other.activities, **self.activities},
        )

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """Every node, in order."""
        ends = {end for edge in self.edges for end in (edge.source, edge.destination)}
        return tuple(sorted(ends | set(self.roots)))

    @cached_property
    def refuted(self) -> frozenset[str]:
        """The records that a challenge refuted, whatever their verdict was."""
        return frozenset(edge.source for edge in self.edges if edge.relation == INVALIDATED)

    @cached_property
    def verdicts(self) -> Mapping[str, int]:
        """How many records of each verdict, or refuted, are among the nodes but the roots."""
        found: dict[str, int] = {}
        for node in self.nodes:
            entity = self.entities.get(node)
            if entity is not None and entity.kind == "record" and node not in self.roots:
                verdict = find_node_verdict(self, node) or "unknown"
                found[verdict] = found.get(verdict, 0) + 1
        return found

    def steps(self, node: str) -> tuple[tuple[LineageEdge, str], ...]:
        """Return the edges that lead on from a node, with what stands at their other end."""
        return self._onward.get(node, ())

    @cached_property
    def _onward(self) -> Mapping[str, tuple[tuple[LineageEdge, str], ...]]:
        found: dict[str, list[tuple[LineageEdge, str]]] = {}
        for edge in self.edges:
            near, far = edge.source, edge.destination
            if self.down:
                near, far = far, near
            found.setdefault(near, []).append((edge, far))
        return {node: tuple(steps) for node, steps in found.items()}

    def to_json(self) -> dict[str, Json]:
        """Return all of it, for scripts."""
        return {
            "roots": list(self.roots),
            "direction": "down" if self.down else "up",
            "entities": [
                {"id": item.id, **write_fields(item)} for _, item in sorted(self.entities.items())
            ],
            "activities": [
                {"id": item.id, "kind": item.kind, "started": item.started, "ended": item.ended}
                | {"attrs": dict(item.attrs)}
                for _, item in sorted(self.activities.items())
            ],
            "edges": [edge.to_json() for edge in self.edges],
        }


def parse_node_kind(node: str) -> str:
    """Return the kind that a node's id begins with."""
    return node.partition(":")[0]


def shorten_node_id(node: str) -> str:
    """Return the first digits of a node's digest; a name that is no digest stays whole."""
    kind, _, value = node.partition(":")
    cut = len(value) > 2 * SHORT and not set(value) - set("0123456789abcdef")
    return f"{kind}:{value[:SHORT]}…" if cut else node


def find_node_name(trace: LineageTrace, node: str) -> str:
    """Return what a node is called, or nothing where only its digest is known."""
    activity = trace.activities.get(node)
    if activity is not None:
        return f"ended {activity.ended}"
    entity = trace.entities.get(node)
    if entity is None:
        return ""
    about = entity.attrs
    if entity.kind in {"record", "challenge"}:
        return " ".join(str(about[key]) for key in ("id", "model", "policy") if key in about)
    named = [str(about[key]) for key in ("name", "version") if about.get(key) is not None]
    if "rows" in about:
        named.append(f"{about['rows']} rows")
    return " ".join(named)


def find_node_verdict(trace: LineageTrace, node: str) -> str:
    """Return what a record came to, or a challenge; nothing of other things."""
    entity = trace.entities.get(node)
    if entity is None:
        return ""
    if node in trace.refuted:
        return "refuted"
    return str(entity.attrs.get("verdict", "") or entity.attrs.get("outcome", ""))
