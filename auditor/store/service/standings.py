"""Submissions with how far they are and what they came to, a page in one query."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Row, Select, func, select, tuple_
from sqlalchemy.orm import Session

from auditor.domain.served import Ending
from auditor.domain.submissions import ENDED, State, Submission
from auditor.errors import UsageError
from auditor.store.service.histories import no_submission, read_ending
from auditor.store.service.standing_tables import UNENDED, StandingRow
from auditor.store.service.submitted import read_submission
from auditor.store.service.tables import OutcomeRow, SubmissionRow
from auditor.store.store import Store
from auditor.store.tables import RecordRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which submissions to list: of a project, in a state, of a model, those after a cursor.

    A cursor is the id of the last one that was seen.
    """

    project: str | None = None
    state: State | None = None
    model: str | None = None
    cursor: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Standing:
    """A submission, how far it is, and, once it has ended, how, and with which verdict."""

    submission: Submission
    state: State
    ending: Ending | None = None
    verdict: str | None = None


@dataclass(frozen=True, slots=True)
class Standings:
    """How far submissions are, in the database of ``store``."""

    store: Store

    def page(self, wanted: Wanted) -> tuple[tuple[Standing, ...], str]:
        """Return submissions, the newest first, and the cursor of what follows.

        The cursor is empty at the end. Raises ``UsageError`` for a cursor that is none.
        """
        with self.store.reading() as session:
            return page(session, wanted)

    def of(self, submission: Submission) -> Standing:
        """Return how far one submission is. Raises ``StoreError`` where there is none such."""
        asked = _asked().where(StandingRow.submission == submission.id)
        with self.store.reading() as session:
            found = session.execute(asked).first()
            if found is None:
                raise no_submission(submission.id)
            return _standing(found)

    def unended(self, state: State | None = None) -> tuple[Submission, ...]:
        """Return what has not ended, in all projects, or of that what is in a state, oldest first.

        Raises ``StoreError`` for a submission that is damaged.
        """
        with self.store.reading() as session:
            return unended(session, state)

    def counted(self) -> Mapping[State, int]:
        """Return how many submissions of all projects are in each state but the last ones."""
        asked = select(StandingRow.state, func.count()).where(UNENDED).group_by(StandingRow.state)
        with self.store.reading() as session:
            found = {State(state): count for state, count in session.execute(asked)}
        return {state: found.get(state, 0) for state in State if state not in ENDED}


def page(session: Session, wanted: Wanted) -> tuple[tuple[Standing, ...], str]:
    """Return what ``Standings.page`` does, within a transaction."""
    asked = _asked().where(*_conditions(wanted))
    if wanted.cursor:
        asked = asked.where(_after(session, wanted))
    asked = asked.order_by(StandingRow.submitted.desc(), StandingRow.submission.desc())
    rows = session.execute(asked.limit(wanted.limit + 1)).all()
    found = tuple(_standing(row) for row in rows[: wanted.limit])
    return found, found[-1].submission.id if len(rows) > wanted.limit else ""


def unended(session: Session, state: State | None = None) -> tuple[Submission, ...]:
    """Return what ``Standings.unended`` does, within a transaction."""
    asked = select(SubmissionRow).join(StandingRow, StandingRow.submission == SubmissionRow.id)
    asked = asked.where(UNENDED)
    if state is not None:
        asked = asked.where(StandingRow.state == state.value)
    ordered = asked.order_by(StandingRow.submitted, StandingRow.submission)
    return tuple(read_submission(row) for row in session.scalars(ordered))


def _asked() -> "Select[SubmissionRow, str, OutcomeRow, str]":
    return (
        select(SubmissionRow, StandingRow.state, OutcomeRow, RecordRow.verdict)
        .join(StandingRow, StandingRow.submission == SubmissionRow.id)
        .outerjoin(OutcomeRow, OutcomeRow.submission == SubmissionRow.id)
        .outerjoin(RecordRow, RecordRow.digest == OutcomeRow.record_digest)
    )


def _standing(row: "Row[SubmissionRow, str, OutcomeRow, str]") -> Standing:
    submission, state = row[0], row[1]
    # What is joined from outside is not there before the end.
    outcome: OutcomeRow | None = row[2]
    verdict: str | None = row[3]
    ending = None if outcome is None else read_ending(outcome)
    return Standing(read_submission(submission), State(state), ending, verdict)


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    row = StandingRow
    return [
        *([] if wanted.project is None else [row.project == wanted.project]),
        *([] if wanted.model is None else [row.model == wanted.model]),
        *([] if wanted.state is None else [row.state == wanted.state.value]),
    ]


def _after(session: Session, wanted: Wanted) -> ColumnElement[bool]:
    last = session.get(SubmissionRow, wanted.cursor)
    if last is None or wanted.project not in {None, last.project}:
        raise UsageError(
            f"{str(wanted.cursor)[:80]!r} is no cursor of this list",
            cure="Give the cursor that the last page ended with, or none to begin.",
        )
    return tuple_(StandingRow.submitted, StandingRow.submission) < (last.submitted, last.id)
