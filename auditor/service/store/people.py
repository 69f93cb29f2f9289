"""The records of submissions that were judged again, beside those that they came to first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import BindParameter, Select, bindparam, func, literal, select, union_all
from sqlalchemy.orm import Session

from auditor.domain.people import Rejudgement
from auditor.domain.verdicts import Verdict
from auditor.errors import StoreError
from auditor.store.service.adding import added
from auditor.store.service.audited import NEWEST
from auditor.store.service.people_tables import RejudgementRow
from auditor.store.service.tables import OutcomeRow, SubmissionRow
from auditor.store.store import Store
from auditor.store.tables import RecordRow

Rows: TypeAlias = "Select[*tuple[Any, ...]]"


@dataclass(frozen=True, slots=True)
class Kept:
    """A record of a project: its submission, its digest and bytes, and its folder's manifest."""

    submission: str
    record: str
    body: bytes
    files: str | None


@dataclass(frozen=True, slots=True)
class Stands:
    """The record at which a submission stands, with its verdict and its folder's manifest."""

    submission: str
    record: str
    files: str | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Like:
    """Which records to list: of a project's model, and where said of an artifact and a policy."""

    project: str
    model: str
    artifact: str | None = None
    policy: str | None = None
    limit: int = 200


@dataclass(frozen=True, slots=True)
class Ended:
    """A submission of a project, when it came to its first record, and the model of that."""

    project: str
    submission: str
    ended: str
    model: str


@dataclass(frozen=True, slots=True)
class Rejudgements:
    """What a service keeps of records that were judged again, in the database of ``store``.

    Every method raises ``StoreError`` when the database refuses.
    """

    store: Store

    def add(self, submission: str, record: str, files: str, at: str) -> Rejudgement:
        """Keep a submission's next record. Raises ``StoreError`` where another was quicker."""
        row = RejudgementRow
        last = select(func.coalesce(func.max(row.number), 0)).where(row.submission == submission)
        with self.store.transaction() as session:
            number = int(session.scalar(last) or 0) + 1
            key = {"submission": submission, "number": number}
            if not added(session, row, **key, record_digest=record, files=files, at=at):
                raise StoreError(
                    f"{submission} is being judged again by somebody else", cure="Send it again."
                )
            return _of(session, submission)[-1]

    def of(self, submission: str) -> tuple[Rejudgement, ...]:
        """Return a submission's records: the one that it came to, and those judged again since."""
        with self.store.reading() as session:
            return _of(session, submission)

    def of_each(self, submissions: Sequence[str]) -> dict[str, tuple[Rejudgement, ...]]:
        """Return the records of many submissions, as ``of`` does, by their ids."""
        with self.store.reading() as session:
            found = session.execute(_RECORDS, {"submissions": list(submissions)})
            every = [Rejudgement(*row) for row in found]
        return {name: tuple(it for it in every if it.submission == name) for name in submissions}

    def last(self, submission: str) -> Kept | None:
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
        return None if found is None else Kept(*found)

    def stand(self, submissions: Sequence[str]) -> tuple[Stands, ...]:
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
            found = {row.submission: Stands(*row) for row in session.execute(asked)}
        return tuple(found[name] for name in submissions if name in found)

    def first_like(self, like: Like) -> tuple[Kept, ...]:
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
            return tuple(Kept(*found) for found in session.execute(asked))

    def unpassed(self, projects: Sequence[str], since: str) -> tuple[Ended, ...]:
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
            return tuple(Ended(*found) for found in session.execute(asked))

    def record(self, project: str, digest: str) -> Kept | None:
        """Return a record of a project by its digest, whether it was judged again or not."""
        return self.records(project, (digest,)).get(digest)

    def records(self, project: str, digests: Sequence[str]) -> dict[str, Kept]:
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
            return {row.digest: Kept(*row) for row in session.execute(asked)}


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


def _of(session: Session, submission: str) -> tuple[Rejudgement, ...]:
    found = session.execute(_RECORDS, {"submissions": [submission]})
    return tuple(Rejudgement(*row) for row in found)
