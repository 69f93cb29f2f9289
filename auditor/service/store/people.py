"""Stored people, their signed decisions about records, and re-evaluated records."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import BindParameter, Select, bindparam, func, literal, select, union_all
from sqlalchemy.orm import Session

from auditor.domain.findings import Verdict
from auditor.domain.json import JsonPart, encode_canonical, parse_json, read_fields
from auditor.errors import StoreError
from auditor.service.domain.access import AuditLogEntry
from auditor.service.domain.people import (
    BlindLabels,
    DecisionKind,
    Person,
    RejudgedRecord,
    SignedDecision,
)
from auditor.service.store.audit_queries import NEWEST
from auditor.service.store.projects import log_change
from auditor.service.store.tables import (
    DecisionRow,
    LabelsRow,
    OutcomeRow,
    PersonEndRow,
    PersonRow,
    RejudgementRow,
    SubmissionRow,
)
from auditor.store.record_store import RecordStore
from auditor.store.sql import insert_if_absent
from auditor.store.tables import RecordRow


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionQuery:
    """Which decisions to list: of a kind, on a record or an artifact, those before a number."""

    kind: DecisionKind | None = None
    record: str | None = None
    artifact: str | None = None
    before: int | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class PeopleStore:
    """What a service keeps of people, in the database of ``store``, each project apart.

    An act that is given along with a change is kept with it, and in the ledger, if it changed
    something. Every method raises ``StoreError`` when the database refuses.
    """

    store: RecordStore

    def add(self, person: Person, by: str, act: AuditLogEntry | None = None) -> bool:
        """Keep a person, and say whether the key is new to the project."""
        with self.store.unit_of_work() as work:
            # Two may ask at once: the constraint on the key decides, and the second is told.
            new = insert_if_absent(
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
            return log_change(work, act, changed=new)

    def end(
        self, person: str, at: str, reason: str, by: str, act: AuditLogEntry | None = None
    ) -> bool:
        """End a person's leave for good, and say whether it had not ended."""
        with self.store.unit_of_work() as work:
            row = {"person": person, "ended": at, "reason": reason, "by": by}
            return log_change(
                work, act, changed=insert_if_absent(work.session, PersonEndRow, **row)
            )

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

    def decision(self, project: str, kind: DecisionKind, digest: str) -> SignedDecision | None:
        """Return the decision of a kind under the digest of its bundle."""
        with self.store.reading() as session:
            row = session.get(DecisionRow, (project, digest))
            if row is None or row.kind != kind:
                return None
            return read_decision(row, session.get_one(PersonRow, row.person).key)

    def decisions(self, project: str, sought: DecisionQuery) -> tuple[SignedDecision, ...]:
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
            return tuple(read_decision(found, key) for found, key in session.execute(asked))

    def deciding(self, kind: DecisionKind) -> tuple[str, ...]:
        """Return the projects in which somebody took a decision of a kind."""
        row = DecisionRow
        asked = select(row.project).where(row.kind == kind.value).distinct().order_by(row.project)
        with self.store.reading() as session:
            return tuple(session.scalars(asked))

    def about(
        self, project: str, kind: DecisionKind, records: tuple[str, ...]
    ) -> tuple[SignedDecision, ...]:
        """Return every decision of a kind on some records, the oldest first."""
        row = DecisionRow
        asked = (
            select(row, PersonRow.key)
            .join(PersonRow, PersonRow.id == row.person)
            .where(row.project == project, row.kind == kind.value, row.record.in_(records))
            .order_by(row.number)
        )
        with self.store.reading() as session:
            return tuple(read_decision(found, key) for found, key in session.execute(asked))

    def label(self, project: str, labelled: BlindLabels) -> BlindLabels:
        """Keep a person's labels of a record, and return what is kept, which is what came first."""
        body = encode_canonical(labelled.to_json()).decode()
        key = {"project": project, "record": labelled.record, "person": labelled.person}
        with self.store.transaction() as session:
            insert_if_absent(session, LabelsRow, **key, body=body, at=labelled.at, by=labelled.by)
            row = session.get_one(LabelsRow, tuple(key.values()))
            return _labelled(row)

    def labels(self, project: str, record: str) -> dict[str, BlindLabels]:
        """Return all labels of a record's cases, by the id of the person."""
        return {it.person: it for it in self.all_labels(project, (record,))}

    def all_labels(self, project: str, records: Collection[str]) -> tuple[BlindLabels, ...]:
        """Return all labels of the cases of some records."""
        row = LabelsRow
        asked = select(row).where(row.project == project, row.record.in_(records))
        with self.store.reading() as session:
            return tuple(_labelled(item) for item in session.scalars(asked))


def keep_decision(session: Session, decision: SignedDecision) -> bool:
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


