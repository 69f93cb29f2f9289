"""People who decide, as a project keeps them: who they are, and what they said of records."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from auditor.domain.acts import Act
from auditor.domain.canonical import canonical, parse
from auditor.domain.json_parts import Part
from auditor.domain.people import Decision, DecisionKind, Labelled, Person
from auditor.store.service.acts import noted
from auditor.store.service.adding import added
from auditor.store.service.people_tables import (
    DecisionRow,
    LabelsRow,
    PersonEndRow,
    PersonRow,
)
from auditor.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Which decisions to list: of a kind, on a record or an artifact, those before a number."""

    kind: DecisionKind | None = None
    record: str | None = None
    artifact: str | None = None
    before: int | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class People:
    """What a service keeps of people, in the database of ``store``, each project apart.

    An act that is given along with a change is kept with it, and in the ledger, if it changed
    something. Every method raises ``StoreError`` when the database refuses.
    """

    store: Store

    def add(self, person: Person, by: str, act: Act | None = None) -> bool:
        """Keep a person, and say whether the key is new to the project."""
        with self.store.unit_of_work() as work:
            # Two may ask at once: the constraint on the key decides, and the second is told.
            new = added(
                work.session,
                PersonRow,
                id=person.id,
                project=person.project,
                name=person.name,
                key=person.key,
                may=" ".join(sorted(person.may)),
                caller=person.caller,
                created=person.created,
                by=by,
            )
            return noted(work, act, changed=new)

    def end(self, person: str, at: str, reason: str, by: str, act: Act | None = None) -> bool:
        """End a person's leave for good, and say whether it had not ended."""
        with self.store.unit_of_work() as work:
            row = {"person": person, "ended": at, "reason": reason, "by": by}
            return noted(work, act, changed=added(work.session, PersonEndRow, **row))

    def all(self, project: str) -> tuple[Person, ...]:
        """Return a project's people, the oldest first, those who decide no more too."""
        asked = (
            select(PersonRow, PersonEndRow)
            .outerjoin(PersonEndRow, PersonEndRow.person == PersonRow.id)
            .where(PersonRow.project == project)
            .order_by(PersonRow.created, PersonRow.id)
        )
        with self.store.reading() as session:
            return tuple(_person(row, end) for row, end in session.execute(asked))

    def person(self, project: str, name: str) -> Person | None:
        """Return the person of an id."""
        with self.store.reading() as session:
            row = session.get(PersonRow, name)
            if row is None or row.project != project:
                return None
            return _person(row, session.get(PersonEndRow, name))

    def holder(self, project: str, key: str) -> Person | None:
        """Return the person of a public key, written as every key is written."""
        asked = select(PersonRow.id).where(PersonRow.project == project, PersonRow.key == key)
        with self.store.reading() as session:
            found = session.scalar(asked)
        return None if found is None else self.person(project, found)

    def decision(self, project: str, kind: DecisionKind, digest: str) -> Decision | None:
        """Return the decision of a kind under the digest of its bundle."""
        with self.store.reading() as session:
            row = session.get(DecisionRow, (project, digest))
            if row is None or row.kind != kind:
                return None
            return decision_of(row, _key_of(session, row.person))

    def decisions(self, project: str, sought: Sought) -> tuple[Decision, ...]:
        """Return decisions, the newest first."""
        row = DecisionRow
        asked = (
            select(row, PersonRow.key)
            .join(PersonRow, PersonRow.id == row.person)
            .where(row.project == project)
            .order_by(row.number.desc())
            .limit(sought.limit)
        )
        if sought.kind is not None:
            asked = asked.where(row.kind == sought.kind.value)
        if sought.record is not None:
            asked = asked.where(row.record == sought.record)
        if sought.artifact is not None:
            asked = asked.where(row.artifact == sought.artifact)
        if sought.before is not None:
            asked = asked.where(row.number < sought.before)
        with self.store.reading() as session:
            return tuple(decision_of(found, key) for found, key in session.execute(asked))

    def deciding(self, kind: DecisionKind) -> tuple[str, ...]:
        """Return the projects in which somebody took a decision of a kind."""
        row = DecisionRow
        asked = select(row.project).where(row.kind == kind.value).distinct().order_by(row.project)
        with self.store.reading() as session:
            return tuple(session.scalars(asked))

    def about(
        self, project: str, kind: DecisionKind, records: tuple[str, ...]
    ) -> tuple[Decision, ...]:
        """Return every decision of a kind on some records, the oldest first."""
        row = DecisionRow
        asked = (
            select(row, PersonRow.key)
            .join(PersonRow, PersonRow.id == row.person)
            .where(row.project == project, row.kind == kind.value, row.record.in_(records))
            .order_by(row.number)
        )
        with self.store.reading() as session:
            return tuple(decision_of(found, key) for found, key in session.execute(asked))

    def label(self, project: str, labelled: Labelled) -> Labelled:
        """Keep a person's labels of a record, and return what is kept, which is what came first."""
        body = canonical(labelled.to_json()).decode()
        key = {"project": project, "record": labelled.record, "person": labelled.person}
        with self.store.transaction() as session:
            added(session, LabelsRow, **key, body=body, at=labelled.at, by=labelled.by)
            row = session.get_one(LabelsRow, tuple(key.values()))
            return _labelled(row)

    def labels(self, project: str, record: str) -> dict[str, Labelled]:
        """Return all labels of a record's cases, by the id of the person."""
        return {it.person: it for it in self.all_labels(project, (record,))}

    def all_labels(self, project: str, records: Collection[str]) -> tuple[Labelled, ...]:
        """Return all labels of the cases of some records."""
        row = LabelsRow
        asked = select(row).where(row.project == project, row.record.in_(records))
        with self.store.reading() as session:
            return tuple(_labelled(item) for item in session.scalars(asked))


