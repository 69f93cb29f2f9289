"""Submissions of all projects that have not ended, and their number."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from auditor.service.domain.submissions import ENDED, Submission, SubmissionState
from auditor.service.store.submission_rows import read_submission
from auditor.service.store.tables import UNENDED, SubmissionRow, SubmissionStateRow
from auditor.store.record_store import RecordStore


@dataclass(frozen=True, slots=True)
class SubmissionBacklog:
    """How far the submissions of all projects are, in the database of ``store``."""

    store: RecordStore

    def unended(self, state: SubmissionState | None = None) -> tuple[Submission, ...]:
        """Return what has not ended, in all projects, or of that what is in a state, oldest first.

        Raises ``StoreError`` for a submission that is damaged.
        """
        with self.store.reading() as session:
            return list_open_submissions(session, state)

    def counted(self) -> Mapping[SubmissionState, int]:
        """Return how many submissions of all projects are in each state but the last ones."""
        asked = (
            select(SubmissionStateRow.state, func.count())
            .where(UNENDED)
            .group_by(SubmissionStateRow.state)
        )
        with self.store.reading() as session:
            found = {SubmissionState(state): count for state, count in session.execute(asked)}
        return {state: found.get(state, 0) for state in SubmissionState if state not in ENDED}


def list_open_submissions(
    session: Session, state: SubmissionState | None = None
) -> tuple[Submission, ...]:
    """Return what ``SubmissionBacklog.unended`` does, within a transaction."""
    asked = select(SubmissionRow).join(
        SubmissionStateRow, SubmissionStateRow.submission == SubmissionRow.id
    )
    asked = asked.where(UNENDED)
    if state is not None:
        asked = asked.where(SubmissionStateRow.state == state.value)
    ordered = asked.order_by(SubmissionStateRow.submitted, SubmissionStateRow.submission)
    return tuple(read_submission(row) for row in session.scalars(ordered))