def read_decision(row: DecisionRow, key: str) -> SignedDecision:
    """Return what a row says that the holder of a key decided."""
    return SignedDecision(
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


def _labelled(row: LabelsRow) -> BlindLabels:
    part = JsonPart(parse_json(row.body.encode()), "labels")
    about = {"record": row.record, "person": row.person, "at": row.at, "by": row.by}
    return read_fields(BlindLabels, part, **about)


Rows: TypeAlias = "Select[*tuple[Any, ...]]"


@dataclass(frozen=True, slots=True)
class ProjectRecord:
    """A record of a project: its submission, its digest and bytes, and its folder's manifest."""

    submission: str
    record: str
    body: bytes
    files: str | None


@dataclass(frozen=True, slots=True)
class CurrentRecord:
    """The record at which a submission stands, with its verdict and its folder's manifest."""

    submission: str
    record: str
    files: str | None
    verdict: str


@dataclass(frozen=True, slots=True)
class ModelRecordQuery:
    """Which records to list: of a project's model, and where said of an artifact and a policy."""

    project: str
    model: str
    artifact: str | None = None
    policy: str | None = None
    limit: int = 200


@dataclass(frozen=True, slots=True)
class SubmissionEnding:
    """A submission of a project, when it came to its first record, and the model of that."""

    project: str
    submission: str
    ended: str
    model: str


@dataclass(frozen=True, slots=True)
class RejudgementStore:
    """What a service keeps of records that were judged again, in the database of ``store``.

    Every method raises ``StoreError`` when the database refuses.
    """

    store: RecordStore

    def add(self, submission: str, record: str, files: str, at: str) -> RejudgedRecord:
        """Keep a submission's next record. Raises ``StoreError`` where another was quicker."""
        row = RejudgementRow
        last = select(func.coalesce(func.max(row.number), 0)).where(row.submission == submission)
        with self.store.transaction() as session:
            number = int(session.scalar(last) or 0) + 1
            key = {"submission": submission, "number": number}
            if not insert_if_absent(session, row, **key, record_digest=record, files=files, at=at):
                raise StoreError(
                    f"{submission} is already being judged again", cure="Send it again."
                )
            return _of(session, submission)[-1]

    def of(self, submission: str) -> tuple[RejudgedRecord, ...]:
        """Return a submission's records: the one that it came to, and those judged again since."""
        with self.store.reading() as session:
            return _of(session, submission)

    def of_each(self, submissions: Sequence[str]) -> dict[str, tuple[RejudgedRecord, ...]]:
        """Return the records of many submissions, as ``of`` does, by their ids."""
        with self.store.reading() as session:
            found = session.execute(_RECORDS, {"submissions": list(submissions)})
            every = [RejudgedRecord(*row) for row in found]
        return {name: tuple(it for it in every if it.submission == name) for name in submissions}

    def last(self, submission: str) -> ProjectRecord | None:
        """Return the record at which a submission stands, if it was judged again."""
        row = RejudgementRow
        asked = (
            select(row.submission, RecordRow.digest, RecordRow.body, row.files)
            .join(RecordRow, RecordRow.digest == row.record_digest)
            .where(row.submission == submission)
            .order_by(row.number.desc())
            .limit(1)
        )
        with self.store.reading() as session:
            found = session.execute(asked).first()
        return None if found is None else ProjectRecord(*found)

    def stand(self, submissions: Sequence[str]) -> tuple[CurrentRecord, ...]:
        """Return where submissions that have a record stand, in the order in which they are named.

        That is the last record that was judged of one, else the first.
        """
        first = select(OutcomeRow.submission, OutcomeRow.record_digest, OutcomeRow.files,
                       literal(0).label("number"))  # fmt: skip
        later = select(RejudgementRow.submission, RejudgementRow.record_digest,
                       RejudgementRow.files, RejudgementRow.number)  # fmt: skip
        both = union_all(
            first.where(OutcomeRow.submission.in_(submissions)),
            later.where(RejudgementRow.submission.in_(submissions)),
        ).subquery()
        asked = (
            select(both.c.submission, RecordRow.digest, both.c.files, RecordRow.verdict)
            .join(RecordRow, RecordRow.digest == both.c.record_digest)
            .order_by(both.c.number)
        )
        with self.store.reading() as session:
            found = {row.submission: CurrentRecord(*row) for row in session.execute(asked)}
        return tuple(found[name] for name in submissions if name in found)

    def first_like(self, like: ModelRecordQuery) -> tuple[ProjectRecord, ...]:
        """Return the records that submissions came to first, the newest first."""
        asked = (
            select(OutcomeRow.submission, RecordRow.digest, RecordRow.body, OutcomeRow.files)
            .join(SubmissionRow, SubmissionRow.id == OutcomeRow.submission)
            .join(RecordRow, RecordRow.digest == OutcomeRow.record_digest)
            .where(SubmissionRow.project == like.project, RecordRow.model_name == like.model)
            .order_by(*NEWEST)
            .limit(like.limit)
        )
        if like.artifact is not None:
            asked = asked.where(RecordRow.artifact_digest == like.artifact)
        if like.policy is not None:
            asked = asked.where(RecordRow.policy_digest == like.policy)
        with self.store.reading() as session:
            return tuple(ProjectRecord(*found) for found in session.execute(asked))

    def unpassed(self, projects: Sequence[str], since: str) -> tuple[SubmissionEnding, ...]:
        """Return the submissions that ended since a time with a record that does not pass."""
        asked = (
            select(SubmissionRow.project, SubmissionRow.id, OutcomeRow.ended, RecordRow.model_name)
            .join(OutcomeRow, OutcomeRow.submission == SubmissionRow.id)
            .join(RecordRow, RecordRow.digest == OutcomeRow.record_digest)
            .where(
                SubmissionRow.project.in_(projects),
                OutcomeRow.ended >= since,
                RecordRow.verdict != Verdict.PASS.value,
            )
            .order_by(OutcomeRow.ended, SubmissionRow.id)
        )
        with self.store.reading() as session:
            return tuple(SubmissionEnding(*found) for found in session.execute(asked))

    def record(self, project: str, digest: str) -> ProjectRecord | None:
        """Return a record of a project by its digest, whether it was judged again or not."""
        return self.records(project, (digest,)).get(digest)

    def records(self, project: str, digests: Sequence[str]) -> dict[str, ProjectRecord]:
        """Return those of some records that a project has, by their digests."""
        first = select(OutcomeRow.submission, OutcomeRow.record_digest, OutcomeRow.files)
        later = select(RejudgementRow.submission, RejudgementRow.record_digest,
                       RejudgementRow.files)  # fmt: skip
        both = union_all(
            first.where(OutcomeRow.record_digest.in_(digests)),
            later.where(RejudgementRow.record_digest.in_(digests)),
        ).subquery()
        asked = (
            select(both.c.submission, RecordRow.digest, RecordRow.body, both.c.files)
            .join(RecordRow, RecordRow.digest == both.c.record_digest)
            .join(SubmissionRow, SubmissionRow.id == both.c.submission)
            .where(SubmissionRow.project == project)
            .order_by(both.c.submission.desc())
        )
        with self.store.reading() as session:
            # Of several submissions that came to one record the first is named.
            return {row.digest: ProjectRecord(*row) for row in session.execute(asked)}


def _records() -> Rows:
    first, later = OutcomeRow, RejudgementRow
    named: BindParameter[Sequence[str]] = bindparam("submissions", expanding=True)
    known = union_all(
        select(
            first.submission,
            literal(0).label("number"),
            first.record_digest,
            first.files,
            first.ended.label("at"),
        ).where(first.submission.in_(named), first.record_digest.is_not(None)),
        select(later.submission, later.number, later.record_digest, later.files, later.at).where(
            later.submission.in_(named)
        ),
    ).subquery()
    record, each = RecordRow, known.c
    asked: Rows = (
        select(each.submission, each.number, each.record_digest, each.files, each.at,
               record.verdict, record.policy_digest, record.derived_from)
        .join(record, record.digest == each.record_digest)
        .order_by(each.number)
    )  # fmt: skip
    return asked


_RECORDS = _records()
"""Every audit that is looked at is asked for its records, and to write the query takes longest."""


def _of(session: Session, submission: str) -> tuple[RejudgedRecord, ...]:
    found = session.execute(_RECORDS, {"submissions": [submission]})
    return tuple(RejudgedRecord(*row) for row in found)


@dataclass(frozen=True, slots=True)
class RecordStatements:
    """What people of a project said of records, the oldest first, and the digests of what only
    those of other projects said of them.
    """

    own: tuple[SignedDecision, ...]
    elsewhere: frozenset[str]

    def about(self, kind: DecisionKind, records: Collection[str]) -> tuple[SignedDecision, ...]:
        """Return the project's own decisions of a kind on some of the records."""
        return tuple(it for it in self.own if it.kind is kind and it.record in records)


def list_statements(store: RecordStore, project: str, records: Collection[str]) -> RecordStatements:
    """Return what was said of records, as a project sees it. Raises ``StoreError``."""
    row = DecisionRow
    asked = (
        select(row, PersonRow.key)
        .join(PersonRow, PersonRow.id == row.person)
        .where(row.record.in_(records))
        .order_by(row.number)
    )
    with store.reading() as session:
        every = [read_decision(found, key) for found, key in session.execute(asked)]
    own = tuple(it for it in every if it.project == project)
    return RecordStatements(own, frozenset(it.digest for it in every) - {it.digest for it in own})