def keep_decision(session: Session, decision: Decision) -> bool:
    """Keep a decision at the end of its project's, and say whether it is new.

    Nobody else may append meanwhile: the transaction holds the ledger's head.
    """
    row = DecisionRow
    if session.get(row, (decision.project, decision.digest)) is not None:
        return False
    last = select(func.coalesce(func.max(row.number), 0)).where(row.project == decision.project)
    made = row(
        project=decision.project,
        digest=decision.digest,
        number=int(session.scalar(last) or 0) + 1,
        kind=decision.kind.value,
        person=decision.person,
        artifact=decision.artifact,
        record=decision.record,
        bundle=decision.bundle,
        at=decision.at,
        by=decision.by,
    )
    session.add(made)
    session.flush()
    return True


def _key_of(session: Session, person: str) -> str:
    return session.get_one(PersonRow, person).key


def _person(row: PersonRow, end: PersonEndRow | None) -> Person:
    return Person(
        id=row.id,
        project=row.project,
        name=row.name,
        key=row.key,
        may=frozenset(DecisionKind(word) for word in row.may.split()),
        created=row.created,
        caller=row.caller,
        ended=None if end is None else end.ended,
        reason=None if end is None else end.reason,
    )


def decision_of(row: DecisionRow, key: str) -> Decision:
    """Return what a row says that the holder of a key decided."""
    return Decision(
        project=row.project,
        digest=row.digest,
        kind=DecisionKind(row.kind),
        person=row.person,
        bundle=row.bundle,
        key=key,
        at=row.at,
        by=row.by,
        artifact=row.artifact,
        record=row.record,
        number=row.number,
    )


def _labelled(row: LabelsRow) -> Labelled:
    part = Part(parse(row.body.encode()), "labels")
    return Labelled(
        record=row.record,
        person=row.person,
        labels={name: str(text) for name, text in part.mapping("labels").items()},
        truth=part.get("truth", int),
        model=part.get("model", int),
        at=row.at,
        by=row.by,
    )
