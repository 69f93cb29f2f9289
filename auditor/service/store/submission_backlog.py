"""Submissions that have not ended, and how many there are, whoever handed them in."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from auditor.domain.submissions import ENDED, State, Submission
from auditor.store.service.standing_tables import UNENDED, StandingRow
from auditor.store.service.submitted import read_submission
from auditor.store.service.tables import SubmissionRow
from auditor.store.store import Store


@dataclass(frozen=True, slots=True)
class Standings:
    """How far the submissions of all projects are, in the database of ``store``."""

    store: Store

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


def unended(session: Session, state: State | None = None) -> tuple[Submission, ...]:
    """Return what ``Standings.unended`` does, within a transaction."""
    asked = select(SubmissionRow).join(StandingRow, StandingRow.submission == SubmissionRow.id)
    asked = asked.where(UNENDED)
    if state is not None:
        asked = asked.where(StandingRow.state == state.value)
    ordered = asked.order_by(StandingRow.submitted, StandingRow.submission)
    return tuple(read_submission(row) for row in session.scalars(ordered))
