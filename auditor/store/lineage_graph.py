"""Stored lineage graph: nodes, edges, and its ancestors and descendants."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import InstrumentedAttribute, Session

from auditor.domain.json import encode_canonical, write_fields
from auditor.domain.lineage import (
    INVALIDATED,
    LineageActivity,
    LineageEdge,
    LineageEntity,
    ProvenanceGraph,
)
from auditor.store.tables import ProvActivityRow, ProvEdgeRow, ProvEntityRow, TableBase

Column = InstrumentedAttribute[str]
Row = dict[str, Any]
_AT_ONCE = 500


def keep_lineage(connection: Connection, stated_by: str, stated: ProvenanceGraph) -> None:
    """Keep what the document of the digest ``stated_by`` states; what is known stays as it is."""
    _add(connection, ProvEntityRow, [build_entity_row(item) for item in stated.entities])
    _add(connection, ProvActivityRow, [build_activity_row(item) for item in stated.activities])
    _add(connection, ProvEdgeRow, [build_edge_row(item, stated_by) for item in stated.edges])


def build_entity_row(entity: LineageEntity) -> Row:
    """Return the row of an entity."""
    attrs = encode_canonical(entity.attrs).decode()
    return {"id": entity.id, **write_fields(entity), "attrs": attrs}


def build_activity_row(activity: LineageActivity) -> Row:
    """Return the row of an activity."""
    return {
        "id": activity.id,
        "kind": activity.kind,
        "started": activity.started,
        "ended": activity.ended,
        "attrs": encode_canonical(activity.attrs).decode(),
    }


def build_edge_row(edge: LineageEdge, stated_by: str) -> Row:
    """Return the row of an edge, but for its number."""
    return {**edge.to_json(), "stated_by": stated_by}


def find_ancestors(session: Session, *names: str) -> tuple[LineageEdge, ...]:
    """Return, in order, every edge on a way from the nodes ``names`` to what they came from.

    Relations of W3C PROV point from what came later to what was there before.
    """
    return _edges_on_ways(session, names, near=ProvEdgeRow.source, far=ProvEdgeRow.destination)


def find_descendants(session: Session, *names: str) -> tuple[LineageEdge, ...]:
    """Return, in order, every edge on a way to the nodes ``names`` from what came of them."""
    return _edges_on_ways(session, names, near=ProvEdgeRow.destination, far=ProvEdgeRow.source)


def find_invalidations(session: Session, names: Sequence[str]) -> tuple[LineageEdge, ...]:
    """Return, in order, the edges by which any of the nodes was invalidated."""
    row = ProvEdgeRow
    found: set[LineageEdge] = set()
    for part in _parts(names):
        asked = select(row.source, row.relation, row.destination, row.role).where(
            row.source.in_(part), row.relation == INVALIDATED
        )
        found |= {LineageEdge(*columns) for columns in session.execute(asked)}
    return tuple(sorted(found))


def find_entities(session: Session, start: str) -> tuple[LineageEntity, ...]:
    """Return, in order, the entities whose digest begins with the text ``start``."""
    row = ProvEntityRow
    asked = select(row).where(row.digest.startswith(start, autoescape=True)).order_by(row.id)
    return tuple(map(_entity, session.scalars(asked)))


def read_nodes(
    session: Session, names: Sequence[str]
) -> tuple[tuple[LineageEntity, ...], tuple[LineageActivity, ...]]:
    """Return the entities and activities of some nodes, as far as anything is known of them."""
    entities: list[LineageEntity] = []
    activities: list[LineageActivity] = []
    for part in _parts(names):
        things = select(ProvEntityRow).where(ProvEntityRow.id.in_(part))
        entities += map(_entity, session.scalars(things))
        deeds = select(ProvActivityRow).where(ProvActivityRow.id.in_(part))
        activities += map(_activity, session.scalars(deeds))
    return tuple(entities), tuple(activities)


def _entity(row: ProvEntityRow) -> LineageEntity:
    return LineageEntity(row.kind, row.digest, row.uri, json.loads(row.attrs))


def _activity(row: ProvActivityRow) -> LineageActivity:
    name = row.id.removeprefix(f"{row.kind}:")
    return LineageActivity(row.kind, name, row.started, row.ended, json.loads(row.attrs))


def _edges_on_ways(
    session: Session, names: Sequence[str], near: Column, far: Column
) -> tuple[LineageEdge, ...]:
    first = select(far.label("name")).where(near.in_(names))
    reached = first.cte("reached", recursive=True)
    # UNION, not UNION ALL: no node is walked from twice, so that a cycle comes to an end.
    reached = reached.union(select(far).join(reached, near == reached.c.name))
    row = ProvEdgeRow
    asked = (
        select(row.source, row.relation, row.destination, row.role)
        .where(near.in_(names) | near.in_(select(reached.c.name)))
        .distinct()
    )
    return tuple(sorted(LineageEdge(*found) for found in session.execute(asked)))


def _add(connection: Connection, table: type[TableBase], rows: Sequence[Row]) -> None:
    """Add rows; those that are there already stay, whoever else is adding them just now."""
    # Each database has its own INSERT of the name, and both spell the clause alike.
    on_sqlite = connection.dialect.name == "sqlite"
    added = (
        sqlite.insert(table).on_conflict_do_nothing()
        if on_sqlite
        else postgresql.insert(table).on_conflict_do_nothing()
    )
    if rows:
        connection.execute(added, rows)


def _parts(names: Sequence[str]) -> Iterator[Iterable[str]]:
    for start in range(0, len(names), _AT_ONCE):
        yield names[start : start + _AT_ONCE]
