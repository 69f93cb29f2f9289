"""What targets turned out to be, as those say who work for them."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import or_, select

from auditor.domain.canonical import Json, canonical, digest_json, parse
from auditor.domain.json_parts import Part
from auditor.domain.sightings import Sighting, facts_told
from auditor.store.service.adding import added
from auditor.store.service.watch_tables import SightingRow
from auditor.store.store import Store


@dataclass(frozen=True, slots=True)
class Sightings:
    """What was seen of targets. Every method is a transaction of its own."""

    store: Store

    def note(
        self, seer: str, target: str, probe: Mapping[str, Json], at: str,
        project: str | None = None,
    ) -> bool:  # fmt: skip
        """Keep what a target is, and say whether the same seer said otherwise, or nothing, before.

        Without a project it is a worker's word, which counts in all. A probe that lacks what must
        match tells nothing.
        """
        facts, row = facts_told(probe), SightingRow
        if not facts:
            return False
        identity = digest_json(facts)
        last = select(row.number, row.identity).where(row.seer == seer, row.target == target)
        with self.store.transaction() as session:
            before = session.execute(last.order_by(row.number.desc()).limit(1)).first()
            if before is not None and before.identity == identity:
                return False
            return added(
                session, row, seer=seer, target=target, project=project, identity=identity,
                number=1 if before is None else int(before.number) + 1,
                facts=canonical(facts).decode(), at=at,
            )  # fmt: skip

    def since(self, project: str, at: str) -> tuple[Sighting, ...]:
        """Return what was seen for a project since a time, the oldest first."""
        row = SightingRow
        asked = (
            select(row)
            .where(row.at >= at, or_(row.project.is_(None), row.project == project))
            .order_by(row.at, row.seer, row.target, row.number)
        )
        with self.store.reading() as session:
            return tuple(
                Sighting(
                    seer=it.seer, target=it.target, number=it.number, at=it.at,
                    facts=Part(parse(it.facts.encode()), "facts").value,
                )
                for it in session.scalars(asked)
            )  # fmt: skip
