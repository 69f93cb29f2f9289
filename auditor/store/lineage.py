"""Walks lineage: what a digest came from, and what came from it."""

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session

from auditor.domain.lineage import Edge
from auditor.store.tables import LineageRow

Column = InstrumentedAttribute[str]


def ancestors_of(session: Session, digest: str) -> tuple[Edge, ...]:
    """Return, in order, every edge on a way from ``digest`` to what it came from.

    Relations of W3C PROV point from what came later to what was there before.
    """
    return _edges_on_ways(session, digest, near=LineageRow.source, far=LineageRow.destination)


def descendants_of(session: Session, digest: str) -> tuple[Edge, ...]:
    """Return, in order, every edge on a way to ``digest`` from what came of it."""
    return _edges_on_ways(session, digest, near=LineageRow.destination, far=LineageRow.source)


def _edges_on_ways(session: Session, digest: str, near: Column, far: Column) -> tuple[Edge, ...]:
    first = select(far.label("digest")).where(near == digest)
    reached = first.cte("reached", recursive=True)
    # UNION, not UNION ALL: no digest is walked from twice, so that a cycle comes to an end.
    reached = reached.union(select(far).join(reached, near == reached.c.digest))
    row = LineageRow
    asked = (
        select(row.source, row.relation, row.destination, row.role)
        .where((near == digest) | near.in_(select(reached.c.digest)))
        .distinct()
    )
    return tuple(
        sorted(
            Edge(source, relation, destination, role)
            for source, relation, destination, role in session.execute(asked)
        )
    )
