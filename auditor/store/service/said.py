"""Everything that people said of records, read by one question."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select

from auditor.domain.people import Decision, DecisionKind
from auditor.store.service.people import decision_of
from auditor.store.service.people_tables import DecisionRow, PersonRow
from auditor.store.store import Store


@dataclass(frozen=True, slots=True)
class OnRecords:
    """What people of a project said of records, the oldest first, and the digests of what only
    those of other projects said of them.
    """

    own: tuple[Decision, ...]
    elsewhere: frozenset[str]

    def about(self, kind: DecisionKind, records: Collection[str]) -> tuple[Decision, ...]:
        """Return the project's own decisions of a kind on some of the records."""
        return tuple(it for it in self.own if it.kind is kind and it.record in records)


def said_on(store: Store, project: str, records: Collection[str]) -> OnRecords:
    """Return what was said of records, as a project sees it. Raises ``StoreError``."""
    row = DecisionRow
    asked = (
        select(row, PersonRow.key)
        .join(PersonRow, PersonRow.id == row.person)
        .where(row.record.in_(records))
        .order_by(row.number)
    )
    with store.reading() as session:
        every = [decision_of(found, key) for found, key in session.execute(asked)]
    own = tuple(it for it in every if it.project == project)
    return OnRecords(own, frozenset(it.digest for it in every) - {it.digest for it in own})
